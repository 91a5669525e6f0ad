//! What the service, or the official CLI, adds to what a bundle says. It is
//! added here too, so that a bundle means the same whoever deploys it.

use serde_json::{Value, json};

use super::{Bundle, Kind};

pub(super) fn fill(bundle: &mut Bundle) {
    let metadata = format!("{}/metadata.json", bundle.state_path);
    let parent = &bundle.resource_path;
    for resource in bundle.resources.values_mut() {
        let settings = &mut resource.settings;
        let mut or = |field: &str, value: Value| {
            if settings[field].is_null() {
                settings[field] = value;
            }
        };
        let deployment = json!({ "kind": "BUNDLE", "metadata_file_path": metadata });
        match resource.kind {
            Kind::Jobs => {
                or("deployment", deployment);
                or("edit_mode", json!("UI_LOCKED"));
                or("format", json!("MULTI_TASK"));
                or("max_concurrent_runs", json!(1));
                or("queue", json!({ "enabled": true }));
                for timer in ["schedule", "trigger", "continuous"] {
                    if settings[timer].is_object() && settings[timer]["pause_status"].is_null() {
                        settings[timer]["pause_status"] = json!("UNPAUSED");
                    }
                }
                sort(settings, "tasks", "task_key");
                sort(settings, "job_clusters", "job_cluster_key");
            }
            Kind::Pipelines => {
                or("deployment", deployment);
                or("channel", json!("CURRENT"));
                or("edition", json!("ADVANCED"));
            }
            Kind::Dashboards => {
                or("parent_path", json!(parent));
                or("embed_credentials", json!(false));
                settings["published"] = json!(true);
            }
            Kind::Volumes => or("volume_type", json!("MANAGED")),
            _ => {}
        }
        // A null stands for nothing.
        if let Some(fields) = settings.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    }
}

fn sort(settings: &mut Value, list: &str, key: &str) {
    if let Some(items) = settings[list].as_array_mut() {
        items.sort_by(|one, other| one[key].as_str().cmp(&other[key].as_str()));
    }
}
