//! A Python with the packages of the project's own lock, kept between runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::config::{Environment, Unit};
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::step::child::{self, Ended};
use crate::step::{Cancel, Ctx};
use crate::sys::{fs, kept, process};

/// Packages that do not come in this time do not come.
const INSTALL: Duration = Duration::from_secs(20 * 60);

/// The Python to run the tests with.
pub(super) async fn python(ctx: &Ctx, folder: &Path, unit: &Unit) -> Result<PathBuf> {
    let has = |name: &str| folder.join(name).is_file();
    let kind = match unit.environment {
        Environment::Auto if has("uv.lock") => Environment::Uv,
        Environment::Auto if has("poetry.lock") => Environment::Poetry,
        Environment::Auto if has("requirements.txt") => Environment::Pip,
        Environment::Auto if has(CONDA) => Environment::Conda,
        Environment::Auto => Environment::None,
        kind => kind,
    };
    match kind {
        Environment::Uv => uv(ctx, folder, unit).await,
        Environment::Poetry => poetry(ctx, folder, unit).await,
        Environment::Pip => pip(ctx, folder, unit).await,
        Environment::Conda => conda(ctx, folder, unit).await,
        Environment::Auto | Environment::None => found(ctx, "python3"),
    }
}

fn found(ctx: &Ctx, program: &str) -> Result<PathBuf> {
    process::find(program, &ctx.env).ok_or_else(|| {
        Fault::usage(format!("`{program}` is not on the PATH"))
            .hint("install it on the runner, or set `tests.unit.environment`")
            .into()
    })
}

/// The folder of an environment that depends on these texts alone.
fn place(ctx: &Ctx, parts: &[&str]) -> Result<PathBuf> {
    let cache = ctx.env.cache_dir().ok_or_else(|| {
        Fault::usage("where may environments be kept?").hint("set LAKEGATE_CACHE to a folder")
    })?;
    let digest = Sha256::of_parts(parts.iter().copied());
    let folder = cache.join("tests").join(digest.short());
    fs::create_dir_all(&folder)?;
    fs::canonicalize(folder)
}

fn python_in(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}

async fn install(ctx: &Ctx, command: &mut tokio::process::Command, what: &str) -> Result<()> {
    let fault = match child::follow(ctx, command, INSTALL).await? {
        Ended::Exit(status) if status.success() => return Ok(()),
        Ended::Exit(status) => {
            Fault::usage(format!("{what} failed ({status})")).hint("its output stands above")
        }
        Ended::TimedOut => Fault::new(FaultKind::Timeout, format!("{what} took too long")),
    };
    Err(fault.into())
}

/// Another process may be building, for as long as an installer takes. One of ours
/// is asked first: it ends what it started.
async fn unless_cancelled(
    ctx: &Ctx,
    building: impl Future<Output = Result<PathBuf>>,
) -> Result<PathBuf> {
    tokio::select! {
        biased;
        built = building => built,
        () = ctx.cancel.asked() => Err(Cancel::fault("make the environment of the tests").into()),
    }
}

/// What the policy asks for beside the lock.
async fn add_packages(ctx: &Ctx, python: &Path, unit: &Unit) -> Result<()> {
    if unit.packages.is_empty() {
        return Ok(());
    }
    let mut add = process::installer(python, &ctx.env);
    add.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(&unit.packages);
    install(ctx, &mut add, "pip install").await
}

async fn pip(ctx: &Ctx, folder: &Path, unit: &Unit) -> Result<PathBuf> {
    let base = found(ctx, "python3")?;
    let lock = fs::read_text(folder.join("requirements.txt"))
        .context("`tests.unit.environment` is `pip`")?;
    let version = process::command(&base, &ctx.env).arg("--version").output().await;
    let version = String::from_utf8_lossy(&version.context("ask python3 for its version")?.stdout)
        .trim()
        .to_owned();
    let extra = unit.packages.join("\n");
    let place = place(ctx, &[&lock, &extra, &version, &folder.display().to_string()])?;
    let building = kept::once(&place, async |venv: &Path| {
        ctx.host.progress("install the packages of requirements.txt for the unit tests");
        let mut make = process::installer(&base, &ctx.env);
        make.args(["-m", "venv"]).arg(venv);
        install(ctx, &mut make, "making the environment").await?;
        let mut packages = process::installer(python_in(venv), &ctx.env);
        packages
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg("requirements.txt")
            .args(&unit.packages)
            .current_dir(folder);
        install(ctx, &mut packages, "installing the packages").await
    });
    Ok(python_in(&unless_cancelled(ctx, building).await?))
}

