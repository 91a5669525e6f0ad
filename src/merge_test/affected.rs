//! What a change touches: jobs, and why.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde_json::Value;

use super::imports::{self, Imports};
use crate::bundle::{self, Bundle, Kind};
use crate::config::IntegrationJob;

/// What kind of code changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeKind {
    Nothing,
    Ml,
    Operations,
    Both,
}

impl CodeKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Ml => "ml",
            Self::Operations => "operations",
            Self::Both => "both",
        }
    }
}

/// Where code that makes models lies unless it is said otherwise.
const ML_CODE: [&str; 3] = ["src/**", "notebooks/**", "models/**"];

/// Neither of these changes what runs.
const WORDS: [&str; 6] = [".md", ".txt.license", ".png", ".svg", "LICENSE", ".gitignore"];

/// The bundle before and after a change, and its files now.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    /// Nothing when it could not be resolved: then everything has changed.
    pub(super) before: Option<&'a Bundle>,
    pub(super) after: &'a Bundle,
    pub(super) code: &'a Code,
    /// The files that the bundle is written in, before and after.
    pub(super) definitions: BTreeSet<String>,
}

/// What a change is made of, and the files that may read it. Paths are from the
/// bundle's folder; those outside begin with `../`.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) changed: Vec<String>,
    /// The Python files before and after.
    pub(super) python: BTreeMap<String, Imports>,
}

/// Why something is touched: in words, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) told: String,
    /// A file, a resource, or the settings; nothing where it only has to run.
    pub(super) by: Option<String>,
}

impl Reason {
    pub(super) fn new(told: impl Into<String>, by: impl Into<String>) -> Self {
        Self { told: told.into(), by: Some(by.into()) }
    }

    fn to_run(told: impl Into<String>) -> Self {
        Self { told: told.into(), by: None }
    }
}

/// What stands for a change of the bundle's own definitions.
const SETTINGS: &str = "settings of the bundle";

/// Each resource that a change touches, with the reason.
pub(super) type Affected = BTreeMap<String, Reason>;

pub(super) fn kind(changed: &[String], ml_code: Option<&[String]>) -> Result<CodeKind, String> {
    let default: Vec<String> = ML_CODE.map(str::to_owned).to_vec();
    let ml = globs(ml_code.unwrap_or(&default))?;
    let (mut any_ml, mut any_other) = (false, false);
    for path in changed.iter().filter(|path| !is_words(path)) {
        if ml.is_match(path) {
            any_ml = true;
        } else {
            any_other = true;
        }
    }
    Ok(match (any_ml, any_other) {
        (false, false) => CodeKind::Nothing,
        (true, false) => CodeKind::Ml,
        (false, true) => CodeKind::Operations,
        (true, true) => CodeKind::Both,
    })
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| format!("`tests.ml_code`: {error}"))?);
    }
    set.build().map_err(|error| format!("`tests.ml_code`: {error}"))
}

pub(super) fn is_words(path: &str) -> bool {
    WORDS.iter().any(|ending| path.ends_with(ending))
}

/// The resources that a change touches.
pub(super) fn affected(sides: &Sides<'_>) -> Affected {
    let mut found = Affected::new();
    for (key, resource) in &sides.after.resources {
        let reason = match sides.before {
            None => Some(Reason::new("the bundle before the change could not be read", SETTINGS)),
            Some(before) => match before.resources.get(key) {
                None => Some(Reason::new("it is new", SETTINGS)),
                Some(old) if old.settings != resource.settings => {
                    let fields = bundle::differences(&old.settings, &resource.settings);
                    let paths: Vec<&str> = fields.iter().map(|field| &*field.path).collect();
                    let told = format!("its settings changed: {}", paths.join(", "));
                    Some(Reason::new(told, SETTINGS))
                }
                Some(_) => None,
            },
        };
        let reason = reason.or_else(|| code_reason(sides, &resource.settings));
        if let Some(reason) = reason {
            found.insert(key.clone(), reason);
        }
    }
    for key in sides.before.into_iter().flat_map(|before| before.resources.keys()) {
        if !sides.after.resources.contains_key(key) {
            found.insert(key.clone(), Reason::new("it is removed", SETTINGS));
        }
    }
    follow(sides.after, &mut found);
    found
}

