//! Resolves the versions, reads the predictions, decides, records.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::decide::{Decision, Measured, Ruling, decide};
use super::input::{Judged, judge};
use crate::config::Gate;
use crate::databricks::Client;
use crate::lake::{self, Asked};
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, Sha256, VersionRef};
use crate::record::evidence::{Data, Evidence, RuleResult, Statement, Subject};
use crate::record::{self, GateRow};
use crate::report::{
    Chart, Document, Fault, Finding, Outcome, Report, Series, Severity, Table, Verdict, number,
};
use crate::stats::bootstrap::{self, Plan};
use crate::stats::metrics::Metric;
use crate::step::{self, Ctx};
use crate::sys::clock;

#[derive(Debug, Clone)]
pub struct Request {
    pub model: ModelName,
    /// Nothing means the newest version.
    pub candidate: Option<VersionRef>,
    pub champion: Alias,
    pub policy: Gate,
    pub filter: Option<String>,
    pub record: Option<SchemaName>,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let policy = &request.policy;
    // From here on numbers are used, never the alias: it may move meanwhile.
    let candidate = candidate(&ctx.client, &request.model, request.candidate.as_ref()).await?;
    let champion = champion(&ctx.client, &request.model, &request.champion).await?;
    let champion = champion.filter(|champion| champion.version != candidate.version);
    ctx.host.progress(&format!(
        "candidate version {}, {}",
        candidate.version,
        champion.as_ref().map_or("no other champion".to_owned(), |champion| format!(
            "champion version {}",
            champion.version
        ))
    ));

    let mut columns = policy.columns();
    columns.extend(policy.champion.clone().filter(|_| champion.is_some()));
    let asked = Asked { filter: request.filter.as_deref(), ..Asked::default() };
    let opened = lake::open(&ctx, &policy.predictions, asked).await?;
    let batches = opened.side.read(ctx.lake_if_any(), &columns, &opened.grouping).await?;
    // Files are what their bytes are, tables what their version is.
    let digest = opened.side.digest()?;
    let judged = judge(&batches, policy, champion.is_some())?;

    let seed = Sha256::of_parts([
        opened.identity.as_str(),
        &digest.map_or(String::new(), |digest| digest.to_string()),
        &candidate.digest.to_string(),
        &champion.as_ref().map_or(String::new(), |champion| champion.digest.to_string()),
    ])
    .seed();
    let measured = measure(&judged, policy, seed);
    let decision = decide(policy, &measured);
    let evidence = Evidence::seal(Statement {
        model: request.model.clone(),
        candidate,
        champion,
        data: Data {
            source: policy.predictions.clone(),
            version: opened.version,
            digest,
            filter: request.filter.clone(),
            rows: judged.rows,
            seed,
        },
        policy: policy.clone(),
        rules: rule_results(&measured, &decision),
        verdict: decision.verdict.as_str().to_owned(),
        reason: decision.reason.clone(),
        at: clock::now().to_string(),
        commit: ctx.context.commit.clone(),
        run_url: ctx.context.run_url.clone(),
        actor: ctx.context.actor.clone(),
    });
    if let Some(schema) = &request.record {
        ctx.lake()?.record(schema, &rows(&evidence)).await?;
    }
    Ok(outcome(&evidence, &measured, decision))
}

fn measure(judged: &Judged, policy: &Gate, seed: u64) -> Measured {
    let metrics = Metric::of(policy.problem);
    let values = |predictions: &crate::stats::metrics::Predictions| -> BTreeMap<&'static str, f64> {
        metrics.iter().map(|metric| metric.as_str()).zip(predictions.values(metrics)).collect()
    };
    let mut measured = Measured {
        rows: judged.rows,
        rarer: judged.rarer,
        candidate: values(&judged.candidate),
        ..Measured::default()
    };
    if let Some(champion) = &judged.champion {
        let compared: Vec<Metric> = {
            let mut compared: Vec<Metric> = policy
                .rules
                .iter()
                .filter(|rule| rule.compares())
                .map(|rule| rule.metric)
                .collect();
            compared.dedup();
            compared
        };
        let plan = Plan {
            units: &judged.units,
            resamples: policy.resamples,
            confidence: policy.confidence,
            method: policy.interval,
            seed,
        };
        let differences = bootstrap::differences(&judged.candidate, champion, &compared, plan);
        measured.differences =
            compared.iter().map(|metric| metric.as_str()).zip(differences).collect();
        measured.identical = judged.candidate.scores() == champion.scores();
        measured.champion = Some(values(champion));
    }
    measured
}

/// The rulings as the evidence keeps them: what is not finite is left out.
fn rule_results(measured: &Measured, decision: &Decision) -> Vec<RuleResult> {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let result = |ruling: &Ruling| {
        let name = ruling.metric.as_str();
        let champion = measured.champion.as_ref().and_then(|values| values.get(name).copied());
        RuleResult {
            rule: ruling.rule.clone(),
            metric: name.to_owned(),
            candidate: finite(measured.candidate.get(name).copied()),
            champion: finite(champion),
            low: finite(ruling.difference.map(|difference| difference.low)),
            high: finite(ruling.difference.map(|difference| difference.high)),
            verdict: ruling.verdict.as_str().to_owned(),
            reason: ruling.reason.clone(),
        }
    };
    decision.rulings.iter().map(result).collect()
}

fn verdict_name(text: &str) -> &'static str {
    [Verdict::Pass, Verdict::Fail]
        .into_iter()
        .find(|verdict| verdict.as_str() == text)
        .unwrap_or(Verdict::Inconclusive)
        .as_str()
}

