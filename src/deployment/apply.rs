//! Carrying out a plan. Makes no choices: each step can be repeated.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::store::Store;
use super::{kinds, remote};
use crate::bundle::{
    self, Action, Bundle, Field, FileDigests, Kind, Plan, Remembered, Remotes, ResourceState,
    Standing, State, Step, ids,
};
use crate::report::{Fault, FaultKind};
use crate::step::{Cancel, Ctx};

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

/// Gives the rights of the bundle's folders; others that stood there go.
pub(super) async fn folder_permissions(ctx: &Ctx, bundle: &Bundle) -> Result<()> {
    if bundle.folder_permissions.is_empty() {
        return Ok(());
    }
    let below = format!("{}/", bundle.root_path);
    let parts =
        [&bundle.file_path, &bundle.artifact_path, &bundle.state_path, &bundle.resource_path];
    let apart: BTreeSet<_> = parts.into_iter().filter(|path| !path.starts_with(&below)).collect();
    for path in std::iter::once(&bundle.root_path).chain(apart) {
        let folder = ctx.client.workspace_status(path).await?;
        let Some(folder) = folder else { continue };
        let object = format!("/directories/{}", folder.object_id);
        ctx.client
            .permissions_put(&object, &bundle.folder_permissions)
            .await
            .with_context(|| format!("set the permissions of `{path}`"))?;
    }
    Ok(())
}

/// A deployment in the middle of being changed.
pub(super) struct Applying<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut State,
    /// As they were when the plan was made; what is made since is added.
    pub(super) remotes: &'a mut Remotes,
    /// The bundle is a copy: it shares nothing, and goes with all that is in it.
    pub(super) is_copy: bool,
}

impl Applying<'_> {
    /// Applies the steps in order; the state is saved after each, so that a kill
    /// loses nothing.
    pub(super) async fn run(&mut self, store: &Store<'_>) -> Result<()> {
        let made = |step: &&Step| step.action == Action::Create;
        let making: BTreeSet<String> =
            self.plan.steps.iter().filter(made).map(|step| step.key.clone()).collect();
        let pending = store.pending().await?;
        // All of it is looked at before the first note is made: a refusal that
        // is repeated must stay one.
        for step in self.plan.steps.iter().filter(made) {
            if !pending.contains(&step.key) {
                self.confirm_free(step).await?;
            }
        }
        self.state.serial += 1;
        if !making.is_empty() {
            store.set_pending(&making.union(&pending).cloned().collect()).await?;
        }
        for key in &self.plan.forget {
            self.state.state.remove(&format!("resources.{key}"));
        }
        for step in &self.plan.steps {
            if self.ctx.cancel.is_asked() {
                return Err(Cancel::fault("apply the plan").into());
            }
            if step.action == Action::Skip {
                continue;
            }
            let context = || format!("{} {}", step.action.as_str(), step.key);
            if step.action.destroys() {
                self.delete(step).await.with_context(context)?;
            }
            if step.action != Action::Delete {
                self.put(step).await.with_context(context)?;
            }
            store.save(self.state).await?;
            self.ctx.host.progress(&context());
        }
        if !making.is_empty() || !pending.is_empty() {
            store.set_pending(&BTreeSet::new()).await?;
        }
        store.save(self.state).await
    }

    async fn confirm_free(&self, step: &Step) -> Result<()> {
        let settings = self.filled(step);
        kinds::confirm_free(&self.ctx.client, step.kind, &settings, self.is_copy)
            .await
            .with_context(|| format!("create {}", step.key))
    }

    async fn delete(&mut self, step: &Step) -> Result<()> {
        let full = format!("resources.{}", step.key);
        let settings = self.state.state.get(&full).map(|known| known.state.clone());
        let id = step.id.as_deref().unwrap_or_default();
        let settings = settings.unwrap_or_default();
        kinds::delete(&self.ctx.client, step.kind, id, &settings, self.is_copy).await?;
        self.state.state.remove(&full);
        // Rights go with the resource that they are about.
        for child in ["permissions", "grants"] {
            self.state.state.remove(&format!("{full}.{child}"));
        }
        self.remotes.insert(step.key.clone(), None);
        Ok(())
    }

    async fn put(&mut self, step: &Step) -> Result<()> {
        let full = format!("resources.{}", step.key);
        let ready = self.filled(step);
        if let Some(name) = ids::open(&ready).first() {
            bail!("{name} has no value yet: the references go in a circle");
        }
        let known = step.id.as_deref().filter(|_| step.action == Action::Update);
        let others = self.state.state.iter().filter(|(key, _)| **key != full);
        let taken = others.map(|(_, other)| other.id.clone()).collect();
        let id = kinds::put(&self.ctx.client, step, known, &ready, &taken).await?;
        let depends_on = step.references.iter().filter_map(|label| {
            let mut parts = label.splitn(4, '.');
            let (_, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
            let label = format!("${{{label}}}");
            Some(json!({ "node": format!("resources.{kind}.{name}"), "label": label }))
        });
        let depends_on = depends_on.collect();
        let mut kept = ready;
        // What only the workspace knows: the id that an endpoint's permissions go
        // by, the mark by which the CLI knows a dashboard as its own.
        if matches!(step.kind, Kind::ModelServingEndpoints | Kind::Dashboards) {
            let found = remote::one(&self.ctx.client, step.kind, &id).await?;
            if let Some(etag) = found.as_ref().and_then(|found| found.ids.get("etag")) {
                kept["etag"] = json!(etag);
            }
            self.remotes.insert(step.key.clone(), found);
        } else {
            self.remotes.entry(step.key.clone()).or_default().get_or_insert_default();
        }
        self.state.state.insert(full, ResourceState { id, state: kept, depends_on });
        Ok(())
    }

    /// A step's settings with the ids of the resources that exist by now.
    fn filled(&self, step: &Step) -> Value {
        let standing = Standing {
            state: self.state,
            remotes: self.remotes,
            remembered: &Remembered::default(),
            uploaded: &FileDigests::default(),
        };
        let settings = step.settings.as_ref().unwrap_or(&Value::Null);
        ids::fill(settings, &|name| standing.id(name))
    }
}

