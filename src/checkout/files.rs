//! Which files of a folder belong to the bundle.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use globset::{Glob, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;

use crate::bundle::Sync;
use crate::report::Fault;
use crate::sys::fs;

/// The files of the bundle's own folder, as paths with slashes: what git would
/// keep, and `include`, without `exclude`.
pub fn files(root: &Path, sync: &Sync) -> Result<Vec<String>> {
    let (include, exclude) = (globs(&sync.include)?, globs(&sync.exclude)?);
    let (mut found, mut links) = (Vec::new(), Vec::new());
    let mut add = |walk: ignore::Walk, wanted: &dyn Fn(&str) -> bool| -> Result<()> {
        for entry in walk {
            let entry = entry.with_context(|| format!("list `{}`", root.display()))?;
            let is_link = entry.path_is_symlink();
            if is_link || entry.file_type().is_some_and(|kind| kind.is_file()) {
                let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                if path.to_str().is_none() {
                    let message = format!("the name of the file {path:?} is not UTF-8");
                    return Err(Fault::usage(message).hint("rename it").into());
                }
                let path = slashed(path);
                if wanted(&path) && !exclude.is_match(&path) {
                    if is_link { &mut links } else { &mut found }.push(path);
                }
            }
        }
        Ok(())
    };
    let paths: Vec<String> = sync.paths.iter().map(|path| joined("", path)).collect();
    if let Some(path) = paths.iter().find(|path| !root.join(path).exists()) {
        return Err(Fault::usage(format!("sync.paths: there is no `{path}`")).into());
    }
    let is_chosen = |path: &str| {
        let is_below = |folder: &String| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        paths.is_empty() || paths.iter().any(|folder| folder.is_empty() || is_below(folder))
    };
    add(walk(root, true), &is_chosen)?;
    if !include.is_empty() {
        add(walk(root, false), &|path| include.is_match(path))?;
    }
    found.sort();
    // A link to a file that travels is one under another name, as it is in a release.
    // No other one is followed.
    if !links.is_empty() {
        let base = fs::canonicalize(root)?;
        links.retain(|link| {
            let end = fs::canonicalize(root.join(link)).ok();
            let end = end.and_then(|end| Some(slashed(end.strip_prefix(&base).ok()?)));
            end.is_some_and(|end| found.binary_search(&end).is_ok())
        });
    }
    found.extend(links);
    found.sort();
    found.dedup();
    Ok(found)
}

/// The files of the bundle with their places here, also of folders beside it: paths
/// start where all of them are below, as those of the workspace do.
pub fn placed(root: &Path, sync: &Sync) -> Result<Vec<(String, PathBuf)>> {
    let above = sync.paths.iter().map(|path| steps_out(path)).max().unwrap_or(0);
    if above == 0 {
        let files = files(root, sync)?;
        return Ok(files.into_iter().map(|file| (file.clone(), root.join(file))).collect());
    }
    let root = fs::canonicalize(root)?;
    let base = root.ancestors().nth(above);
    let base = base.ok_or_else(|| Fault::usage("sync.paths lead out of the file system"))?;
    let own = slashed(root.strip_prefix(base).unwrap_or(&root));
    let rebased = |patterns: &[String]| -> Vec<String> {
        patterns.iter().map(|pattern| joined(&own, pattern)).collect()
    };
    let sync = Sync {
        paths: rebased(&sync.paths),
        include: rebased(&sync.include),
        exclude: rebased(&sync.exclude),
    };
    let files = files(base, &sync)?;
    Ok(files.into_iter().map(|file| (file.clone(), base.join(file))).collect())
}

/// The first of the paths that leads out of the bundle's folder.
pub fn outside(sync: &Sync) -> Option<&str> {
    sync.paths.iter().map(String::as_str).find(|path| steps_out(path) > 0)
}

/// How many folders above the bundle's own a path needs.
fn steps_out(path: &str) -> usize {
    let (mut depth, mut out) = (0_usize, 0);
    for component in Path::new(path).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => out += 1,
            Component::ParentDir => depth -= 1,
            _ => {}
        }
    }
    out
}

/// A path below `folder`, without the steps up and down again.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Never part of a deployment.
const NEVER: [&str; 4] = [".git", ".databricks", ".lakegate", ".bundle"];

