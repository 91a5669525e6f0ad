//! Development and production targets.

use serde_json::{Value, json};

use super::{Bundle, BundleError, Kind, Surroundings};

pub(super) fn apply(
    bundle: &mut Bundle,
    mode: Option<&str>,
    tree: &Value,
    around: &Surroundings,
) -> Result<(), BundleError> {
    match mode {
        None => Ok(()),
        Some("development") => {
            develop(bundle, tree, around);
            Ok(())
        }
        Some("production") => produce(bundle, tree, around),
        Some(other) => Err(BundleError::new(
            "databricks.yml",
            format!("targets.{}.mode: `{other}` is not a mode", bundle.target),
        )
        .hint("modes are `development` and `production`")),
    }
}

/// Names of a copy, where they are not a variable's to choose.
pub(super) fn isolate(bundle: &mut Bundle, word: &str) {
    for resource in bundle.resources.values_mut() {
        let settings = &mut resource.settings;
        let name = settings["name"].as_str().unwrap_or_default().to_owned();
        match resource.kind {
            Kind::Jobs => {
                settings["name"] = json!(format!("[{word}] {name}"));
                pause(settings);
            }
            Kind::Experiments => {
                let (folder, base) = name.rsplit_once('/').unwrap_or(("", &name));
                settings["name"] = json!(format!("{folder}/[{word}] {base}"));
            }
            Kind::Schemas | Kind::Volumes | Kind::RegisteredModels => {}
        }
    }
}

/// # Errors
/// When the copy would share something in Unity Catalog with what it was made from.
pub(super) fn confirm_isolated(bundle: &Bundle, word: &str) -> Result<(), BundleError> {
    for (key, resource) in &bundle.resources {
        if matches!(resource.kind, Kind::Jobs | Kind::Experiments) {
            continue;
        }
        let parts = ["catalog_name", "schema_name", "name"];
        let parts = parts.iter().filter_map(|field| resource.settings[*field].as_str());
        let full = parts.collect::<Vec<_>>().join(".");
        if !full.contains(word) {
            let message =
                format!("resources.{key}: `{full}` would be shared with what is not under test");
            return Err(BundleError::new("databricks.yml", message).hint(
                "let its name depend on a variable, and put `{isolation}` into that one at `tests.integration.variables` in lakegate.yml",
            ));
        }
    }
    Ok(())
}

/// Nothing runs by itself.
fn pause(settings: &mut Value) {
    for timer in ["schedule", "trigger", "continuous"] {
        if settings.get(timer).is_some_and(Value::is_object) {
            settings[timer]["pause_status"] = json!("PAUSED");
        }
    }
}

/// Names that tell whose copy it is, and nothing that runs by itself.
fn develop(bundle: &mut Bundle, tree: &Value, around: &Surroundings) {
    let prefix = tree["presets"]["name_prefix"]
        .as_str()
        .map_or_else(|| format!("[dev {}] ", around.short_name), str::to_owned);
    let identifier = format!("dev_{}_", around.short_name);
    for resource in bundle.resources.values_mut() {
        let name = resource.settings["name"].as_str().unwrap_or_default().to_owned();
        match resource.kind {
            Kind::Jobs => {
                let settings = &mut resource.settings;
                settings["name"] = json!(format!("{prefix}{name}"));
                settings["tags"]["dev"] = json!(around.short_name);
                if settings["max_concurrent_runs"].is_null() {
                    settings["max_concurrent_runs"] = json!(4);
                }
                pause(settings);
            }
            Kind::Experiments => {
                let (folder, base) = name.rsplit_once('/').unwrap_or(("", &name));
                resource.settings["name"] = json!(format!("{folder}/{prefix}{base}"));
            }
            Kind::RegisteredModels | Kind::Schemas => {
                resource.settings["name"] = json!(format!("{identifier}{name}"))
            }
            Kind::Volumes => {}
        }
    }
    rename_schemas(bundle, &identifier);
}

/// Models and volumes follow the schema of the bundle that they live in.
fn rename_schemas(bundle: &mut Bundle, identifier: &str) {
    let own: Vec<String> = bundle
        .resources
        .values()
        .filter(|resource| resource.kind == Kind::Schemas)
        .filter_map(|resource| {
            Some(resource.settings["name"].as_str()?.strip_prefix(identifier)?.to_owned())
        })
        .collect();
    for resource in bundle.resources.values_mut() {
        let schema = resource.settings["schema_name"].as_str().unwrap_or_default().to_owned();
        if own.contains(&schema) {
            resource.settings["schema_name"] = json!(format!("{identifier}{schema}"));
        }
    }
}

/// What must not reach production.
fn produce(bundle: &Bundle, tree: &Value, around: &Surroundings) -> Result<(), BundleError> {
    let refuse = |message: String| Err(BundleError::new("databricks.yml", message));
    let demanded = tree["bundle"]["git"]["branch"].as_str().unwrap_or_default();
    let actual = tree["bundle"]["git"]["actual_branch"].as_str().unwrap_or_default();
    if !demanded.is_empty() && !actual.is_empty() && demanded != actual {
        return refuse(format!(
            "target `{}` is deployed from branch `{demanded}`, this is `{actual}`",
            bundle.target
        ));
    }
    if let Some(home) = bundle.root_path.strip_prefix("/Workspace/Users/") {
        let owner = home.split('/').next().unwrap_or_default();
        if owner != around.user {
            return refuse(format!(
                "workspace.root_path lies in the home of `{owner}`, the caller is `{}`",
                around.user
            ));
        }
    }
    let development = bundle.resources.iter().find(|(_, resource)| {
        resource.settings["name"].as_str().is_some_and(|name| name.starts_with("[dev "))
    });
    match development {
        Some((key, _)) => refuse(format!("resources.{key} has the name of a development copy")),
        None => Ok(()),
    }
}
