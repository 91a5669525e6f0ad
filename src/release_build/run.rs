//! From a commit to a release, and from a release to the proof that it is whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use semver::Version;

use super::pack::{self, Packed, Tree};
use super::publish::{self, Release as Names};
use super::tested;
use crate::bundle;
use crate::checkout::{self, release as shelf};
use crate::config::{Release, TestedBy};
use crate::deployment;
use crate::names::{SchemaName, Sha256};
use crate::release::manifest::{self, FORMAT, Manifest, Tested};
use crate::release::version::{self, Change, Commit};
use crate::release::{Package, lock, notes, provenance};
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Severity, Table, Verdict};
use crate::step::{self, Ctx};
use crate::sys::fs;
use crate::sys::git::{self, Git};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    None,
    Git,
    Host,
}

#[derive(Debug, Clone)]
pub struct Build {
    pub version: Option<Version>,
    pub bundle: PathBuf,
    pub out: PathBuf,
    pub publish: Publish,
    pub policy: Release,
    pub record: Option<SchemaName>,
    pub tested_by: TestedBy,
    /// Nobody chose `tested_by`.
    pub is_default: bool,
}

#[derive(Debug, Clone)]
pub enum Action {
    Build(Box<Build>),
    Verify {
        release: PathBuf,
        /// Of its manifest.
        digest: Option<Sha256>,
    },
}

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
}

impl step::Request for Request {
    fn needs_workspace(&self) -> bool {
        matches!(&self.action, Action::Build(build) if build.tested_by == TestedBy::Table)
    }

    fn bears_foreign_code(&self) -> bool {
        matches!(self.action, Action::Verify { .. })
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match request.action {
        Action::Verify { release, digest } => verify(&release, digest),
        Action::Build(build) => make(&ctx, *build).await,
    }
}

fn verify(path: &Path, digest: Option<Sha256>) -> Result<Outcome> {
    let opened = shelf::open(path, digest)?;
    let manifest = &opened.manifest;
    let mut report =
        Report::new("release-build", format!("Verify {} {}", manifest.name, manifest.version));
    report.fact("commit", manifest.commit.clone());
    report.fact("manifest", opened.digest.to_string());
    let reason = format!(
        "{} files, {} and its statement are those that were built",
        manifest.files.len(),
        manifest.archive.path
    );
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("version", manifest.version.clone())
        .output("commit", manifest.commit.clone())
        .output("manifest-digest", opened.digest.to_string()))
}

/// The commit that is released, and what it is called.
struct Chosen {
    version: Version,
    tag: String,
    commit: String,
    tree: String,
    time: String,
    changes: Vec<Change>,
}

async fn make(ctx: &Ctx, mut build: Build) -> Result<Outcome> {
    let git = Git::of(&ctx.env, &build.bundle).await?;
    if git.is_shallow().await? {
        return Err(Fault::usage("the clone has only a part of the history")
            .hint("check out with all of it: `fetch-depth: 0` (GitHub), `fetchDepth: 0` (Azure)")
            .into());
    }
    let dirty = git.dirty().await?;
    if let Some(first) = dirty.first() {
        let message = format!("{} files are not as they were committed: {first}, …", dirty.len());
        return Err(Fault::usage(message)
            .hint("commit or remove them: a release is what a commit holds")
            .into());
    }
    let Some(chosen) = choose(ctx, &git, &build).await? else { return Ok(nothing_new()) };
    if build.is_default && ctx.context.host == "terminal" {
        build.tested_by = TestedBy::Table;
    }
    let (by, record) = (build.tested_by, build.record.as_ref());
    let tested =
        tested::confirm(ctx, by, &build.policy, record, &chosen.commit, &chosen.tree).await?;
    let mut made = assemble(ctx, &git, &build, &chosen, tested).await?;
    if build.publish == Publish::Host && ctx.context.host == "github" {
        // Another run may have published it: what is out is the release.
        let own = (&made.manifest, made.folder.as_path());
        if let Some((digest, link)) = publish::adopt(ctx, &chosen.tag, own, &build.out).await? {
            made.digest = digest;
            return conclude(&chosen, &made, Some(&link), build.tested_by);
        }
    }
    let names = Names {
        name: &made.manifest.name,
        version: &chosen.version.to_string(),
        tag: &chosen.tag,
        commit: &chosen.commit,
        notes: &made.notes,
        folder: &made.folder,
        remote: &build.policy.remote,
    };
    let link = publish::publish(ctx, &git, build.publish, &names).await?;
    conclude(&chosen, &made, link.as_deref(), build.tested_by)
}

