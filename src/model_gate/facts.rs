//! What is known about a version: from the registry, its run, and its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use serde_json::Value;

use crate::config::{Compliance, Infrastructure};
use crate::databricks::mlflow::{Dataset, Metric, TrackedRun};
use crate::lake::{self, Asked};
use crate::names::{ModelName, ModelVersion, Sha256, Source, TableName};
use crate::record::evidence::{Facts, Probe, finite};
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::{fs, git};

/// Names that end like this are read by running what they hold.
const PICKLES: [&str; 10] =
    [".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".cloudpickle", ".bin", ".ckpt", ".sav"];

pub(super) async fn collect(
    ctx: &Ctx,
    model: &ModelName,
    version: ModelVersion,
    policy: &Compliance,
) -> Result<Facts> {
    let client = &ctx.client;
    let registered = client.model_get(model).await?;
    let info = client.model_version_get(model, version).await?.context("the version is gone")?;
    let registered = registered.context("the model is gone")?;
    let own = client.model_version_tags(model, version).await?;
    let mut tags = client.model_tags(model).await?;
    tags.extend(own.clone());
    let comments = [info.comment, registered.comment];
    let mut facts = Facts {
        description: comments
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        owner: registered.owner,
        created_at: Some(info.created_at).filter(|at| *at > 0),
        tags,
        ..Facts::default()
    };
    if let Some(run) = info.run_id.as_deref().filter(|run| !run.is_empty()) {
        let run = client.tracked_run(run).await.context("read the run that trained it")?;
        facts.commit = run.tags.get("mlflow.source.git.commit").cloned();
        trained_by(run, policy, &mut facts);
    }
    // A tag of the model would speak for every version; two that differ say nothing.
    let tagged = own.get("commit").cloned();
    facts.commit = match (tagged, facts.commit) {
        (Some(tag), Some(run)) if tag != run => None,
        (tag, run) => tag.or(run),
    };
    if let (Some(branch), Some(commit)) = (&policy.commit_on, &facts.commit) {
        facts.commit_is_there = git::is_on(&ctx.env, Path::new("."), commit, branch).await?;
    }
    read_files(ctx, model, version, &mut facts).await?;
    if let Some(path) = &policy.advisories {
        let text = fs::read_text_if_exists(path)?.ok_or_else(|| {
            Fault::usage(format!("`gate.compliance.advisories`: `{path}` does not exist"))
        })?;
        facts.advisories = Some(super::advisories::found(&text, &facts.packages)?);
        facts.advisories_digest = Some(Sha256::of(&text));
    }
    if !policy.forbidden_tags.is_empty() {
        read_tags(ctx, policy, &mut facts).await?;
    }
    if let Some(policy) = &policy.licences {
        facts.licences = Some(licences(ctx, &policy.packages, model, version).await?);
    }
    Ok(facts)
}

/// What the run that trained it says of itself and of its data.
fn trained_by(run: TrackedRun, policy: &Compliance, facts: &mut Facts) {
    facts.run_tags = run.tags;
    facts.run_tags.retain(|tag, _| policy.trained_in.contains_key(tag));
    for Dataset { name, version } in run.datasets {
        match version {
            Some(version) => {
                facts.dataset_versions.entry(name.clone()).or_default().insert(version);
            }
            None => {
                facts.unversioned.insert(name.clone());
            }
        }
        if !facts.datasets.contains(&name) {
            facts.datasets.push(name);
        }
    }
}

/// The tags of the inputs, as the tables have them whose columns they are.
async fn read_tags(ctx: &Ctx, policy: &Compliance, facts: &mut Facts) -> Result<()> {
    let named = policy.features.iter().map(ToString::to_string);
    let sources: Vec<String> =
        if policy.features.is_empty() { facts.datasets.clone() } else { named.collect() };
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let table: Option<TableName> = source.parse().ok();
        let info = match &table {
            Some(table) => ctx.client.table_get(table).await?,
            None => None,
        };
        let (Some(table), Some(info)) = (table, info) else {
            // A column of it may have any tag.
            facts.unknown_datasets.push(source);
            continue;
        };
        for input in facts.inputs.iter().flatten() {
            let mut columns = info.columns.iter();
            let Some(column) = columns.find(|column| column.name.eq_ignore_ascii_case(input))
            else {
                continue;
            };
            let tags = ctx.client.column_tags(&table, &column.name).await;
            let tags = tags.with_context(|| format!("read the tags of `{table}.{input}`"))?;
            found.entry(input.clone()).or_default().extend(tags);
        }
    }
    facts.input_tags = Some(found);
    Ok(())
}

/// What a job found installed where the version runs.
async fn licences(
    ctx: &Ctx,
    packages: &Source,
    model: &ModelName,
    version: ModelVersion,
) -> Result<BTreeMap<String, String>> {
    let rows = of_version(ctx, packages, ["package", "licence"], (model, version)).await?;
    let [names, licences] = &rows;
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in 0..names.len() {
        // Without a value it is an empty text, which no policy allows.
        let licence = array_value_to_string(licences, row)?;
        found.entry(array_value_to_string(names, row)?).or_default().insert(licence);
    }
    // A package that was seen with several must be allowed with each.
    let joined = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join("; ");
    Ok(found.into_iter().map(|(name, all)| (name, joined(all))).collect())
}

