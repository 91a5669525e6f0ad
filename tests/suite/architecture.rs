//! The layers and habits of the code, checked on its text.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::root;

const PURE: [&str; 10] = [
    "bundle", "config", "names", "record", "release", "report", "results", "sql", "stats",
    "verdict",
];
const ADAPTERS: [&str; 11] = [
    "checkout",
    "databricks",
    "deployment",
    "forge",
    "host",
    "lake",
    "registry",
    "runs",
    "step",
    "sys",
    "telemetry",
];
const FEATURES: [&str; 8] = [
    "bundle_deploy",
    "drift_check",
    "job_run",
    "merge_test",
    "model_gate",
    "model_promote",
    "model_serve",
    "release_build",
];
const FRONT: [&str; 6] = ["cli", "doctor", "init", "local", "starter", "tour"];

/// The files of a feature that may do I/O.
const WITH_IO: [&str; 31] = [
    "run.rs",
    "by_cli.rs",
    "change.rs",
    "copy.rs",
    "engine.rs",
    "environment.rs",
    "evaluation.rs",
    "facts.rs",
    "integration.rs",
    "keys.rs",
    "ledger.rs",
    "monitor.rs",
    "mover.rs",
    "others.rs",
    "owner.rs",
    "pack.rs",
    "probe.rs",
    "publish.rs",
    "react.rs",
    "retrain.rs",
    "rollback.rs",
    "rollout.rs",
    "sides.rs",
    "sign_off.rs",
    "source.rs",
    "tell.rs",
    "tested.rs",
    "unit.rs",
    "verify.rs",
    "versions.rs",
    "warehouse.rs",
];

/// Every source file by its path below `src`, without its inline tests.
fn sources() -> BTreeMap<String, String> {
    let src = root().join("src");
    let mut found = BTreeMap::new();
    for path in lakegate::sys::fs::files_below(&src).unwrap() {
        let name = path.display().to_string();
        if path.extension().is_some_and(|end| end == "rs") && !name.ends_with("tests.rs") {
            let text = lakegate::sys::fs::read_text(src.join(&path)).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            found.insert(name, code);
        }
    }
    found
}

fn module(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap()
}

/// The modules of the crate that a file's code names.
fn imports(code: &str) -> Vec<&str> {
    let names = code.split("crate::").skip(1).flat_map(|rest| {
        let inner = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap());
        match inner {
            Some(list) => {
                list.split(',').map(|item| item.trim().split("::").next().unwrap()).collect()
            }
            None => vec![
                rest.split(|char: char| !(char.is_alphanumeric() || char == '_')).next().unwrap(),
            ],
        }
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_module_has_a_layer() {
    for path in sources().keys().filter(|path| !path.starts_with("bin/") && *path != "lib.rs") {
        let module = module(path);
        let known =
            [&PURE[..], &ADAPTERS, &FEATURES, &FRONT].iter().any(|layer| layer.contains(&module));
        assert!(known, "src/{path} belongs to no layer");
    }
}

#[test]
fn the_layers_point_one_way() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        let own = module(&path);
        let allowed: Vec<&str> = if PURE.contains(&own) {
            PURE.to_vec()
        } else if ADAPTERS.contains(&own) {
            [&PURE[..], &ADAPTERS].concat()
        } else if FEATURES.contains(&own) {
            let adapters = WITH_IO.iter().any(|name| path.ends_with(name));
            let args = path.ends_with("args.rs");
            let context = ["host", "checkout", "databricks", "runs"];
            match (adapters, args) {
                (true, _) => [&PURE[..], &ADAPTERS, &[own]].concat(),
                // Arguments and pure files may name the adapters' types, not call them.
                _ => [&PURE[..], &context, &["lake"], &[own]].concat(),
            }
        } else if own == "tour" {
            [&PURE[..], &ADAPTERS, &["local", "starter", "tour"]].concat()
        } else if own == "doctor" {
            [&PURE[..], &ADAPTERS, &["doctor"]].concat()
        } else if own == "init" {
            [&PURE[..], &ADAPTERS, &["init", "starter"]].concat()
        } else if own == "local" {
            [&PURE[..], &["sys", "local"]].concat()
        } else {
            continue;
        };
        let foreign = imports(&code).into_iter().filter(|name| !allowed.contains(name));
        found.extend(foreign.map(|name| format!("src/{path} must not use crate::{name}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn in_a_feature_only_the_arguments_know_clap() {
    for (path, code) in sources() {
        if FEATURES.contains(&module(&path)) && !path.ends_with("args.rs") {
            assert!(!code.contains("clap"), "src/{path} names clap");
        }
        if PURE.contains(&module(&path)) {
            for io in ["tokio", "reqwest", "std::fs", "std::process", "Timestamp::now"] {
                assert!(!code.contains(io), "src/{path} is pure, it must not name {io}");
            }
        }
    }
}

#[test]
fn binaries_are_thin_and_files_have_a_size() {
    for (path, code) in sources() {
        let lines = code.lines().count();
        if path.starts_with("bin/") {
            assert!(lines <= 5, "src/{path} has {lines} lines");
        }
        assert!(lines <= 450, "src/{path} has {lines} lines: look for its seams");
    }
}

#[test]
fn one_name_everywhere() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for feature in FEATURES {
        let name = feature.replace('_', "-");
        assert!(manifest.contains(&format!("name = \"lakegate-{name}\"")), "{name} has no binary");
        assert!(Path::new(&root()).join(format!("src/bin/lakegate-{name}.rs")).is_file());
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        assert!(readme.contains(&format!("`{name}`")), "README.md does not tell of {name}");
    }
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let committed = std::fs::read_to_string(root().join("lakegate.schema.json")).unwrap();
    assert_eq!(
        committed,
        lakegate::config::Config::schema(),
        "run: cargo run -- schema > lakegate.schema.json"
    );
    let committed =
        std::fs::read_to_string(root().join("docs/drift-check.result.schema.json")).unwrap();
    assert_eq!(
        committed,
        lakegate::drift_check::Document::schema(),
        "run: cargo run -- schema drift-result > docs/drift-check.result.schema.json"
    );
}

#[test]
fn nothing_is_left_for_later_without_saying_so() {
    for (path, code) in sources() {
        for mark in ["todo!(", "unimplemented!(", "FIXME", "XXX"] {
            assert!(!code.contains(mark), "src/{path}: {mark}");
        }
    }
}