fn rows(evidence: &Evidence) -> Vec<GateRow> {
    let statement = &evidence.statement;
    // The same decision about the same bytes and data is the same event, also
    // when a killed step makes it again a little later.
    let timeless = record::evidence::Statement { at: String::new(), ..statement.clone() };
    let decision = Evidence::seal(timeless).digest;
    let row = |result: &RuleResult| GateRow {
        event_id: Sha256::of_parts([decision.as_str(), &result.rule]).to_string(),
        evidence: evidence.digest.clone(),
        model: statement.model.to_string(),
        candidate_version: statement.candidate.version.0,
        champion_version: statement.champion.as_ref().map(|champion| champion.version.0),
        rule: result.rule.clone(),
        metric: result.metric.clone(),
        candidate_value: result.candidate.unwrap_or(f64::NAN),
        champion_value: result.champion,
        difference_low: result.low,
        difference_high: result.high,
        rule_verdict: verdict_name(&result.verdict),
        verdict: verdict_name(&statement.verdict),
        rows: statement.data.rows,
        data_version: statement.data.version,
        run_url: statement.run_url.clone(),
        at: statement.at.clone(),
    };
    statement.rules.iter().map(row).collect()
}

fn outcome(evidence: &Evidence, measured: &Measured, decision: Decision) -> Outcome {
    let statement = &evidence.statement;
    let mut report = Report::new(
        "model-gate",
        format!("{} version {}", statement.model, statement.candidate.version),
    );
    let champion = statement.champion.as_ref();
    report.fact(
        "champion",
        champion.map_or("none".to_owned(), |champion| format!("version {}", champion.version)),
    );
    let data = &statement.data;
    let state = match (data.version, &data.digest) {
        (Some(version), _) => format!(" version {version}"),
        (None, Some(digest)) => format!(" with digest {}", digest.short()),
        (None, None) => String::new(),
    };
    report.fact("data", format!("{}{state}", data.source));
    report.fact("rows", statement.data.rows.to_string());
    report.fact("digest", statement.candidate.digest.short());
    let mut rules = Table::new("Rules", ["rule", "candidate", "champion", "reason"]);
    for ruling in &decision.rulings {
        let name = ruling.metric.as_str();
        let of = |values: Option<&BTreeMap<&'static str, f64>>| {
            values.and_then(|values| values.get(name)).map_or("–".into(), |v| number(*v))
        };
        rules.row(
            Some(ruling.verdict),
            [
                ruling.rule.clone(),
                of(Some(&measured.candidate)),
                of(measured.champion.as_ref()),
                ruling.reason.clone(),
            ],
        );
        if ruling.verdict != Verdict::Pass {
            report.findings.push(Finding::new(Severity::Error, "gate/rule", ruling.reason.clone()));
        }
    }
    rules.worst_first();
    report.tables.push(rules);
    report.tables.push(all_metrics(measured));
    report.charts.extend(chart(measured));
    for note in decision.notes {
        report.findings.push(Finding::new(Severity::Notice, "gate/first-model", note));
    }
    Outcome {
        document: Some(Document { name: "evidence", content: json!(evidence) }),
        ..Outcome::new(report.concluded(decision.verdict, decision.reason))
            .output("candidate-version", statement.candidate.version.to_string())
            .output(
                "champion-version",
                champion.map_or(String::new(), |champion| champion.version.to_string()),
            )
            .output("digest", statement.candidate.digest.to_string())
    }
}

fn all_metrics(measured: &Measured) -> Table {
    let mut table = Table::new("Metrics", ["metric", "candidate", "champion"]);
    for (name, value) in &measured.candidate {
        let champion = measured.champion.as_ref().and_then(|values| values.get(name));
        table.row(
            None,
            [
                (*name).to_owned(),
                number(*value),
                champion.map_or("–".into(), |value| number(*value)),
            ],
        );
    }
    table
}

fn chart(measured: &Measured) -> Option<Chart> {
    let champion = measured.champion.as_ref()?;
    Some(Chart {
        title: "Champion and candidate".into(),
        labels: measured.candidate.keys().map(|name| (*name).to_owned()).collect(),
        series: vec![
            Series { name: "champion".into(), values: champion.values().copied().collect() },
            Series {
                name: "candidate".into(),
                values: measured.candidate.values().copied().collect(),
            },
        ],
        limit: None,
    })
}

/// The version that is judged, and the digest of its files.
async fn candidate(
    client: &Client,
    model: &ModelName,
    version: Option<&VersionRef>,
) -> Result<Subject> {
    if client
        .model_get(model)
        .await
        .with_context(|| format!("look up the model `{model}`"))?
        .is_none()
    {
        let fault = Fault::usage(format!("the model `{model}` does not exist"));
        return Err(fault
            .hint("check its name, and that the identity may see its catalog and schema")
            .into());
    }
    let version = match version {
        Some(VersionRef::Version(number)) => *number,
        Some(VersionRef::Alias(alias)) => {
            let set = client.alias_get(model, alias).await?;
            set.ok_or_else(|| Fault::usage(format!("the alias `{alias}` of `{model}` is not set")))?
        }
        None => {
            let versions = client
                .model_versions(model)
                .await
                .with_context(|| format!("list the versions of `{model}`"))?;
            let newest = versions.iter().map(|version| version.version).max();
            ModelVersion(
                newest
                    .ok_or_else(|| Fault::usage(format!("the model `{model}` has no versions")))?,
            )
        }
    };
    Ok(Subject { version, digest: client.ready_digest(model, version).await? })
}

async fn champion(client: &Client, model: &ModelName, alias: &Alias) -> Result<Option<Subject>> {
    let set = client
        .alias_get(model, alias)
        .await
        .with_context(|| format!("read the alias `{alias}` of `{model}`"))?;
    match set {
        Some(version) => {
            Ok(Some(Subject { version, digest: client.ready_digest(model, version).await? }))
        }
        None => Ok(None),
    }
}
