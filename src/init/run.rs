//! Looks at the repository, renders, and writes around what somebody has changed.

use std::path::Path;

use anyhow::Result;

use super::args::{Args, Choices, Where};
use super::change::{self, Change};
use super::compose::{self, Answers};
use super::facts::{self, Facts};
use super::record::Record;
use super::render::{Ci, Templates};
use super::{adopt, answers, ask, next, place, policies};
use crate::bundle::{self, Bundle, Sources};
use crate::checkout;
use crate::host::{Context, Host};
use crate::names::is_commit;
use crate::report::{Fault, FaultKind, Verdict};
use crate::starter;
use crate::sys::{Env, fs, git, terminal};

/// Where the releases of Lakegate are.
const HOME: &str = "https://github.com/lakegate/lakegate";

/// Writes the workflows, or tells what it would write.
///
/// # Errors
/// When somebody's changes and the new ones meet, and `--force` was not given: then
/// nothing is written at all.
pub async fn run(args: &Args, env: &Env, host: &Host) -> Result<Verdict> {
    let args = &Args { dir: place::of_bundle(&args.dir)?, ..args.clone() };
    let facts = facts::gather(env, &args.dir).await?;
    let before = read(&facts, args.choices.host)?;
    // The project is the same for another host.
    let elsewhere = if before.is_none() { read(&facts, None)? } else { None };
    let asks = !args.yes && terminal::is_there();
    let mut typed = terminal::read_line;
    let known = before.as_ref().map(|record| record.choices.clone()).unwrap_or_default();
    let mut choices = args.choices.clone().or(known);
    if asks {
        ask::fill(&mut choices, host, &mut typed)?;
        if args.dir.join("databricks.yml").is_file() {
            let sources = checkout::sources(&args.dir)?;
            let (names, default) = answers::known_targets(&facts, &sources)?;
            let shown = adopt::roles(&names, default, choices.roles());
            ask::fill_targets(&mut choices, &names, &shown, host, &mut typed)?;
        }
    }
    let plan = plan(args, env, host, &facts, choices, [before, elsewhere]).await?;
    tell(&plan, &facts.root, host)?;
    refuse(&plan.changes, &args.dir, args.force)?;
    let has_work = plan.all().any(|(_, change)| change.is_work());
    let is_wanted = match asks && has_work && !args.dry_run {
        true => ask::confirm("Write this?", host, &mut typed)?,
        false => !args.dry_run,
    };
    if is_wanted {
        apply(&plan, &facts.root)?;
    }
    host.say("");
    let knows_releases = plan.has_new_policies || has_section(&args.dir, "release")?;
    let needed = policies::release(&plan.answers).filter(|_| !knows_releases);
    for line in next::steps(&plan.answers, &facts, needed) {
        host.say(&line);
    }
    if let Some(line) = other_sign_off(&args.dir, plan.answers.ci)? {
        host.say(&line);
    }
    if plan.answers.serves && !has_section(&args.dir, "serving")? {
        host.say("in lakegate.yml: `serving`, with an `endpoint`, which production needs to serve");
    }
    if plan.is_adopted && plan.has_new_policies {
        host.say(
            "in lakegate.yml: `gate` and `drift`, which no bundle shows; production needs them",
        );
    }
    Ok(Verdict::Pass)
}

/// What is to be done, by path from the repository's root.
struct Plan {
    answers: Answers,
    /// Of the workflows.
    changes: Vec<(String, Change)>,
    /// Of the project itself, where a run has written it. It is the user's: what both
    /// sides have changed stays as it is.
    project: Vec<(String, Change)>,
    /// The bundle is the user's; its policies are to be completed.
    is_adopted: bool,
    has_new_policies: bool,
    record: (String, Record),
}

impl Plan {
    fn all(&self) -> impl Iterator<Item = &(String, Change)> {
        self.project.iter().chain(&self.changes)
    }
}