/// What runs another job or pipeline, or is written with another resource's
/// name, is touched with it.
fn follow(bundle: &Bundle, found: &mut Affected) {
    let runs = |kind: Kind| matches!(kind, Kind::Jobs | Kind::Pipelines);
    loop {
        let more: Affected = bundle
            .resources
            .iter()
            .filter(|(key, resource)| runs(resource.kind) && !found.contains_key(*key))
            .filter_map(|(key, resource)| {
                let need = resource.needs().find(|need| need != key && found.contains_key(need))?;
                let told = format!("it uses `{need}`, which is touched");
                Some((key.clone(), Reason::new(told, need)))
            })
            .collect();
        if more.is_empty() {
            return;
        }
        found.extend(more);
    }
}

/// Files that say how a wheel is built.
const BUILDS: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in"];

/// Why the code that a job or a pipeline runs is another one.
fn code_reason(sides: &Sides<'_>, settings: &Value) -> Option<Reason> {
    let listed = |field: &str| settings[field].as_array().filter(|list| !list.is_empty());
    let tasks = listed("tasks").or_else(|| listed("libraries"))?;
    let root = format!("{}/", sides.after.file_path);
    let mut reads: BTreeSet<&str> = BTreeSet::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut folders: Vec<&str> = Vec::new();
    for text in texts(settings) {
        let text = text.strip_prefix("-r ").unwrap_or(text);
        let Some(local) = text.strip_prefix(&root) else { continue };
        if let Some((folder, _)) = local.split_once('*') {
            folders.push(folder);
        } else {
            named.insert(local.to_owned());
            named.insert(format!("{local}.py"));
        }
    }
    let in_folder = |path: &str| folders.iter().any(|folder| path.starts_with(folder));
    for path in sides.code.python.keys().filter(|path| named.contains(*path) || in_folder(path)) {
        reads.extend(imports::reached(path, &sides.code.python));
    }
    let has_wheel = texts(settings).any(|text| text.ends_with(".whl"));
    // Where a wheel's own entry point is run, it is not known what that imports.
    let runs_wheel = has_wheel && tasks.iter().any(has_entry_point);
    for changed in sides.code.changed.iter().filter(|path| !is_words(path)) {
        let path = changed.as_str();
        let because = |told: String| Some(Reason::new(told, path));
        let file = path.rsplit('/').next().unwrap_or(path);
        if named.contains(path) || in_folder(path) {
            return because(format!("it names `{path}`, which changed"));
        }
        if reads.contains(path) {
            return because(format!("it imports `{path}`, which changed"));
        }
        if has_wheel && BUILDS.contains(&file) {
            return because(format!("its wheel is built by `{path}`, which changed"));
        }
        if is_of_tests(path) || sides.definitions.contains(path) || OWN.contains(&path) {
            continue;
        }
        let is_code = path.ends_with(".py");
        let is_built = sides.after.artifacts.iter().any(|artifact| is_below(path, &artifact.path));
        if is_built && (runs_wheel || has_wheel && !is_code) {
            return because(format!("its wheel may hold `{path}`, which changed"));
        }
        if !(path.starts_with("../") || is_code || BUILDS.contains(&file)) {
            return because(format!("`{path}` changed, and who reads it is not known"));
        }
    }
    None
}

