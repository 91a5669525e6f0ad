//! What a target does to all of its resources: their names, tags and triggers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sources::{ROOT, check_keys};
use super::{Bundle, BundleError, Kind, Surroundings};

const KEYS: [&str; 7] = [
    "name_prefix",
    "tags",
    "trigger_pause_status",
    "jobs_max_concurrent_runs",
    "pipelines_development",
    "source_linked_deployment",
    "artifacts_dynamic_version",
];

/// A target's presets. What a resource says for itself stays, but for its name.
pub(super) struct Presets {
    prefix: String,
    tags: BTreeMap<String, String>,
    pause: Option<String>,
    runs: Option<u64>,
    pipelines_development: bool,
}

impl Presets {
    /// # Errors
    /// When one of them is not what it can be, or is not known here.
    pub(super) fn of(
        tree: &Value,
        is_development: bool,
        around: &Surroundings,
    ) -> Result<Self, BundleError> {
        let own = &tree["presets"];
        check_keys(ROOT, "presets", own, &KEYS)?;
        let wrong = |key: &str, what: &str| {
            BundleError::new(ROOT, format!("presets.{key}: `{}` is not {what}", own[key]))
        };
        let mut found = Self {
            prefix: match &own["name_prefix"] {
                Value::Null => String::new(),
                Value::String(prefix) => prefix.clone(),
                _ => return Err(wrong("name_prefix", "a text")),
            },
            tags: BTreeMap::new(),
            pause: match own["trigger_pause_status"].as_str() {
                Some(status @ ("PAUSED" | "UNPAUSED")) => Some(status.to_owned()),
                None if own["trigger_pause_status"].is_null() => None,
                _ => return Err(wrong("trigger_pause_status", "PAUSED or UNPAUSED")),
            },
            // None at all is no limit that a job could have.
            runs: own["jobs_max_concurrent_runs"].as_u64().filter(|runs| *runs > 0),
            pipelines_development: own["pipelines_development"].as_bool().unwrap_or(is_development),
        };
        let runs = &own["jobs_max_concurrent_runs"];
        if runs.as_u64().is_none() && !runs.is_null() {
            return Err(wrong("jobs_max_concurrent_runs", "a number"));
        }
        for (name, value) in own["tags"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            found.tags.insert(name.clone(), value);
        }
        if is_development {
            found.develop(own, around)?;
        }
        Ok(found)
    }

    /// Names that tell whose copy it is, and nothing that runs by itself.
    fn develop(&mut self, own: &Value, around: &Surroundings) -> Result<(), BundleError> {
        if own["name_prefix"].is_null() {
            self.prefix = format!("[dev {}] ", around.short_name);
        }
        let prefix = &self.prefix;
        if !prefix.contains(&around.short_name) && !prefix.contains(&around.user) {
            let message = format!("presets.name_prefix: `{prefix}` does not tell whose copy it is");
            return Err(BundleError::new(ROOT, message)
                .hint("let it hold ${workspace.current_user.short_name}"));
        }
        if self.pause.as_deref() == Some("UNPAUSED") {
            let message = "presets.trigger_pause_status: in a development copy nothing runs by itself, unless its own trigger says so";
            return Err(BundleError::new(ROOT, message));
        }
        self.pause = Some("PAUSED".to_owned());
        self.tags.entry("dev".to_owned()).or_insert_with(|| around.short_name.clone());
        self.runs = self.runs.or(Some(4));
        Ok(())
    }

