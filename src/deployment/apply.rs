//! Carrying out a plan. Makes no choices: each step can be repeated.

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::store::Store;
use crate::bundle::{Action, Kind, Plan, ResourceState, State, Step};
use crate::databricks::Client;
use crate::databricks::unity::Securable;
use crate::step::Ctx;

/// Files that travel at the same time.
const PARALLEL: usize = 8;

/// A file's bytes, read when its turn comes.
pub(super) type ReadFile<'a> = dyn Fn(&str) -> Result<Vec<u8>> + Sync + 'a;

/// Uploads what changed and removes what went.
pub(super) async fn files(ctx: &Ctx, plan: &Plan, read: &ReadFile<'_>) -> Result<()> {
    let mut folders: Vec<&str> =
        plan.upload.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        ctx.client
            .workspace_mkdirs(folder)
            .await
            .with_context(|| format!("make the folder `{folder}`"))?;
    }
    let uploads = plan.upload.iter().map(|path| async move {
        let bytes = read(path)?;
        ctx.client
            .workspace_write(path, bytes.into(), true)
            .await
            .with_context(|| format!("upload `{path}`"))
    });
    futures::stream::iter(uploads).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    for path in &plan.remove {
        // A notebook is kept under its name without the ending.
        let stripped = path.strip_suffix(".py").unwrap_or(path);
        let notebook = ctx
            .client
            .workspace_status(stripped)
            .await?
            .is_some_and(|found| found.object_type == "NOTEBOOK");
        let object = if notebook { stripped } else { path };
        ctx.client
            .workspace_delete(object, false)
            .await
            .with_context(|| format!("remove `{path}`"))?;
    }
    Ok(())
}

/// Applies the steps in order; the state is saved after each, so that a kill
/// loses nothing.
pub(super) async fn resources(
    ctx: &Ctx,
    plan: &Plan,
    state: &mut State,
    store: &Store<'_>,
    metadata_path: &str,
    whole: bool,
) -> Result<()> {
    state.serial += 1;
    for step in &plan.steps {
        if ctx.cancel.is_asked() {
            return Err(crate::step::Cancel::fault("apply the plan").into());
        }
        if step.action == Action::Skip {
            continue;
        }
        let full = format!("resources.{}", step.key);
        let context = || format!("{} {}", step.action.as_str(), step.key);
        match step.action {
            Action::Delete => {
                delete(&ctx.client, step.kind, step.id.as_deref().unwrap_or_default(), whole)
                    .await
                    .with_context(context)?;
                state.state.remove(&full);
            }
            _ => {
                let settings = step.settings.clone().unwrap_or(Value::Null);
                let ready = with_ids(&settings, state)?;
                if step.action == Action::Recreate {
                    delete(&ctx.client, step.kind, step.id.as_deref().unwrap_or_default(), whole)
                        .await
                        .with_context(context)?;
                }
                let known = step.id.as_deref().filter(|_| step.action == Action::Update);
                let id = put(&ctx.client, step, known, &ready, metadata_path)
                    .await
                    .with_context(context)?;
                let depends_on = step
                    .depends_on
                    .iter()
                    .map(|key| json!({ "node": format!("resources.{key}") }))
                    .collect();
                state.state.insert(full, ResourceState { id, state: settings, depends_on });
            }
        }
        store.save(state).await?;
        ctx.host.progress(&format!("{} {}", step.action.as_str(), step.key));
    }
    store.save(state).await
}