async fn plan(
    args: &Args,
    env: &Env,
    host: &Host,
    facts: &Facts,
    choices: Choices,
    [before, elsewhere]: [Option<Record>; 2],
) -> Result<Plan> {
    let of_project = before.clone().or(elsewhere).unwrap_or_default();
    let is_new = !args.dir.join("databricks.yml").is_file();
    let mut starter = match of_project.has_started() {
        _ if is_new => empty(&args.dir).map(|()| starter::files(choices.with.is_some()))?,
        true => starter::files(choices.with.is_some()),
        false => Vec::new(),
    };
    let sources = if is_new { yaml(&starter) } else { checkout::sources(&args.dir)? };
    let mut answers = answers::of(&choices, facts, &sources)?;
    if answers.ci == Ci::GitHub {
        answers.commit = Some(commit(args.suite_ref.as_deref(), before.as_ref(), env).await?);
    }
    let templates = Templates::new(answers.ci, answers.form, answers.commit.as_deref())?;
    if is_new {
        host.say("no bundle is here: the starter project is written");
    }
    let is_adopted = starter.is_empty();
    policies::complete(&mut starter, &answers);
    let policies_path = answers.place() + "lakegate.yml";
    if is_adopted && (of_project.wrote(&policies_path) || !args.dir.join("lakegate.yml").exists()) {
        let text = policies(&templates, &sources, &answers)?;
        starter.push(("lakegate.yml".to_owned(), text));
    }
    let wanted: Vec<(String, String)> =
        starter.into_iter().map(|(path, text)| (answers.place() + &path, text)).collect();
    let (project, written) = project_changes(&facts.root, &wanted, &of_project)?;
    let is_write = |(path, change): &(String, Change)| {
        *path == policies_path && matches!(change, Change::Write(_))
    };
    let has_new_policies = project.iter().any(is_write);
    let wanted = compose::workflows(&templates, &answers)?;
    let before = before.unwrap_or_default();
    let changes = workflow_changes(&facts.root, &wanted, &before, answers.ci, args.force)?;
    let record = Record::new(answers.commit.clone(), choices, facts.folder.clone(), &wanted)
        .with_project(&written, !is_adopted);
    let record = (record_path(answers.ci, &answers.prefix()), record);
    Ok(Plan { answers, changes, project, is_adopted, has_new_policies, record })
}

type Changes = Vec<(String, Change)>;

/// What becomes of the project's files, and what a later run goes by.
fn project_changes(
    root: &Path,
    wanted: &[(String, String)],
    before: &Record,
) -> Result<(Changes, Vec<(String, String)>)> {
    let (mut changes, mut written) = (Vec::new(), Vec::new());
    for (path, text) in wanted {
        let earlier = before.written(path);
        let change = own_text(root, path)?.decide(earlier.as_deref(), Some(text));
        let base = match change {
            // What both sides have changed stays, and is offered again.
            Change::Conflict(_) => earlier,
            Change::Foreign => None,
            _ => Some(text.clone()),
        };
        written.extend(base.map(|base| (path.clone(), base)));
        changes.push((path.clone(), change));
    }
    Ok((changes, written))
}

fn workflow_changes(
    root: &Path,
    wanted: &[(String, String)],
    before: &Record,
    ci: Ci,
    force: bool,
) -> Result<Changes> {
    let mut paths: Vec<&String> = wanted.iter().map(|(path, _)| path).collect();
    // A record that somebody made up reaches no other files.
    let folder = format!("{}/", ci.folders().0);
    let is_ours = |path: &&String| path.starts_with(&folder) && !path.contains("..");
    let gone = before.paths().filter(is_ours);
    paths.extend(gone.filter(|path| !wanted.iter().any(|(own, _)| own == *path)));
    let mut changes = Vec::new();
    for path in paths {
        let new = wanted.iter().find(|(own, _)| own == path).map(|(_, text)| text.as_str());
        let mut change = own_text(root, path)?.decide(before.written(path).as_deref(), new);
        if let (true, Some(new)) = (force, new)
            && (change.is_refused() || change == Change::LeftOut)
        {
            change = Change::Write(new.to_owned());
        }
        changes.push((path.clone(), change));
    }
    Ok(changes)
}

