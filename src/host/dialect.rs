//! How each host wants things said, and what it would misread.

use std::borrow::Cow;

use anyhow::{Result, ensure};

use super::relay;
use crate::names::camel;
use crate::report::{Finding, Severity};
use crate::sys::Env;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    GitHub,
    Azure,
    Terminal,
}

impl Dialect {
    pub(super) fn detect(env: &Env) -> Self {
        if env.is_true("GITHUB_ACTIONS") {
            Self::GitHub
        } else if env.is_true("TF_BUILD") {
            Self::Azure
        } else {
            Self::Terminal
        }
    }

    /// One command per line of the secret: hosts mask single lines only. Short
    /// values are left alone, they would blot out half of the log.
    pub(super) fn mask(self, secret: &str) -> Vec<String> {
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 8);
        match self {
            Self::GitHub => {
                lines.map(|line| format!("::add-mask::{}", github_data(line))).collect()
            }
            Self::Azure => {
                lines.map(|line| format!("##vso[task.setsecret]{}", azure_data(line))).collect()
            }
            Self::Terminal => Vec::new(),
        }
    }

    pub(super) fn group(self, title: &str) -> (String, Option<&'static str>) {
        match self {
            Self::GitHub => (format!("::group::{}", github_data(title)), Some("::endgroup::")),
            Self::Azure => (format!("##[group]{title}"), Some("##[endgroup]")),
            Self::Terminal => (title.to_owned(), None),
        }
    }

    pub(super) fn annotation(self, finding: &Finding) -> String {
        let title = relay::harmless_lines(&finding.title).join(" ");
        let hint = finding.hint.as_deref().map(|hint| relay::harmless_lines(hint).join(" "));
        let message = hint.map_or_else(|| title.clone(), |hint| format!("{title} (help: {hint})"));
        match self {
            Self::GitHub => github_annotation(finding, &message),
            Self::Azure => azure_annotation(finding, &message),
            Self::Terminal => {
                format!("{}[{}]: {message}", severity_name(finding.severity), finding.rule)
            }
        }
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    }
}

fn github_annotation(finding: &Finding, message: &str) -> String {
    let mut properties = format!("title={}", github_property(&finding.rule));
    if let Some(place) = &finding.place {
        properties.push_str(&format!(",file={}", github_property(&place.file)));
        if let Some(line) = place.line {
            properties.push_str(&format!(",line={line}"));
        }
    }
    format!("::{} {properties}::{}", severity_name(finding.severity), github_data(message))
}

fn azure_annotation(finding: &Finding, message: &str) -> String {
    // `task.logissue` knows errors and warnings only.
    let kind = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => return format!("[{}] {message}", finding.rule),
    };
    let mut properties = format!("type={kind};code={}", azure_property(&finding.rule));
    if let Some(place) = &finding.place {
        properties.push_str(&format!(";sourcepath={}", azure_property(&place.file)));
        if let Some(line) = place.line {
            properties.push_str(&format!(";linenumber={line}"));
        }
    }
    format!("##vso[task.logissue {properties}]{}", azure_data(message))
}

/// The entry of `GITHUB_OUTPUT`: a heredoc whose delimiter nobody can guess.
pub(super) fn github_file_entry(name: &str, value: &str) -> Result<String> {
    let delimiter = format!("lakegate_{}", uuid::Uuid::new_v4().simple());
    let value = value.replace("\r\n", "\n").replace('\r', "\n");
    ensure!(
        is_output_name(name),
        "output name `{name}` may hold letters, digits, `-` and `_` only"
    );
    ensure!(!value.contains(&delimiter), "output `{name}` holds its own delimiter");
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

fn is_output_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) fn azure_output(name: &str, value: &str) -> String {
    // As inputs are named: letters and digits alone are a name there.
    format!(
        "##vso[task.setvariable variable={};isOutput=true]{}",
        azure_property(&camel(name)),
        azure_data(value)
    )
}

pub(super) fn azure_upload_summary(path: &str) -> String {
    format!("##vso[task.uploadsummary]{}", azure_data(path))
}

pub(super) fn azure_artifact(name: &str, path: &str) -> String {
    let name = azure_property(name);
    format!("##vso[artifact.upload containerfolder={name};artifactname={name}]{}", azure_data(path))
}

pub(super) fn azure_tag(tag: &str) -> String {
    format!("##vso[build.addbuildtag]{}", azure_data(tag))
}

pub(super) fn azure_issues(why: &str) -> String {
    format!("##vso[task.complete result=SucceededWithIssues]{}", azure_data(why))
}

fn github_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_data(text).replace(':', "%3A").replace(',', "%2C")
}

fn azure_data(text: &str) -> String {
    text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A")
}

fn azure_property(text: &str) -> Cow<'_, str> {
    Cow::Owned(azure_data(text).replace(']', "%5D").replace(';', "%3B"))
}