    pub(super) fn apply(&self, bundle: &mut Bundle) {
        let identifier = identifier(&self.prefix);
        for resource in bundle.resources.values_mut() {
            let settings = &mut resource.settings;
            let name = settings["name"].as_str().unwrap_or_default().to_owned();
            match resource.kind {
                Kind::Jobs => {
                    settings["name"] = json!(format!("{}{name}", self.prefix));
                    self.tag(settings);
                    if let (Some(runs), true) =
                        (self.runs, settings["max_concurrent_runs"].is_null())
                    {
                        settings["max_concurrent_runs"] = json!(runs);
                    }
                    self.pause(settings);
                }
                Kind::Pipelines => {
                    settings["name"] = json!(format!("{}{name}", self.prefix));
                    self.tag(settings);
                    if self.pipelines_development {
                        settings["development"] = json!(true);
                    }
                    if self.pause.as_deref() == Some("PAUSED")
                        && let Some(fields) = settings.as_object_mut()
                    {
                        fields.remove("continuous");
                    }
                }
                Kind::Experiments => {
                    let base = name.rfind('/').map_or(0, |at| at + 1);
                    let (folder, base) = name.split_at(base);
                    settings["name"] = json!(format!("{folder}{}{base}", self.prefix));
                    self.tag_list(settings);
                }
                Kind::RegisteredModels | Kind::Schemas | Kind::ModelServingEndpoints => {
                    settings["name"] = json!(format!("{identifier}{name}"));
                }
                Kind::Dashboards => {
                    let shown = settings["display_name"].as_str().unwrap_or_default();
                    settings["display_name"] = json!(format!("{}{shown}", self.prefix));
                }
                Kind::QualityMonitors => {
                    // A monitor is about the table of its name. Its schedule cannot be
                    // paused, as the CLI sees it: it goes, unless it says that it runs.
                    if self.pause.as_deref() == Some("PAUSED")
                        && settings["schedule"]["pause_status"] != "UNPAUSED"
                        && let Some(fields) = settings.as_object_mut()
                    {
                        fields.remove("schedule");
                    }
                }
                Kind::Volumes | Kind::Permissions | Kind::Grants => {}
            }
        }
        if !identifier.is_empty() {
            rename_schemas(bundle, &identifier);
        }
    }

    fn tag(&self, settings: &mut Value) {
        for (name, value) in &self.tags {
            if settings["tags"][name].is_null() {
                settings["tags"][name] = json!(value);
            }
        }
    }

    /// Of experiments, tags are a list.
    fn tag_list(&self, settings: &mut Value) {
        for (name, value) in &self.tags {
            let tag = json!({ "key": name, "value": value });
            match settings["tags"].as_array_mut() {
                Some(tags) if tags.iter().any(|tag| tag["key"] == **name) => {}
                Some(tags) => tags.push(tag),
                None => settings["tags"] = json!([tag]),
            }
        }
    }

    fn pause(&self, settings: &mut Value) {
        let Some(status) = &self.pause else { return };
        for timer in ["schedule", "trigger", "continuous"] {
            if settings.get(timer).is_some_and(Value::is_object)
                && settings[timer]["pause_status"].is_null()
            {
                settings[timer]["pause_status"] = json!(status);
            }
        }
    }
}

/// A prefix in the letters that a name in Unity Catalog may have. What stands in
/// brackets is parted from the name, as the CLI does it.
fn identifier(prefix: &str) -> String {
    let words = prefix.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    let end = if prefix.trim().ends_with(']') { "_" } else { "" };
    words.collect::<Vec<_>>().join("_").to_lowercase() + end
}

/// What lives in a schema of the bundle follows it.
fn rename_schemas(bundle: &mut Bundle, identifier: &str) {
    let text = |settings: &Value, field: &str| settings[field].as_str().map(str::to_owned);
    let schemas = bundle.resources.values().filter(|resource| resource.kind == Kind::Schemas);
    let own: Vec<(Option<String>, String)> = schemas
        .filter_map(|schema| {
            let name = text(&schema.settings, "name")?.strip_prefix(identifier)?.to_owned();
            Some((text(&schema.settings, "catalog_name"), name))
        })
        .collect();
    for resource in bundle.resources.values_mut() {
        let (catalog, fields): (_, &[&str]) = match resource.kind {
            Kind::RegisteredModels | Kind::Volumes => ("catalog_name", &["schema_name"]),
            Kind::Pipelines => ("catalog", &["schema", "target"]),
            _ => continue,
        };
        let catalog = text(&resource.settings, catalog);
        for field in fields {
            let Some(schema) = text(&resource.settings, field) else { continue };
            if own.iter().any(|known| *known == (catalog.clone(), schema.clone())) {
                resource.settings[*field] = json!(format!("{identifier}{schema}"));
            }
        }
    }
}
