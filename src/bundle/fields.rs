//! Two settings, compared field by field.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field that differs. Absent is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `tasks[fit].timeout_seconds`
    pub path: String,
    pub old: Value,
    pub new: Value,
}

/// What tells the items of a list apart, where they have a name.
const KEYS: [&str; 7] = [
    "task_key",
    "job_cluster_key",
    "environment_key",
    "key",
    "principal",
    "served_model_name",
    "name",
];

/// The fields at which two values differ.
pub fn differences(old: &Value, new: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<Field>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let (old, new) =
                    (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
                compare(&below(name), old, new, found);
            }
        }
        (Value::Array(one), Value::Array(other)) => match key(one, other) {
            Some(key) => by_name(path, key, one, other, found),
            None if one.len() == other.len() => {
                for (at, (old, new)) in one.iter().zip(other).enumerate() {
                    compare(&format!("{path}[{at}]"), old, new, found);
                }
            }
            None => note(path, old, new, found),
        },
        (old, new) if old == new || is_same_number(old, new) => {}
        _ => note(path, old, new, found),
    }
}

fn note(path: &str, old: &Value, new: &Value, found: &mut Vec<Field>) {
    found.push(Field { path: path.to_owned(), old: old.clone(), new: new.clone() });
}

fn is_same_number(old: &Value, new: &Value) -> bool {
    old.as_f64().zip(new.as_f64()).is_some_and(|(old, new)| old == new)
}

/// The field that names every item of both lists, each once.
fn key(one: &[Value], other: &[Value]) -> Option<&'static str> {
    let names_all = |list: &[Value], key: &str| {
        let names: Option<BTreeSet<&str>> = list.iter().map(|item| item[key].as_str()).collect();
        names.is_some_and(|names| names.len() == list.len())
    };
    if one.is_empty() && other.is_empty() {
        return None;
    }
    KEYS.into_iter().find(|key| names_all(one, key) && names_all(other, key))
}

fn by_name(path: &str, key: &str, one: &[Value], other: &[Value], found: &mut Vec<Field>) {
    let find = |list: &[Value], name: &str| -> Value {
        list.iter().find(|item| item[key] == name).cloned().unwrap_or(Value::Null)
    };
    let names: BTreeSet<&str> =
        one.iter().chain(other).filter_map(|item| item[key].as_str()).collect();
    for name in names {
        compare(&format!("{path}[{name}]"), &find(one, name), &find(other, name), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn items_are_told_by_their_names() {
        let old = json!({ "tasks": [{ "task_key": "a", "n": 1 }, { "task_key": "b" }], "x": 1.0 });
        let new = json!({ "tasks": [{ "task_key": "c" }, { "task_key": "a", "n": 2 }], "x": 1 });
        let told: Vec<String> = differences(&old, &new)
            .iter()
            .map(|field| format!("{}: {} -> {}", field.path, field.old, field.new))
            .collect();
        assert_eq!(
            told,
            [
                "tasks[a].n: 1 -> 2",
                r#"tasks[b]: {"task_key":"b"} -> null"#,
                r#"tasks[c]: null -> {"task_key":"c"}"#,
            ]
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("key|name|[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_does_not_differ_from_itself(one in value()) {
            prop_assert!(differences(&one, &one).is_empty());
        }

        #[test]
        fn what_differs_is_found_from_both_sides(one in value(), other in value()) {
            let (there, back) = (differences(&one, &other), differences(&other, &one));
            prop_assert_eq!(there.len(), back.len());
        }
    }
}
