//! The line that a message is about: messages begin with the path of what they
//! complain of, `gate`: `rules[1]`: …

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// The line of what a message names, or of the nearest thing around it.
pub(super) fn line_of(text: &str, message: &str) -> Option<u32> {
    let mut path = path_of(message);
    while !path.is_empty() {
        if let Some(line) = line_at(text, &path) {
            return Some(line);
        }
        path.pop();
    }
    None
}

/// The quoted names at the start of a message, one below the other.
fn path_of(message: &str) -> Vec<Step> {
    let mut path = Vec::new();
    let mut rest = message;
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        for part in name.split('.') {
            let (key, items) = part.split_once('[').unwrap_or((part, ""));
            path.push(Step::Key(key.to_owned()));
            let numbers = items.split(['[', ']']).filter_map(|item| item.parse().ok());
            path.extend(numbers.map(Step::Item));
        }
        match after.strip_prefix(": ") {
            Some(more) => rest = more,
            None => break,
        }
    }
    path
}

fn line_at(text: &str, path: &[Step]) -> Option<u32> {
    let error = At(path).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    u32::try_from(error.location()?.line()).ok()
}

/// Walks along a path, and fails at its end: the reader knows where that is.
struct At<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.first() {
            None => deserializer.deserialize_any(Nothing),
            Some(Step::Key(_)) => deserializer.deserialize_map(self),
            Some(Step::Item(_)) => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the path leads to")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if self.0.first() == Some(&Step::Key(key)) {
                return map.next_value_seed(At(&self.0[1..]));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some(Step::Item(at)) = self.0.first() else { return Ok(()) };
        for _ in 0..*at {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(At(&self.0[1..])).map(drop)
    }
}

/// Takes no value.
struct Nothing;

impl Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# a\nrecord: {schema: a.b}\ngate:\n  key: [id]\n  rules:\n    - {metric: a, min: 1}\n    - metric: b\n      min: 2\n  slices:\n    columns: [s]\n";

    #[test]
    fn a_message_is_about_a_line() {
        for (message, line) in [
            ("`gate`: `rules[1]`: there is no metric `b`", Some(7)),
            ("`gate`: `rules[0]`: x", Some(6)),
            ("`gate`: `slices.columns` is wrong", Some(10)),
            ("`gate`: `slices.rules` is empty", Some(10)),
            ("`gate`: costs", Some(4)),
            ("`record.schema`: no", Some(2)),
            ("`drift`: x", None),
            ("no path", None),
        ] {
            assert_eq!(line_of(TEXT, message), line, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_message_breaks_it(message in "(`[a-z.\\[\\]0-9]{0,9}`(: )?){0,4}\\PC{0,9}", text in "([a-z]{1,3}: ?[\\[{&*!|a-z0-9]{0,5}\n ?){0,5}") {
            let _line = line_of(&text, &message);
        }
    }
}
