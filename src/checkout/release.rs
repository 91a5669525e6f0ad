//! A release on disk: opened only when every byte of it is proved.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::Digest as _;

use crate::bundle::Deployed;
use crate::names::Sha256;
use crate::release::{FileEntry, Manifest, archive, manifest, provenance};
use crate::report::{Fault, FaultKind};
use crate::sys::fs;

/// The files of a release beside its archive.
pub const MANIFEST: &str = "manifest.json";
pub const SUMS: &str = "SHA256SUMS";
pub const PROVENANCE: &str = "provenance.intoto.json";
pub const SBOM: &str = "sbom.cdx.json";
pub const NOTES: &str = "notes.md";

/// More than any of the small documents needs.
const MOST_TEXT: u64 = 64 << 20;

/// A release whose bytes are those that were built.
#[derive(Debug, Clone)]
pub struct Opened {
    pub manifest: Manifest,
    /// Of the manifest: the release's identity.
    pub digest: Sha256,
    folder: PathBuf,
}

fn refused(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Integrity, message)
}

/// Opens the release in a folder, which may be named by its manifest: hashes
/// everything again, and reads the archive to its end.
///
/// # Errors
/// When something is extra, missing or other than it was, or when the manifest
/// has another digest than the one that is asked for.
pub fn open(path: &Path, digest: Option<Sha256>) -> Result<Opened> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !path.exists() || !folder.join(MANIFEST).is_file() {
        let fault = Fault::usage(format!("`{}` is no release", path.display()));
        return Err(fault.hint(format!("name the folder that holds {MANIFEST}")).into());
    }
    let sums = small(folder, SUMS)?;
    let sums = manifest::parse_sums(&String::from_utf8_lossy(&sums))
        .map_err(|message| refused(format!("{SUMS}: {message}")))?;
    let found = listed(folder)?;
    if let Some(missing) = sums.keys().find(|name| !found.contains_key(*name)) {
        return Err(refused(format!("`{missing}` is listed in {SUMS} and missing")).into());
    }
    if let Some(extra) = found.keys().find(|name| *name != SUMS && !sums.contains_key(*name)) {
        return Err(refused(format!("`{extra}` is not part of the release")).into());
    }
    for (name, digest) in &sums {
        if fs::digest(&folder.join(name))? != *digest {
            return Err(refused(format!("`{name}` has another digest than {SUMS} says")).into());
        }
    }
    let bytes = small(folder, MANIFEST)?;
    let found = Sha256::of(&bytes);
    if let Some(wanted) = digest
        && wanted != found
    {
        return Err(refused(format!("{MANIFEST} is {found}, asked for is {wanted}")).into());
    }
    let manifest = Manifest::parse(&bytes).map_err(refused)?;
    if manifest.canonical().map_err(refused)? != bytes {
        return Err(refused("the manifest is not in its canonical form").into());
    }
    check_statement(folder, &sums)?;
    let opened = Opened { digest: found, manifest, folder: folder.to_path_buf() };
    opened.each_file(|_, _| Ok(()))?;
    Ok(opened)
}

/// The names in a folder, all of them files.
fn listed(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    for (name, is_folder, size) in fs::entries(folder)?.unwrap_or_default() {
        // Whoever verifies from within the folder has the report there.
        if name == ".lakegate" && is_folder {
            continue;
        }
        if is_folder || folder.join(&name).is_symlink() {
            let message = format!("`{name}` is a folder or a link: a release has files only");
            return Err(refused(message).into());
        }
        found.insert(name, size);
    }
    Ok(found)
}

fn small(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    let size = listed(folder)?.get(name).copied();
    match size {
        None => Err(refused(format!("the release has no {name}")).into()),
        Some(size) if size > MOST_TEXT => {
            Err(refused(format!("{name} has {size} bytes: that is no {name}")).into())
        }
        Some(_) => fs::read(path),
    }
}

/// The statement must be about exactly these files.
fn check_statement(folder: &Path, sums: &BTreeMap<String, Sha256>) -> Result<()> {
    let statement = serde_json::from_slice(&small(folder, PROVENANCE)?)
        .map_err(|error| refused(format!("{PROVENANCE} is not readable: {error}")))?;
    let subjects = provenance::subjects(&statement)
        .map_err(|message| refused(format!("{PROVENANCE}: {message}")))?;
    let subjects: BTreeMap<String, Sha256> = subjects.into_iter().collect();
    let expected: BTreeMap<String, Sha256> =
        sums.iter().filter(|(name, _)| *name != PROVENANCE).map(|(n, d)| (n.clone(), *d)).collect();
    if subjects != expected {
        return Err(refused(format!("{PROVENANCE} is about other files than {SUMS}")).into());
    }
    Ok(())
}

impl Opened {
    /// What a deployment remembers of it.
    pub fn deployed(&self) -> Deployed {
        Deployed {
            version: self.manifest.version.clone(),
            commit: self.manifest.commit.clone(),
            digest: self.digest,
        }
    }

    /// Every file of the release by its name.
    pub fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let names = listed(&self.folder)?;
        names
            .into_keys()
            .map(|name| Ok((name.clone(), fs::read(self.folder.join(name))?)))
            .collect()
    }

    /// Reads the archive, and hands on each file that is proved.
    fn each_file(
        &self,
        keep: impl FnMut(&FileEntry, Vec<u8>) -> Result<(), archive::Refusal>,
    ) -> Result<()> {
        let own = &self.manifest.archive;
        let path = self.folder.join(&own.path);
        let told = |message: String| refused(format!("`{}`: {message}", own.path));
        if !path.is_file() {
            return Err(told("the archive is missing".to_owned()).into());
        }
        if fs::digest(&path)? != own.sha256 {
            return Err(told("it is not the archive of the manifest".to_owned()).into());
        }
        let decoder = flate2::bufread::GzDecoder::new(BufReader::new(fs::open(&path)?));
        let mut hashed = Hashed { inner: decoder, hasher: sha2::Sha256::new() };
        archive::read(&mut hashed, &self.manifest.files, keep)
            .map_err(|refusal| told(refusal.to_string()))?;
        let Hashed { mut inner, hasher } = hashed;
        let rest = inner.get_mut().fill_buf().map_err(|error| told(error.to_string()))?;
        if !rest.is_empty() {
            return Err(told("something follows the compressed archive".to_owned()).into());
        }
        if hex::encode(hasher.finalize()) != own.tar_sha256.to_string() {
            return Err(told("its content has another digest".to_owned()).into());
        }
        Ok(())
    }

    /// Writes the files below a folder that is empty.
    ///
    /// # Errors
    /// When a byte is other than it was, or the folder holds something.
    pub fn unpack(&self, into: &Path) -> Result<()> {
        self.each_file(|entry, bytes| {
            let path = into.join(&entry.path);
            fs::write_new(&path, &bytes, entry.mode == 0o755)
                .map_err(|error| archive::Refusal::Io(std::io::Error::other(format!("{error:#}"))))
        })
    }
}

/// Digests what is read.
struct Hashed<R> {
    inner: R,
    hasher: sha2::Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hasher.update(&into[..count]);
        Ok(count)
    }
}
