//! The values of a bundle's variables.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::sources::{ROOT, check_keys};
use super::{BundleError, Surroundings, resources};

/// The value of each declared variable.
pub(super) fn variables(
    tree: &Value,
    target: &Value,
    around: &Surroundings,
) -> Result<BTreeMap<String, Value>, BundleError> {
    let mut values = BTreeMap::new();
    for (name, value) in given(tree, target, around)? {
        let value = value.ok_or_else(|| {
            BundleError::lacking(format!("variables.{name} has no value"))
                .hint(format!("set a default, `--var {name}=…` or BUNDLE_VAR_{name}"))
        })?;
        values.insert(name, value);
    }
    Ok(values)
}

/// The declared variables, and what is known of their values.
pub(super) fn given(
    tree: &Value,
    target: &Value,
    around: &Surroundings,
) -> Result<BTreeMap<String, Option<Value>>, BundleError> {
    let mut values = BTreeMap::new();
    let empty = Map::new();
    let declared = tree["variables"].as_object().unwrap_or(&empty);
    for (name, variable) in declared {
        check_keys(
            ROOT,
            &format!("variables.{name}"),
            variable,
            &["description", "default", "type", "lookup"],
        )?;
        if variable.get("lookup").is_some() {
            return Err(BundleError::new(
                ROOT,
                format!("variables.{name}.lookup: lookups are not supported yet"),
            )
            .hint("give the id as the variable's value"));
        }
        let in_target = target["variables"].get(name).map(|value| match value {
            Value::Object(fields) if fields.contains_key("default") => fields["default"].clone(),
            other => other.clone(),
        });
        let given = match around.variables.get(name) {
            Some(text) if variable["type"] == "complex" => {
                Some(serde_yaml::from_str(text).map_err(|error| {
                    BundleError::new(
                        ROOT,
                        format!("variables.{name}: the given value is not YAML: {error}"),
                    )
                })?)
            }
            Some(text) => Some(Value::String(text.clone())),
            None => None,
        };
        let default = variable.get("default").cloned();
        values.insert(name.clone(), given.or(in_target).or(default));
    }
    let known: Vec<&str> = declared.keys().map(String::as_str).collect();
    let in_target = target["variables"].as_object().into_iter().flat_map(Map::keys);
    if let Some(unknown) = in_target.map(String::as_str).find(|name| !known.contains(name)) {
        let error = BundleError::new(
            ROOT,
            format!("the target sets the variable `{unknown}`, which is not declared"),
        );
        return Err(resources::did_you_mean(error, unknown, &known));
    }
    Ok(values)
}
