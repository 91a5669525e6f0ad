//! Ids of other resources, known once those exist.

use serde_json::{Value, json};

use super::interpolate::next_reference;

/// Fields that the service takes as numbers.
const NUMBERS: [&str; 1] = ["job_id"];

/// Fills in what `known` knows; the rest stays.
pub fn fill(settings: &Value, known: &dyn Fn(&str) -> Option<String>) -> Value {
    inner("", settings, known)
}

/// The references to resources that are still open.
pub fn open(settings: &Value) -> Vec<String> {
    let mut found = super::interpolate::references(settings);
    found.retain(|name| name.starts_with("resources."));
    found
}

fn inner(field: &str, value: &Value, known: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => {
            let filled = filled(text, known);
            match filled.parse::<i64>() {
                Ok(number) if NUMBERS.contains(&field) => json!(number),
                _ => json!(filled),
            }
        }
        Value::Array(items) => items.iter().map(|item| inner(field, item, known)).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), inner(name, value, known))).collect(),
        ),
        other => other.clone(),
    }
}

fn filled(text: &str, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_reference(rest) {
        out.push_str(before);
        match known(name) {
            Some(id) => out.push_str(&id),
            None => out.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_where_the_service_wants_numbers() {
        let known = |name: &str| (name == "resources.jobs.a.id").then(|| "7".to_owned());
        let settings = json!({
            "job_id": "${resources.jobs.a.id}",
            "parameters": ["${resources.jobs.a.id}", "--job=${resources.jobs.a.id}"],
            "other": "${resources.jobs.b.id}",
        });
        let expected = json!({
            "job_id": 7, "parameters": ["7", "--job=7"], "other": "${resources.jobs.b.id}",
        });
        assert_eq!(fill(&settings, &known), expected);
    }
}
