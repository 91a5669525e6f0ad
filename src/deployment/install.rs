//! The official CLI at a pinned version: fetched, proved, unpacked for one step.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use tempfile::TempDir;

use crate::config::DeployCli;
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::{Env, fs, https};

/// Where the CLI's own releases are.
const RELEASES: &str = "https://github.com/databricks/cli/releases/download";

/// The program's largest size: an archive that unpacks to more is not the CLI.
const MOST: u64 = 1 << 30;

/// The program of the pinned archive, in a folder that goes away when it is dropped.
///
/// # Errors
/// When no checksum is known for this platform, the archive cannot be had, or its
/// bytes are others. Nothing is unpacked before they are proved.
pub(super) async fn unpack(ctx: &Ctx, pin: &DeployCli) -> Result<(PathBuf, TempDir)> {
    let platform = platform();
    let Some(digest) = pin.sha256.get(&platform) else {
        return Err(Fault::usage(format!("`deploy.cli.sha256` has no checksum for {platform}"))
            .hint("the CLI's release lists them in its SHA256SUMS")
            .into());
    };
    let digest: Sha256 = digest.parse()?;
    let name = format!("databricks_cli_{}_{platform}.tar.gz", pin.version);
    let bytes = archive(ctx, pin, &name, digest).await?;
    let folder = tempfile::tempdir().context("make a folder for the databricks CLI")?;
    let program =
        take_program(&bytes, folder.path()).with_context(|| format!("unpack `{name}`"))?;
    Ok((program, folder))
}

/// As the CLI's releases name this machine.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}_{machine}")
}

/// The archive's bytes, proved: from the runner's tool cache if they are there.
async fn archive(ctx: &Ctx, pin: &DeployCli, name: &str, digest: Sha256) -> Result<Vec<u8>> {
    let kept = cache(&ctx.env).map(|folder| folder.join(format!("{digest}-{name}")));
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_file()) {
        // Other jobs may have written there.
        let bytes = fs::read(kept)?;
        if Sha256::of(&bytes) == digest {
            return Ok(bytes);
        }
    }
    let bytes = fetch(ctx, pin, name).await?;
    let found = Sha256::of(&bytes);
    if found != digest {
        let message = format!(
            "`{name}` has the sha256 {found}, `deploy.cli` expects {digest}: nothing was run"
        );
        return Err(Fault::new(FaultKind::Integrity, message).into());
    }
    if let Some(kept) = kept
        && let Err(error) = fs::write_atomic(&kept, &bytes)
    {
        ctx.host.progress(&format!("the databricks CLI is not kept for later steps: {error:#}"));
    }
    Ok(bytes)
}

async fn fetch(ctx: &Ctx, pin: &DeployCli, name: &str) -> Result<Vec<u8>> {
    let from = match &pin.from {
        Some(from) => from.trim_end_matches('/').to_owned(),
        None => format!("{RELEASES}/v{}", pin.version),
    };
    if !from.contains("://") {
        let place = Path::new(&from).join(name);
        if !place.is_file() {
            return Err(Fault::usage(format!(
                "`deploy.cli.from`: there is no `{name}` in `{from}`"
            ))
            .into());
        }
        return fs::read(place);
    }
    let place = format!("{from}/{name}");
    let address = reqwest::Url::parse(&place)
        .map_err(|error| Fault::usage(format!("`deploy.cli.from`: {error}")))?;
    if !https::keeps_tokens(&address) {
        return Err(Fault::usage(format!("`{place}` is not fetched: it must be https")).into());
    }
    ctx.host.progress(&format!("fetch {place}"));
    let bytes = https::download(&https::client()?, address, MOST).await;
    bytes.with_context(|| format!("fetch {place}"))
}

fn cache(env: &Env) -> Option<PathBuf> {
    let of_host = env.get("RUNNER_TOOL_CACHE").or_else(|| env.get("AGENT_TOOLSDIRECTORY"));
    let root = of_host.map(|root| Path::new(root).join("lakegate")).or_else(|| env.cache_dir())?;
    Some(root.join("databricks-cli"))
}

/// Unpacks the program alone: licence and notes are of no use to a step.
fn take_program(bytes: &[u8], into: &Path) -> Result<PathBuf> {
    let wanted = if cfg!(windows) { "databricks.exe" } else { "databricks" };
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let is_it = entry.header().entry_type().is_file()
            && entry.path()?.file_name().is_some_and(|name| name == wanted);
        if !is_it {
            continue;
        }
        anyhow::ensure!(entry.size() <= MOST, "`{wanted}` is larger than a program can be");
        let mut program = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut program)?;
        let path = into.join(wanted);
        fs::write_new(&path, &program, true)?;
        return Ok(path);
    }
    Err(Fault::new(FaultKind::Integrity, format!("there is no `{wanted}` in it")).into())
}
