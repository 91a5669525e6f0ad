//! The releases that were deployed to a target, kept beside the deployment so
//! that any of them can be deployed again.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Deployed};
use crate::checkout::release::Opened;
use crate::databricks::Client;
use crate::names::Sha256;
use crate::sys::fs;

/// Larger releases are not kept: the pipeline's own artifacts have them.
const MOST: u64 = 200 << 20;

/// In the order in which they were first deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub Vec<Deployed>);

impl Index {
    /// The newest of a version.
    pub fn find(&self, version: &str) -> Option<Sha256> {
        self.0.iter().rfind(|known| known.version == version).map(|known| known.digest)
    }

    /// The one that was deployed before this one.
    pub fn before(&self, present: &Sha256) -> Option<&Deployed> {
        let at = self.0.iter().position(|known| known.digest == *present)?;
        self.0[..at].last()
    }
}

fn folder(bundle: &Bundle) -> String {
    format!("{}/releases", bundle.root_path)
}

/// What was deployed to this target so far.
pub async fn index(client: &Client, bundle: &Bundle) -> Result<Index> {
    let path = format!("{}/index.json", folder(bundle));
    match client.workspace_read(&path).await.context("read which releases were deployed")? {
        None => Ok(Index::default()),
        Some(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read `{path}`")),
    }
}

/// Keeps a release; false when it is too large for that.
pub async fn keep(client: &Client, bundle: &Bundle, opened: &Opened) -> Result<bool> {
    if opened.manifest.archive.size > MOST {
        return Ok(false);
    }
    let mut index = index(client, bundle).await?;
    let release = opened.deployed();
    if index.0.iter().any(|known| known.digest == release.digest) {
        return Ok(true);
    }
    let own = format!("{}/{}", folder(bundle), release.digest.short());
    client.workspace_mkdirs(&own).await.context("make a folder for the release")?;
    for (name, bytes) in opened.files()? {
        let path = format!("{own}/{name}");
        client
            .workspace_write(&path, bytes.into(), true)
            .await
            .with_context(|| format!("keep `{path}`"))?;
    }
    index.0.push(release);
    // Last, so that what is listed is there.
    let path = format!("{}/index.json", folder(bundle));
    let bytes = serde_json::to_vec_pretty(&index)?;
    client.workspace_write(&path, bytes.into(), true).await.context("note the release")?;
    Ok(true)
}

/// Brings a kept release into an empty folder. Its bytes are not proved yet.
pub async fn fetch(
    client: &Client,
    bundle: &Bundle,
    release: &Deployed,
    into: &Path,
) -> Result<()> {
    let own = format!("{}/{}", folder(bundle), release.digest.short());
    let listed = client.workspace_list(&own).await;
    for file in listed.with_context(|| format!("look for the release at `{own}`"))? {
        let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
        crate::release::path::check(name.as_bytes())?;
        let bytes = client.workspace_file(&file.path).await;
        let bytes = bytes.with_context(|| format!("read `{}`", file.path))?;
        fs::write_new(into.join(name), &bytes, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_leads_to_the_one_before() {
        let release = |version: &str| Deployed {
            version: version.into(),
            commit: String::new(),
            digest: Sha256::of(version),
        };
        let index = Index(["1", "2", "3"].map(release).to_vec());
        let before =
            |version: &str| index.before(&Sha256::of(version)).map(|found| &*found.version);
        assert_eq!((before("3"), before("2"), before("1")), (Some("2"), Some("1"), None));
        assert_eq!(before("4"), None);
    }
}
