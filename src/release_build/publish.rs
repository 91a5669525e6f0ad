//! The names of a release, and where its files go.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::run::Publish;
use crate::checkout::release::{self, Opened};
use crate::config::release_branch;
use crate::forge::{Announced, Forge};
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
            ctx.host.upload_artifact(&format!("release-{}", release.version), &files);
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

/// What was published of this tag before, in a folder below `out`, and where it can be
/// seen; nothing where nothing was.
///
/// # Errors
/// When it is of another commit.
pub(super) async fn published(
    ctx: &Ctx,
    (tag, commit): (&str, &str),
    out: &Path,
) -> Result<Option<(Opened, PathBuf, String)>> {
    let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
    let Some(link) = forge.released(tag).await? else { return Ok(None) };
    fs::create_dir_all(out)?;
    let taken = tempfile::tempdir_in(out).context("make a folder for the release")?;
    forge.take_release(tag, taken.path()).await?;
    let opened = release::open(taken.path(), None).context("open the release that is published")?;
    let manifest = &opened.manifest;
    if manifest.commit != commit {
        let message = format!(
            "the release `{tag}` is published, of commit {}, not {commit}: {link}",
            manifest.commit
        );
        return Err(Fault::new(FaultKind::Conflict, message).into());
    }
    let folder = out.join(format!("{}-{}", manifest.name, manifest.version));
    empty(&folder)?;
    for (name, _, _) in fs::entries(taken.path())?.unwrap_or_default() {
        fs::write_new(folder.join(&name), &fs::read(taken.path().join(&name))?, false)?;
    }
    Ok(Some((opened, folder, link)))
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
