//! Where the bundle comes from: the folder it lies in, or a release.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::run::Wanted;
use crate::bundle::Bundle;
use crate::checkout::release::{self as shelf, Opened};
use crate::checkout::{self, BundleChoice};
use crate::deployment::releases::{self, Way};
use crate::forge::Forge;
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::{fs, https};

/// A bundle that is ready to be compared.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bundle: Bundle,
    pub(super) choice: BundleChoice,
    pub(super) release: Option<Opened>,
    /// Where a release was unpacked; gone when this is.
    _unpacked: Option<TempDir>,
}

impl Source {
    /// The bundle of a folder.
    async fn of_folder(ctx: &Ctx, choice: BundleChoice) -> Result<Self> {
        let bundle = checkout::load_bundle(&choice, &ctx.client, &ctx.env, &ctx.context).await?;
        checkout::confirm_host(&ctx.client, &bundle)?;
        Ok(Self { bundle, choice, release: None, _unpacked: None })
    }

    /// The bytes of a release, and no others.
    async fn of_release(
        ctx: &Ctx,
        choice: &BundleChoice,
        path: &Path,
        digest: Option<Sha256>,
    ) -> Result<Self> {
        let opened = shelf::open(path, digest)?;
        confirm_repository(ctx, &opened)?;
        confirm_bundle(&choice.root, &opened)?;
        let unpacked = tempfile::tempdir().context("make a folder for the release")?;
        opened.unpack(unpacked.path())?;
        let choice = BundleChoice { root: unpacked.path().to_path_buf(), ..choice.clone() };
        let mut context = ctx.context.clone();
        context.commit = Some(opened.manifest.commit.clone());
        // Which branch the pipeline runs on says nothing about the release.
        context.branch = None;
        let mut bundle = checkout::load_bundle(&choice, &ctx.client, &ctx.env, &context).await?;
        checkout::confirm_host(&ctx.client, &bundle)?;
        // Its wheels are in it: nothing is built again.
        for artifact in &mut bundle.artifacts {
            artifact.build = None;
        }
        Ok(Self { bundle, choice, release: Some(opened), _unpacked: Some(unpacked) })
    }

    pub(super) async fn open(ctx: &Ctx, wanted: &Wanted) -> Result<Self> {
        let Some(named) = &wanted.release else {
            return Self::of_folder(ctx, wanted.choice.clone()).await;
        };
        let is_address = named.contains("://");
        let is_there = is_address || Path::new(named).exists();
        let tag = wanted.tags.tag_named(named).filter(|_| !is_there);
        if !is_address && tag.is_none() {
            return Self::of_release(ctx, &wanted.choice, Path::new(named), wanted.digest).await;
        }
        let fetched = tempfile::tempdir().context("make a folder for the release")?;
        match tag {
            Some(tag) => {
                let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
                ctx.host.progress(&format!("fetch the release {tag}"));
                forge.take_release(&tag, fetched.path()).await?;
            }
            None => download(ctx, named, fetched.path()).await?,
        }
        Self::of_release(ctx, &wanted.choice, fetched.path(), wanted.digest).await
    }

    /// The release that was deployed before `from`, or before the present one.
    pub(super) async fn previous(ctx: &Ctx, wanted: &Wanted, from: Option<&str>) -> Result<Self> {
        let present = Self::open(ctx, wanted).await?;
        let store = crate::deployment::Store::new(&ctx.client, &present.bundle);
        let remembered = store.remembered().await?;
        let nothing = |message: &str| {
            Fault::usage(message.to_owned()).hint(
                "deploy with `bundle-deploy apply --release …` to have something to go back to",
            )
        };
        let history = releases::history(&ctx.client, &present.bundle).await?;
        // After a deployment that failed, it is not known what runs here.
        let state = store.state().await?;
        let now = remembered.release(&state).map(|release| release.digest);
        if let Some(settled) = history.settled()
            && now != Some(settled.digest)
        {
            return Err(nothing("what is deployed is no release").into());
        }
        let before = match history.back(from) {
            Way::To(before) => before,
            Way::Nothing => return Err(nothing("no release was deployed here before").into()),
            Way::Unknown => {
                let version = from.unwrap_or_default();
                return Err(Fault::usage(format!("release {version} was not deployed here"))
                    .or_near(version, history.versions())
                    .into());
            }
            Way::Overtaken(by) => {
                let message = format!(
                    "release {} runs here, not {}: somebody deployed in between",
                    by.version,
                    from.unwrap_or_default()
                );
                return Err(Fault::new(FaultKind::Conflict, message).into());
            }
        };
        let fetched = tempfile::tempdir().context("make a folder for the release")?;
        releases::fetch(&ctx.client, &present.bundle, before, fetched.path()).await?;
        Self::of_release(ctx, &wanted.choice, fetched.path(), Some(before.digest))
            .await
            .with_context(|| format!("open the kept release {}", before.version))
    }
}

/// Where a bundle lies here, its own release is meant: a repository may have several.
fn confirm_bundle(root: &Path, opened: &Opened) -> Result<()> {
    if !root.join("databricks.yml").is_file() {
        return Ok(());
    }
    let sources = checkout::sources(root)?;
    let name = crate::bundle::name(&sources).map_err(|error| checkout::usage(&error))?;
    let theirs = &opened.manifest.name;
    if name.as_ref().is_none_or(|own| own == theirs) {
        return Ok(());
    }
    let message =
        format!("the release is of the bundle `{theirs}`, here is `{}`", name.unwrap_or_default());
    Err(Fault::new(FaultKind::Integrity, message).into())
}

/// A pipeline deploys its own repository's releases.
fn confirm_repository(ctx: &Ctx, opened: &Opened) -> Result<(), Fault> {
    let theirs = opened.manifest.repository.trim_end_matches(".git");
    let Some(own) = ctx.context.repository.as_deref() else { return Ok(()) };
    if theirs == own || theirs.ends_with(&format!("/{own}")) {
        return Ok(());
    }
    let message = format!("the release is of `{theirs}`, this runs in `{own}`");
    Err(Fault::new(FaultKind::Integrity, message))
}

/// What a server may send for the list of checksums, and for a file of that list.
const LARGEST_SUMS: u64 = 1 << 20;
const LARGEST_FILE: u64 = 4 << 30;

/// Fetches a release whose manifest is at an address, and what lies beside it.
async fn download(ctx: &Ctx, address: &str, into: &Path) -> Result<()> {
    let address = reqwest::Url::parse(address)
        .map_err(|error| Fault::usage(format!("`{address}` is no address: {error}")))?;
    if !https::keeps_tokens(&address) {
        return Err(Fault::usage(format!("`{address}` is not fetched: it must be https")).into());
    }
    let client = https::client()?;
    let fetch = async |name: &str, most: u64| -> Result<()> {
        let place = address.join(name)?;
        ctx.host.progress(&format!("fetch {place}"));
        let answer = https::download(&client, place.clone(), most).await;
        let bytes = answer.with_context(|| format!("fetch {place}"))?;
        fs::write_new(into.join(name), &bytes, false)
    };
    fetch(shelf::SUMS, LARGEST_SUMS).await?;
    let sums = fs::read_text(into.join(shelf::SUMS))?;
    let sums = crate::release::manifest::parse_sums(&sums)
        .map_err(|message| Fault::new(FaultKind::Integrity, message))?;
    for name in sums.keys() {
        fetch(name, LARGEST_FILE).await?;
    }
    Ok(())
}

/// The folder that a plan's files come from.
pub(super) fn root(source: &Source) -> &PathBuf {
    &source.choice.root
}
