//! Names of commits, and releases with their files.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, refused};
use crate::forge::{Announced, is_file_name};
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::sys::{fs, git, https};

const WRITE: &str = "contents: write";

/// Tags of tags that are followed.
const MOST_TAGS: usize = 8;

#[derive(Debug, Deserialize)]
struct Reference {
    object: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    sha: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Release {
    id: u64,
    tag_name: String,
    draft: bool,
    html_url: String,
    #[serde(default)]
    assets: Vec<Asset>,
}

#[derive(Debug, Deserialize)]
struct Asset {
    id: u64,
    name: String,
    size: u64,
    /// `sha256:…`; older servers do not tell it.
    digest: Option<String>,
}

impl GitHub {
    /// Gives a commit a name below `refs/`.
    pub(in crate::forge) async fn name(&self, reference: &str, commit: &str) -> Result<()> {
        if self.named(reference, commit).await? {
            return Ok(());
        }
        let body = json!({ "ref": reference, "sha": commit });
        let made: Result<Value, _> = self.api.post(self.route("git/refs"), Some(&body)).await;
        match made {
            Ok(_) => Ok(()),
            // Another run may have come first.
            Err(_) if self.named(reference, commit).await? => Ok(()),
            Err(error) => Err(refused(&format!("make `{reference}`"), WRITE, error)),
        }
    }

    async fn named(&self, reference: &str, commit: &str) -> Result<bool> {
        let short = reference.strip_prefix("refs/").unwrap_or(reference);
        let found: Result<Reference, _> =
            self.api.get(self.route(&format!("git/ref/{short}")), None::<&()>).await;
        match found {
            Ok(found) => match self.commit_of(reference, found.object).await? {
                known if known == commit => Ok(true),
                known => Err(git::taken(reference, &known, commit).into()),
            },
            Err(octocrab::Error::GitHub { source, .. }) if source.status_code.as_u16() == 404 => {
                Ok(false)
            }
            Err(error) => Err(refused(&format!("look for `{reference}`"), "contents: read", error)),
        }
    }

    /// An annotated tag is an object of its own, and may be of another one.
    async fn commit_of(&self, reference: &str, mut target: Target) -> Result<String> {
        for _ in 0..MOST_TAGS {
            if target.kind != "tag" {
                break;
            }
            let route = self.route(&format!("git/tags/{}", target.sha));
            let found: Result<Reference, _> = self.api.get(route, None::<&()>).await;
            let found = found.map_err(|error| {
                refused(&format!("look at `{reference}`"), "contents: read", error)
            })?;
            target = found.object;
        }
        Ok(target.sha)
    }

    /// A draft, then every file, then the release: nobody sees half of it.
    pub(in crate::forge) async fn announce(&self, told: &Announced<'_>) -> Result<String> {
        let release = match self.find_release(&told.tag).await? {
            Some(release) => release,
            None => self.draft(told).await?,
        };
        let mut files = Vec::new();
        for path in told.files {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            files.push((name.to_owned(), fs::read(path)?));
        }
        let mut missing = Vec::new();
        for (name, bytes) in &files {
            match release.assets.iter().find(|asset| asset.name == *name) {
                Some(asset) if same(asset, bytes) => {}
                // A draft is ours to mend: an upload that broke off is made again.
                Some(asset) if release.draft => {
                    self.drop_asset(asset.id).await?;
                    missing.push((name, bytes));
                }
                None if release.draft => missing.push((name, bytes)),
                _ => {
                    let message = format!(
                        "the release `{}` is published, with another `{name}`: {}",
                        told.tag, release.html_url
                    );
                    return Err(Fault::new(FaultKind::Conflict, message).into());
                }
            }
        }
        for (name, bytes) in missing {
            let (owner, repository) =
                self.repository.split_once('/').context("read the repository's name")?;
            let handler = self.api.repos(owner, repository);
            let releases = handler.releases();
            let sent = releases.upload_asset(release.id, name, bytes.clone().into()).send().await;
            sent.map_err(|error| refused(&format!("upload `{name}`"), WRITE, error))?;
        }
        if !release.draft {
            return Ok(release.html_url);
        }
        let route = self.route(&format!("releases/{}", release.id));
        let shown: Result<Release, _> =
            self.api.patch(route, Some(&json!({ "draft": false }))).await;
        Ok(shown.map_err(|error| refused("publish the release", WRITE, error))?.html_url)
    }

