//! Wheels: built by their own command, the same bytes for the same sources.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use globset::Glob;

use crate::bundle::{Artifact, Bundle};
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::{fs, process};

/// Archives get this time instead of that of the build (1980, the first that a
/// zip file knows), so that a plan and its application build the same wheel.
const BUILD_TIME: &str = "315532800";

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