/// The jobs whose integration tests are not what they were; all of them, where what
/// they share is not. Both sides are the policy's file.
pub(super) fn tests_changed(before: &Value, after: &Value) -> Vec<String> {
    let tests = |file: &Value| file["tests"]["integration"].clone();
    let (then, now) = (tests(before), tests(after));
    let shared = |tests: &Value| {
        let mut rest = tests.clone();
        rest.as_object_mut().map(|fields| fields.remove("jobs"));
        rest
    };
    let is_shared_changed = shared(&then) != shared(&now);
    let items = |tests: &Value| tests["jobs"].as_array().cloned().unwrap_or_default();
    let known = items(&then);
    let changed = items(&now).into_iter().filter(|job| is_shared_changed || !known.contains(job));
    changed.filter_map(|job| Some(job["job"].as_str()?.to_owned())).collect()
}

/// What this program reads, and no job.
const OWN: [&str; 1] = ["lakegate.yml"];

fn has_entry_point(task: &Value) -> bool {
    let inner = &task["for_each_task"]["task"];
    !task["python_wheel_task"].is_null() || !inner["python_wheel_task"].is_null()
}

/// Tests and CI run no job.
fn is_of_tests(path: &str) -> bool {
    path.starts_with('.') && !path.starts_with("../")
        || path.starts_with("tests/")
        || path.contains("/tests/")
}

pub(super) fn is_below(path: &str, folder: &str) -> bool {
    match folder.trim_end_matches('/') {
        "" | "." => !path.starts_with("../"),
        folder => path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
    }
}

/// Every text of a value.
fn texts(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Array(items) => Box::new(items.iter().flat_map(texts)),
        Value::Object(fields) => Box::new(fields.values().flat_map(texts)),
        _ => Box::new(std::iter::empty()),
    }
}

/// A job that runs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen<'a> {
    pub(super) job: &'a str,
    pub(super) reason: Reason,
}

/// The jobs to run, in their order: those that are touched, those that read
/// what these write, and those that all of them need.
pub(super) fn choose<'a>(
    jobs: &'a [IntegrationJob],
    affected: &Affected,
    all: bool,
) -> Vec<Chosen<'a>> {
    let mut reasons: BTreeMap<&str, Reason> = BTreeMap::new();
    for job in jobs {
        let own = affected.get(&format!("jobs.{}", job.job)).cloned();
        let through = || {
            let is_touched =
                |need: &&String| reasons.get(need.as_str()).is_some_and(|it| it.by.is_some());
            let need = job.needs.iter().find(is_touched)?;
            Some(Reason::new(format!("it reads what `{need}` writes"), format!("jobs.{need}")))
        };
        let asked = || all.then(|| Reason::to_run("all were asked for"));
        if let Some(reason) = own.or_else(through).or_else(asked) {
            reasons.insert(&job.job, reason);
        }
    }
    for job in jobs.iter().rev() {
        if reasons.contains_key(job.job.as_str()) {
            for need in &job.needs {
                let why = || Reason::to_run(format!("`{}` needs it", job.job));
                reasons.entry(need).or_insert_with(why);
            }
        }
    }
    let chosen = jobs.iter().filter_map(|job| {
        let reason = reasons.get(job.job.as_str())?.clone();
        Some(Chosen { job: &job.job, reason })
    });
    chosen.collect()
}

/// The tables and models of jobs that a change touches, and not of those that only have to
/// run; `filled` gives a name its variables.
pub(super) fn made(
    jobs: &[IntegrationJob],
    chosen: &[Chosen<'_>],
    filled: impl Fn(&str) -> String,
) -> Affected {
    let mut found = Affected::new();
    for job in jobs {
        let touches = |it: &Chosen<'_>| it.job == job.job && it.reason.by.is_some();
        if !chosen.iter().any(touches) {
            continue;
        }
        let counted = job.expect.iter().filter_map(|expect| expect.rows.as_ref());
        let tables = job.tables.iter().chain(counted).map(|name| ("tables", name));
        for (kind, name) in tables.chain(job.models.iter().map(|name| ("models", name))) {
            let reason =
                Reason::new(format!("`{}` makes it", job.job), format!("jobs.{}", job.job));
            found.entry(format!("{kind}.{}", filled(name))).or_insert(reason);
        }
    }
    found
}

#[cfg(test)]
#[path = "affected_tests.rs"]
mod tests;
