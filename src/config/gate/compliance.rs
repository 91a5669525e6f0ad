//! What must be known about a version, beside its numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{Source, TableName};

/// Each key that is given is a check; what is left out is not asked, but for `pickle`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compliance {
    /// The version or its model has a description of at least so many letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<usize>,
    /// Somebody owns the model; one of these, where any are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Vec<String>>,
    /// Tags of the version or the model, and the values that they may have; any
    /// value where none is named. Licence and intended use are such tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Vec<String>>,
    /// The model says which columns it takes, and what it gives.
    #[serde(skip_serializing_if = "is_false")]
    pub signature: bool,
    /// It carries an example of its input.
    #[serde(skip_serializing_if = "is_false")]
    pub input_example: bool,
    /// The run that trained it names its data; only such tables or files, where
    /// any are named. A `*` at the end stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_on: Option<Vec<String>>,
    /// Each table among that data is named with the version that was read.
    #[serde(skip_serializing_if = "is_false")]
    pub data_versions: bool,
    /// Tags of the run that trained it, and the values that they may have: which
    /// environment, workspace or job it was. Any value where none is named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trained_in: BTreeMap<String, Vec<String>>,
    /// The commit that trained it lies on this branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_on: Option<String>,
    /// MLflow's flavors that are allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<String>,
    /// Whether files may be there that run code when they are read: they may not where
    /// nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickle: Option<Pickle>,
    /// A file of the repository with known-bad versions, a line each, such as
    /// `numpy<1.22 CVE-2021-41496`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisories: Option<String>,
    /// The version was registered at most so many days ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<f64>,
    /// Columns that must not be among the model's inputs, such as personal data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden_inputs: Vec<String>,
    /// Tags in Unity Catalog of columns that must not be among the model's inputs,
    /// such as `pii`, or `class=personal` for one value of a tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden_tags: Vec<String>,
    /// The tables whose columns the inputs are, for `forbidden_tags`; those that the
    /// training run names where none are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub features: Vec<TableName>,
    /// Which licences the packages may have that the version runs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licences: Option<Licences>,
}

/// Licences of packages, as a job found them where the version runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Licences {
    /// A table, or files, with the columns `model`, `version`, `package` and
    /// `licence`.
    #[schemars(with = "String")]
    pub packages: Source,
    /// Identifiers of SPDX, such as `MIT` and `BSD-3-Clause`, or licences in the
    /// packages' own words.
    pub allowed: Vec<String>,
    /// Packages that may have any licence, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pickle {
    Allowed,
    Forbidden,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Compliance {
    pub(super) fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err(
                "`compliance` asks for nothing: name what must be known, or leave it out".into()
            );
        }
        if self.max_age_days.is_some_and(|days| !(days.is_finite() && days > 0.0)) {
            return Err("`compliance.max_age_days` must be a positive number".into());
        }
        if !self.features.is_empty() && self.forbidden_tags.is_empty() {
            return Err("`compliance.features` is for `forbidden_tags`, which is empty".into());
        }
        if self.licences.as_ref().is_some_and(|licences| licences.allowed.is_empty()) {
            return Err("`compliance.licences.allowed` is empty: name what is allowed".into());
        }
        Ok(())
    }
}
