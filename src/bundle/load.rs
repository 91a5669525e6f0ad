//! From files to a resolved bundle.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::interpolate::{self, Unresolved};
use super::merge::merge;
use super::sources::{ROOT, Sources, check_keys, merged};
use super::variables::{Lookup, given, variables};
use super::{
    Artifact, Bundle, BundleError, Resource, Surroundings, Sync, children, defaults, foreign,
    modes, paths, resources,
};
use crate::names::is_identifier;

/// What a target puts over the bundle's own.
const OVERRIDDEN: [&str; 8] =
    ["bundle", "workspace", "artifacts", "resources", "sync", "permissions", "run_as", "presets"];

/// What may stand in a target beside that.
const OF_TARGET: [&str; 5] = ["default", "mode", "variables", "git", "cluster_id"];

/// The folder of the copies that merge requests make of a bundle, beside those
/// of its targets.
pub const MERGE_TESTS: &str = "merge-tests";

/// Reads, merges and resolves a bundle for one target.
pub fn load(
    sources: &Sources,
    target: Option<&str>,
    around: &Surroundings,
) -> Result<Bundle, BundleError> {
    let mut tree = merged(sources)?;
    let target = choose_target(&tree, target)?;
    let chosen = tree["targets"][&target].clone();
    check_keys(
        ROOT,
        &format!("targets.{target}"),
        &chosen,
        &[&OVERRIDDEN[..], &OF_TARGET].concat(),
    )?;
    overridden(&mut tree, &chosen);
    let variables = variables(&tree, &chosen, around)?;
    let name = text_at(&tree, "/bundle/name")
        .ok_or_else(|| BundleError::new(ROOT, "bundle.name is missing"))?;
    if !is_identifier(&name) {
        return Err(BundleError::new(
            ROOT,
            format!("bundle.name: `{name}` may hold letters, digits, `_` and `-` only"),
        ));
    }
    fill_in(&mut tree, &name, &target, around);
    let targets = target_names(&tree).map(str::to_owned).collect();
    let tree = resolve(&tree, &variables)?;
    let mode = chosen["mode"].as_str().map(str::to_owned);
    let mut bundle = build(&tree, name, target)?;
    bundle.targets = targets;
    bundle.variables = variables;
    bundle.foreign = foreign::places(&tree, &chosen);
    match &around.isolation {
        Some(word) => modes::isolate(&mut bundle, word),
        None => {
            modes::confirm_branch(&bundle, &tree, around)?;
            modes::apply(&mut bundle, mode.as_deref(), &tree, around)?;
        }
    }
    resolve_own(&mut bundle)?;
    if let Some(word) = &around.isolation {
        modes::confirm_isolated(&bundle, word)?;
    }
    paths::translate(&mut bundle)?;
    defaults::fill(&mut bundle);
    children::split(&mut bundle, around);
    bundle.folder_permissions = children::of_folders(&tree["permissions"], around);
    Ok(bundle)
}

/// Puts over the bundle what a target says of it.
fn overridden(tree: &mut Value, chosen: &Value) {
    for section in OVERRIDDEN {
        if let Some(over) = chosen.get(section) {
            merge(&mut tree[section], over);
        }
    }
    if let Some(over) = chosen.get("git") {
        merge(&mut tree["bundle"]["git"], over);
    }
}

/// What a target's variables ask a workspace for.
pub fn lookups(
    sources: &Sources,
    target: Option<&str>,
    around: &Surroundings,
) -> Result<Vec<Lookup>, BundleError> {
    // Most bundles have none, and need not be put together twice.
    if !sources.values().any(|text| text.contains("lookup")) {
        return Ok(Vec::new());
    }
    let tree = merged(sources)?;
    let target = choose_target(&tree, target)?;
    let asked = super::variables::lookups(&tree, &tree["targets"][&target], around)?;
    let known = values(sources, Some(&target), around)?;
    let named = |lookup: Lookup| {
        let look_up = |name: &str| match known.get(name) {
            Some(Some(value)) => Ok(Some(value.clone())),
            Some(None) | None => Err(Unresolved::Unknown { name: name.to_owned() }),
        };
        let resolved = interpolate::resolve(&Value::String(lookup.name.clone()), &look_up);
        let why = match resolved {
            Ok(Value::String(name)) => return Ok(Lookup { name, ..lookup }),
            Err(Unresolved::Unknown { name }) if known.contains_key(&name) => {
                format!("refers to {name}, which has no value yet")
            }
            Err(Unresolved::Unknown { name }) => format!("refers to {name}, which leads nowhere"),
            _ => "is no text".to_owned(),
        };
        Err(wrong_name(&lookup, &why))
    };
    asked.into_iter().map(named).collect()
}

