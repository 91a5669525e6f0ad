//! Wheels: built by their own command, the same bytes for the same sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use globset::Glob;

use crate::bundle::{Artifact, Bundle};
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::{fs, process};

/// Archives get this time instead of that of the build (1980, the first that a
/// zip file knows), so that a plan and its application build the same wheel.
const BUILD_TIME: &str = "315532800";

/// What does not tell its version by then is not asked any longer.
const VERSION_WITHIN: Duration = Duration::from_secs(20);

/// Builds every artifact; returns the wheels' paths.
pub async fn build(ctx: &Ctx, bundle: &Bundle, root: &Path) -> Result<Vec<PathBuf>> {
    let mut wheels = Vec::new();
    for artifact in &bundle.artifacts {
        if let Some(command) = &artifact.build {
            if ctx.context.from_fork {
                let message = format!(
                    "artifacts.{}: the code comes from a fork, `{command}` is not run",
                    artifact.name
                );
                return Err(Fault::usage(message).hint("plan it once it is merged").into());
            }
            ctx.host.progress(&format!("build {}: {command}", artifact.name));
            run(ctx, artifact, command, root).await?;
        }
        let found = matching(root, artifact)?;
        if found.is_empty() {
            let message =
                format!("artifacts.{}: no wheel at {}", artifact.name, artifact.files.join(", "));
            return Err(Fault::usage(message)
                .hint("check `build` and `files` of the artifact")
                .into());
        }
        wheels.extend(found);
    }
    Ok(wheels)
}

/// The programs that build the bundle's artifacts, with the versions that they tell.
pub async fn builders(ctx: &Ctx, bundle: &Bundle) -> BTreeMap<String, String> {
    let commands = bundle.artifacts.iter().filter_map(|artifact| artifact.build.as_deref());
    let programs = commands.filter_map(|command| command.split_whitespace().next());
    // A script of the project knows no such flag: it would build.
    let programs = programs.filter(|program| !program.contains('/'));
    let mut found = BTreeMap::new();
    for program in programs.collect::<BTreeSet<_>>() {
        let mut asked = process::installer(program, &ctx.env);
        asked.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let told = tokio::time::timeout(VERSION_WITHIN, asked.output()).await;
        // Whatever does not tell its version is no reason to build nothing.
        let Ok(Ok(told)) = told else { continue };
        let text = String::from_utf8_lossy(&told.stdout);
        let line = text.lines().next().unwrap_or_default().trim();
        if told.status.success() && !line.is_empty() && line.len() < 200 {
            found.insert(program.to_owned(), line.to_owned());
        }
    }
    found
}

async fn run(ctx: &Ctx, artifact: &Artifact, command: &str, root: &Path) -> Result<()> {
    let mut shell = process::installer("sh", &ctx.env);
    shell
        .args(["-c", command])
        .current_dir(root.join(&artifact.path))
        .env("SOURCE_DATE_EPOCH", BUILD_TIME)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = shell.output().await.with_context(|| format!("build {}", artifact.name))?;
    if !output.status.success() {
        // The command is the project's own: its words go through the relay.
        let mut relay = ctx.host.relay();
        relay.push(&output.stdout);
        relay.push(&output.stderr);
        relay.finish();
        return Err(Fault::usage(format!(
            "build {}: `{command}` failed ({})",
            artifact.name, output.status
        ))
        .into());
    }
    Ok(())
}

fn matching(root: &Path, artifact: &Artifact) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in &artifact.files {
        let matcher =
            Glob::new(pattern).map_err(|error| Fault::usage(error.to_string()))?.compile_matcher();
        // Build folders are what git ignores: look there directly.
        let folder = pattern.rsplit_once('/').map_or("", |(folder, _)| folder);
        let entries = fs::entries(root.join(folder))?.unwrap_or_default();
        for (name, is_folder, _) in entries {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if !is_folder && matcher.is_match(&path) {
                found.push(root.join(path));
            }
        }
    }
    Ok(found)
}