    async fn published(&self, tag: &str) -> Result<Option<Release>> {
        let route = self.route(&format!("releases/tags/{tag}"));
        let found: Result<Release, _> = self.api.get(route, None::<&()>).await;
        match found {
            Ok(release) => Ok(Some(release)),
            Err(octocrab::Error::GitHub { source, .. }) if source.status_code.as_u16() == 404 => {
                Ok(None)
            }
            Err(error) => Err(refused("read the release", "contents: read", error)),
        }
    }

    pub(in crate::forge) async fn released(&self, tag: &str) -> Result<Option<String>> {
        Ok(self.published(tag).await?.map(|release| release.html_url))
    }

    /// Puts the files of a published release into a folder.
    pub(in crate::forge) async fn take_release(&self, tag: &str, into: &Path) -> Result<()> {
        let Some(release) = self.published(tag).await? else {
            let message = format!("`{}` has no published release `{tag}`", self.repository);
            return Err(Fault::usage(message).hint("name its tag, or its folder").into());
        };
        let client = https::client()?;
        for asset in &release.assets {
            if !is_file_name(&asset.name) {
                let message = format!("the release `{tag}` has a file `{}`", asset.name);
                return Err(Fault::new(FaultKind::Integrity, message).into());
            }
            let bytes = self.asset(&client, asset).await;
            let bytes = bytes.with_context(|| format!("fetch `{}` of `{tag}`", asset.name))?;
            if !same(asset, &bytes) {
                let message = format!("`{}` of `{tag}` is not what GitHub says it is", asset.name);
                return Err(Fault::new(FaultKind::Integrity, message).into());
            }
            fs::write_new(into.join(&asset.name), &bytes, false)?;
        }
        Ok(())
    }

    /// The bytes of a file. Where they lie elsewhere, the token does not go along.
    async fn asset(&self, client: &reqwest::Client, asset: &Asset) -> Result<Vec<u8>> {
        let place = self.route(&format!("releases/assets/{}", asset.id));
        let place: reqwest::Url = format!("{}{place}", self.base).parse()?;
        let call = client
            .get(place.clone())
            .bearer_auth(self.token.expose())
            .header(reqwest::header::ACCEPT, "application/octet-stream");
        let answer = call.send().await;
        let answer = answer.map_err(|error| anyhow::anyhow!(https::plain_reason(&error)))?;
        if answer.status().is_redirection() {
            let next = answer.headers().get(reqwest::header::LOCATION);
            let next = next.and_then(|value| value.to_str().ok()).context("it leads nowhere")?;
            let next = place.join(next)?;
            anyhow::ensure!(https::keeps_tokens(&next), "it leads to an address without https");
            return https::download(client, next, asset.size).await;
        }
        anyhow::ensure!(answer.status().is_success(), "HTTP {}", answer.status().as_u16());
        https::body(answer, asset.size).await
    }

    /// Drafts are found by going through the list only.
    async fn find_release(&self, tag: &str) -> Result<Option<Release>> {
        for page in 1..=10 {
            let query = [("per_page", "100".to_owned()), ("page", page.to_string())];
            let found: Result<Vec<Release>, _> =
                self.api.get(self.route("releases"), Some(&query)).await;
            let found =
                found.map_err(|error| refused("list the releases", "contents: read", error))?;
            let last = found.len() < 100;
            if let Some(release) = found.into_iter().find(|release| release.tag_name == tag) {
                return Ok(Some(release));
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    async fn draft(&self, told: &Announced<'_>) -> Result<Release> {
        let body = json!({
            "tag_name": told.tag,
            "target_commitish": told.commit,
            "name": told.title,
            "body": told.notes,
            "draft": true,
        });
        let made: Result<Release, _> = self.api.post(self.route("releases"), Some(&body)).await;
        made.map_err(|error| refused("draft the release", WRITE, error))
    }

    async fn drop_asset(&self, id: u64) -> Result<()> {
        let route = self.route(&format!("releases/assets/{id}"));
        let answer = self.api._delete(route, None::<&()>).await;
        let answer = answer.map_err(|error| refused("take back a file", WRITE, error))?;
        octocrab::map_github_error(answer)
            .await
            .map_err(|error| refused("take back a file", WRITE, error))?;
        Ok(())
    }
}

fn same(asset: &Asset, bytes: &[u8]) -> bool {
    let digest = format!("sha256:{}", Sha256::of(bytes));
    asset.size == bytes.len() as u64 && asset.digest.as_ref().is_none_or(|told| *told == digest)
}