fn wrong_name(Lookup { variable, name, .. }: &Lookup, why: &str) -> BundleError {
    BundleError::new(ROOT, format!("variables.{variable}.lookup: the name `{name}` {why}"))
}

/// What is known of a target before anything is resolved: `var.…`, with the values
/// that are known, `bundle.target` and `bundle.name`.
pub fn values(
    sources: &Sources,
    target: Option<&str>,
    around: &Surroundings,
) -> Result<BTreeMap<String, Option<Value>>, BundleError> {
    let tree = merged(sources)?;
    let target = choose_target(&tree, target)?;
    let own = given(&tree, &tree["targets"][&target], around)?;
    let mut known: BTreeMap<_, _> =
        own.into_iter().map(|(name, value)| (format!("var.{name}"), value)).collect();
    known.insert("bundle.name".to_owned(), text_at(&tree, "/bundle/name").map(Value::String));
    known.insert("bundle.target".to_owned(), Some(Value::String(target)));
    Ok(known)
}

/// The bundle's name, as it stands in the file.
pub fn name(sources: &Sources) -> Result<Option<String>, BundleError> {
    Ok(text_at(&merged(sources)?, "/bundle/name"))
}

/// The names of a bundle's targets.
pub fn targets(sources: &Sources) -> Result<Vec<String>, BundleError> {
    Ok(target_names(&merged(sources)?).map(str::to_owned).collect())
}

