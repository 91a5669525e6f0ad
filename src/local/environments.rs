//! Python environments: a virtual environment per set of dependencies, built
//! once and kept for every workspace of this machine.
//!
//! Wheels of the project change with each deployment, so they are unpacked
//! beside the environment: it holds what they require, and is built rarely.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Workspace;
use crate::names::Sha256;
use crate::report::Fault;
use crate::sys::{clock, fs, kept, process};

/// The plain name first, as it is what the user calls Python; then the newest.
const PYTHONS: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

/// What the packages of the starter project need.
const OLDEST: (u32, u32) = (3, 11);

/// Of a virtual environment; the embedded workspace runs tasks on Unix alone.
const OWN_PYTHON: &str = "bin/python";

/// What to start a task's Python with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) python: PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
}

/// The dependencies that a task's environment and libraries name.
pub(crate) fn of_task(task: &Value, job: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let texts = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    if let Some(name) = task["environment_key"].as_str() {
        let environments = job["environments"].as_array().into_iter().flatten();
        for environment in environments.filter(|environment| environment["environment_key"] == name)
        {
            found.extend(texts(&environment["spec"]["dependencies"]));
        }
    }
    for library in task["libraries"].as_array().into_iter().flatten() {
        found.extend(library["whl"].as_str().map(str::to_owned));
        found.extend(library["pypi"]["package"].as_str().map(str::to_owned));
    }
    found
}

/// Makes sure that the environment is there. `scratch` is the task's folder.
pub(crate) async fn prepare(
    workspace: &Workspace,
    dependencies: &[String],
    scratch: &Path,
) -> Result<Prepared> {
    fs::create_dir_all(scratch)?;
    let mut packages = Vec::new();
    let mut wheels = Vec::new();
    for dependency in dependencies {
        if dependency.ends_with(".whl") {
            let path = workspace
                .workspace_file(dependency)
                .with_context(|| format!("find the wheel `{dependency}`"))?;
            wheels.push(path);
        } else if let Some(file) = dependency.strip_prefix("-r ") {
            let path =
                workspace.workspace_file(file.trim()).with_context(|| format!("find `{file}`"))?;
            let lines = requirement_lines(&fs::read_text(path)?);
            packages.extend(lines.with_context(|| format!("read the requirements in `{file}`"))?);
        } else {
            packages.push(dependency.clone());
        }
    }
    let python = base_python(workspace).await?;
    let mut overlays = Vec::new();
    for wheel in &wheels {
        let unpacked = unpack(workspace, &python, wheel).await?;
        packages.extend(fs::read_text(unpacked.join(".requires"))?.lines().map(str::to_owned));
        overlays.push(unpacked.display().to_string());
    }
    packages.sort();
    packages.dedup();
    let python = if packages.is_empty() {
        python
    } else {
        environment(workspace, &python, &packages, scratch).await?
    };
    let mut variables = BTreeMap::new();
    if !overlays.is_empty() {
        variables.insert("PYTHONPATH".into(), overlays.join(":"));
    }
    Ok(Prepared { python, variables })
}

