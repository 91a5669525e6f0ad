//! The starter project, carried in the binary.

use std::path::Path;

use include_dir::{Dir, include_dir};

static PROJECT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/project");

/// The project's files by their path.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![&PROJECT];
    while let Some(next) = folders.pop() {
        folders.extend(next.dirs().filter(|dir| !is_scratch(dir.path())));
        for file in next.files().filter(|file| !is_scratch(file.path())) {
            found.push((file.path().display().to_string(), file.contents().to_vec()));
        }
    }
    found.sort();
    found
}

/// What a test run of the template leaves behind.
fn is_scratch(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        matches!(
            &*name,
            "__pycache__" | "build" | "dist" | ".pytest_cache" | ".lakegate" | ".coverage"
        ) || name.ends_with(".egg-info")
    })
}