fn nothing_new() -> Outcome {
    let report = Report::new("release-build", "Release");
    let reason = "no commit since the last release asks for one (feat, fix, perf, or a break)";
    Outcome::new(report.concluded(Verdict::Pass, reason)).output("released", "false")
}

/// Which version this is; nothing when no commit asks for one.
async fn choose(ctx: &Ctx, git: &Git<'_>, build: &Build) -> Result<Option<Chosen>> {
    let policy = &build.policy;
    let commit = git.head().await?;
    confirm_branch(ctx, git, &commit, &policy.branch).await?;
    let tags = git.tags(&commit).await?;
    let tagged = version::tagged(tags.iter().map(String::as_str), &policy.tag);
    let mut here = None;
    let mut last = None;
    for (version, tag) in &tagged {
        let at = git.commit(&format!("refs/tags/{tag}")).await?;
        if at.as_deref() == Some(&commit) {
            here.get_or_insert_with(|| version.clone());
        } else if last.is_none() {
            last = Some((version.clone(), *tag));
        }
    }
    let from = last.as_ref().map(|(_, tag)| format!("refs/tags/{tag}"));
    let commits = git.log(from.as_deref(), &commit).await?;
    let changes: Vec<Change> = commits
        .into_iter()
        .map(|commit| Change::of(&Commit { id: commit.id, message: commit.message }))
        .collect();
    let last = last.map(|(version, _)| version);
    let chosen = build.version.clone().or(here).or_else(|| version::next(last.as_ref(), &changes));
    let Some(version) = chosen else { return Ok(None) };
    let tag = policy.tag_of(&version.to_string());
    if let Some(known) = git.commit(&format!("refs/tags/{tag}")).await?
        && known != commit
    {
        return Err(git::taken(&format!("refs/tags/{tag}"), &known, &commit).into());
    }
    if let Some(last) = last.filter(|last| version <= *last) {
        let message = format!("{version} does not come after {last}, which was released before");
        return Err(Fault::usage(message).into());
    }
    let (tree, time) = (git.tree(&commit).await?, git.time(&commit).await?);
    Ok(Some(Chosen { version, tag, commit, tree, time, changes }))
}

/// A release is cut from the main branch, or from an earlier release's.
async fn confirm_branch(ctx: &Ctx, git: &Git<'_>, commit: &str, main: &str) -> Result<()> {
    let on_main = git::is_on(&ctx.env, git.root(), commit, main).await?;
    if on_main == Some(true) {
        return Ok(());
    }
    let own = git.branch().await?.or_else(|| ctx.context.branch.clone()).unwrap_or_default();
    if own.starts_with("release/")
        && git::is_on(&ctx.env, git.root(), commit, &own).await? == Some(true)
    {
        return Ok(());
    }
    let fault = match on_main {
        Some(_) => Fault::usage(format!("commit {commit} is not on `{main}`"))
            .hint("merge it first, or release from a branch `release/…`"),
        None => Fault::usage(format!("git does not know the branch `{main}` here"))
            .hint("fetch it with its history (`fetch-depth: 0`), or set `release.branch`"),
    };
    Err(fault.into())
}

/// A release that is written.
struct Made {
    manifest: Manifest,
    digest: Sha256,
    notes: String,
    folder: PathBuf,
    unresolved: Vec<(String, String)>,
    packages: usize,
    unlocked: Option<String>,
}

