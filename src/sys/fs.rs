//! Files, with the path in every error and no half-written results.
#![expect(clippy::disallowed_methods, reason = "this module is what the others call instead")]

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::names::Sha256;

pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).with_context(|| format!("read `{}`", path.display()))
}

pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
}

/// The file's text, or nothing when there is no such file.
pub fn read_text_if_exists(path: impl AsRef<Path>) -> Result<Option<String>> {
    let path = path.as_ref();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}

/// Writes the whole file or nothing: a temporary file beside it, synced, then
/// renamed over it. Missing parent folders are made.
pub fn write_atomic(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    replace(path.as_ref(), bytes.as_ref(), true)
}

/// The same for what can be made again: it need not outlast the machine's power.
pub fn write_passing(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    replace(path.as_ref(), bytes.as_ref(), false)
}

fn replace(path: &Path, bytes: &[u8], lasts: bool) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let parent =
            path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent)?;
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(parent)?;
        file.write_all(bytes)?;
        if lasts {
            file.as_file().sync_all()?;
        }
        make_readable(file.path())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("write `{}`", path.display()))
}

const UNFINISHED: &str = ".unfinished-";

/// Whether a file of this name was left by a write that was killed.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Temporary files are private to the user; results follow the usual 0644.
#[cfg(unix)]
fn make_readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Writes a file that is not there yet, below folders that are made.
pub fn write_new(path: impl AsRef<Path>, bytes: &[u8], executable: bool) -> Result<()> {
    let path = path.as_ref();
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(if executable { 0o755 } else { 0o644 });
        }
        #[cfg(not(unix))]
        let _no_such_mode = executable;
        options.open(path)?.write_all(bytes)
    };
    write().with_context(|| format!("write `{}`", path.display()))
}

/// Writes a file that only its owner may read.
pub fn write_private(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    let write = || -> std::io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("write `{}`", path.display()))
}

/// Appends to a file that somebody else made (a CI host's command file).
/// A symbolic link is refused: it could point anywhere.
pub fn append(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    let append = || -> std::io::Result<()> {
        if path.is_symlink() {
            return Err(std::io::Error::other("it is a symbolic link"));
        }
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(text.as_bytes())
    };
    append().with_context(|| format!("append to `{}`", path.display()))
}

pub fn create_dir_all(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    std::fs::create_dir_all(path).with_context(|| format!("make the folder `{}`", path.display()))
}

/// Opens a file for reading.
pub fn open(path: impl AsRef<Path>) -> Result<std::fs::File> {
    let path = path.as_ref();
    std::fs::File::open(path).with_context(|| format!("open `{}`", path.display()))
}

/// Opens a file for writing from its start, for streams too long for memory.
pub fn create(path: impl AsRef<Path>) -> Result<std::fs::File> {
    let path = path.as_ref();
    if let Some(parent) = path.parent() {
        create_dir_all(parent)?;
    }
    std::fs::File::create(path).with_context(|| format!("create `{}`", path.display()))
}

/// Removes a file or a whole folder; one that is not there is fine.
pub fn remove(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let removed = if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    std::fs::rename(from, to)
        .with_context(|| format!("rename `{}` to `{}`", from.display(), to.display()))
}

pub fn canonicalize(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref();
    std::fs::canonicalize(path).with_context(|| format!("find `{}`", path.display()))
}

/// The entries of a folder as name, is-a-folder and size, in the order of their
/// names; nothing when there is no such folder.
pub fn entries(folder: impl AsRef<Path>) -> Result<Option<Vec<(String, bool, u64)>>> {
    let folder = folder.as_ref();
    if !folder.is_dir() {
        return Ok(None);
    }
    let list = || -> std::io::Result<Vec<_>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let meta = match entry.metadata() {
                // Gone since it was listed: another process tidies up, too.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                meta.is_dir(),
                meta.len(),
            ));
        }
        found.sort();
        Ok(found)
    };
    list().map(Some).with_context(|| format!("list `{}`", folder.display()))
}

/// Every regular file below `root`, relative to it, in the order of its path.
pub fn files_below(root: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let root = root.as_ref();
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list `{}`", folder.display()))?;
            let kind = entry
                .file_type()
                .with_context(|| format!("inspect `{}`", entry.path().display()))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root).unwrap_or(&entry.path()).to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write_atomic(&path, "one").unwrap();
        write_atomic(&path, "two").unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        assert_eq!(files_below(dir.path()).unwrap(), [PathBuf::from("a/b.txt")]);
    }

    #[cfg(unix)]
    #[test]
    fn appending_through_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let error = append(dir.path().join("out"), "x").unwrap_err();
        assert!(format!("{error:#}").contains("symbolic link"));
    }

    #[test]
    fn errors_name_the_path() {
        let error = read("/nowhere/file").unwrap_err();
        assert!(format!("{error:#}").starts_with("read `/nowhere/file`"));
    }
}

/// A file that threads read at places of their own: there is no common offset.
#[derive(Debug)]
pub struct ReadAt {
    file: std::fs::File,
    len: u64,
}

/// The digest of a file's bytes.
pub fn digest(path: &Path) -> Result<Sha256> {
    let read = std::fs::File::open(path).and_then(Sha256::of_reader);
    read.with_context(|| format!("read `{}`", path.display()))
}

/// A folder whose name nobody has used, readable as others are. It vanishes with its
/// handle, unless it is kept.
pub fn unused_folder(parent: &Path, prefix: &str) -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let made = builder.tempdir_in(parent);
    made.with_context(|| format!("make a folder in `{}`", parent.display()))
}

/// A file for reading and writing that vanishes with its last handle.
pub fn nameless(folder: &Path) -> Result<std::fs::File> {
    tempfile::tempfile_in(folder).with_context(|| format!("make a file in `{}`", folder.display()))
}

impl ReadAt {
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || Self::of(std::fs::File::open(path)?);
        open().with_context(|| format!("open `{}`", path.display()))
    }

    /// What an open file holds now.
    pub fn of(file: std::fs::File) -> std::io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    #[expect(clippy::len_without_is_empty, reason = "an empty file is nothing special here")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Fills `bytes` from what lies at `start`.
    #[cfg(unix)]
    pub fn fill(&self, start: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, start)
    }

    /// Fills `bytes` from what lies at `start`.
    #[cfg(windows)]
    pub fn fill(&self, mut start: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, bytes, start)?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            start += read as u64;
            bytes = &mut bytes[read..];
        }
        Ok(())
    }
}
