//! The deployment as the workspace keeps it: state, file digests, lock.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::bundle::{self, Bundle, FileDigests, Lock, LockRun, Remembered, State};
use crate::databricks::Client;
use crate::forge::Forge;
use crate::host::Context;
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

/// Where the parts of a deployment's state are.
#[derive(Debug, Clone)]
pub struct Store<'a> {
    client: &'a Client,
    folder: String,
}

/// `state/owner.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    repository: String,
}

impl<'a> Store<'a> {
    pub fn new(client: &'a Client, bundle: &Bundle) -> Self {
        Self { client, folder: bundle.state_path.clone() }
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// The state; a bundle that was never deployed has a new, empty one.
    pub async fn state(&self) -> Result<State> {
        let found = self
            .client
            .workspace_read(&self.path("resources.json"))
            .await
            .context("read the deployment state")?;
        match found {
            None => Ok(State::new(uuid::Uuid::new_v4().to_string())),
            Some(bytes) => State::parse(&String::from_utf8_lossy(&bytes)).map_err(|message| {
                Fault::new(FaultKind::Integrity, message)
                    .hint(format!("the state is at {}", self.path("resources.json")))
                    .into()
            }),
        }
    }

    pub async fn save(&self, state: &State) -> Result<()> {
        let text = serde_json::to_vec_pretty(state)?;
        self.write("resources.json", text).await.context("save the deployment state")
    }

    /// What Lakegate knows beside the state; nothing known is no error.
    pub async fn remembered(&self) -> Result<Remembered> {
        let found = self.client.workspace_read(&self.path("lakegate.json")).await?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub async fn remember(&self, known: &Remembered) -> Result<()> {
        self.write("lakegate.json", serde_json::to_vec(known)?)
            .await
            .context("save what was read back")
    }

    /// The repository whose pipelines deploy here, where one has claimed it.
    pub async fn owner(&self) -> Result<Option<String>> {
        let found = self.client.workspace_read(&self.path("owner.json")).await;
        let Some(bytes) = found.context("read whose deployment it is")? else { return Ok(None) };
        let owner: Owner = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("read `{}`: {error}", self.path("owner.json"));
            Fault::new(FaultKind::Integrity, message)
                .hint("it says whose deployment this is; remove it where that is known")
        })?;
        Ok(Some(owner.repository))
    }

    pub async fn claim(&self, repository: &str) -> Result<()> {
        let owner = Owner { repository: repository.to_owned() };
        let written = self.write("owner.json", serde_json::to_vec(&owner)?).await;
        written.context("note whose deployment it is")
    }

