//! A `lakegate.yml` for a bundle that has none: what the bundle shows is filled in, the
//! rest is there to be filled in.

use std::collections::BTreeMap;

use anyhow::Result;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::compose::Answers;
use super::render::{Ci, Templates, scalar};
use crate::bundle::{Bundle, Kind};
use crate::starter::FINE_TUNING_POLICIES;

/// The text of the file.
///
/// # Errors
/// When the template is broken.
pub(super) fn write(
    templates: &Templates,
    bundles: &[Bundle],
    answers: &Answers,
) -> Result<String> {
    let model = model(bundles);
    let part = |at: usize| model.as_ref().and_then(|parts| parts.get(at));
    let schema = match (part(0), part(1)) {
        (Some(catalog), Some(schema)) => Some(format!("{}.{}", catalog.text, schema.text)),
        _ => None,
    };
    // A copy for tests has a schema of its own, where a variable names it.
    let isolated = part(1).and_then(|schema| schema.variable.clone());
    templates.policies(&context! {
        release => release(answers),
        test_target => answers.targets.test.clone(),
        jobs => Value::from(Serde(&answers.jobs.steps)),
        model => model.as_ref().map(|parts| {
            parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".")
        }),
        endpoint => endpoint(model.as_deref()),
        serves => answers.serves,
        schema => schema,
        approvers => (!answers.embedded).then_some(match answers.ci {
            Ci::GitHub => "github",
            Ci::Azure => "azure",
        }),
        isolated => isolated,
    })
}

/// What the model's endpoint is called, in each target another name.
fn endpoint(model: Option<&[Part]>) -> String {
    let name = model.and_then(|parts| parts.get(2)).map_or("model", |part| part.text.as_str());
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let fits = name.contains("${") || name.chars().all(fits);
    format!("{}-${{bundle.target}}", if fits { name } else { "model" })
}

/// What releases are called and cut from, where that is not the usual; else nothing.
pub(super) fn release(answers: &Answers) -> Option<String> {
    let mut fields = Vec::new();
    if answers.main != "main" {
        fields.push(format!("branch: {}", scalar(&answers.main)));
    }
    // Another bundle of the repository has releases and a status of its own.
    let prefix = answers.prefix();
    if !prefix.is_empty() {
        fields.push(format!("tag: \"{prefix}v{{version}}\""));
        fields.push(format!("check: lakegate/merge-test-{}", prefix.trim_end_matches('-')));
    }
    let section = fields.iter().map(|field| format!("  {field}\n")).collect::<String>();
    (!section.is_empty()).then(|| format!("release:\n{section}"))
}

/// How the starter project, which somebody tries alone, says who must agree.
const ALONE: [&str; 2] = [
    "  # `lakegate model-promote approve`. Whoever tries this alone agrees with himself;\n  # leave `not_author` out when there are others.\n",
    "  sign_off: {from: table, not_author: false}\n",
];

/// Fits the policies of a starter project to its repository and its host, where
/// somebody else than who started a run approves it.
pub(super) fn complete(starter: &mut [(String, String)], answers: &Answers) {
    let of_host = match answers.ci {
        Ci::GitHub => {
            "  # Reviewers of the environment that `Promote` runs in.\n  sign_off: {from: github}\n"
        }
        Ci::Azure => {
            "  # Approvers of the environment that `Promote` runs in.\n  sign_off: {from: azure}\n"
        }
    };
    let release = release(answers);
    for (path, text) in starter {
        let is_main = path.ends_with("lakegate.yml");
        if !is_main && !path.ends_with(FINE_TUNING_POLICIES) {
            continue;
        }
        if !answers.embedded {
            *text = text.replace(ALONE[0], "").replace(ALONE[1], of_host);
        }
        if let (true, Some(section)) = (is_main, &release) {
            *text += &format!("\n{section}");
        }
    }
}

/// A part of a name, as it is in every target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// `${var.catalog}`, or the part itself.
    text: String,
    variable: Option<String>,
}

/// The three parts of the name of the bundle's first model.
fn model(bundles: &[Bundle]) -> Option<Vec<Part>> {
    let named: Vec<(&Bundle, [String; 3])> =
        bundles.iter().filter_map(|bundle| Some((bundle, name(bundle)?))).collect();
    let parts = (0..3).map(|at| {
        let values: Vec<(&Bundle, &str)> =
            named.iter().map(|(bundle, name)| (*bundle, name[at].as_str())).collect();
        general(&values)
    });
    parts.collect()
}

fn name(bundle: &Bundle) -> Option<[String; 3]> {
    let model = bundle.resources.values().find(|one| one.kind == Kind::RegisteredModels)?;
    let part = |name: &str| model.settings[name].as_str().map(str::to_owned);
    Some([part("catalog_name")?, part("schema_name")?, part("name")?])
}

/// What gives each target its own value.
fn general(values: &[(&Bundle, &str)]) -> Option<Part> {
    let (first, value) = values.first()?;
    let is_in_each = |of: &dyn Fn(&Bundle) -> Option<String>| {
        values.iter().all(|(bundle, value)| of(bundle).as_deref() == Some(value))
    };
    let variable = first.variables.keys().find(|name| {
        is_in_each(&|bundle| bundle.variables.get(*name)?.as_str().map(str::to_owned))
    });
    if let Some(name) = variable {
        let text = format!("${{var.{name}}}");
        return Some(Part { text, variable: Some(name.clone()) });
    }
    let fixed: BTreeMap<&str, fn(&Bundle) -> Option<String>> = BTreeMap::from([
        ("target", (|bundle| Some(bundle.target.clone())) as fn(&Bundle) -> Option<String>),
        ("name", |bundle| Some(bundle.name.clone())),
    ]);
    let text = match fixed.iter().find(|(_, of)| is_in_each(*of)) {
        Some((name, _)) => format!("${{bundle.{name}}}"),
        None => (*value).to_owned(),
    };
    Some(Part { text, variable: None })
}
