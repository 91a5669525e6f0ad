//! Paths that callers give, made safe to join to a folder.

use std::path::{Path, PathBuf};

use super::error::{Answer, ApiFault};

/// The parts of an absolute path. `..`, NUL and backslashes are refused.
pub(crate) fn parts(path: &str) -> Answer<Vec<&str>> {
    if !path.starts_with('/') {
        return Err(ApiFault::invalid(format!("Path ({path}) doesn't start with '/'")));
    }
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let hostile = |part: &&str| *part == ".." || part.contains(['\0', '\\']);
    if parts.iter().any(hostile) {
        return Err(ApiFault::invalid(format!("Path ({path}) must not leave its folder")));
    }
    Ok(parts)
}

/// The same path in one spelling: `/a/b`.
pub(crate) fn normal(path: &str) -> Answer<String> {
    Ok(format!("/{}", parts(path)?.join("/")))
}

/// Where a path of the API lies below `root`.
pub(crate) fn below(root: &Path, path: &str) -> Answer<PathBuf> {
    Ok(parts(path)?.into_iter().fold(root.to_path_buf(), |folder, part| folder.join(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_have_one_spelling() {
        assert_eq!(normal("//a/./b/").unwrap(), "/a/b");
        assert!(normal("a/b").is_err());
        assert!(normal("/a/../b").is_err());
        assert!(normal("/a\\..\\b").is_err());
    }

    proptest! {
        #[test]
        fn no_path_leaves_its_folder(path in "/[a-z./\\\\%\0]{0,30}") {
            if let Ok(found) = below(Path::new("/root"), &path) {
                prop_assert!(found.starts_with("/root"));
                prop_assert!(!found.components().any(|part| part.as_os_str() == ".."));
            }
        }
    }
}
