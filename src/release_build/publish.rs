//! The names of a release, and where its files go.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::run::Publish;
use crate::config::release_branch;
use crate::forge::{Announced, Forge};
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