    /// What a deployment was about to make when it was killed.
    pub async fn pending(&self) -> Result<BTreeSet<String>> {
        let found = self.client.workspace_read(&self.path("pending.json")).await?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Notes what is about to be made; an empty set takes the note away.
    pub async fn set_pending(&self, keys: &BTreeSet<String>) -> Result<()> {
        if keys.is_empty() {
            return Ok(self.client.workspace_delete(&self.path("pending.json"), false).await?);
        }
        self.write("pending.json", serde_json::to_vec(keys)?).await.context("note what is made")
    }

    /// Tells other tools, and the job's page, what was deployed.
    pub async fn save_metadata(
        &self,
        bundle: &Bundle,
        state: &State,
        files: &FileDigests,
        context: &Context,
    ) -> Result<()> {
        let (commit, branch) = (context.commit.as_deref(), context.branch.as_deref());
        let metadata = bundle::metadata(bundle, state, commit, branch);
        self.write("metadata.json", serde_json::to_vec_pretty(&metadata)?).await?;
        let snapshot = bundle::snapshot(bundle, files, state.serial, &clock::now().to_string());
        self.write("deployment.json", serde_json::to_vec_pretty(&snapshot)?).await
    }

    /// The files that the last deployment has put there, by their local paths.
    pub async fn sent(&self) -> Result<BTreeSet<String>> {
        let bytes = self.client.workspace_read(&self.path("deployment.json")).await?;
        let listed =
            bytes.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let files = listed.as_ref().and_then(|listed| listed["files"].as_array());
        let paths = files.into_iter().flatten().filter_map(|file| file["local_path"].as_str());
        Ok(paths.map(str::to_owned).collect())
    }

    async fn write(&self, file: &str, bytes: Vec<u8>) -> Result<()> {
        Ok(self.client.workspace_write(&self.path(file), bytes.into(), true).await?)
    }

    /// Takes the lock, or says who holds it. A retried step finds its own lock;
    /// one whose CI run is over is taken away from it.
    pub async fn lock(&self, ctx: &Ctx, step_key: Option<&str>, user: &str) -> Result<Lock> {
        let lock = Lock {
            id: lock_id(&ctx.context, step_key),
            acquisition_time: clock::now().to_string(),
            is_forced: false,
            user: user.to_owned(),
            run: run_of(&ctx.context),
        };
        self.client.workspace_mkdirs(&self.folder).await.context("make the state folder")?;
        // Twice: once more after a lock that nobody holds any more was taken away.
        for _ in 0..2 {
            let bytes = serde_json::to_vec(&lock)?;
            let path = self.path("deploy.lock");
            let taken = self.client.workspace_write(&path, bytes.into(), false).await;
            if let Err(error) = taken
                && !error.is_already_there()
            {
                return Err(error).context("take the deployment lock");
            }
            // Whoever wrote the file that is there now has the lock.
            let Some(holder) = self.holder().await? else { continue };
            if holder.id == lock.id {
                return Ok(lock);
            }
            if !self.is_over(ctx, &holder).await {
                return Err(self.held(&holder).into());
            }
            ctx.host.progress(&format!(
                "the deployment lock of `{}` is broken: its CI run is over",
                holder.user
            ));
            self.break_lock(&holder.id).await?;
        }
        let message = "take the deployment lock: it was taken away at once";
        Err(Fault::new(FaultKind::Conflict, message).into())
    }

    fn held(&self, holder: &Lock) -> Fault {
        let age = holder.acquisition_time.parse::<jiff::Timestamp>().ok();
        let age = age.and_then(|since| std::time::Duration::try_from(clock::now() - since).ok());
        let age = age.map_or_else(String::new, |age| format!(", for {}", clock::human(age)));
        let message = format!(
            "take the deployment lock: `{}` holds it since {}{age}",
            holder.user, holder.acquisition_time
        );
        Fault::new(FaultKind::Conflict, message).hint(format!(
            "wait for that deployment; if it was killed: `bundle-deploy unlock --lock-id {}`",
            holder.id
        ))
    }

    /// Whether the CI run that holds a lock has ended. Not known is no.
    async fn is_over(&self, ctx: &Ctx, holder: &Lock) -> bool {
        let (Some(run), Some(own)) = (&holder.run, run_of(&ctx.context)) else { return false };
        if (&run.host, &run.repository) != (&own.host, &own.repository) {
            return false;
        }
        // Another step of this very run may hold it, as long as it is this attempt's.
        if run.is_of(&own) {
            return run.is_before(&own);
        }
        match Forge::new(&ctx.context, &ctx.env, &ctx.masker()) {
            Ok(forge) => forge.is_over(&run.id).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Takes a lock away from its holder, who must be named.
    pub async fn break_lock(&self, id: &str) -> Result<Lock> {
        let held = self.holder().await?;
        let Some(holder) = held else {
            return Err(Fault::usage("nobody holds the deployment lock").into());
        };
        if holder.id != id {
            let message = format!("another holds the lock now: `{}`, {}", holder.user, holder.id);
            return Err(Fault::new(FaultKind::Conflict, message).into());
        }
        let deleted = self.client.workspace_delete(&self.path("deploy.lock"), false).await;
        deleted.context("break the deployment lock")?;
        Ok(holder)
    }

    /// Who holds the lock.
    pub async fn holder(&self) -> Result<Option<Lock>> {
        let bytes = self
            .client
            .workspace_read(&self.path("deploy.lock"))
            .await
            .context("read the deployment lock")?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Whether the lock is still ours: another may have forced it.
    pub async fn confirm(&self, lock: &Lock) -> Result<()> {
        match self.holder().await? {
            Some(holder) if holder.id == lock.id => Ok(()),
            _ => Err(Fault::new(
                FaultKind::Conflict,
                "the deployment lock was taken over by another deployment",
            )
            .into()),
        }
    }

    /// Gives the lock back, if it is still there and ours.
    pub async fn unlock_if_held(&self, lock: &Lock) -> Result<()> {
        match self.holder().await? {
            Some(holder) if holder.id == lock.id => self.unlock(lock).await,
            _ => Ok(()),
        }
    }

    pub async fn unlock(&self, lock: &Lock) -> Result<()> {
        self.confirm(lock).await?;
        let deleted = self.client.workspace_delete(&self.path("deploy.lock"), false).await;
        deleted.context("release the deployment lock")
    }
}

fn run_of(context: &Context) -> Option<LockRun> {
    context.run_id.as_ref().map(|id| LockRun {
        host: context.host.to_owned(),
        repository: context.origin.clone().unwrap_or_default(),
        id: id.clone(),
        attempt: context.attempt.as_deref().and_then(|attempt| attempt.parse().ok()),
        stage: context.stage.clone(),
    })
}

/// The same attempt of the same step on the same machine has the same lock.
fn lock_id(context: &Context, step_key: Option<&str>) -> String {
    match (&context.run_id, step_key) {
        (None, None) => uuid::Uuid::new_v4().to_string(),
        (run, key) => {
            let parts = [
                context.repository.as_deref().unwrap_or_default(),
                run.as_deref().unwrap_or_default(),
                context.attempt.as_deref().unwrap_or_default(),
                key.or(context.step.as_deref()).unwrap_or_default(),
                context.runner.as_deref().unwrap_or_default(),
            ];
            Sha256::of_parts(parts).to_string()
        }
    }
}
