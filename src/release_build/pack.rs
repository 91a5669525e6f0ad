//! The bytes of a release, from git's objects and the wheels built from them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use sha2::Digest as _;

use crate::bundle::Bundle;
use crate::deployment;
use crate::names::Sha256;
use crate::release::manifest::Archive;
use crate::release::path::{self, Seen};
use crate::release::{FileEntry, archive as tar};
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::fs;
use crate::sys::git::{Entry, Git, Object};

/// A file of the release, before its bytes are read.
#[derive(Debug, Clone)]
struct Source {
    path: String,
    mode: u32,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Object(String),
    /// A wheel that was built.
    Disk(PathBuf),
}

/// The files of a commit below the bundle's folder.
#[derive(Debug)]
pub(super) struct Tree(Vec<Source>);

/// What was packed.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) archive: Archive,
    pub(super) files: Vec<FileEntry>,
}

/// The first bytes of a file whose content lies elsewhere.
const LARGE_FILE: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The files of a commit that may be released, in the order of their paths.
///
/// # Errors
/// When a name would mean another file on another system, or a file is a link
/// that leaves the bundle, a submodule, or a pointer to a file kept elsewhere.
async fn sources(git: &Git<'_>, commit: &str) -> Result<Vec<Source>> {
    let entries = git.files(commit).await?;
    let by_path: BTreeMap<&[u8], &Entry> =
        entries.iter().map(|entry| (&entry.path[..], entry)).collect();
    let links: Vec<&Entry> = entries.iter().filter(|entry| entry.object == Object::Link).collect();
    let mut targets: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
    let ids: Vec<&str> = links.iter().map(|entry| entry.id.as_str()).collect();
    git.contents(&ids, |at, bytes| {
        targets.insert(&links[at].path, bytes);
        Ok(())
    })
    .await?;
    let mut seen = Seen::default();
    let mut found = Vec::new();
    for entry in &entries {
        let path = path::check(&entry.path).map_err(refused)?;
        seen.add(path).map_err(refused)?;
        let file = match entry.object {
            Object::Link => {
                let target = &targets[&entry.path[..]];
                let led = follow(path, target).and_then(|to| by_path.get(to.as_bytes()).copied());
                led.filter(|to| matches!(to.object, Object::File | Object::Executable)).ok_or_else(
                    || {
                        refused(format!(
                            "`{path}` is a link to `{}`, which is no file of the bundle",
                            String::from_utf8_lossy(target).escape_debug()
                        ))
                    },
                )?
            }
            Object::Submodule => {
                return Err(
                    refused(format!("`{path}` is a submodule: its files are not here")).into()
                );
            }
            _ => entry,
        };
        let mode = if file.object == Object::Executable { 0o755 } else { 0o644 };
        found.push(Source { path: path.to_owned(), mode, from: From::Object(file.id.clone()) });
    }
    Ok(found)
}

fn refused(reason: impl std::fmt::Display) -> Fault {
    Fault::usage(format!("this cannot be released: {reason}"))
}