/// What `conda env export` writes.
const CONDA: &str = "environment.yml";

async fn conda(ctx: &Ctx, folder: &Path, unit: &Unit) -> Result<PathBuf> {
    // The quickest first: they read the same file.
    let tools = ["micromamba", "mamba", "conda"];
    let tool =
        tools.into_iter().find_map(|name| process::find(name, &ctx.env)).ok_or_else(|| {
            Fault::usage(format!("none of {} is on the PATH", tools.join(", ")))
                .hint("install one on the runner, or set `tests.unit.environment`")
        })?;
    let lock = fs::read_text(folder.join(CONDA)).context("`tests.unit.environment` is `conda`")?;
    let extra = unit.packages.join("\n");
    let place = place(ctx, &[&lock, &extra, &folder.display().to_string()])?;
    // It makes the last folder of the prefix itself.
    let prefix_in = |built: &Path| built.join("conda");
    let python_in = |built: &Path| {
        let inside = if cfg!(windows) { "python.exe" } else { "bin/python" };
        prefix_in(built).join(inside)
    };
    let build = async |built: &Path| {
        ctx.host.progress(&format!("install the packages of {CONDA} for the unit tests"));
        let mut create = process::installer(&tool, &ctx.env);
        create
            .args(["env", "create", "--quiet", "--file", CONDA, "--prefix"])
            .arg(prefix_in(built))
            .current_dir(folder)
            // The flag that says so differs between them and their versions.
            .envs([("CONDA_ALWAYS_YES", "true"), ("MAMBA_ALWAYS_YES", "true")]);
        install(ctx, &mut create, "making the environment").await?;
        add_packages(ctx, &python_in(built), unit).await
    };
    // Files that it names may say something else by now.
    let names_files = lock.lines().any(|line| {
        let line = line.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
        line.starts_with('-') || line.starts_with('.') || line.starts_with("file:")
    });
    let building = async {
        if names_files { kept::again(&place, build).await } else { kept::once(&place, build).await }
    };
    Ok(python_in(&unless_cancelled(ctx, building).await?))
}

async fn uv(ctx: &Ctx, folder: &Path, unit: &Unit) -> Result<PathBuf> {
    let uv = found(ctx, "uv")?;
    let lock = fs::read_text(folder.join("uv.lock")).context("`tests.unit.environment` is `uv`")?;
    let venv = place(ctx, &[&lock, &folder.display().to_string()])?.join("venv");
    ctx.host.progress("install the packages of uv.lock for the unit tests");
    let mut sync = process::installer(&uv, &ctx.env);
    sync.args(["sync", "--frozen", "--quiet"])
        .current_dir(folder)
        .env("UV_PROJECT_ENVIRONMENT", &venv);
    install(ctx, &mut sync, "uv sync").await?;
    let python = python_in(&venv);
    if !unit.packages.is_empty() {
        let mut add = process::installer(&uv, &ctx.env);
        add.args(["pip", "install", "--quiet", "--python"]).arg(&python).args(&unit.packages);
        install(ctx, &mut add, "uv pip install").await?;
    }
    Ok(python)
}

async fn poetry(ctx: &Ctx, folder: &Path, unit: &Unit) -> Result<PathBuf> {
    let poetry = found(ctx, "poetry")?;
    ctx.host.progress("install the packages of poetry.lock for the unit tests");
    let mut sync = process::installer(&poetry, &ctx.env);
    sync.args(["install", "--no-interaction", "--quiet"]).current_dir(folder);
    install(ctx, &mut sync, "poetry install").await?;
    let mut ask = process::command(&poetry, &ctx.env);
    ask.args(["env", "info", "--path"]).current_dir(folder);
    let told = ask.output().await.context("ask poetry for its environment")?;
    let python = python_in(Path::new(String::from_utf8_lossy(&told.stdout).trim()));
    add_packages(ctx, &python, unit).await?;
    Ok(python)
}
