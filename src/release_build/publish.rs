//! The names of a release, and where its files go.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::run::Publish;
use crate::checkout::release;
use crate::config::release_branch;
use crate::forge::{self, Announced, Forge};
use crate::names::Sha256;
use crate::release::Manifest;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::fs;
use crate::sys::git::Git;

/// What is to be known everywhere.
#[derive(Debug)]
pub(super) struct Release<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) tag: &'a str,
    pub(super) commit: &'a str,
    pub(super) notes: &'a str,
    pub(super) folder: &'a Path,
    pub(super) remote: &'a str,
}

/// Names the commit and hands over the files. Done again, nothing happens.
/// Returns where the release can be seen.
pub(super) async fn publish(
    ctx: &Ctx,
    git: &Git<'_>,
    to: Publish,
    release: &Release<'_>,
) -> Result<Option<String>> {
    let names = [
        format!("refs/heads/{}", release_branch(release.tag)),
        format!("refs/tags/{}", release.tag),
    ];
    match to {
        Publish::None => local(git, &names, release).await.map(|()| None),
        Publish::Git => {
            git.push(release.remote, &names, release.commit).await?;
            local(git, &names, release).await.map(|()| None)
        }
        Publish::Host => {
            let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
            for name in &names {
                forge.name(name, release.commit).await?;
            }
            local(git, &names, release).await?;
            let files = files(release.folder)?;
            ctx.host.upload_artifact(&forge::release_artifact(release.tag), &files);
            ctx.host.tag_run(release.tag);
            forge
                .announce(&Announced {
                    tag: release.tag.to_owned(),
                    commit: release.commit,
                    title: format!("{} {}", release.name, release.version),
                    notes: release.notes.to_owned(),
                    files: &files,
                })
                .await
        }
    }
}

async fn local(git: &Git<'_>, names: &[String], release: &Release<'_>) -> Result<()> {
    for name in names {
        git.name(name, release.commit).await?;
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let names = fs::entries(folder)?.unwrap_or_default();
    Ok(names.into_iter().map(|(name, _, _)| folder.join(name)).collect())
}

/// Takes the place of what was just built: the release that was published of this tag
/// before, when it is the same. Returns its digest and where it can be seen; nothing
/// where nothing was published.
///
/// # Errors
/// When it holds anything else than what was built, but for who built it and what
/// says that it was tested.
pub(super) async fn adopt(
    ctx: &Ctx,
    tag: &str,
    (built, folder): (&Manifest, &Path),
    out: &Path,
) -> Result<Option<(Sha256, String)>> {
    let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
    let Some(link) = forge.released(tag).await? else { return Ok(None) };
    let taken = tempfile::tempdir_in(out).context("make a folder for the release")?;
    forge.take_release(tag, taken.path()).await?;
    let opened = release::open(taken.path(), None).context("open the release that is published")?;
    let differs = |what: &str| {
        let message = format!("the release `{tag}` is published, and differs in {what}: {link}");
        Fault::new(FaultKind::Conflict, message).hint(
            "deploy the one that is published, or build with the tools that it was built with",
        )
    };
    let theirs = &opened.manifest;
    if built.tested.is_some() && theirs.tested.is_none() {
        return Err(differs("what says that it was tested: nothing does").into());
    }
    let own =
        Manifest { tested: theirs.tested.clone(), tools: theirs.tools.clone(), ..built.clone() };
    if let Some(first) = apart(&own, theirs)? {
        return Err(differs(&format!("`{first}`")).into());
    }
    let notes = |folder: &Path| fs::digest(&folder.join(release::NOTES));
    if notes(taken.path())? != notes(folder)? {
        return Err(differs("its notes").into());
    }
    for (name, _, _) in fs::entries(taken.path())?.unwrap_or_default() {
        fs::write_atomic(folder.join(&name), fs::read(taken.path().join(&name))?)?;
    }
    Ok(Some((opened.digest, link)))
}

/// The first field in which two manifests differ.
fn apart(one: &Manifest, other: &Manifest) -> Result<Option<String>> {
    let [one, other] = [serde_json::to_value(one)?, serde_json::to_value(other)?];
    let fields = one.as_object().into_iter().chain(other.as_object()).flatten();
    let first = fields.map(|(name, _)| name).find(|name| one.get(name) != other.get(name));
    Ok(first.cloned())
}

/// An earlier build's files would be taken for this one's.
pub(super) fn empty(folder: &Path) -> Result<()> {
    for (name, is_folder, _) in fs::entries(folder)?.unwrap_or_default() {
        if is_folder {
            let message = format!("`{}` holds a folder, `{name}`", folder.display());
            return Err(Fault::usage(message).hint("choose another folder with --out").into());
        }
        fs::remove(folder.join(name))?;
    }
    fs::create_dir_all(folder)
}