async fn assemble(
    ctx: &Ctx,
    git: &Git<'_>,
    build: &Build,
    chosen: &Chosen,
    tested: Option<Tested>,
) -> Result<Made> {
    let tree = Tree::read(git, &chosen.commit).await?;
    let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
    let sources = git.texts(&chosen.commit, is_yaml).await?;
    let lock_name = |path: &str| lock::NAMES.contains(&path.rsplit('/').next().unwrap_or(path));
    let locks = git.texts(&chosen.commit, lock_name).await?;
    let targets = bundle::targets(&sources).map_err(|error| checkout::usage(&error))?;
    let wanted = build.policy.targets.clone().unwrap_or_else(|| targets.clone());
    let (mut resolved, mut unresolved) = (BTreeMap::new(), Vec::new());
    let mut any = None;
    for target in &wanted {
        match checkout::unassigned(&sources, Some(target), &ctx.context) {
            Ok(bundle) => {
                resolved.insert(target.clone(), bundle.shown());
                any = Some(bundle);
            }
            Err(error) if targets.contains(target) => {
                // What is given when it is deployed is not known now.
                unresolved.push((target.clone(), format!("{error:#}")));
            }
            Err(error) => return Err(error),
        }
    }
    let bundle = match any {
        Some(bundle) => bundle,
        None => checkout::unassigned(&sources, None, &ctx.context)?,
    };
    let version = chosen.version.to_string();
    let folder = build.out.join(format!("{}-{version}", bundle.name));
    publish::empty(&folder)?;
    let archive = folder.join(format!("{}-{version}.tar.gz", bundle.name));
    ctx.host.progress(&format!("pack {} {version} from {}", bundle.name, chosen.commit));
    let Packed { archive, files } = pack::archive(ctx, git, tree, &bundle, &archive).await?;
    let (packages, unlocked) = locked(&locks);
    let mut tools = deployment::builders(ctx, &bundle).await;
    tools.insert("lakegate".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let remote = git.remote(&build.policy.remote).await;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        name: bundle.name.clone(),
        version: version.clone(),
        repository: ctx.context.repository.clone().or(remote).unwrap_or_default(),
        commit: chosen.commit.clone(),
        tree: chosen.tree.clone(),
        folder: if git.folder.is_empty() { ".".to_owned() } else { git.folder.clone() },
        tested,
        locks: locks.iter().map(|(path, text)| (path.clone(), Sha256::of(text))).collect(),
        targets: resolved,
        tools,
        archive,
        files,
    };
    let day = chosen.time.get(..10).unwrap_or_default();
    let notes = notes::section(&version, day, &chosen.changes);
    let digest = write(ctx, &folder, &manifest, &notes, chosen, &packages)?;
    let packages = packages.len();
    Ok(Made { manifest, digest, notes, folder, unresolved, packages, unlocked })
}

/// The packages of the first lock that is one, or why there is none.
fn locked(locks: &BTreeMap<String, String>) -> (Vec<Package>, Option<String>) {
    let mut why = None;
    for name in lock::NAMES {
        let own = locks.iter().filter(|(path, _)| path.rsplit('/').next() == Some(name));
        let mut found = Vec::new();
        let mut complete = true;
        for (path, text) in own {
            match lock::packages(path, text) {
                Ok(packages) => found.extend(packages),
                Err(message) => {
                    why.get_or_insert(message);
                    complete = false;
                }
            }
        }
        if complete && !found.is_empty() {
            found.sort();
            found.dedup();
            return (found, None);
        }
    }
    (Vec::new(), Some(why.unwrap_or_else(|| "the bundle has no lock file".to_owned())))
}

