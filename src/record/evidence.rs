//! A gate's evidence: what was decided, about which bytes, from which data, as
//! an in-toto statement about the version's files.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::Gate;
use crate::names::{ModelName, ModelVersion, Sha256, Source};
use crate::report::{Fault, FaultKind};

/// The document that `model-gate` writes and `model-promote` verifies. It
/// holds enough to compute the decision again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Envelope", into = "Envelope")]
pub struct Evidence {
    /// Of the statement, so that an edited document is noticed.
    pub digest: String,
    pub statement: Statement,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub model: ModelName,
    pub candidate: Subject,
    pub champion: Option<Subject>,
    /// The model that the champion is a version of, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_of: Option<ModelName>,
    pub data: Data,
    pub policy: Gate,
    pub measured: Measured,
    pub checks: Vec<Check>,
    pub verdict: String,
    pub reason: String,
    /// RFC 3339.
    pub at: String,
    /// After this time nothing may be promoted by it; RFC 3339.
    pub expires: Option<String>,
    pub commit: Option<String>,
    pub repository: Option<String>,
    pub run_url: Option<String>,
    /// The job or stage of that run that judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    pub actor: Option<String>,
}

/// One version and the digest of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub version: ModelVersion,
    pub digest: Sha256,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A table, or files; nothing where metrics were logged only.
    pub source: Option<Source>,
    /// The version in the table's Delta log.
    pub version: Option<u64>,
    /// Of the bytes of plain files.
    pub digest: Option<Sha256>,
    /// Where the champion's predictions lay, if apart, and their state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    /// The version of that table in its Delta log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_version: Option<u64>,
    /// The condition on its rows, as SQL.
    pub filter: Option<String>,
    /// The runs of `gate.jobs` that came before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    pub rows: u64,
    pub seed: u64,
}

/// A number as the evidence keeps it.
pub fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// All numbers that the decision is made from. What is not finite is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The two models gave the same answer for every row.
    #[serde(default)]
    pub identical: bool,
    /// The candidate is what it would have to stand up to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_champion: bool,
    /// Nobody named the candidate: it is the newest version that there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_newest: bool,
    /// Why the rows could not be judged, where that is so: then nothing below is known
    /// of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<Unjudged>,
    /// The newest of the rows' times, in milliseconds since 1970, where one is asked
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// Where they were chosen, on rows that were then not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// All rows.
    pub whole: Scope,
    /// Parts of them.
    #[serde(default)]
    pub slices: Vec<Scope>,
    /// The groups of each rule of fairness.
    #[serde(default)]
    pub groups: Vec<Vec<Group>>,
    /// What is known about the version, where the policy asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// What a job measured when it ran the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// What live traffic gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// Rows that cannot be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unjudged {
    /// `no_data`, `missing`, `not_finite`, `out_of_range`, `unknown_class`,
    /// `degenerate`, `ambiguous` or `mismatch`.
    pub code: String,
    pub why: String,
}

/// From which score on each model's predictions counted as positive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub candidate: f64,
    pub champion: Option<f64>,
    /// Those that they were chosen on.
    pub rows: u64,
}

/// Two groups of live traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// The rows, with their version.
    pub state: String,
    /// Of the candidate, and of the champion.
    pub units: [u64; 2],
    pub sample_ratio_p: Option<f64>,
    /// By the place of the rule.
    pub answers: Vec<LiveAnswer>,
}

/// The means of both groups, and their difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveAnswer {
    pub candidate: Option<f64>,
    pub champion: Option<f64>,
    /// After what was known before is taken out.
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A result of a job that ran the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub check: String,
    /// Nothing where it is not finite.
    pub value: Option<f64>,
    /// RFC 3339.
    pub at: String,
}

/// What is known about a version beside its numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    pub description: String,
    pub owner: Option<String>,
    /// In milliseconds since 1970.
    pub created_at: Option<i64>,
    /// Of the model and, before these, of the version.
    pub tags: BTreeMap<String, String>,
    pub flavors: Vec<String>,
    /// The columns of its signature.
    pub inputs: Option<Vec<String>>,
    pub has_outputs: bool,
    pub has_example: bool,
    /// Files that run code when they are read.
    pub pickles: Vec<String>,
    /// Pinned versions by package.
    pub packages: BTreeMap<String, String>,
    /// Requirements that pin no version; nothing when there is no list of them.
    pub unpinned: Option<Vec<String>>,
    /// Of all files.
    pub bytes: u64,
    /// What the run that trained it says it read.
    pub datasets: Vec<String>,
    /// The versions of those that are named with one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dataset_versions: BTreeMap<String, BTreeSet<u64>>,
    /// Those that are named without a version.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unversioned: BTreeSet<String>,
    /// The tags of that run which the policy asks for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub run_tags: BTreeMap<String, String>,
    pub commit: Option<String>,
    /// Whether the commit lies on the policy's branch, where git knows.
    pub commit_is_there: Option<bool>,
    /// Packages that are known as bad; nothing when nobody looked.
    pub advisories: Option<Vec<String>>,
    /// Of the file that says which are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisories_digest: Option<Sha256>,
    /// The tags of the inputs that are columns of a known table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// What the training run names as its data and no table of the catalog is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown_datasets: Vec<String>,
    /// The licences of the packages that the version runs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licences: Option<BTreeMap<String, String>>,
}

