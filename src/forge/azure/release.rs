//! The files of releases: artifacts of the runs that have their tag.

use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use reqwest::Url;
use zip::ZipArchive;

use super::{Azure, told};
use crate::forge::{is_file_name, release_artifact};
use crate::report::{Fault, FaultKind};
use crate::sys::retry::{self, Class};
use crate::sys::{fs, https};

/// Bytes that the files of a release may have together.
const MOST: u64 = 4 << 30;

impl Azure {
    pub(in crate::forge) async fn take_release(&self, tag: &str, into: &Path) -> Result<()> {
        let name = release_artifact(tag);
        let mut url = self.url(&["build", "builds"]);
        url.query_pairs_mut()
            .append_pair("tagFilters", tag)
            .append_pair("queryOrder", "queueTimeDescending");
        let found = self.read(url, "look for the run that made the release").await?;
        let runs = found["value"].as_array().into_iter().flatten();
        for run in runs.filter_map(|run| run["id"].as_u64()) {
            if let Some(place) = self.artifact(run, &name).await? {
                let request = || self.client.get(place.clone()).bearer_auth(self.token.expose());
                let zipped = https::send(Class::Read, retry::MAX_ATTEMPTS, request).await;
                let zipped = zipped.map_err(|error| told("fetch the release", &error))?;
                return unzip(&name, &zipped, into);
            }
        }
        let message = format!("no run with the tag `{tag}` has kept an artifact `{name}`");
        let hint = "name the folder of the release; runs and what they kept are deleted after a while, unless they are retained";
        Err(Fault::usage(message).hint(hint).into())
    }

    /// Where an artifact of a run can be had, as a zip file.
    async fn artifact(&self, run: u64, name: &str) -> Result<Option<Url>> {
        let url = self.url(&["build", "builds", &run.to_string(), "artifacts"]);
        let found = self.read(url, "look for what the run has kept").await?;
        let mut all = found["value"].as_array().into_iter().flatten();
        let Some(artifact) = all.find(|artifact| artifact["name"] == name) else {
            return Ok(None);
        };
        let place = artifact["resource"]["downloadUrl"].as_str().context("it has no address")?;
        let place: Url = place.parse().with_context(|| format!("read the address of `{name}`"))?;
        // The token is for the service alone.
        if !https::keeps_tokens(&place) || !self.is_own(&place) {
            let message = format!("`{name}` lies at {}: no token was sent", place.authority());
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
        Ok(Some(place))
    }

    /// Whether an address is of the service that the run is at, or of its storage for
    /// artifacts.
    fn is_own(&self, place: &Url) -> bool {
        let host = place.host_str().unwrap_or_default();
        place.origin() == self.project.origin()
            || host.ends_with(".visualstudio.com")
            || host == "dev.azure.com"
    }
}

/// Takes the files out of an artifact: plain ones, below its name or at once.
fn unzip(name: &str, zipped: &[u8], into: &Path) -> Result<()> {
    let broken = |what: String| Fault::new(FaultKind::Integrity, format!("`{name}`: {what}"));
    let mut archive =
        ZipArchive::new(Cursor::new(zipped)).map_err(|error| broken(error.to_string()))?;
    let mut left = MOST;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|error| broken(error.to_string()))?;
        if entry.is_dir() {
            continue;
        }
        let path = entry.name().map_err(|error| broken(error.to_string()))?.into_owned();
        let file = path.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        let file = file.unwrap_or(&path);
        if entry.is_symlink() || !is_file_name(file) {
            return Err(broken(format!("`{path}` is no file of a release")).into());
        }
        let mut bytes = Vec::new();
        let limit = left.saturating_add(1);
        let read = entry.take(limit).read_to_end(&mut bytes);
        read.map_err(|error| broken(format!("`{path}`: {error}")))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| broken(format!("it holds more than {} GiB", MOST >> 30)))?;
        fs::write_new(into.join(file), &bytes, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text) in entries {
            archive.start_file(*path, SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn only_files_of_the_folder_come_out() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("into");
        std::fs::create_dir(&into).unwrap();
        let good = zipped(&[("release-1/manifest.json", "{}"), ("SHA256SUMS", "")]);
        unzip("release-1", &good, &into).unwrap();
        let names = fs::entries(&into).unwrap().unwrap();
        let names: Vec<String> = names.into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["SHA256SUMS", "manifest.json"]);
        for path in
            ["../out", "release-1/../out", "/out", "release-1/a/b", "other/a", "..", "a\\..\\out/x"]
        {
            let told = unzip("release-1", &zipped(&[(path, "x")]), &into).unwrap_err().to_string();
            assert!(told.contains("is no file of a release"), "{path}: {told}");
        }
        // Twice the same file is one too many.
        let twice = zipped(&[("release-1/x", "1"), ("x", "2")]);
        assert!(unzip("release-1", &twice, &into).is_err());
        assert!(!dir.path().join("out").exists());
        let mut cut = good.clone();
        cut.truncate(good.len() / 2);
        assert!(unzip("release-1", &cut, &into).is_err());
        assert!(unzip("release-1", b"<html>sign in</html>", &into).is_err());
    }
}
