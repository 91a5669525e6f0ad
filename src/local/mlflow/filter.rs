//! MLflow's search filters: `metrics.auc > 0.8 AND tags.kind = 'x'`.

use serde_json::Value;

use crate::local::error::{Answer, ApiFault};

/// Conditions that all must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter(Vec<Condition>);

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    /// `metrics`, `params`, `tags` or `attributes`.
    field: String,
    key: String,
    operator: String,
    values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(String),
}

impl Filter {
    pub(super) fn parse(text: &str) -> Answer<Self> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let mut conditions = Vec::new();
        let bad = || ApiFault::invalid(format!("Invalid filter string: {text}"));
        while tokens.peek().is_some() {
            if !conditions.is_empty() {
                match tokens.next() {
                    Some(Token::Word(word)) if word.eq_ignore_ascii_case("and") => {}
                    _ => return Err(bad()),
                }
            }
            let Some(Token::Word(name)) = tokens.next() else { return Err(bad()) };
            let (field, key) = field_and_key(&name);
            let mut operator = match tokens.next() {
                Some(Token::Symbol(symbol) | Token::Word(symbol)) => symbol.to_ascii_uppercase(),
                _ => return Err(bad()),
            };
            let mut values = Vec::new();
            if operator == "IN" || operator == "NOT" {
                if operator == "NOT" {
                    operator = "NOT IN".into();
                    tokens.next();
                }
                if tokens.next() != Some(Token::Symbol("(".into())) {
                    return Err(bad());
                }
                loop {
                    values.push(value(tokens.next()).ok_or_else(bad)?);
                    match tokens.next() {
                        Some(Token::Symbol(symbol)) if symbol == "," => {}
                        Some(Token::Symbol(symbol)) if symbol == ")" => break,
                        _ => return Err(bad()),
                    }
                }
            } else {
                values.push(value(tokens.next()).ok_or_else(bad)?);
            }
            conditions.push(Condition { field, key, operator, values });
        }
        Ok(Self(conditions))
    }

    /// Whether every condition holds for the object whose values `look_up` gives.
    pub(super) fn matches(&self, look_up: &dyn Fn(&str, &str) -> Option<Value>) -> bool {
        self.0.iter().all(|condition| {
            let Some(actual) = look_up(&condition.field, &condition.key) else { return false };
            condition.holds(&actual)
        })
    }
}

impl Condition {
    fn holds(&self, actual: &Value) -> bool {
        let among = || {
            self.values
                .iter()
                .any(|expected| compare(actual, expected).is_some_and(std::cmp::Ordering::is_eq))
        };
        let Some(expected) = self.values.first() else { return false };
        let ordering = compare(actual, expected);
        match self.operator.as_str() {
            "=" | "==" => ordering.is_some_and(std::cmp::Ordering::is_eq),
            "!=" => !ordering.is_some_and(std::cmp::Ordering::is_eq),
            "<" => ordering.is_some_and(std::cmp::Ordering::is_lt),
            "<=" => ordering.is_some_and(std::cmp::Ordering::is_le),
            ">" => ordering.is_some_and(std::cmp::Ordering::is_gt),
            ">=" => ordering.is_some_and(std::cmp::Ordering::is_ge),
            "LIKE" => like(&shown(actual), &shown(expected)),
            "ILIKE" => like(&shown(actual).to_lowercase(), &shown(expected).to_lowercase()),
            "IN" => among(),
            "NOT IN" => !among(),
            _ => false,
        }
    }
}

/// `metrics."a b"` → (`metrics`, `a b`); a bare name is an attribute.
fn field_and_key(name: &str) -> (String, String) {
    let unquoted = |key: &str| key.trim_matches(['`', '"']).to_owned();
    match name.split_once('.') {
        Some((field, key)) => {
            let field = match field.to_ascii_lowercase().as_str() {
                "metric" | "metrics" => "metrics",
                "param" | "params" | "parameter" | "parameters" => "params",
                "tag" | "tags" => "tags",
                _ => "attributes",
            };
            (field.to_owned(), unquoted(key))
        }
        None => ("attributes".to_owned(), unquoted(name)),
    }
}

fn value(token: Option<Token>) -> Option<Value> {
    match token? {
        Token::Text(text) => Some(Value::from(text)),
        Token::Word(word) => word.parse::<f64>().ok().map(Value::from),
        Token::Symbol(_) => None,
    }
}

fn compare(actual: &Value, expected: &Value) -> Option<std::cmp::Ordering> {
    match (actual.as_f64(), expected.as_f64()) {
        (Some(actual), Some(expected)) => actual.partial_cmp(&expected),
        _ => Some(shown(actual).cmp(&shown(expected))),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// SQL's `LIKE` with `%` and `_`.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<_>, Vec<_>) = (text.chars().collect(), pattern.chars().collect());
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for symbol in pattern {
        if symbol == '%' {
            for at in 1..=text.len() {
                reachable[at] |= reachable[at - 1];
            }
        } else {
            for at in (1..=text.len()).rev() {
                reachable[at] = reachable[at - 1] && (symbol == '_' || symbol == text[at - 1]);
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

fn tokens(text: &str) -> Answer<Vec<Token>> {
    let mut chars = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(char) = chars.next() {
        match char {
            char if char.is_whitespace() => {}
            '\'' => {
                let text: String = chars.by_ref().take_while(|next| *next != '\'').collect();
                found.push(Token::Text(text));
            }
            '"' => {
                let text: String = chars.by_ref().take_while(|next| *next != '"').collect();
                found.push(Token::Text(text));
            }
            '(' | ')' | ',' => found.push(Token::Symbol(char.to_string())),
            '=' | '!' | '<' | '>' => {
                let mut symbol = char.to_string();
                symbol.extend(chars.next_if_eq(&'='));
                found.push(Token::Symbol(symbol));
            }
            _ => {
                let mut word = char.to_string();
                while let Some(next) =
                    chars.next_if(|next| !next.is_whitespace() && !"=!<>(),'".contains(*next))
                {
                    word.push(next);
                    if matches!(next, '`' | '"') {
                        let quote = next;
                        for inner in chars.by_ref() {
                            word.push(inner);
                            if inner == quote {
                                break;
                            }
                        }
                    }
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(filter: &str) -> bool {
        Filter::parse(filter).unwrap().matches(&|field, key| match (field, key) {
            ("metrics", "auc") => Some(Value::from(0.8)),
            ("metrics", "f1 score") => Some(Value::from(0.5)),
            ("params", "depth") => Some(Value::from("4")),
            ("tags", "mlflow.runName") => Some(Value::from("Night run")),
            ("attributes", "status") => Some(Value::from("FINISHED")),
            _ => None,
        })
    }

    #[test]
    fn conditions_are_joined_by_and() {
        for (filter, expected) in [
            ("", true),
            ("metrics.auc > 0.7 and params.depth = '4'", true),
            ("metrics.auc >= 0.8 AND metrics.auc < 0.9", true),
            ("metrics.`f1 score` != 0.5", false),
            ("tags.mlflow.runName LIKE 'Night%'", true),
            ("tags.`mlflow.runName` ILIKE '%RUN'", true),
            ("attributes.status IN ('FAILED', 'FINISHED')", true),
            ("status NOT IN ('FINISHED')", false),
            ("metrics.missing > 0", false),
        ] {
            assert_eq!(holds(filter), expected, "{filter}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for filter in ["metrics.auc", "metrics.auc >", "a = 'b' or c = 'd'", "a IN ('b'"] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "[a-z.'\"`=<>!(), %0-9]{0,40}") {
            let _parsed = Filter::parse(&text);
        }
    }
}
