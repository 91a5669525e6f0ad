//! The starter project, carried in the binary.

use std::path::Path;

use anyhow::Result;
use include_dir::{Dir, include_dir};

use crate::local::requirement_lines;
use crate::sys::fs;

static PROJECT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/project");

/// Writes the project's files below `folder`.
pub(super) fn write(folder: &Path) -> Result<usize> {
    let mut count = 0;
    let mut folders = vec![&PROJECT];
    while let Some(next) = folders.pop() {
        folders.extend(next.dirs().filter(|dir| !is_scratch(dir.path())));
        for file in next.files().filter(|file| !is_scratch(file.path())) {
            fs::write_atomic(folder.join(file.path()), file.contents())?;
            count += 1;
        }
    }
    Ok(count)
}

/// What a test run of the template leaves behind.
fn is_scratch(path: &Path) -> bool {
    path.components().any(|part| {
        matches!(
            part.as_os_str().to_str(),
            Some("__pycache__" | "dist" | ".pytest_cache" | ".lakegate")
        )
    })
}

/// The packages that the project's environment needs.
pub(super) fn requirements(folder: &Path) -> Result<Vec<String>> {
    Ok(requirement_lines(&fs::read_text(folder.join("requirements.txt"))?)?)
}
