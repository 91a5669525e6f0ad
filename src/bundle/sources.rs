//! The files of a bundle, merged into one tree.

use std::collections::BTreeMap;

use globset::GlobBuilder;
use serde_json::{Map, Value, json};

use super::merge::merge;
use super::{BundleError, paths, resources};

/// The YAML files of a repository by their path, relative to the bundle's root.
pub type Sources = BTreeMap<String, String>;

/// The file that makes a folder a bundle.
pub(super) const ROOT: &str = "databricks.yml";

/// What may stand at the top of a file.
const TOP: [&str; 11] = [
    "bundle",
    "include",
    "variables",
    "workspace",
    "artifacts",
    "resources",
    "targets",
    "sync",
    "permissions",
    "run_as",
    "experimental",
];

fn parse(file: &str, text: &str) -> Result<Value, BundleError> {
    let parsed: Value =
        serde_yaml::from_str(text).map_err(|error| BundleError::new(file, error.to_string()))?;
    match parsed {
        Value::Null => Ok(json!({})),
        Value::Object(_) => Ok(parsed),
        _ => Err(BundleError::new(file, "the file must be a map of sections")),
    }
}

pub(super) fn check_keys(
    file: &str,
    at: &str,
    value: &Value,
    known: &[&str],
) -> Result<(), BundleError> {
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    for key in keys {
        if !known.contains(&key.as_str()) {
            let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let error = BundleError::new(file, format!("{place}: there is no such key"));
            return Err(resources::did_you_mean(error, key, known));
        }
    }
    Ok(())
}

/// Names of the root file that the official CLI takes, too.
pub const OTHER_ROOTS: [&str; 3] = ["databricks.yaml", "bundle.yml", "bundle.yaml"];

/// The root file and everything it includes as one tree.
pub(super) fn merged(sources: &Sources) -> Result<Value, BundleError> {
    let text = sources.get(ROOT).ok_or_else(|| {
        let error = BundleError::new(ROOT, "there is no such file");
        match OTHER_ROOTS.iter().find(|name| sources.contains_key(**name)) {
            Some(name) => error.hint(format!("rename `{name}` to {ROOT}")),
            None => error.hint("run the command in the bundle's folder, or name it with --bundle"),
        }
    })?;
    let mut tree = parse(ROOT, text)?;
    check_keys(ROOT, "", &tree, &TOP)?;
    check_resources(ROOT, &tree)?;
    let mut from: BTreeMap<String, String> = BTreeMap::new();
    remember(ROOT, &tree, &mut from)?;
    for file in included(&tree, sources)? {
        let mut part = parse(&file, &sources[&file])?;
        check_keys(&file, "", &part, &TOP)?;
        if part.get("include").is_some() {
            return Err(BundleError::new(
                &file,
                "include: only databricks.yml may include files (this also rules out cycles)",
            ));
        }
        check_resources(&file, &part)?;
        remember(&file, &part, &mut from)?;
        if let Some((folder, _)) = file.rsplit_once('/') {
            paths::rebase(&mut part, folder);
        }
        merge(&mut tree, &part);
    }
    Ok(tree)
}

/// The files that the bundle itself is written in.
pub fn definitions(sources: &Sources) -> Result<Vec<String>, BundleError> {
    let Some(text) = sources.get(ROOT) else { return Ok(Vec::new()) };
    let mut files = included(&parse(ROOT, text)?, sources)?;
    files.push(ROOT.to_owned());
    Ok(files)
}

fn included(tree: &Value, sources: &Sources) -> Result<Vec<String>, BundleError> {
    let wrong = |what: String| BundleError::new(ROOT, format!("include: {what}"));
    let patterns = match &tree["include"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(patterns) => patterns,
        // Taken for nothing, all that it names would be planned to go.
        _ => return Err(wrong("it must be a list of files".into())),
    };
    let mut files = Vec::new();
    for given in patterns {
        let given =
            given.as_str().ok_or_else(|| wrong(format!("`{given}` is no path of a file")))?;
        if given.starts_with('/') {
            return Err(wrong(format!("`{given}` leaves the bundle's folder")));
        }
        let pattern = paths::local_path(given).map_err(wrong)?;
        if pattern == ROOT {
            return Err(wrong("a bundle cannot include itself".into()));
        }
        // As the official CLI has it, two stars are one: each stays in its folder.
        let glob = GlobBuilder::new(&pattern.replace("**", "*")).literal_separator(true).build();
        let matcher = glob.map_err(|error| wrong(error.to_string()))?.compile_matcher();
        let found: Vec<_> = sources
            .keys()
            .filter(|file| matcher.is_match(file) && *file != ROOT)
            .cloned()
            .collect();
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            return Err(wrong(format!("`{given}` does not exist")));
        }
        files.extend(found.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    Ok(files)
}

/// The same resource in two files is a mistake, not an override.
fn remember(
    file: &str,
    tree: &Value,
    from: &mut BTreeMap<String, String>,
) -> Result<(), BundleError> {
    for (kind, named) in tree["resources"].as_object().into_iter().flatten() {
        for key in named.as_object().into_iter().flat_map(Map::keys) {
            let full = format!("{kind}.{key}");
            if let Some(other) = from.insert(full.clone(), file.to_owned()) {
                return Err(BundleError::new(
                    file,
                    format!("resources.{full} is defined in `{other}` already"),
                ));
            }
        }
    }
    Ok(())
}

fn check_resources(file: &str, tree: &Value) -> Result<(), BundleError> {
    for (kind, named) in tree["resources"].as_object().into_iter().flatten() {
        resources::kind(file, kind)?;
        if !named.is_object() {
            return Err(BundleError::new(
                file,
                format!("resources.{kind}: it must be a map of names"),
            ));
        }
    }
    Ok(())
}