/// The ids of other resources, now that they exist.
fn with_ids(settings: &Value, state: &State) -> Result<Value> {
    Ok(match settings {
        Value::String(text) => {
            match text.strip_prefix("${resources.").and_then(|rest| rest.strip_suffix(".id}")) {
                Some(key) => {
                    let id = state.id(key).with_context(|| {
                        format!("resources.{key} has no id yet: the references go in a circle")
                    })?;
                    id.parse::<i64>().map_or_else(|_| json!(id), |number| json!(number))
                }
                None if text.contains("${resources.") => {
                    bail!("the reference in `{text}` must stand alone")
                }
                None => settings.clone(),
            }
        }
        Value::Array(items) => {
            items.iter().map(|item| with_ids(item, state)).collect::<Result<_>>()?
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| Ok((name.clone(), with_ids(value, state)?)));
            Value::Object(fields.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

/// Creates or updates; returns the id. What a killed deployment made before it
/// could say so is found by its name and taken over.
async fn put(
    client: &Client,
    step: &Step,
    known: Option<&str>,
    settings: &Value,
    metadata_path: &str,
) -> Result<String> {
    let mut settings = settings.clone();
    let permissions = settings.as_object_mut().and_then(|fields| {
        fields.remove("lifecycle");
        fields.remove("permissions")
    });
    let id = match step.kind {
        Kind::Jobs => job(client, known, &mut settings, metadata_path).await?,
        Kind::Experiments => experiment(client, known, &settings).await?,
        Kind::Schemas => securable(client, Securable::Schema, &settings).await?,
        Kind::Volumes => securable(client, Securable::Volume, &settings).await?,
        Kind::RegisteredModels => securable(client, Securable::Model, &settings).await?,
    };
    if let Some(permissions) = permissions {
        client
            .permissions_set(step.kind.as_str(), &id, &permissions)
            .await
            .context("set its permissions")?;
    }
    Ok(id)
}

async fn job(
    client: &Client,
    known: Option<&str>,
    settings: &mut Value,
    metadata_path: &str,
) -> Result<String> {
    settings["deployment"] = json!({ "kind": "BUNDLE", "metadata_file_path": metadata_path });
    settings["edit_mode"] = json!("UI_LOCKED");
    settings["format"] = json!("MULTI_TASK");
    if settings["queue"].is_null() {
        settings["queue"] = json!({ "enabled": true });
    }
    let mut found = known.and_then(|id| id.parse::<i64>().ok());
    if found.is_none() {
        let named = client.job_list(settings["name"].as_str()).await?;
        let ours = |job: &&crate::databricks::jobs::Job| {
            job.settings.pointer("/deployment/metadata_file_path").and_then(Value::as_str)
                == Some(metadata_path)
        };
        found = named.iter().find(ours).map(|job| job.job_id);
    }
    match found {
        Some(id) => {
            client.job_reset(id, settings).await?;
            Ok(id.to_string())
        }
        None => Ok(client.job_create(settings).await?.to_string()),
    }
}

async fn experiment(client: &Client, known: Option<&str>, settings: &Value) -> Result<String> {
    let name = settings["name"].as_str().unwrap_or_default();
    if let Some(id) = known {
        client.experiment_rename(id, name).await?;
        return Ok(id.to_owned());
    }
    if let Some(found) = client.experiment_by_name(name).await? {
        return Ok(found.experiment_id);
    }
    if let Some((folder, _)) = name.rsplit_once('/') {
        client.workspace_mkdirs(folder).await?;
    }
    let mut fields = settings.clone();
    if let Some(tags) = settings["tags"].as_object() {
        fields["tags"] =
            tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    }
    Ok(client.experiment_create(&fields).await?)
}

async fn securable(client: &Client, kind: Securable, settings: &Value) -> Result<String> {
    let text = |field: &str| settings[field].as_str().unwrap_or_default();
    let full_name = match kind {
        Securable::Catalog => text("name").to_owned(),
        Securable::Schema => format!("{}.{}", text("catalog_name"), text("name")),
        Securable::Volume | Securable::Model => {
            format!("{}.{}.{}", text("catalog_name"), text("schema_name"), text("name"))
        }
    };
    if client.securable_get(kind, &full_name).await?.is_none() {
        let mut fields = settings.clone();
        if kind == Securable::Volume && fields["volume_type"].is_null() {
            fields["volume_type"] = json!("MANAGED");
        }
        client.securable_create(kind, &fields).await?;
    } else if let Some(comment) = settings["comment"].as_str() {
        client.securable_update(kind, &full_name, &json!({ "comment": comment })).await?;
    }
    Ok(full_name)
}

/// `whole` takes what is in a schema, too.
async fn delete(client: &Client, kind: Kind, id: &str, whole: bool) -> Result<()> {
    let result = match kind {
        Kind::Jobs => client.job_delete(id.parse().context("read the job's id")?).await,
        Kind::Experiments => client.experiment_delete(id).await,
        Kind::Schemas => client.securable_delete(Securable::Schema, id, whole).await,
        Kind::Volumes => client.securable_delete(Securable::Volume, id, whole).await,
        Kind::RegisteredModels => client.securable_delete(Securable::Model, id, whole).await,
    };
    match result {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The deployed resources that the workspace no longer has.
pub(super) async fn gone(
    client: &Client,
    state: &State,
) -> Result<std::collections::BTreeSet<String>> {
    let mut gone = std::collections::BTreeSet::new();
    for (full, resource) in &state.state {
        let key = full.strip_prefix("resources.").unwrap_or(full);
        let id = resource.id.as_str();
        let found = match key.split('.').next().unwrap_or_default() {
            "jobs" => match client.job_get(id.parse().unwrap_or(0)).await {
                Ok(_) => true,
                Err(error) if error.is_not_found() => false,
                Err(error) => return Err(error).with_context(|| format!("look at {key}")),
            },
            "experiments" => client
                .experiment_get(id)
                .await?
                .is_some_and(|found| found.lifecycle_stage != "deleted"),
            "schemas" => client.securable_get(Securable::Schema, id).await?.is_some(),
            "volumes" => client.securable_get(Securable::Volume, id).await?.is_some(),
            "registered_models" => client.securable_get(Securable::Model, id).await?.is_some(),
            other => bail!(
                "the state holds a resource of the kind `{other}`, which is not deployed natively yet"
            ),
        };
        if !found {
            gone.insert(key.to_owned());
        }
    }
    Ok(gone)
}