/// Reads back every resource that was changed, and holds it against what was
/// sent: a service that takes a change and does not keep it is found out.
pub(super) async fn read_back(
    ctx: &Ctx,
    plan: &Plan,
    state: &State,
) -> Result<BTreeMap<String, Value>> {
    let now = remote::look(&ctx.client, state).await.context("read the deployment back")?;
    let changed =
        plan.steps.iter().filter(|step| !matches!(step.action, Action::Skip | Action::Delete));
    for step in changed {
        let Some(Some(found)) = now.get(&step.key) else {
            let message = format!("{} was deployed, and is not there", step.key);
            return Err(Fault::new(FaultKind::Integrity, message).into());
        };
        let sent = &state.state[&format!("resources.{}", step.key)].state;
        if let (Some(sent), Some(kept)) = (sent["name"].as_str(), found.settings["name"].as_str())
            && sent != kept
        {
            let message = format!("{} is called `{kept}` in the workspace, not `{sent}`", step.key);
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
        let kept = unchanged(step.kind, &step.changes, &found.settings, sent);
        if !kept.is_empty() {
            let message = format!("{}: the workspace kept the old {}", step.key, kept.join(", "));
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
        let tasks = |value: &Value| -> Vec<String> {
            let list = value["tasks"].as_array().into_iter().flatten();
            let mut keys: Vec<_> =
                list.filter_map(|task| Some(task["task_key"].as_str()?.to_owned())).collect();
            keys.sort();
            keys
        };
        if step.kind == Kind::Jobs && tasks(sent) != tasks(&found.settings) {
            let message = format!("{} has other tasks in the workspace than were sent", step.key);
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
    }
    Ok(now.into_iter().filter_map(|(key, found)| Some((key, found?.settings))).collect())
}

/// The fields that were to change, and are in the workspace what they were before.
fn unchanged(kind: Kind, changes: &[Field], found: &Value, sent: &Value) -> Vec<String> {
    let apart = bundle::differences(found, sent).into_iter();
    // What goes may come back as the service's own default, but for a comment.
    let stays = |change: &Field| {
        !change.new.is_null()
            || matches!(kind, Kind::Schemas | Kind::Volumes | Kind::RegisteredModels)
    };
    let is_old = |field: &Field| {
        let is_it = |change: &Field| change.path == field.path && change.old == field.old;
        !field.old.is_null() && changes.iter().any(|change| is_it(change) && stays(change))
    };
    apart.filter(is_old).map(|field| field.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_workspace_did_not_take_is_found() {
        let old = json!({ "comment": "first", "tags": { "a": "1", "b": "2" }, "name": "x" });
        let sent = json!({ "tags": { "a": "3", "b": "4" }, "name": "x" });
        let changes = bundle::differences(&old, &sent);
        let unchanged = |found: &Value| unchanged(Kind::Schemas, &changes, found, &sent);
        assert_eq!(unchanged(&sent), [""; 0]);
        let half = json!({ "comment": "first", "tags": { "a": "1", "b": "4" }, "name": "x" });
        assert_eq!(unchanged(&half), ["comment", "tags.a"]);
        // What the service makes of a value in its own way is no refusal.
        let own = json!({ "tags": { "a": "3.0", "b": "4" }, "name": "x", "id": 7 });
        assert_eq!(unchanged(&own), [""; 0]);
        // A job's timeout that goes is again what the service takes for one.
        let was = json!({ "timeout_seconds": 0, "name": "x" });
        let changes = bundle::differences(&was, &json!({ "name": "x" }));
        let sent = json!({ "name": "x" });
        assert_eq!(super::unchanged(Kind::Jobs, &changes, &was, &sent), [""; 0]);
    }
}