/// The packages in the text of a `requirements.txt`, and the options that say
/// where they come from. An environment is keyed by them, so there is one reader.
///
/// # Errors
/// An option that names another file: the environment would not be keyed by it.
pub fn requirement_lines(text: &str) -> Result<Vec<String>, Fault> {
    const KNOWN: [&str; 6] = [
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--only-binary",
        "--no-binary",
        "--pre",
    ];
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut found = Vec::new();
    for line in joined.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let option = line.split(['=', ' ']).next().unwrap_or_default();
        if line.starts_with('-') && !KNOWN.contains(&option) {
            let fault = Fault::usage(format!("a requirements file holds `{line}`"));
            return Err(fault.hint(format!(
                "list packages in it; the options it may hold: {}",
                KNOWN.join(" ")
            )));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// The Python that was chosen, or the first on the PATH that is new enough.
async fn base_python(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(chosen) = workspace.env.get("LAKEGATE_PYTHON") {
        return Ok(PathBuf::from(chosen));
    }
    let mut unfit = None;
    for python in PYTHONS.iter().filter_map(|name| process::find(name, &workspace.env)) {
        match version(workspace, &python).await {
            Ok(_) => return Ok(python),
            Err(error) => unfit = unfit.or(Some(error)),
        }
    }
    Err(unfit.unwrap_or_else(|| {
        let fault = Fault::usage("no Python was found on the PATH");
        fault.hint("install Python 3.11 or newer, or set LAKEGATE_PYTHON").into()
    }))
}

/// The wheel's files in a folder of their own, and what it requires.
async fn unpack(workspace: &Workspace, python: &Path, wheel: &Path) -> Result<PathBuf> {
    const UNPACK: &str = "\
import pathlib, sys, zipfile
source, target = sys.argv[1:]
with zipfile.ZipFile(source) as archive:
    archive.extractall(target)
    metadata = next(name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
    lines = archive.read(metadata).decode().splitlines()
needed = [line.split(':', 1)[1].strip() for line in lines if line.startswith('Requires-Dist:') and 'extra ==' not in line]
pathlib.Path(target, '.requires').write_text('\\n'.join(needed))
";
    let digest = Sha256::of(fs::read(wheel)?);
    kept::once(&workspace.cache.join("wheels").join(digest.short()), async |target: &Path| {
        let mut command = process::installer(python, &workspace.env);
        command.args(["-c".as_ref(), UNPACK.as_ref(), wheel.as_os_str(), target.as_os_str()]);
        run(command, "unpack the wheel").await.map(drop)
    })
    .await
}

async fn environment(
    workspace: &Workspace,
    python: &Path,
    packages: &[String],
    scratch: &Path,
) -> Result<PathBuf> {
    let version = version(workspace, python).await?;
    let parts = packages.iter().map(String::as_str).chain([version.trim()]);
    let place = workspace.cache.join("environments").join(Sha256::of_parts(parts).short());
    let built = kept::once(&place, async |target: &Path| {
        let started = std::time::Instant::now();
        tracing::info!(packages = packages.len(), "building a Python environment");
        let mut create = process::installer(python, &workspace.env);
        create.args(["-m".as_ref(), "venv".as_ref(), target.as_os_str()]);
        run(create, "make a virtual environment").await?;
        let requirements = scratch.join("requirements.txt");
        fs::write_atomic(&requirements, packages.join("\n"))?;
        install(workspace, &target.join(OWN_PYTHON), &requirements).await?;
        tracing::info!(took = clock::human(started.elapsed()), "the environment is ready");
        Ok(())
    });
    Ok(built.await?.join(OWN_PYTHON))
}

/// Python's own words about its version; one that is too old is refused.
async fn version(workspace: &Workspace, python: &Path) -> Result<String> {
    let mut ask = process::command(python, &workspace.env);
    ask.args(["-c", "import sys; print(sys.version)"]);
    let wrong = |reason: String| {
        Fault::usage(format!("use the Python at `{}`: {reason}", python.display()))
            .hint("install Python 3.11 or newer, or set LAKEGATE_PYTHON to one")
    };
    let text =
        run(ask, "ask for its version").await.map_err(|error| wrong(format!("{error:#}")))?;
    let mut numbers = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(wrong(format!("it is version {}.{}", found.0, found.1)).into());
    }
    Ok(text)
}

/// With uv where it is (or can be) installed, as it is many times faster.
async fn install(workspace: &Workspace, python: &Path, requirements: &Path) -> Result<()> {
    let mut bootstrap = process::installer(python, &workspace.env);
    bootstrap.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]);
    let has_uv = run(bootstrap, "install uv").await.is_ok();
    let mut command = process::installer(python, &workspace.env);
    if has_uv {
        command
            .args(["-m", "uv", "pip", "install", "--quiet", "--python"])
            .arg(python)
            .arg("-r")
            .arg(requirements);
    } else {
        command
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements);
    }
    run(command, "install the dependencies").await?;
    Ok(())
}

async fn run(mut command: tokio::process::Command, what: &str) -> Result<String> {
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| what.to_owned())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<_> = text.lines().rev().take(8).collect();
        bail!("{what}: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" · "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_keep_their_options_and_refuse_other_files() {
        let text = "# pinned\n--extra-index-url https://packages.test/simple\npandas==3.1.1  # frames\n\npytest \\\n  --hash=sha256:ab\n";
        assert_eq!(
            requirement_lines(text).unwrap(),
            [
                "--extra-index-url https://packages.test/simple",
                "pandas==3.1.1",
                "pytest    --hash=sha256:ab"
            ]
        );
        for line in ["-r other.txt", "-e .", "--constraint c.txt", "-cother.txt"] {
            let refused = requirement_lines(line).unwrap_err().to_string();
            assert!(refused.contains(line), "{refused}");
        }
    }
}