fn target_names(tree: &Value) -> impl Iterator<Item = &str> {
    tree["targets"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

fn choose_target(tree: &Value, asked: Option<&str>) -> Result<String, BundleError> {
    let empty = Map::new();
    let targets = tree["targets"].as_object().unwrap_or(&empty);
    let names: Vec<&str> = targets.keys().map(String::as_str).collect();
    if let Some(asked) = asked {
        if targets.contains_key(asked) {
            return Ok(asked.to_owned());
        }
        let error = BundleError::new(ROOT, format!("there is no target `{asked}`"));
        return Err(resources::did_you_mean(error, asked, &names));
    }
    let defaults: Vec<_> = targets
        .iter()
        .filter(|(_, target)| target["default"] == true)
        .map(|(name, _)| name)
        .collect();
    match (&defaults[..], &names[..]) {
        ([one], _) => Ok((*one).clone()),
        ([], [only]) => Ok((*only).to_owned()),
        _ => Err(BundleError::new(ROOT, "which target is meant is not clear")
            .hint(format!("name one with --target: {}", names.join(", ")))),
    }
}

fn text_at(tree: &Value, pointer: &str) -> Option<String> {
    tree.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// What a bundle may refer to without having said it.
fn fill_in(tree: &mut Value, name: &str, target: &str, around: &Surroundings) {
    tree["bundle"]["name"] = json!(name);
    tree["bundle"]["target"] = json!(target);
    tree["bundle"]["environment"] = json!(target);
    let git = &mut tree["bundle"]["git"];
    if git.is_null() {
        *git = json!({});
    }
    // What the bundle demands of the branch is kept apart from what it is.
    git["actual_branch"] = json!(around.branch.clone().unwrap_or_default());
    if git["branch"].is_null() {
        git["branch"] = json!(around.branch.clone().unwrap_or_default());
    }
    git["commit"] = json!(around.commit.clone().unwrap_or_default());
    if tree["workspace"].is_null() {
        tree["workspace"] = json!({});
    }
    let workspace = &mut tree["workspace"];
    workspace["current_user"] = json!({ "userName": around.user, "short_name": around.short_name });
    let home = "/Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}";
    let root = match &around.isolation {
        Some(word) => {
            // Wherever the target lies: a copy has a place of its own.
            for field in ["root_path", "file_path", "artifact_path", "state_path", "resource_path"]
            {
                workspace[field] = Value::Null;
            }
            format!("{home}/{MERGE_TESTS}/{word}")
        }
        None => format!("{home}/${{bundle.target}}"),
    };
    for (field, default) in [
        ("root_path", root.as_str()),
        ("file_path", "${workspace.root_path}/files"),
        ("artifact_path", "${workspace.root_path}/artifacts"),
        ("state_path", "${workspace.root_path}/state"),
        ("resource_path", "${workspace.root_path}/resources"),
    ] {
        if workspace[field].is_null() {
            workspace[field] = json!(default);
        }
    }
}

/// Replaces references in everything but the targets that were not chosen.
fn resolve(tree: &Value, variables: &BTreeMap<String, Value>) -> Result<Value, BundleError> {
    let look_up = |name: &str| -> Result<Option<Value>, Unresolved> {
        let variable = name
            .strip_prefix("var.")
            .or_else(|| name.strip_prefix("variables.")?.strip_suffix(".value"));
        if let Some(variable) = variable {
            let (head, rest) = variable.split_once('.').unwrap_or((variable, ""));
            let value =
                variables.get(head).ok_or_else(|| Unresolved::Unknown { name: name.to_owned() })?;
            return match rest {
                "" => Ok(Some(value.clone())),
                rest => found(value.pointer(&format!("/{}", rest.replace('.', "/"))), name),
            };
        }
        // Resources get their final names later, and their ids later still.
        if name.starts_with("resources.") {
            return Ok(None);
        }
        found(tree.pointer(&format!("/{}", name.replace('.', "/"))), name)
    };
    let mut out = Map::new();
    for (section, value) in tree.as_object().into_iter().flatten() {
        if !matches!(section.as_str(), "targets" | "variables" | "include") {
            let resolved = interpolate::resolve(value, &look_up)
                .map_err(|error| unresolved(error, variables))?;
            out.insert(section.clone(), resolved);
        }
    }
    Ok(Value::Object(out))
}

fn found(value: Option<&Value>, name: &str) -> Result<Option<Value>, Unresolved> {
    value.cloned().map(Some).ok_or_else(|| Unresolved::Unknown { name: name.to_owned() })
}

fn unresolved(error: Unresolved, variables: &BTreeMap<String, Value>) -> BundleError {
    match error {
        Unresolved::Unknown { name } => {
            let known: Vec<String> =
                variables.keys().map(|variable| format!("var.{variable}")).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let error = BundleError::new(ROOT, format!("the reference ${{{name}}} leads nowhere"));
            if known.is_empty() && name.starts_with("var.") {
                return error.hint("declare it under `variables`");
            }
            resources::did_you_mean(error, &name, &known)
        }
        Unresolved::Cycle { chain } => {
            BundleError::new(ROOT, format!("references go in a circle: {}", chain.join(" → ")))
        }
        Unresolved::NotText { name } => BundleError::new(
            ROOT,
            format!("${{{name}}} is a map or list and cannot stand inside a text"),
        ),
    }
}

fn build(tree: &Value, name: String, target: String) -> Result<Bundle, BundleError> {
    let text = |pointer: &str| text_at(tree, pointer).unwrap_or_default();
    let list = |pointer: &str| -> Vec<String> {
        let items = tree.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut found = BTreeMap::new();
    for (kind_name, named) in tree["resources"].as_object().into_iter().flatten() {
        let Some(kind) = resources::kind(ROOT, kind_name)? else { continue };
        for (key, settings) in named.as_object().into_iter().flatten() {
            let full = format!("{kind_name}.{key}");
            resources::check(ROOT, &full, kind, settings)?;
            let settings = settings.clone();
            found.insert(full, Resource { kind, settings, references: Vec::new() });
        }
    }
    apply_shared(&mut found, tree);
    Ok(Bundle {
        name,
        target,
        targets: Vec::new(),
        host: text_at(tree, "/workspace/host"),
        root_path: text("/workspace/root_path"),
        file_path: text("/workspace/file_path"),
        artifact_path: text("/workspace/artifact_path"),
        state_path: text("/workspace/state_path"),
        resource_path: text("/workspace/resource_path"),
        foreign: Vec::new(),
        artifacts: artifacts(tree)?,
        sync: Sync {
            paths: list("/sync/paths"),
            include: list("/sync/include"),
            exclude: list("/sync/exclude"),
        },
        folder_permissions: Vec::new(),
        variables: BTreeMap::new(),
        resources: found,
    })
}

/// References between the bundle's own resources: fields are filled in, ids
/// stay until the resource exists.
fn resolve_own(bundle: &mut Bundle) -> Result<(), BundleError> {
    let all = bundle.resources.clone();
    let known: Vec<&str> = all.keys().map(String::as_str).collect();
    for (key, resource) in &mut bundle.resources {
        resource.references = interpolate::references(&resource.settings);
        resource.references.retain(|name| name.starts_with("resources."));
        let look_up = |name: &str| -> Result<Option<Value>, Unresolved> {
            let parts: Vec<&str> = name.splitn(4, '.').collect();
            let ["resources", kind, other, field] = parts[..] else { return Ok(None) };
            let settings = all.get(&format!("{kind}.{other}")).map(|other| &other.settings);
            match settings {
                Some(_) if field == "id" => Ok(None),
                Some(settings) => {
                    found(settings.pointer(&format!("/{}", field.replace('.', "/"))), name)
                }
                None if matches!(resources::kind(ROOT, kind), Ok(None)) => Ok(None),
                None => Err(Unresolved::Unknown { name: format!("{kind}.{other}") }),
            }
        };
        resource.settings =
            interpolate::resolve(&resource.settings, &look_up).map_err(|error| match error {
                Unresolved::Unknown { name } if !name.starts_with("resources.") => {
                    let message = format!(
                        "resources.{key} refers to resources.{name}, which the bundle does not have"
                    );
                    resources::did_you_mean(BundleError::new(ROOT, message), &name, &known)
                }
                other => unresolved(other, &BTreeMap::new()),
            })?;
    }
    Ok(())
}

/// `run_as` at the top holds for every job and pipeline that has none, and
/// `permissions` for everything that has permissions.
fn apply_shared(found: &mut BTreeMap<String, Resource>, tree: &Value) {
    use resources::Kind;
    for resource in found.values_mut() {
        let settings = &mut resource.settings;
        let runs = matches!(resource.kind, Kind::Jobs | Kind::Pipelines);
        if runs && !tree["run_as"].is_null() && settings.get("run_as").is_none() {
            settings["run_as"] = tree["run_as"].clone();
        }
        for shared in tree["permissions"].as_array().into_iter().flatten() {
            let level = shared["level"].as_str().unwrap_or_default();
            let Some(level) = children::shared_level(resource.kind, level) else { continue };
            let mut entry = shared.clone();
            entry["level"] = json!(level);
            match settings["permissions"].as_array_mut() {
                Some(own) => own.push(entry),
                None => settings["permissions"] = json!([entry]),
            }
        }
    }
}

fn artifacts(tree: &Value) -> Result<Vec<Artifact>, BundleError> {
    let mut found = Vec::new();
    for (name, artifact) in tree["artifacts"].as_object().into_iter().flatten() {
        check_keys(
            ROOT,
            &format!("artifacts.{name}"),
            artifact,
            &["type", "path", "build", "files"],
        )?;
        if artifact["type"].as_str().unwrap_or("whl") != "whl" {
            return Err(BundleError::new(
                ROOT,
                format!("artifacts.{name}.type: only `whl` is built"),
            ));
        }
        let path = artifact["path"].as_str().unwrap_or(".").trim_start_matches("./").to_owned();
        let sources = artifact["files"].as_array().into_iter().flatten();
        let mut files: Vec<_> = sources
            .filter_map(|file| Some(file["source"].as_str()?.trim_start_matches("./").to_owned()))
            .collect();
        if files.is_empty() {
            let folder =
                if matches!(path.as_str(), "" | ".") { String::new() } else { format!("{path}/") };
            files.push(format!("{folder}dist/*.whl"));
        }
        found.push(Artifact {
            name: name.clone(),
            path,
            build: artifact["build"].as_str().map(str::to_owned),
            files,
        });
    }
    Ok(found)
}
