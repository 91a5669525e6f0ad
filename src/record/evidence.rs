//! A gate's evidence: what was decided, about which bytes, from which data.

use serde::{Deserialize, Serialize};

use crate::config::Gate;
use crate::names::{ModelName, ModelVersion, Sha256, Source};

/// The document that `model-gate` writes and `model-promote` verifies. It
/// holds enough to compute the decision again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub version: u32,
    /// Of everything below, so that an edited document is noticed.
    pub digest: String,
    #[serde(flatten)]
    pub statement: Statement,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    pub model: ModelName,
    pub candidate: Subject,
    pub champion: Option<Subject>,
    pub data: Data,
    pub policy: Gate,
    pub rules: Vec<RuleResult>,
    pub verdict: String,
    pub reason: String,
    /// RFC 3339.
    pub at: String,
    pub commit: Option<String>,
    pub run_url: Option<String>,
    pub actor: Option<String>,
}

/// One version and the digest of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub version: ModelVersion,
    pub digest: Sha256,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// A table, or files.
    pub source: Source,
    /// The version in the table's Delta log.
    pub version: Option<u64>,
    /// Of the bytes of plain files.
    pub digest: Option<Sha256>,
    /// The condition on its rows, as SQL.
    pub filter: Option<String>,
    pub rows: u64,
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    pub rule: String,
    pub metric: String,
    pub candidate: Option<f64>,
    pub champion: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub verdict: String,
    pub reason: String,
}

const VERSION: u32 = 1;

impl Evidence {
    /// Seals a statement with its digest.
    pub fn seal(statement: Statement) -> Self {
        Self { version: VERSION, digest: digest(&statement), statement }
    }

    /// Whether the document is as it was written.
    pub fn is_intact(&self) -> bool {
        self.version == VERSION && self.digest == digest(&self.statement)
    }
}

/// Of the statement's JSON, whose fields always come in the same order.
fn digest(statement: &Statement) -> String {
    Sha256::of(serde_json::to_vec(statement).unwrap_or_default()).to_string()
}