/// Writes everything beside the archive, the list of digests last.
fn write(
    ctx: &Ctx,
    folder: &Path,
    manifest: &Manifest,
    notes: &str,
    chosen: &Chosen,
    packages: &[Package],
) -> Result<Sha256> {
    let wrong = |message: String| Fault::new(FaultKind::Integrity, message);
    let bytes = manifest.canonical().map_err(wrong)?;
    let digest = Sha256::of(&bytes);
    let bom = lock::sbom(&manifest.name, &manifest.version, &chosen.time, digest, packages);
    let bom = manifest::canonical(&bom).map_err(wrong)?;
    let mut subjects = vec![(manifest.archive.path.clone(), manifest.archive.sha256)];
    let documents =
        [(shelf::MANIFEST, bytes), (shelf::NOTES, notes.as_bytes().to_vec()), (shelf::SBOM, bom)];
    for (name, bytes) in documents {
        subjects.push((name.to_owned(), Sha256::of(&bytes)));
        fs::write_atomic(folder.join(name), bytes)?;
    }
    subjects.sort();
    let statement = provenance::statement(
        &provenance::Build {
            repository: &manifest.repository,
            commit: &manifest.commit,
            folder: &manifest.folder,
            version: &manifest.version,
            builder: ctx.context.host,
            run_url: ctx.context.run_url.as_deref(),
            locks: manifest.locks.iter().map(|(name, digest)| (name.as_str(), *digest)).collect(),
        },
        &subjects,
    );
    let statement = manifest::canonical(&statement).map_err(wrong)?;
    subjects.push((shelf::PROVENANCE.to_owned(), Sha256::of(&statement)));
    subjects.sort();
    fs::write_atomic(folder.join(shelf::PROVENANCE), statement)?;
    let sums = manifest::sums(subjects.iter().map(|(name, digest)| (name.as_str(), *digest)));
    fs::write_atomic(folder.join(shelf::SUMS), sums)?;
    Ok(digest)
}

fn conclude(
    chosen: &Chosen,
    made: &Made,
    link: Option<&str>,
    tested_by: TestedBy,
) -> Result<Outcome> {
    // What cannot be opened again is no release.
    let opened = shelf::open(&made.folder, None).context("open the release that was built")?;
    let manifest = &opened.manifest;
    let mut report =
        Report::new("release-build", format!("Release {} {}", manifest.name, manifest.version));
    report.fact("commit", chosen.commit.clone());
    report.fact("tag", chosen.tag.clone());
    report.fact("folder", made.folder.display().to_string());
    report.fact("manifest", made.digest.to_string());
    report.fact("archive", manifest.archive.sha256.to_string());
    if let Some(tested) = &manifest.tested {
        report.fact("tested", format!("{}: {}", tested.by, tested.evidence));
    }
    if let Some(link) = link {
        report.fact("link", link);
    }
    if tested_by == TestedBy::None {
        let title = "nobody asked whether this commit was tested";
        report.findings.push(
            Finding::new(Severity::Warning, "release/untested", title)
                .hint("set `release.tested_by` to `table` or `checks`"),
        );
    }
    if let Some(why) = &made.unlocked {
        let title = format!("the packages that this needs are not known: {why}");
        report.findings.push(
            Finding::new(Severity::Warning, "release/unlocked", title)
                .hint("commit a lock file with one version of each package"),
        );
    }
    for (target, why) in &made.unresolved {
        let title = format!("target `{target}` is not resolved in the manifest: {why}");
        report.findings.push(Finding::new(Severity::Notice, "release/unresolved", title));
    }
    let mut table = Table::new("Changes", ["kind", "change", "commit"]);
    for change in &chosen.changes {
        let short = change.id.get(..7).unwrap_or(&change.id).to_owned();
        let kind = if change.kind.is_empty() { "–".to_owned() } else { change.kind.clone() };
        table.row(None, [kind, change.subject.clone(), short]);
    }
    report.tables.push(table);
    let reason = format!(
        "{} {}: {} files in {} bytes, {} packages known",
        manifest.name,
        manifest.version,
        manifest.files.len(),
        manifest.archive.size,
        made.packages,
    );
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("released", "true")
        .output("version", manifest.version.clone())
        .output("tag", chosen.tag.clone())
        .output("commit", chosen.commit.clone())
        .output("release", made.folder.display().to_string())
        .output("manifest-digest", made.digest.to_string()))
}
