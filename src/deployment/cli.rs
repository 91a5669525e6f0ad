//! The official `databricks` CLI as an engine: its plan, in our terms, and its
//! deployment. It runs as a tool of its own; nothing of it is known here but
//! what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{install, make};
use crate::bundle::{Action, Bundle, Field, FileDigests, Kind, Plan, Step};
use crate::checkout::BundleChoice;
use crate::config::DeployCli;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::step::child::{self, Ended};
use crate::sys::{fs, process};

/// The first version whose engine needs no Terraform and says what it plans.
const OLDEST: (u64, u64) = (1, 3);

/// A deployment may wait for endpoints, a plan may build wheels.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// Time enough to say one's version.
const MOMENT: Duration = Duration::from_secs(60);

/// How it signs in: it finds its credentials by these names itself.
const CREDENTIALS: [&str; 6] =
    ["DATABRICKS_", "ARM_", "AZURE_", "ACTIONS_ID_TOKEN_", "SYSTEM_", "BUNDLE_VAR_"];

/// The CLI that was found.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    pub version: String,
    /// Where a pinned one was unpacked; gone when nobody needs it any more.
    _unpacked: Option<Arc<TempDir>>,
}

/// What it would do, in our terms and in its own.
#[derive(Debug)]
pub struct Planned {
    pub plan: Plan,
    /// Its own plan, where a deployment can be held to it.
    pub own: Option<OwnPlan>,
}

/// A plan as the CLI wrote it.
#[derive(Debug)]
pub struct OwnPlan(Vec<u8>);

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    plan_version: Option<u32>,
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    plan: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    id: Option<String>,
    action: String,
    #[serde(default)]
    new_state: Option<NewState>,
    #[serde(default)]
    changes: BTreeMap<String, Change>,
}

