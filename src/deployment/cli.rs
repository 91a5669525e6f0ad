//! The official `databricks` CLI as an engine: its plan, in our terms, and its
//! deployment. It runs as a tool of its own; nothing of it is known here but
//! what it prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::bundle::{Action, Bundle, Field, FileDigests, Kind, Plan, Step};
use crate::checkout::BundleChoice;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::step::child::{self, Ended};
use crate::sys::process;

/// The first version whose engine needs no Terraform and says what it plans.
const OLDEST: (u64, u64) = (1, 3);

/// A deployment may wait for endpoints.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// How it signs in: it finds its credentials by these names itself.
const CREDENTIALS: [&str; 6] =
    ["DATABRICKS_", "ARM_", "AZURE_", "ACTIONS_ID_TOKEN_", "SYSTEM_", "BUNDLE_VAR_"];

/// The CLI that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    program: PathBuf,
    pub version: String,
}

#[derive(Debug, Deserialize)]
struct Planned {
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
        let Some(program) = process::find("databricks", &ctx.env) else { return Ok(None) };
        let told = process::command(&program, &ctx.env).arg("--version").output().await;
        let told = told.with_context(|| format!("start `{}`", program.display()))?;
        let text = String::from_utf8_lossy(&told.stdout);
        let version = text.trim().rsplit('v').next().unwrap_or_default().to_owned();
        let mut parts = version.split(['.', '-', '+']).map(str::parse::<u64>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => {
                Ok(Some(Self { program, version }))
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

    /// What it would do.
    pub async fn plan(&self, ctx: &Ctx, bundle: &Bundle, choice: &BundleChoice) -> Result<Plan> {
        let mut command = self.command(ctx, choice, "plan");
        command.args(["--output", "json"]).kill_on_drop(true);
        let output = command.output().await.context("start the databricks CLI")?;
        if !output.status.success() {
            let mut relay = ctx.host.relay();
            relay.push(&output.stderr);
            relay.finish();
            let message = format!("`databricks bundle plan` failed ({})", output.status);
            return Err(Fault::new(FaultKind::Usage, message)
                .hint("its own words stand above")
                .into());
        }
        let planned: Planned = serde_json::from_slice(&output.stdout).map_err(|error| {
            let message = format!("what `databricks bundle plan` printed is no plan: {error}");
            Fault::new(FaultKind::Remote, message)
        })?;
        if planned.plan_version.is_none() {
            let message = "the databricks CLI planned with its Terraform engine";
            return Err(Fault::usage(message)
                .hint("move the bundle with `databricks bundle deployment migrate`")
                .into());
        }
        Ok(Plan {
            version: 2,
            bundle: bundle.name.clone(),
            target: bundle.target.clone(),
            host: ctx.client.host().to_owned(),
            lineage: planned.lineage,
            serial: planned.serial,
            release: None,
            steps: planned.plan.into_iter().map(step).collect::<Result<_>>()?,
            forget: Vec::new(),
            files: FileDigests::default(),
            upload: Vec::new(),
            remove: Vec::new(),
        })
    }

    /// Deploys. What it destroys was agreed to before.
    pub async fn deploy(&self, ctx: &Ctx, choice: &BundleChoice) -> Result<()> {
        self.run(ctx, choice, "deploy").await
    }

    /// Removes everything that it deployed.
    pub async fn destroy(&self, ctx: &Ctx, choice: &BundleChoice) -> Result<()> {
        self.run(ctx, choice, "destroy").await
    }

    async fn run(&self, ctx: &Ctx, choice: &BundleChoice, verb: &str) -> Result<()> {
        let mut command = self.command(ctx, choice, verb);
        command.arg("--auto-approve");
        match child::follow(ctx, &mut command, LIMIT).await? {
            Ended::Exit(status) if status.success() => Ok(()),
            Ended::Exit(status) => {
                // It knows one code for everything that went wrong.
                let message = format!("`databricks bundle {verb}` failed ({status})");
                Err(Fault::new(FaultKind::Remote, message).hint("its own words stand above").into())
            }
            Ended::TimedOut => {
                let message = format!("`databricks bundle {verb}` did not end within an hour");
                Err(Fault::new(FaultKind::Timeout, message).into())
            }
        }
    }
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