/// A file as it is.
enum Own {
    None,
    /// A checkout on Windows may have changed the ends of lines.
    Text(String),
    Other,
}

impl Own {
    fn decide(&self, written: Option<&str>, wanted: Option<&str>) -> Change {
        match self {
            Self::None => change::decide(written, None, wanted),
            Self::Text(own) => change::decide(written, Some(own), wanted),
            Self::Other => Change::Foreign,
        }
    }
}

fn own_text(root: &Path, path: &str) -> Result<Own> {
    // Nothing is written through a link to somewhere else.
    let mut folders = Path::new(path).ancestors().filter(|folder| !folder.as_os_str().is_empty());
    if folders.any(|folder| root.join(folder).is_symlink()) {
        return Ok(Own::Other);
    }
    let path = root.join(path);
    if !path.exists() {
        return Ok(Own::None);
    }
    let text = String::from_utf8(fs::read(&path)?);
    Ok(text.map_or(Own::Other, |text| Own::Text(text.replace("\r\n", "\n"))))
}

fn tell(plan: &Plan, root: &Path, host: &Host) -> Result<()> {
    // What nothing happens to is told of the workflows alone.
    let of_project = plan.project.iter().filter(|(_, change)| *change != Change::Unchanged);
    for (path, change) in of_project.chain(&plan.changes) {
        host.say(&format!("{:>9}  {path}", change.word()));
        match (change, own_text(root, path)?) {
            (Change::Conflict(both), _) => host.say(&change::conflicts(both)),
            (Change::Write(new) | Change::Update(new) | Change::Merge(new), Own::Text(own)) => {
                host.say(&change::diff(path, &own, new));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse(changes: &[(String, Change)], dir: &Path, force: bool) -> Result<()> {
    let refused: Vec<&str> = changes
        .iter()
        .filter(|(_, change)| change.is_refused())
        .map(|(path, _)| path.as_str())
        .collect();
    if refused.is_empty() || force {
        return Ok(());
    }
    let message = format!("somebody's words stand where new ones belong: {}", refused.join(", "));
    let hint = format!(
        "nothing was written; commit, run with --force, and look at `git -C {} diff {}`",
        dir.display(),
        refused.join(" ")
    );
    Err(Fault::new(FaultKind::Conflict, message).hint(hint).into())
}

fn apply(plan: &Plan, root: &Path) -> Result<()> {
    for (path, change) in plan.all() {
        if let Some(text) = change.text() {
            fs::write_atomic(root.join(path), text)?;
        } else if *change == Change::Remove {
            fs::remove(root.join(path))?;
        }
    }
    // Last: a run that was killed before is simply run again.
    let (path, record) = &plan.record;
    fs::write_atomic(root.join(path), record.text()?)
}

/// Whether the policies that are there have this section.
fn has_section(dir: &Path, name: &str) -> Result<bool> {
    let text = fs::read_text_if_exists(dir.join("lakegate.yml"))?.unwrap_or_default();
    Ok(text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))))
}

/// What is to be said where the policies ask another host than this for approvals.
fn other_sign_off(dir: &Path, ci: Ci) -> Result<Option<String>> {
    let text = fs::read_text_if_exists(dir.join("lakegate.yml"))?.unwrap_or_default();
    let (own, other) = match ci {
        Ci::GitHub => ("github", "azure"),
        Ci::Azure => ("azure", "github"),
    };
    let asks = |host: &str| {
        text.lines().any(|line| {
            line.trim_start().starts_with("sign_off:") && line.contains(&format!("from: {host}"))
        })
    };
    Ok(asks(other).then(|| {
        format!("in lakegate.yml: `promotion.sign_off` is `from: {other}`, whose approvals these pipelines do not have: say `{own}`, or `table`")
    }))
}

fn record_path(ci: Ci, prefix: &str) -> String {
    format!("{}/lakegate-{prefix}init.json", ci.folders().1)
}

/// What an earlier run has written, for the host that is asked for, or for the only one.
fn read(facts: &Facts, asked: Option<Where>) -> Result<Option<Record>> {
    let prefix = compose::prefix(&facts.folder);
    let wanted = match asked {
        Some(Where::Github) => &[Ci::GitHub][..],
        Some(Where::Azure) => &[Ci::Azure],
        None => &[Ci::GitHub, Ci::Azure],
    };
    for ci in wanted {
        let path = facts.root.join(record_path(*ci, &prefix));
        if let Some(text) = fs::read_text_if_exists(&path)? {
            let record = Record::read(&text).map_err(|error| {
                let fault = Fault::usage(format!("read `{}`: {error:#}", path.display()));
                fault.hint("take it back from git: it tells what `init` wrote from what is yours")
            })?;
            if record.folder != facts.folder {
                let message = format!(
                    "`{}` is about the bundle in `{}`, whose workflows would have these names",
                    path.display(),
                    record.folder
                );
                return Err(Fault::new(FaultKind::Conflict, message)
                    .hint("give one of the folders another name")
                    .into());
            }
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn policies(templates: &Templates, sources: &Sources, answers: &Answers) -> Result<String> {
    let mut bundles = answers::resolved(sources, &Context::default())?;
    // Where names are nobody's own.
    let shared = [&answers.targets.staging, &answers.targets.production];
    let is_shared = |bundle: &Bundle| shared.contains(&&Some(bundle.target.clone()));
    if bundles.iter().any(is_shared) {
        bundles.retain(is_shared);
    }
    policies::write(templates, &bundles, answers)
}

/// The commit that the workflows use: a name could be moved. This build cannot
/// know it, as the checksums of its own binaries stand in it.
async fn commit(asked: Option<&str>, before: Option<&Record>, env: &Env) -> Result<String> {
    let Some(known) = asked else {
        let same = before.filter(|record| record.lakegate == env!("CARGO_PKG_VERSION"));
        if let Some(commit) = same.and_then(|record| record.commit.clone()) {
            return Ok(commit);
        }
        let tag = concat!("v", env!("CARGO_PKG_VERSION"));
        let asked = git::commit_of_tag(env, HOME, tag).await;
        return asked.map_err(|error| {
            let message = format!("which commit is Lakegate {tag}? {HOME}: {error:#}");
            Fault::usage(message).hint("name the commit of a release with --suite-ref").into()
        });
    };
    if !is_commit(known) {
        let message = format!("--suite-ref is `{known}`, which is no full commit id");
        return Err(Fault::usage(message).hint("tags and short ids can be moved").into());
    }
    Ok(known.to_ascii_lowercase())
}

/// Refuses a folder that holds something else than a bundle.
fn empty(dir: &Path) -> Result<()> {
    let foreign = fs::entries(dir)?.unwrap_or_default().into_iter().find(|(name, ..)| {
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
        let message = format!("`{}` has no databricks.yml, and holds `{name}`", dir.display());
        let other = bundle::OTHER_ROOTS.into_iter().find(|name| dir.join(name).is_file());
        return Err(Fault::usage(message)
            .hint(match other {
                Some(name) => format!("rename `{name}` to databricks.yml"),
                None => "name the bundle's folder with --dir, or start in an empty one".to_owned(),
            })
            .into());
    }
    Ok(())
}

fn yaml(files: &[(String, String)]) -> Sources {
    let texts = files.iter().filter(|(path, _)| path.ends_with(".yml") || path.ends_with(".yaml"));
    texts.cloned().collect()
}
