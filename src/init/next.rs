//! What no file can do: what somebody must set up at the host.

use super::render::{Answers, Ci};

/// Where Azure DevOps' identities come from; each organisation has an id there.
const AZURE_ISSUER: &str = "https://vstoken.dev.azure.com/<organisation-id>";
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

const VARIABLES: &str = "DATABRICKS_HOST, DATABRICKS_CLIENT_ID, DATABRICKS_WAREHOUSE_ID";

pub(super) fn steps(answers: &Answers) -> Vec<String> {
    let mut targets = vec![answers.targets.test.as_str()];
    if !answers.embedded {
        targets.extend(answers.targets.staging.as_deref());
        targets.extend(answers.targets.production.as_deref());
    }
    targets.dedup();
    match answers.ci {
        Ci::GitHub { .. } => github(answers, &targets),
        Ci::Azure => azure(answers, &targets),
    }
}

fn github(answers: &Answers, targets: &[&str]) -> Vec<String> {
    let mut lines = vec!["what is left to do at GitHub:".to_owned()];
    if answers.embedded {
        lines.push("  nothing: the checks run in the embedded workspace".to_owned());
        return lines;
    }
    for name in targets {
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
            "  a branch policy of `{main}`: build validation by merge-request.yml (Azure Repos only)"
        ),
        "  the build service may contribute to pull requests, and create branches and tags"
            .to_owned(),
    ];
    if answers.embedded {
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