fn slashed(path: &Path) -> String {
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

fn walk(root: &Path, git: bool) -> ignore::Walk {
    // Outside a repository, nothing above the folder has a say.
    let in_repository = root.ancestors().any(|folder| folder.join(".git").exists());
    WalkBuilder::new(root)
        .hidden(false)
        .ignore(false)
        .parents(in_repository)
        .git_ignore(git)
        .git_global(false)
        .git_exclude(git)
        .require_git(false)
        .filter_entry(|entry| !NEVER.iter().any(|name| entry.file_name() == *name))
        .build()
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = pattern.trim_start_matches("./");
        builder.add(
            Glob::new(pattern)
                .map_err(|error| Fault::usage(format!("sync pattern `{pattern}`: {error}")))?,
        );
        builder.add(
            Glob::new(&format!("{}/**", pattern.trim_end_matches('/')))
                .map_err(|error| Fault::usage(error.to_string()))?,
        );
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_left_out_unless_it_is_included() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            (".gitignore", "dist/\n*.log\n"),
            ("databricks.yml", "bundle: {name: a}"),
            ("ops/train.py", "x"),
            ("ops/a.log", "x"),
            ("dist/a.whl", "x"),
            (".lakegate/workspace/token", "secret"),
            (".git/config", "x"),
            (".ignore", "notes/\n"),
            ("notes/private.md", "x"),
        ] {
            fs::write_atomic(dir.path().join(file), text).unwrap();
        }
        let listed = |include: &[&str], exclude: &[&str]| {
            let owned =
                |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
            let sync = Sync { paths: Vec::new(), include: owned(include), exclude: owned(exclude) };
            files(dir.path(), &sync).unwrap()
        };
        assert_eq!(
            listed(&[], &[]),
            [".gitignore", ".ignore", "databricks.yml", "notes/private.md", "ops/train.py"]
        );
        assert_eq!(
            listed(&["dist/*.whl"], &["notes"]),
            [".gitignore", ".ignore", "databricks.yml", "dist/a.whl", "ops/train.py"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_links_to_files_of_the_folder_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bundle");
        for file in ["bundle/ops/real.py", "bundle/.lakegate/token", "outside.py"] {
            fs::write_atomic(dir.path().join(file), "x").unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        link("real.py", "ops/alias.py");
        link("../outside.py", "stray.py");
        link(".lakegate/token", "notes.txt");
        link("ops", "folder");
        link("nowhere", "dangling.py");
        link("itself.py", "itself.py");
        assert_eq!(files(&root, &Sync::default()).unwrap(), ["ops/alias.py", "ops/real.py"]);
    }

    #[test]
    fn paths_choose_what_travels_and_may_lead_beside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["team/bundle/ops/a.py", "team/bundle/notes.md", "team/shared/b.py", "c.py"] {
            fs::write_atomic(dir.path().join(file), "x").unwrap();
        }
        let root = dir.path().join("team/bundle");
        let listed = |paths: &[&str], exclude: &[&str]| {
            let owned =
                |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
            let sync = Sync { paths: owned(paths), exclude: owned(exclude), ..Sync::default() };
            let placed = placed(&root, &sync)?;
            assert!(placed.iter().all(|(_, local)| local.is_file()));
            anyhow::Ok(placed.into_iter().map(|(path, _)| path).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(listed(&["./ops"], &[]).unwrap(), "ops/a.py");
        assert_eq!(listed(&["ops/../."], &["notes.md"]).unwrap(), "ops/a.py");
        assert_eq!(
            listed(&[".", "../shared"], &["notes.md"]).unwrap(),
            "bundle/ops/a.py shared/b.py"
        );
        fs::write_atomic(root.join(".gitignore"), "*.env\n").unwrap();
        fs::write_atomic(root.join("ops/secret.env"), "x").unwrap();
        assert_eq!(listed(&["./ops"], &[]).unwrap(), "ops/a.py", "what git ignores stays here");
        let refused = listed(&["lost"], &[]).unwrap_err();
        assert_eq!(refused.to_string(), "sync.paths: there is no `lost`");
        let sync = Sync { paths: vec!["x/../../y".into()], ..Sync::default() };
        assert_eq!(outside(&sync), Some("x/../../y"));
    }
}