/// Columns of the rows that a job wrote about a version.
async fn of_version<const N: usize>(
    ctx: &Ctx,
    source: &Source,
    columns: [&str; N],
    (model, version): (&ModelName, ModelVersion),
) -> Result<[ArrayRef; N]> {
    // Both come from names that were parsed: neither holds a quote.
    let own = format!("model = '{model}' AND version = {version}");
    let asked = Asked { filter: Some(&own), ..Asked::default() };
    let opened = lake::open(ctx, source, asked).await?;
    let names = columns.map(str::to_owned);
    let batches = opened.side.read(ctx.lake_if_any(), &names, &opened.grouping).await?;
    let arrays: Vec<ArrayRef> =
        columns.iter().map(|name| lake::column(&batches, name)).collect::<Result<_>>()?;
    arrays.try_into().ok().context("a column was lost")
}

/// What a job found when it ran the version.
pub(super) async fn probes(
    ctx: &Ctx,
    policy: &Infrastructure,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Vec<Probe>> {
    let columns = ["check", "value", "at"];
    let [names, values, times] =
        of_version(ctx, &policy.results, columns, (model, version)).await?;
    let values = cast(&values, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let rows = (0..values.len()).map(|row| {
        let value = values.is_valid(row).then(|| values.value(row)).and_then(finite);
        Ok(Probe {
            check: array_value_to_string(&names, row)?,
            value,
            at: array_value_to_string(&times, row)?,
        })
    });
    rows.collect()
}

/// Metrics that training logged, by name; or why one cannot be used.
pub(super) async fn logged(
    ctx: &Ctx,
    names: impl Iterator<Item = &String>,
    model: &ModelName,
    version: ModelVersion,
) -> Result<BTreeMap<String, Result<f64, String>>> {
    let sides = ctx.client.logged_metrics(model, version).await;
    let sides = sides.context("read what training logged")?;
    Ok(names.map(|name| (name.clone(), one(name, &sides))).collect())
}

/// The one value that all who logged it agree on.
fn one(name: &str, sides: &[Vec<Metric>; 2]) -> Result<f64, String> {
    let mut values = sides.iter().flatten().filter(|metric| metric.key == name);
    let first = values.next().ok_or("was not logged")?.value;
    if let Some(other) = values.find(|other| other.value.to_bits() != first.to_bits()) {
        return Err(format!("is ambiguous: {first} and {} were logged", other.value));
    }
    if first.is_finite() { Ok(first) } else { Err(format!("is {first}, which is not finite")) }
}

async fn read_files(
    ctx: &Ctx,
    model: &ModelName,
    version: ModelVersion,
    facts: &mut Facts,
) -> Result<()> {
    let root = model.files_of(version);
    let files = ctx.client.files_below(&root).await?;
    for file in &files {
        let name = file.path.strip_prefix(&root).unwrap_or(&file.path).trim_start_matches('/');
        if PICKLES.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
            facts.pickles.push(name.to_owned());
        }
        facts.bytes += file.file_size;
        if name == "MLmodel" {
            let text = ctx.client.file_read(&file.path).await?;
            describe(&serde_yaml::from_slice(&text).context("read the version's MLmodel")?, facts);
        }
        if name == "requirements.txt" {
            let text = ctx.client.file_read(&file.path).await?;
            let text = String::from_utf8_lossy(&text);
            facts.packages = super::advisories::pinned(&text);
            facts.unpinned = Some(super::advisories::unpinned(&text));
        }
    }
    Ok(())
}

/// What MLflow wrote about the model.
fn describe(described: &Value, facts: &mut Facts) {
    let flavors = described["flavors"].as_object();
    facts.flavors = flavors.into_iter().flat_map(|flavors| flavors.keys().cloned()).collect();
    let columns = |name: &str| -> Option<Vec<String>> {
        let text = described["signature"][name].as_str()?;
        let columns: Vec<Value> = serde_json::from_str(text).ok()?;
        let named = |(at, column): (usize, &Value)| {
            column["name"].as_str().map_or_else(|| format!("#{at}"), str::to_owned)
        };
        Some(columns.iter().enumerate().map(named).collect())
    };
    facts.inputs = columns("inputs");
    facts.has_outputs = columns("outputs").is_some();
    facts.has_example = described["saved_input_example_info"].is_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_metric_is_one_finite_number_or_none() {
        let metric = |value: f64| Metric { key: "auc".into(), value };
        let of = |a: &[f64], b: &[f64]| {
            one("auc", &[a, b].map(|side| side.iter().map(|value| metric(*value)).collect()))
        };
        assert_eq!(of(&[0.8], &[]), Ok(0.8));
        assert_eq!(of(&[0.8], &[0.8]), Ok(0.8));
        assert!(of(&[0.8], &[0.9]).unwrap_err().contains("ambiguous"));
        assert!(of(&[f64::NAN], &[]).unwrap_err().contains("not finite"));
        assert!(of(&[f64::INFINITY], &[]).unwrap_err().contains("not finite"));
        assert!(of(&[], &[]).unwrap_err().contains("was not logged"));
    }

    #[test]
    fn mlflows_description_is_read() {
        let text = "flavors: {sklearn: {}, python_function: {}}\nsignature:\n  inputs: '[{\"type\": \"string\", \"name\": \"carrier\"}, {\"type\": \"tensor\"}]'\n  outputs: '[{\"type\": \"double\"}]'\nsaved_input_example_info: {artifact_path: x.json}\n";
        let mut facts = Facts::default();
        describe(&serde_yaml::from_str(text).unwrap(), &mut facts);
        assert_eq!(facts.inputs.unwrap(), ["carrier", "#1"]);
        assert!(facts.has_outputs && facts.has_example);
        assert_eq!(facts.flavors, ["sklearn", "python_function"]);
        let mut facts = Facts::default();
        describe(&Value::Null, &mut facts);
        assert_eq!(facts, Facts::default());
    }
}
