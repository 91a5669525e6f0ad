//! Development and production targets.

use serde_json::{Value, json};

use super::presets::Presets;
use super::{Bundle, BundleError, Kind, Surroundings, full_name};

pub(super) fn apply(
    bundle: &mut Bundle,
    mode: Option<&str>,
    tree: &Value,
    around: &Surroundings,
) -> Result<(), BundleError> {
    match mode {
        None | Some("development") => {}
        Some("production") => produce(bundle, around)?,
        Some(other) => {
            return Err(BundleError::new(
                "databricks.yml",
                format!("targets.{}.mode: `{other}` is not a mode", bundle.target),
            )
            .hint("modes are `development` and `production`"));
        }
    }
    Presets::of(tree, mode == Some("development"), around)?.apply(bundle);
    Ok(())
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
            Kind::Pipelines => {
                settings["name"] = json!(format!("[{word}] {name}"));
                settings["development"] = json!(true);
            }
            Kind::Experiments => {
                let (folder, base) = name.rsplit_once('/').unwrap_or(("", &name));
                settings["name"] = json!(format!("{folder}/[{word}] {base}"));
            }
            Kind::ModelServingEndpoints => {
                settings["name"] = json!(format!("{word}_{name}"));
            }
            // These have their names from variables, or lie in the copy's folder.
            Kind::Schemas
            | Kind::Volumes
            | Kind::RegisteredModels
            | Kind::QualityMonitors
            | Kind::Dashboards
            | Kind::Permissions
            | Kind::Grants => {}
        }
    }
}

/// # Errors
/// When the copy would share something in Unity Catalog with what it was made from.
pub(super) fn confirm_isolated(bundle: &Bundle, word: &str) -> Result<(), BundleError> {
    for (key, resource) in &bundle.resources {
        let full = match resource.kind {
            Kind::Schemas | Kind::Volumes | Kind::RegisteredModels => full_name(&resource.settings),
            Kind::QualityMonitors => {
                resource.settings["table_name"].as_str().unwrap_or_default().to_owned()
            }
            _ => continue,
        };
        if !full.split('.').any(|part| has_word(part, word)) {
            let message =
                format!("resources.{key}: `{full}` would be shared with what is not under test");
            return Err(BundleError::new("databricks.yml", message).hint(
                "let its name depend on a variable, and put `{isolation}` into that one at `tests.integration.variables` in lakegate.yml",
            ));
        }
    }
    Ok(())
}

/// Whether the word stands alone: `mr1` is not in `mr12_flights`.
fn has_word(name: &str, word: &str) -> bool {
    let is_edge = |char: Option<char>| char.is_none_or(|char| !char.is_ascii_alphanumeric());
    name.match_indices(word).any(|(at, _)| {
        let (before, after) = (&name[..at], &name[at + word.len()..]);
        is_edge(before.chars().next_back()) && is_edge(after.chars().next())
    })
}

/// Nothing runs by itself.
fn pause(settings: &mut Value) {
    for timer in ["schedule", "trigger", "continuous"] {
        if settings.get(timer).is_some_and(Value::is_object) {
            settings[timer]["pause_status"] = json!("PAUSED");
        }
    }
}

/// A target may name the branch that it is deployed from.
pub(super) fn confirm_branch(
    bundle: &Bundle,
    tree: &Value,
    around: &Surroundings,
) -> Result<(), BundleError> {
    let demanded = tree["bundle"]["git"]["branch"].as_str().unwrap_or_default();
    let actual = tree["bundle"]["git"]["actual_branch"].as_str().unwrap_or_default();
    if around.is_open || demanded.is_empty() || actual.is_empty() || demanded == actual {
        return Ok(());
    }
    let target = &bundle.target;
    let message =
        format!("target `{target}` is deployed from branch `{demanded}`, this is `{actual}`");
    Err(BundleError::new("databricks.yml", message))
}

/// What must not reach production.
fn produce(bundle: &Bundle, around: &Surroundings) -> Result<(), BundleError> {
    let refuse = |message: String| Err(BundleError::new("databricks.yml", message));
    if let Some(home) = bundle.root_path.strip_prefix("/Workspace/Users/")
        && !around.is_open
    {
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

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn a_word_stands_alone() {
        for own in ["mr1", "flights_mr1", "mr1_flights", "a-mr1-b"] {
            assert!(has_word(own, "mr1"), "{own}");
        }
        for other in ["mr12", "flights_mr12", "amr1", "mr", ""] {
            assert!(!has_word(other, "mr1"), "{other}");
        }
    }
}
