//! What a bundle asks for that the databricks CLI alone does.

use serde_json::Value;

use super::resources;
use super::sources::ROOT;

/// Where the files of a bundle say so.
pub(super) fn places(tree: &Value, chosen: &Value) -> Vec<String> {
    let kinds = tree["resources"].as_object().into_iter().flatten();
    let kinds = kinds.filter(|(kind, _)| matches!(resources::kind(ROOT, kind), Ok(None)));
    let mut found: Vec<String> = kinds.map(|(kind, _)| format!("resources.{kind}")).collect();
    let keys = tree["experimental"].as_object().into_iter().flatten();
    let keys = keys.filter(|(_, value)| !value.is_null() && **value != Value::Bool(false));
    found.extend(keys.map(|(key, _)| format!("experimental.{key}")));
    let presets = ["source_linked_deployment", "artifacts_dynamic_version"];
    let presets = presets.into_iter().filter(|key| tree["presets"][key] == true);
    found.extend(presets.map(|key| format!("presets.{key}")));
    // Another cluster than the jobs name.
    let clusters = [
        ("bundle.cluster_id", &tree["bundle"]["cluster_id"]),
        ("bundle.compute_id", &tree["bundle"]["compute_id"]),
        ("targets.cluster_id", &chosen["cluster_id"]),
    ];
    found.extend(
        clusters.into_iter().filter(|(_, id)| !id.is_null()).map(|(name, _)| name.to_owned()),
    );
    found
}