/// Some rows, and what was measured on them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Of a slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Those that have a weight.
    pub rows: u64,
    /// Rows of the rarer class, where there are two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rarer: Option<u64>,
    /// What a resample draws, where rows come in clusters or groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<u64>,
    pub candidate: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<BTreeMap<String, f64>>,
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// Metrics without a value that can be used, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unclear: BTreeMap<String, String>,
}

/// An estimate that a rule asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The place of the rule in its list.
    pub rule: usize,
    pub of: Asked,
    /// Candidate minus champion, or the candidate's own value.
    pub value: Option<f64>,
    /// The interval at the rule's level.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub error: Option<f64>,
    /// How well the rows agree with the rule being broken: a p-value.
    pub p_broken: Option<f64>,
    /// How well they agree with its being kept.
    pub p_kept: Option<f64>,
    /// Resamples in which the metric is not defined.
    #[serde(default)]
    pub undefined: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    #[default]
    Min,
    Max,
    NotWorseThan,
    BetterThanChampion,
}

/// A group of a rule of fairness: the shares of alarms that it compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    /// Behind the share that the fewest rows are behind.
    pub rows: u64,
    pub shares: Vec<Option<f64>>,
    /// How many rows of one weight would tell as much, by share.
    #[serde(default)]
    pub effective: Vec<f64>,
}

/// What one condition came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Where it belongs: `rules`, `slices`, `fairness`,
    /// `compliance`, `infrastructure`, `experiment`.
    pub kind: String,
    pub rule: String,
    /// Of a slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    pub metric: String,
    /// Those that were looked at, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    pub candidate: Option<f64>,
    pub champion: Option<f64>,
    /// What was estimated, its interval, and what it is held against.
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub limit: Option<f64>,
    /// The p-value after the correction, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    pub verdict: String,
    pub reason: String,
}

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://lakegate.dev/model-gate/v3";

/// The document as it is written: an in-toto statement, version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Artifact>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Sealed,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Artifact {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    seal: String,
    decision: Statement,
}

impl Evidence {
    /// Reads a document; `shown` is its name for people.
    pub fn parse(text: &str, shown: &str) -> Result<Self, Fault> {
        serde_json::from_str(text).map_err(|error| {
            Fault::new(FaultKind::Integrity, format!("`{shown}` is no evidence: {error}"))
        })
    }

    /// Seals a statement with its digest.
    pub fn seal(statement: Statement) -> Self {
        Self { digest: digest(&statement), statement }
    }

    /// Whether the document is as it was written.
    pub fn is_intact(&self) -> bool {
        self.digest == digest(&self.statement)
    }
}

impl From<Evidence> for Envelope {
    fn from(evidence: Evidence) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![artifact(&evidence.statement)],
            predicate_type: PREDICATE.to_owned(),
            predicate: Sealed { seal: evidence.digest, decision: evidence.statement },
        }
    }
}

impl TryFrom<Envelope> for Evidence {
    type Error = String;

    fn try_from(envelope: Envelope) -> Result<Self, String> {
        if envelope.kind != STATEMENT {
            return Err(format!("`{}` is no in-toto statement of version 1", envelope.kind));
        }
        if envelope.predicate_type != PREDICATE {
            return Err(format!("`{}` is not a gate's evidence", envelope.predicate_type));
        }
        let Sealed { seal, decision } = envelope.predicate;
        if envelope.subject != [artifact(&decision)] {
            return Err("its subject is not the version that was judged".into());
        }
        Ok(Self { digest: seal, statement: decision })
    }
}

fn artifact(statement: &Statement) -> Artifact {
    let digest = statement.candidate.digest.to_string();
    Artifact {
        name: format!("{}/{}", statement.model, statement.candidate.version),
        digest: BTreeMap::from([("sha256".to_owned(), digest)]),
    }
}

/// Of the statement's JSON, whose fields always come in the same order.
fn digest(statement: &Statement) -> String {
    Sha256::of(serde_json::to_vec(statement).unwrap_or_default()).to_string()
}
