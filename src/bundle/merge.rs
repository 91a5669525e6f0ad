//! Laying a target's overrides over the rest.

use serde_json::Value;

/// Lists whose items have a name: an override changes the item of its name.
const NAMED_LISTS: [(&str, &str); 4] = [
    ("tasks", "task_key"),
    ("job_clusters", "job_cluster_key"),
    ("environments", "environment_key"),
    ("parameters", "name"),
];

/// Maps are merged, named lists by name, other lists are appended, anything
/// else is replaced.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                let named = NAMED_LISTS.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
                match (base.get_mut(name), named, value) {
                    (Some(Value::Array(items)), Some(key), Value::Array(more)) => {
                        merge_named(items, more, key)
                    }
                    (Some(known), _, _) => merge(known, value),
                    (None, _, _) => {
                        base.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(over)) => base.extend(over.iter().cloned()),
        (base, over) => *base = over.clone(),
    }
}

fn merge_named(items: &mut Vec<Value>, more: &[Value], key: &str) {
    for item in more {
        let known = items.iter_mut().find(|known| known[key] == item[key] && !item[key].is_null());
        match known {
            Some(known) => merge(known, item),
            None => items.push(item.clone()),
        }
    }
}