/// Where a link leads inside the bundle.
fn follow(link: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Tree {
    pub(super) async fn read(git: &Git<'_>, commit: &str) -> Result<Self> {
        sources(git, commit).await.map(Self)
    }

    /// Writes the files into a folder, for those who build from it.
    async fn export(&self, git: &Git<'_>, into: &Path) -> Result<()> {
        each(git, &self.0.iter().collect::<Vec<_>>(), |source, bytes| {
            fs::write_new(into.join(&source.path), &bytes, source.mode == 0o755)
        })
        .await
    }
}

/// Hands each file's bytes to `take`, in order: objects come in one stream, and
/// what lies on the disk is read in its place.
async fn each(
    git: &Git<'_>,
    sources: &[&Source],
    mut take: impl FnMut(&Source, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut objects = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        if let From::Object(id) = &source.from {
            objects.push((at, id.as_str()));
        }
    }
    let ids: Vec<&str> = objects.iter().map(|(_, id)| *id).collect();
    let mut next = 0;
    let mut from_disk = |end: usize, take: &mut dyn FnMut(&Source, Vec<u8>) -> Result<()>| {
        for source in &sources[next..end] {
            if let From::Disk(path) = &source.from {
                take(source, fs::read(path)?)?;
            }
        }
        next = end;
        anyhow::Ok(())
    };
    git.contents(&ids, |at, bytes| {
        let place = objects[at].0;
        from_disk(place, &mut take)?;
        if bytes.starts_with(LARGE_FILE) {
            let path = &sources[place].path;
            let reason = format!("`{path}` is kept in Git LFS, git has only a pointer to it");
            return Err(refused(reason).into());
        }
        take(sources[place], bytes)
    })
    .await?;
    from_disk(sources.len(), &mut take)
}

/// Builds the bundle's wheels in an exported folder.
async fn wheels(ctx: &Ctx, bundle: &Bundle, exported: &Path) -> Result<Vec<Source>> {
    let built = deployment::build_artifacts(ctx, bundle, exported).await?;
    let mut found = Vec::new();
    for wheel in built {
        let inside = wheel.strip_prefix(exported).context("find the wheel")?;
        let text = inside.to_str().context("read the wheel's name")?;
        let path = path::check(text.as_bytes()).map_err(refused)?.to_owned();
        found.push(Source { path, mode: 0o644, from: From::Disk(wheel.clone()) });
    }
    Ok(found)
}

/// Packs the commit and its wheels into `file`.
pub(super) async fn archive(
    ctx: &Ctx,
    git: &Git<'_>,
    tree: Tree,
    bundle: &Bundle,
    file: &Path,
) -> Result<Packed> {
    let exported = tempfile::tempdir().context("make a folder to build in")?;
    let mut built = Vec::new();
    if !bundle.artifacts.is_empty() {
        tree.export(git, exported.path()).await?;
        built = wheels(ctx, bundle, exported.path()).await?;
    }
    let Tree(mut sources) = tree;
    built.retain(|wheel| sources.iter().all(|source| source.path != wheel.path));
    sources.extend(built);
    sources.sort_by(|one, other| one.path.cmp(&other.path));

    // No name, no time: the same content gives the same bytes.
    let packer = GzBuilder::new().mtime(0);
    let packer = packer.write(Digested::new(fs::create(file)?), Compression::default());
    let mut out = Digested::new(packer);
    let mut files = Vec::new();
    each(git, &sources.iter().collect::<Vec<_>>(), |source, bytes| {
        let entry = FileEntry {
            path: source.path.clone(),
            size: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
            mode: source.mode,
        };
        tar::append(&mut out, &entry, &bytes).map_err(refused)?;
        files.push(entry);
        Ok(())
    })
    .await?;
    tar::finish(&mut out)?;
    let (packer, tar_sha256) = out.finish();
    let (mut written, sha256) = packer.finish()?.finish();
    written.flush()?;
    let size = written.metadata()?.len();
    let path = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    Ok(Packed { archive: Archive { path, size, sha256, tar_sha256 }, files })
}

/// Digests what is written.
struct Digested<W> {
    inner: W,
    hasher: sha2::Sha256,
}

impl<W: std::io::Write> Digested<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: sha2::Sha256::new() }
    }

    fn finish(self) -> (W, Sha256) {
        (self.inner, Sha256::of_hasher(self.hasher))
    }
}

impl<W: std::io::Write> std::io::Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_bundle_only() {
        assert_eq!(follow("a/b/link", b"../c.txt").as_deref(), Some("a/c.txt"));
        assert_eq!(follow("link", b"./x/y").as_deref(), Some("x/y"));
        assert_eq!(follow("link", b"../x"), None);
        assert_eq!(follow("a/link", b"/etc/passwd"), None);
        assert_eq!(follow("a/link", b"\xff"), None);
    }
}