#[derive(Debug, Deserialize)]
struct NewState {
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Change {
    #[serde(default)]
    action: String,
    #[serde(default)]
    old: Value,
    #[serde(default)]
    new: Value,
    #[serde(default)]
    remote: Value,
}

impl Cli {
    /// The CLI on the `PATH`, if there is one that will do.
    ///
    /// # Errors
    /// When the one that is there is too old, or says nothing that makes sense.
    pub async fn find(ctx: &Ctx) -> Result<Option<Self>> {
        match process::find("databricks", &ctx.env) {
            Some(program) => Self::at(ctx, program, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// The CLI of a version and checksum that the policy names, fetched if need be.
    ///
    /// # Errors
    /// When it cannot be fetched, or is not what the policy says.
    pub async fn pinned(ctx: &Ctx, pin: &DeployCli) -> Result<Self> {
        let (program, unpacked) = install::unpack(ctx, pin).await?;
        let cli = Self::at(ctx, program, Some(Arc::new(unpacked))).await?;
        if cli.version == pin.version {
            return Ok(cli);
        }
        let message = format!(
            "`deploy.cli` names version {}, its checksum is that of {}",
            pin.version, cli.version
        );
        Err(Fault::new(FaultKind::Integrity, message).into())
    }

    async fn at(ctx: &Ctx, program: PathBuf, unpacked: Option<Arc<TempDir>>) -> Result<Self> {
        let mut command = process::command(&program, &ctx.env);
        command.arg("--version").kill_on_drop(true);
        let told = printed(&mut command, MOMENT).await;
        let told = told.with_context(|| format!("ask `{}` for its version", program.display()))?;
        let text = String::from_utf8_lossy(&told.stdout);
        let version = text.trim().rsplit('v').next().unwrap_or_default().to_owned();
        let mut parts = version.split(['.', '-', '+']).map(str::parse::<u64>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => {
                Ok(Self { program, version, _unpacked: unpacked })
            }
            _ => {
                let (major, minor) = OLDEST;
                let message = format!(
                    "`{}` says it is `{}`: version {major}.{minor} or newer is needed",
                    program.display(),
                    text.trim()
                );
                Err(Fault::usage(message)
                    .hint("update the databricks CLI, or pass --engine native")
                    .into())
            }
        }
    }

    fn command(&self, ctx: &Ctx, choice: &BundleChoice, verb: &str) -> tokio::process::Command {
        let mut command = process::command(&self.program, &ctx.env);
        for (name, value) in ctx.env.iter() {
            if CREDENTIALS.iter().any(|prefix| name.starts_with(prefix)) {
                command.env(name, value);
            }
        }
        command
            .env("DATABRICKS_HOST", ctx.client.host())
            .env("DATABRICKS_BUNDLE_ENGINE", "direct")
            .current_dir(&choice.root)
            .args(["bundle", verb]);
        if let Some(target) = &choice.target {
            command.args(["--target", target]);
        }
        for (name, value) in &choice.variables {
            command.args(["--var", &format!("{name}={value}")]);
        }
        command
    }

    /// Its plan, read and as it wrote it.
    async fn ask(&self, ctx: &Ctx, choice: &BundleChoice) -> Result<(Answer, Vec<u8>)> {
        let mut command = self.command(ctx, choice, "plan");
        command.args(["--output", "json"]).kill_on_drop(true);
        let output = printed(&mut command, LIMIT).await.context("plan with the databricks CLI")?;
        if !output.status.success() {
            let mut relay = ctx.host.relay();
            relay.push(&output.stderr);
            relay.finish();
            let message = format!("`databricks bundle plan` failed ({})", output.status);
            return Err(Fault::new(FaultKind::Usage, message)
                .hint("its own words stand above")
                .into());
        }
        let planned: Answer = serde_json::from_slice(&output.stdout).map_err(|error| {
            let message = format!("what `databricks bundle plan` printed is no plan: {error}");
            Fault::new(FaultKind::Remote, message)
        })?;
        if planned.plan_version.is_none() {
            let message = "the databricks CLI planned with its Terraform engine";
            return Err(Fault::usage(message)
                .hint("move the bundle with `databricks bundle deployment migrate`")
                .into());
        }
        Ok((planned, output.stdout))
    }

    /// What it would do, and with which files.
    pub async fn plan(&self, ctx: &Ctx, bundle: &Bundle, choice: &BundleChoice) -> Result<Planned> {
        let (planned, written) = self.ask(ctx, choice).await?;
        // What is built lies there by then, as the CLI has just built it.
        let files = make::own_files(bundle, &choice.root)?;
        let (upload, remove) = files.compared(&make::own_there(ctx, bundle, &files).await?);
        // Given its own plan, it does not send the wheels that it has built.
        let built = format!("{}/.internal/", bundle.artifact_path);
        let names_built = String::from_utf8_lossy(&written).contains(&built);
        let own = (bundle.artifacts.is_empty() && !names_built).then_some(OwnPlan(written));
        let plan = Plan {
            version: 2,
            bundle: bundle.name.clone(),
            target: bundle.target.clone(),
            host: ctx.client.host().to_owned(),
            lineage: planned.lineage,
            serial: planned.serial,
            release: None,
            steps: steps(planned.plan)?,
            forget: Vec::new(),
            files,
            upload,
            remove,
        };
        Ok(Planned { plan, own })
    }

    /// What it would do once more, and the bundle's own files as they are by now. What
    /// the workspace has of these is not read again.
    pub async fn left(
        &self,
        ctx: &Ctx,
        bundle: &Bundle,
        choice: &BundleChoice,
    ) -> Result<(Vec<Step>, FileDigests)> {
        let (planned, _) = self.ask(ctx, choice).await?;
        Ok((steps(planned.plan)?, make::own_files(bundle, &choice.root)?))
    }

    /// Deploys, and refuses by itself if its own plan has become stale, but of a first
    /// deployment. What is destroyed was agreed to before.
    pub async fn deploy(
        &self,
        ctx: &Ctx,
        choice: &BundleChoice,
        own: Option<&OwnPlan>,
    ) -> Result<()> {
        let mut command = self.command(ctx, choice, "deploy");
        command.arg("--auto-approve");
        let kept = own.map(|OwnPlan(bytes)| -> Result<_> {
            let folder = tempfile::tempdir().context("make a folder for the plan")?;
            let path = folder.path().join("plan.json");
            fs::write_atomic(&path, bytes)?;
            Ok((path, folder))
        });
        let kept = kept.transpose()?;
        if let Some((path, _folder)) = &kept {
            command.arg("--plan").arg(path);
        }
        match child::follow(ctx, &mut command, LIMIT).await? {
            Ended::Exit(status) if status.success() => Ok(()),
            Ended::Exit(status) => {
                // It knows one code for everything that went wrong.
                let message = format!("`databricks bundle deploy` failed ({status})");
                Err(Fault::new(FaultKind::Remote, message).hint("its own words stand above").into())
            }
            Ended::TimedOut => {
                let message = "`databricks bundle deploy` did not end within an hour";
                Err(Fault::new(FaultKind::Timeout, message).into())
            }
        }
    }
}

/// What a command that is killed when it is dropped prints, if it ends in time.
async fn printed(command: &mut tokio::process::Command, limit: Duration) -> Result<Output> {
    match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => Ok(output?),
        Err(_late) => {
            let message = format!("it did not end within {} minutes", limit.as_secs() / 60);
            Err(Fault::new(FaultKind::Timeout, message).into())
        }
    }
}

fn steps(entries: BTreeMap<String, Entry>) -> Result<Vec<Step>> {
    entries.into_iter().map(step).collect()
}

fn step((node, entry): (String, Entry)) -> Result<Step> {
    let key = node.strip_prefix("resources.").unwrap_or(&node).to_owned();
    let action = match entry.action.as_str() {
        "skip" => Action::Skip,
        "create" => Action::Create,
        "update" | "update_id" | "resize" => Action::Update,
        "recreate" => Action::Recreate,
        "delete" => Action::Delete,
        other => {
            let message = format!("the databricks CLI plans `{other}` for {key}: that is unknown");
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
    };
    // Kinds that we do not know count as those that hold data.
    let kind = Kind::of_key(&key).unwrap_or(Kind::Schemas);
    let real = entry.changes.into_iter().filter(|(_, change)| change.action != "skip");
    let (mut changes, mut drift) = (Vec::new(), Vec::new());
    for (path, Change { old, new, remote, .. }) in real {
        if old != new || remote.is_null() {
            changes.push(Field { path, old, new });
        } else {
            drift.push(Field { path, old, new: remote });
        }
    }
    Ok(Step {
        key,
        kind,
        action,
        id: entry.id,
        settings: entry.new_state.map(|state| state.value),
        changes,
        drift,
        references: Vec::new(),
    })
}
