//! The deployment as the workspace keeps it: state, file digests, lock.

use anyhow::{Context as _, Result};

use crate::bundle::{self, Bundle, FileDigests, Lock, State};
use crate::databricks::Client;
use crate::host::Context;
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::sys::clock;

/// Where the parts of a deployment's state are.
#[derive(Debug, Clone)]
pub struct Store<'a> {
    client: &'a Client,
    folder: String,
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

    /// The digests of the uploaded files. Without them everything is uploaded.
    pub async fn uploaded(&self) -> Result<FileDigests> {
        let found = self.client.workspace_read(&self.path("lakegate-files.json")).await?;
        Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub async fn save_uploaded(&self, files: &FileDigests) -> Result<()> {
        self.write("lakegate-files.json", serde_json::to_vec(files)?)
            .await
            .context("save the list of files")
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

    async fn write(&self, file: &str, bytes: Vec<u8>) -> Result<()> {
        Ok(self.client.workspace_write(&self.path(file), bytes.into(), true).await?)
    }

    /// Takes the lock, or says who holds it. A retried step finds its own lock.
    pub async fn lock(
        &self,
        context: &Context,
        step_key: Option<&str>,
        user: &str,
    ) -> Result<Lock> {
        let lock = Lock {
            id: lock_id(context, step_key),
            acquisition_time: clock::now().to_string(),
            is_forced: false,
            user: user.to_owned(),
        };
        self.client.workspace_mkdirs(&self.folder).await.context("make the state folder")?;
        let taken = self
            .client
            .workspace_write(&self.path("deploy.lock"), serde_json::to_vec(&lock)?.into(), false)
            .await;
        if let Err(error) = taken
            && !error.is_already_there()
        {
            return Err(error).context("take the deployment lock");
        }
        // Whoever wrote the file that is there now has the lock.
        let holder = self.holder().await?;
        match holder {
            Some(holder) if holder.id == lock.id => Ok(lock),
            Some(holder) => Err(Fault::new(
                FaultKind::Conflict,
                format!(
                    "take the deployment lock: `{}` holds it since {}",
                    holder.user, holder.acquisition_time
                ),
            )
            .hint(format!(
                "wait for that deployment; if it was killed, delete {}",
                self.path("deploy.lock")
            ))
            .into()),
            None => Err(Fault::new(
                FaultKind::Conflict,
                "take the deployment lock: it was taken away at once",
            )
            .into()),
        }
    }

    async fn holder(&self) -> Result<Option<Lock>> {
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

    pub async fn unlock(&self, lock: &Lock) -> Result<()> {
        self.confirm(lock).await?;
        let deleted = self.client.workspace_delete(&self.path("deploy.lock"), false).await;
        deleted.context("release the deployment lock")
    }
}

/// The same attempt of the same step has the same lock.
fn lock_id(context: &Context, step_key: Option<&str>) -> String {
    match (&context.run_id, step_key) {
        (None, None) => uuid::Uuid::new_v4().to_string(),
        (run, key) => {
            let parts = [
                context.repository.as_deref().unwrap_or_default(),
                run.as_deref().unwrap_or_default(),
                context.attempt.as_deref().unwrap_or_default(),
                key.or(context.step.as_deref()).unwrap_or_default(),
            ];
            Sha256::of_parts(parts).to_string()
        }
    }
}
