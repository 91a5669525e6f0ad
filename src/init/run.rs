//! Looks at the repository, renders, and writes what nobody has changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::args::{Args, Module, On, Where};
use super::render::{self, Answers, Ci};
use super::{adopt, next};
use crate::bundle;
use crate::checkout;
use crate::host::{Context, Host};
use crate::names::Sha256;
use crate::report::{Fault, FaultKind, Verdict};
use crate::starter;
use crate::sys::{Env, fs, git};

/// What was written, by path and digest: what differs from it was changed since.
const WRITTEN: &str = "lakegate-init.json";

/// Where the releases of Lakegate are.
const HOME: &str = "https://github.com/lakegate/lakegate";

/// Writes the workflows, or tells what it would write.
///
/// # Errors
/// When a file was changed since it was written, and `--force` was not given:
/// then nothing is written at all.
pub async fn run(args: &Args, env: &Env, host: &Host) -> Result<Verdict> {
    let ci = match args.host {
        Where::Github => Ci::GitHub { reference: reference(args, env).await? },
        Where::Azure => Ci::Azure,
    };
    let mut files = BTreeMap::new();
    if !args.dir.join("databricks.yml").is_file() {
        for (path, bytes) in starter_files(args, host)? {
            files.insert(path, bytes);
        }
    }
    let sources = match files.is_empty() {
        true => checkout::sources(&args.dir)?,
        false => yaml(&files),
    };
    let answers = answers(args, ci, &sources)?;
    let (_, folder) = answers.ci.folders();
    let record = format!("{folder}/{WRITTEN}");
    let mut written = written(&args.dir.join(&record))?;
    let rendered = render::workflows(&answers)?;
    for (path, text) in &rendered {
        files.insert(path.clone(), text.clone().into_bytes());
    }
    confirm(args, &written, &files)?;
    for (path, text) in rendered {
        written.insert(path, Sha256::of(text).to_string());
    }
    files.insert(record, (serde_json::to_string_pretty(&written)? + "\n").into_bytes());
    for (path, bytes) in &files {
        let there = fs::read(args.dir.join(path)).ok();
        let word = match there {
            Some(own) if own == *bytes => "unchanged",
            Some(_) => "update",
            None => "write",
        };
        host.say(&format!("{word:>9}  {path}"));
        if word != "unchanged" && !args.dry_run {
            fs::write_atomic(args.dir.join(path), bytes)?;
        }
    }
    host.say("");
    for line in next::steps(&answers) {
        host.say(&line);
    }
    Ok(Verdict::Pass)
}

/// What the flags say, and what the bundle shows.
fn answers(args: &Args, ci: Ci, sources: &bundle::Sources) -> Result<Answers> {
    let names = bundle::targets(sources).map_err(|error| checkout::usage(&error))?;
    let context = Context::default();
    let default = checkout::unassigned(sources, None, &context).ok().map(|bundle| bundle.target);
    let asked =
        [args.test_target.as_ref(), args.staging_target.as_ref(), args.production_target.as_ref()];
    let targets = adopt::targets(&names, default, asked).map_err(Fault::usage)?;
    let main = targets.production.as_ref().unwrap_or(&targets.test);
    let bundle = checkout::unassigned(sources, Some(main), &context)?;
    Ok(Answers {
        ci,
        embedded: args.workspace == On::Embedded,
        main: args.main.clone(),
        python: args.python.clone(),
        targets,
        jobs: adopt::jobs(&bundle),
        fine_tuning: match args.with {
            Some(Module::FineTuning) => adopt::fine_tuning(&bundle).map_err(Fault::usage)?,
            None => Vec::new(),
        },
    })
}

/// The digests of what an earlier run has written.
fn written(record: &Path) -> Result<BTreeMap<String, String>> {
    match fs::read_text_if_exists(record)? {
        Some(text) => {
            serde_json::from_str(&text).with_context(|| format!("read `{}`", record.display()))
        }
        None => Ok(BTreeMap::new()),
    }
}

/// The commit that the workflows use: a name could be moved. This build cannot
/// know it, as the checksums of its own binaries stand in it.
async fn reference(args: &Args, env: &Env) -> Result<String> {
    let Some(known) = &args.suite_ref else {
        let tag = concat!("v", env!("CARGO_PKG_VERSION"));
        let asked = git::commit_of_tag(env, HOME, tag).await;
        return asked.map_err(|error| {
            let message = format!("which commit is Lakegate {tag}? {HOME}: {error:#}");
            Fault::usage(message).hint("name the commit of a release with --suite-ref").into()
        });
    };
    if known.len() != 40 || !known.chars().all(|char| char.is_ascii_hexdigit()) {
        let message = format!("--suite-ref is `{known}`, which is no full commit id");
        return Err(Fault::usage(message).hint("tags and short ids can be moved").into());
    }
    Ok(known.to_ascii_lowercase())
}

fn starter_files(args: &Args, host: &Host) -> Result<Vec<(String, Vec<u8>)>> {
    let foreign = fs::entries(&args.dir)?.unwrap_or_default().into_iter().find(|(name, ..)| {
        !matches!(
            name.as_str(),
            ".git"
                | ".github"
                | ".azure-pipelines"
                | "README.md"
                | "LICENSE"
                | ".gitignore"
                | ".lakegate"
        )
    });
    if let Some((name, ..)) = foreign {
        let message = format!("`{}` has no databricks.yml, and holds `{name}`", args.dir.display());
        return Err(Fault::usage(message)
            .hint("name the bundle's folder with --dir, or start in an empty one")
            .into());
    }
    host.say("no bundle is here: the starter project is written");
    let mut files = match args.with {
        Some(Module::FineTuning) => starter::files_with_fine_tuning(),
        None => starter::files(),
    };
    // A repository's own words stay.
    files.retain(|(path, _)| path != "README.md" || !args.dir.join(path).exists());
    Ok(files)
}

fn yaml(files: &BTreeMap<String, Vec<u8>>) -> bundle::Sources {
    let texts = files.iter().filter(|(path, _)| path.ends_with(".yml") || path.ends_with(".yaml"));
    texts.map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned())).collect()
}

/// Nothing that somebody has changed is written over.
fn confirm(
    args: &Args,
    known: &BTreeMap<String, String>,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let mut changed = Vec::new();
    for (path, bytes) in files {
        let Ok(there) = fs::read(args.dir.join(path)) else { continue };
        let is_ours =
            known.get(path).is_some_and(|digest| *digest == Sha256::of(&there).to_string());
        if there != *bytes && !is_ours {
            changed.push(path.clone());
        }
    }
    if changed.is_empty() || args.force {
        return Ok(());
    }
    let message = format!("these were changed by somebody: {}", changed.join(", "));
    let fault = Fault::new(FaultKind::Conflict, message);
    Err(fault.hint(diff_hint(&args.dir, &changed)).into())
}

fn diff_hint(dir: &Path, changed: &[String]) -> String {
    format!(
        "nothing was written; commit, run with --force, and look at `git -C {} diff {}`",
        dir.display(),
        changed.join(" ")
    )
}
