//! Where the bundle is.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::report::Fault;
use crate::sys::fs;

/// Folders below folders that are looked into.
const DEPTH: usize = 2;

/// The bundle's folder: the one that was named, or the only one below it that holds
/// a bundle, as in a repository that mlops-stacks made.
///
/// # Errors
/// When several do.
pub(super) fn of_bundle(dir: &Path) -> Result<PathBuf> {
    if is_bundle(dir) {
        return Ok(dir.to_owned());
    }
    let mut found = Vec::new();
    look(dir, DEPTH, &mut found)?;
    match &found[..] {
        [] => Ok(dir.to_owned()),
        [only] => Ok(only.clone()),
        several => {
            let names: Vec<String> = several.iter().map(|it| it.display().to_string()).collect();
            let message = format!("there are several bundles: {}", names.join(", "));
            Err(Fault::usage(message).hint("name the folder of one with --dir").into())
        }
    }
}

fn is_bundle(dir: &Path) -> bool {
    dir.join("databricks.yml").is_file()
}

fn look(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    for (name, is_folder, _) in fs::entries(dir)?.unwrap_or_default() {
        let below = dir.join(&name);
        let is_foreign = name.starts_with('.')
            || name == "node_modules"
            || below.join("pyvenv.cfg").exists()
            || below.is_symlink();
        if !is_folder || is_foreign {
            continue;
        }
        if is_bundle(&below) {
            found.push(below);
        } else if depth > 1 {
            look(&below, depth - 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_bundle_below_a_folder_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let write = |path: &str| fs::write_atomic(at(path), "").unwrap();
        let found = || of_bundle(dir.path()).map_err(|error| error.to_string());
        write(".databricks/bundle/databricks.yml");
        write("venv/pyvenv.cfg");
        write("venv/share/databricks.yml");
        write("one/two/three/databricks.yml");
        assert_eq!(found().unwrap(), dir.path());
        write("ml/taxi/databricks.yml");
        assert_eq!(found().unwrap(), at("ml/taxi"));
        write("flights/databricks.yml");
        write("flights/inner/databricks.yml");
        let told = found().unwrap_err();
        assert!(told.contains("several bundles") && told.contains("flights, "), "{told}");
        assert!(told.ends_with("taxi") && !told.contains("inner"), "{told}");
        write("databricks.yml");
        assert_eq!(found().unwrap(), dir.path());
    }
}
