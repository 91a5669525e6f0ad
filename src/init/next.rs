//! What no file can do: what somebody must set up at the host.

use super::compose::Answers;
use super::facts::{Facts, Secrets};
use super::render::{Ci, Form};

/// Where Azure DevOps' identities come from; each organisation has an id there.
const AZURE_ISSUER: &str = "https://vstoken.dev.azure.com/<organisation-id>";
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

const VARIABLES: &str = "DATABRICKS_HOST, DATABRICKS_CLIENT_ID, DATABRICKS_WAREHOUSE_ID";

/// `needed` is what a `lakegate.yml` that was there lacks.
pub(super) fn steps(answers: &Answers, facts: &Facts, needed: Option<String>) -> Vec<String> {
    let mut targets = vec![answers.targets.test.as_str()];
    if !answers.embedded {
        targets.extend(answers.targets.staging.as_deref());
        targets.extend(answers.targets.production.as_deref());
    }
    targets.dedup();
    let mut lines = match answers.ci {
        Ci::GitHub => github(answers, &targets),
        Ci::Azure => azure(answers, &targets),
    };
    if let Some(section) = needed {
        lines.push(
            "  in lakegate.yml, as this bundle is not the only one, or not on `main`:".to_owned(),
        );
        lines.extend(section.lines().map(|line| format!("    {line}")));
    }
    if !facts.others.is_empty() {
        let others = facts.others.join(", ");
        lines.push(format!("  these do the same, and would run beside: remove {others}"));
    }
    lines
}

/// The secrets that are used as they are.
fn kept(secrets: Secrets) -> String {
    let names: Vec<String> =
        ["STAGING", "PROD"].iter().flat_map(|role| secrets.of_role(role)).collect();
    names.join(", ")
}

fn github(answers: &Answers, targets: &[&str]) -> Vec<String> {
    let mut lines = vec!["what is left to do at GitHub:".to_owned()];
    if answers.embedded {
        lines.push("  nothing: the checks run in the embedded workspace".to_owned());
        return lines;
    }
    if let Some(secrets) = answers.secrets {
        lines.push(format!("  the secrets that are there are used: {}", kept(secrets)));
        lines.push("  variables: DATABRICKS_WAREHOUSE_ID, and DATABRICKS_HOST where the bundle names no workspace".to_owned());
        lines.push("  without secrets: run this again with --sign-in federation".to_owned());
    }
    for name in targets.iter().filter(|_| answers.secrets.is_none()) {
        lines.push(format!("  environment `{name}`: variables {VARIABLES}"));
        lines.push(format!(
            "    federation policy of its service principal: issuer {GITHUB_ISSUER}, subject repo:<owner>/<repository>:environment:{name}"
        ));
    }
    if let Some(production) = &answers.targets.production {
        lines.push(format!(
            "  required reviewers at `{production}` and `{production}-model`, without self-review"
        ));
    }
    lines
}

fn azure(answers: &Answers, targets: &[&str]) -> Vec<String> {
    let main = &answers.main;
    let mut lines = vec![
        "what is left to do at Azure DevOps:".to_owned(),
        "  the extension Lakegate in the organisation; one pipeline for each file".to_owned(),
        format!(
            "  a branch policy of `{main}`: build validation by {}merge-request.yml (Azure Repos only)",
            answers.prefix()
        ),
        "  the build service may contribute to pull requests, and create branches and tags"
            .to_owned(),
    ];
    if answers.form == Form::Call {
        lines.push(
            "  a service connection `github`, by which the pipelines read the templates".to_owned(),
        );
    }
    if answers.embedded {
        return lines;
    }
    if let Some(secrets) = answers.secrets {
        let group = answers.group.as_deref().unwrap_or("lakegate-<target>");
        lines.push(format!("  variable group `{group}`: {} are used as they are", kept(secrets)));
        let own =
            "DATABRICKS_WAREHOUSE_ID, and DATABRICKS_HOST where the bundle names no workspace";
        lines.extend(
            targets.iter().map(|name| format!("  variable group `lakegate-{name}`: {own}")),
        );
        return lines;
    }
    for name in targets {
        lines.push(format!("  variable group `lakegate-{name}`: {VARIABLES}"));
    }
    lines.push(format!(
        "  federation policies of the service principals: issuer {AZURE_ISSUER}, audience api://AzureADTokenExchange, subject p://<organisation>/<project>/<pipeline>"
    ));
    if let Some(production) = &answers.targets.production {
        lines.push(format!(
            "  approvals at the environments `{production}` and `{production}-model`, not by whoever started the run; an exclusive lock"
        ));
    }
    lines
}
