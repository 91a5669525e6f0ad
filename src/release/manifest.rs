//! `manifest.json`: every byte of a release, and where it comes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::archive::Refusal;
use super::path::{self, Seen};
use crate::names::Sha256;

/// Names the layout of the document.
pub const FORMAT: &str = "lakegate/release/v1";

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub path: String,
    /// Bytes.
    pub size: u64,
    pub sha256: Sha256,
    /// 0o644 or 0o755, written in octal.
    #[serde(with = "octal")]
    pub mode: u32,
}

/// A file that lies beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    pub path: String,
    pub size: u64,
    pub sha256: Sha256,
    /// Of the tar within: another compressor gives another file, not another content.
    pub tar_sha256: Sha256,
}

/// What says that the commit was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// `table`, `checks` or `file`.
    pub by: String,
    /// Where it can be looked up: an event id, a link.
    pub evidence: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    /// The bundle's name.
    pub name: String,
    pub version: String,
    pub repository: String,
    pub commit: String,
    /// The git tree of the whole repository at that commit.
    pub tree: String,
    /// The bundle's folder in the repository; `.` is its root.
    pub folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested: Option<Tested>,
    /// Lock files of the bundle and their digests.
    pub locks: BTreeMap<String, Sha256>,
    /// The resolved bundle of each target.
    pub targets: BTreeMap<String, Value>,
    /// What built it, and in which version.
    pub tools: BTreeMap<String, String>,
    pub archive: Archive,
    /// In the order of their paths.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Reads a manifest and checks that it can describe a release.
    ///
    /// # Errors
    /// When a field is unknown or missing, the layout is another, or a path
    /// may not be in a release.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("the manifest is not readable: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!("the manifest's format is `{}`, not {FORMAT}", manifest.format));
        }
        manifest.check().map_err(|refusal| format!("the manifest: {refusal}"))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Refusal> {
        let mut seen = Seen::default();
        let mut last = "";
        for file in &self.files {
            path::check(file.path.as_bytes())?;
            seen.add(&file.path)?;
            if file.path.as_str() < last {
                return Err(Refusal::Order {
                    found: file.path.clone(),
                    expected: "a path after the one before it".to_owned(),
                });
            }
            if !matches!(file.mode, 0o644 | 0o755) {
                let path = file.path.clone();
                return Err(Refusal::Mode { path, found: file.mode, expected: 0o644 });
            }
            last = &file.path;
        }
        path::check(self.archive.path.as_bytes())?;
        if self.archive.path.contains('/') {
            return Err(Refusal::Unlisted(self.archive.path.clone()));
        }
        Ok(())
    }

    /// The document: RFC 8785, so that the same content has the same bytes.
    ///
    /// # Errors
    /// When a number of a target has no JSON form.
    pub fn canonical(&self) -> Result<Vec<u8>, String> {
        canonical(self)
    }
}

/// Any document in the form of RFC 8785.
///
/// # Errors
/// When a number has no JSON form.
pub fn canonical<T: Serialize>(document: &T) -> Result<Vec<u8>, String> {
    let mut text = serde_json_canonicalizer::to_vec(document)
        .map_err(|error| format!("write the document: {error}"))?;
    text.push(b'\n');
    Ok(text)
}

/// The lines that `sha256sum --check` reads.
pub fn sums<'a>(files: impl IntoIterator<Item = (&'a str, Sha256)>) -> String {
    files.into_iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect()
}

/// Reads such lines.
///
/// # Errors
/// The first line that is not one.
pub fn parse_sums(text: &str) -> Result<BTreeMap<String, Sha256>, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let parsed = line.split_once("  ").and_then(|(digest, path)| {
            path::check(path.as_bytes()).ok()?;
            Some((path.to_owned(), digest.parse().ok()?))
        });
        let (path, digest) = parsed
            .ok_or_else(|| format!("`{}` is not a line of sha256sum", line.escape_debug()))?;
        if found.insert(path.clone(), digest).is_some() {
            return Err(format!("`{path}` is listed twice"));
        }
    }
    Ok(found)
}

/// File modes, as people write them.
mod octal {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub(super) fn serialize<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let text = String::deserialize(from)?;
        u32::from_str_radix(&text, 8)
            .map_err(|error| de::Error::custom(format!("mode `{text}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_usual_tool() {
        let digest = Sha256::of("x");
        let text = sums([("manifest.json", digest), ("a b.txt", digest)]);
        assert_eq!(parse_sums(&text).unwrap().len(), 2);
        assert!(parse_sums("abc  x\n").unwrap_err().contains("not a line"));
        assert!(parse_sums(&format!("{digest}  ../x\n")).is_err());
        assert!(parse_sums(&format!("{digest}  x\n{digest}  x\n")).unwrap_err().contains("twice"));
    }

    #[test]
    fn the_form_does_not_depend_on_the_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"b":1,"a":{"y":2.0,"x":"é"}}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a":{"x":"é","y":2},"b":1}"#).unwrap();
        assert_eq!(canonical(&one).unwrap(), canonical(&two).unwrap());
        assert_eq!(canonical(&one).unwrap(), "{\"a\":{\"x\":\"é\",\"y\":2},\"b\":1}\n".as_bytes());
    }
}
