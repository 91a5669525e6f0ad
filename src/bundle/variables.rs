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
        let value = match (value, lookup(tree, target, &name)?) {
            (Some(value), _) => value,
            // What it is called where it is deployed is for another time.
            (None, Some(lookup)) if around.is_open => {
                Value::String(format!("_{}_", lookup.kind.as_str()))
            }
            (None, Some(_)) => {
                let message = format!("variables.{name} is looked up in a workspace");
                return Err(BundleError::lacking(message)
                    .hint(format!("`--var {name}=…` or BUNDLE_VAR_{name} gives it without one")));
            }
            (None, None) => {
                return Err(BundleError::lacking(format!("variables.{name} has no value"))
                    .hint(format!("set a default, `--var {name}=…` or BUNDLE_VAR_{name}")));
            }
        };
        values.insert(name, value);
    }
    Ok(values)
}

/// A variable whose value is the id of something that is known by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    pub variable: String,
    pub kind: Looked,
    pub name: String,
}

/// What can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    Alert,
    Cluster,
    ClusterPolicy,
    Dashboard,
    InstancePool,
    Job,
    Metastore,
    NotificationDestination,
    Pipeline,
    Query,
    ServicePrincipal,
    Warehouse,
}

impl Looked {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Cluster => "cluster",
            Self::ClusterPolicy => "cluster_policy",
            Self::Dashboard => "dashboard",
            Self::InstancePool => "instance_pool",
            Self::Job => "job",
            Self::Metastore => "metastore",
            Self::NotificationDestination => "notification_destination",
            Self::Pipeline => "pipeline",
            Self::Query => "query",
            Self::ServicePrincipal => "service_principal",
            Self::Warehouse => "warehouse",
        }
    }
}

/// The lookups of a target whose values nobody has given.
pub(super) fn lookups(
    tree: &Value,
    target: &Value,
    around: &Surroundings,
) -> Result<Vec<Lookup>, BundleError> {
    let mut found = Vec::new();
    for (name, value) in given(tree, target, around)? {
        if let (None, Some(lookup)) = (value, lookup(tree, target, &name)?) {
            found.push(lookup);
        }
    }
    Ok(found)
}

/// The lookup of a variable, that of the target before the declared one.
fn lookup(tree: &Value, target: &Value, variable: &str) -> Result<Option<Lookup>, BundleError> {
    let places = [&target["variables"][variable]["lookup"], &tree["variables"][variable]["lookup"]];
    let Some(asked) = places.into_iter().find(|lookup| !lookup.is_null()) else {
        return Ok(None);
    };
    let wrong = |why: String| BundleError::new(ROOT, format!("variables.{variable}.lookup: {why}"));
    let fields = asked.as_object().filter(|fields| fields.len() == 1);
    let Some((kind, name)) = fields.and_then(|fields| fields.iter().next()) else {
        return Err(wrong("name one thing, such as `warehouse: Shared`".to_owned()));
    };
    let kind: Looked = serde_json::from_value(Value::String(kind.clone()))
        .map_err(|error| wrong(error.to_string()))?;
    match name.as_str() {
        Some(name) => {
            Ok(Some(Lookup { variable: variable.to_owned(), kind, name: name.to_owned() }))
        }
        None => Err(wrong("the name must be a text".to_owned())),
    }
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
        let in_target = target["variables"].get(name).map(|value| match value {
            Value::Object(fields) if fields.contains_key("default") => fields["default"].clone(),
            other => other.clone(),
        });
        // A lookup of the target takes the place of whatever was declared.
        let is_looked_up = target["variables"][name].get("lookup").is_some();
        let in_target = in_target.filter(|_| !is_looked_up);
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
        let default = variable.get("default").filter(|_| !is_looked_up).cloned();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_looked_up_is_known_and_what_is_given_is_not_asked() {
        let tree = json!({ "variables": {
            "a": { "lookup": { "warehouse": "Shared" } },
            "b": { "default": "x" },
            "c": { "lookup": { "cluster_policy": "Jobs" } },
        }});
        let target =
            json!({ "variables": { "b": { "lookup": { "job": "train" } }, "c": "given" } });
        let around = Surroundings::default();
        let found = lookups(&tree, &target, &around).unwrap();
        let told: Vec<_> = found.iter().map(|one| (&*one.variable, one.kind, &*one.name)).collect();
        assert_eq!(told, [("a", Looked::Warehouse, "Shared"), ("b", Looked::Job, "train")]);
        let error = variables(&tree, &target, &around).unwrap_err();
        assert!(error.lacks_value && error.message.contains("looked up"), "{}", error.message);
        let open = Surroundings { is_open: true, ..Surroundings::default() };
        assert_eq!(variables(&tree, &target, &open).unwrap()["a"], "_warehouse_");
        let given = [("a", "1"), ("b", "2")].map(|(name, id)| (name.to_owned(), id.to_owned()));
        let around = Surroundings { variables: given.into(), ..Surroundings::default() };
        assert_eq!(lookups(&tree, &target, &around).unwrap(), []);
        assert_eq!(variables(&tree, &target, &around).unwrap()["b"], "2");
    }

    #[test]
    fn a_lookup_names_one_known_thing() {
        for (lookup, words) in [
            (json!({}), "name one thing"),
            (json!({"warehouse": "a", "job": "b"}), "name one thing"),
            (json!({"warehose": "a"}), "unknown variant `warehose`"),
            (json!({"warehouse": 7}), "must be a text"),
        ] {
            let tree = json!({ "variables": { "a": { "lookup": lookup } } });
            let error = lookups(&tree, &Value::Null, &Surroundings::default()).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
