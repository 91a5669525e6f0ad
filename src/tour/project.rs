//! The starter project in the tour's folder.

use std::path::Path;

use anyhow::Result;

use crate::local::requirement_lines;
use crate::starter;
use crate::sys::fs;

/// Writes the project's files below `folder`.
pub(super) fn write(folder: &Path) -> Result<usize> {
    let files = starter::files(false);
    for (path, bytes) in &files {
        fs::write_atomic(folder.join(path), bytes)?;
    }
    Ok(files.len())
}

/// The packages that the project's environment needs.
pub(super) fn requirements(folder: &Path) -> Result<Vec<String>> {
    Ok(requirement_lines(&fs::read_text(folder.join("requirements.txt"))?)?)
}
