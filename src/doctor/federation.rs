//! What a job shows to be let into the workspace, beside what federation policies are
//! made for.

use std::collections::BTreeMap;

use super::check::Checks;
use crate::databricks::Claims;
use crate::host::Dialect;
use crate::step::Ctx;
use crate::sys::Env;

const WHAT: (&str, &str) = ("CI host", "subject");

/// `environments` are those that workflows of ours name.
pub(super) async fn look(ctx: &Ctx, environments: &BTreeMap<String, bool>, checks: &mut Checks) {
    if ctx.client.is_nowhere() || ctx.host.dialect() == Dialect::Terminal {
        return;
    }
    // Why there is no token is told where the identity is looked at.
    let Ok(Some(claims)) = ctx.client.presented().await else { return };
    match ctx.host.dialect() {
        Dialect::GitHub => of_github(&claims, environments, checks),
        Dialect::Azure => of_azure(&claims, &ctx.env, checks),
        Dialect::Terminal => {}
    }
}

/// `repo:acme/flights:environment:prod` is what `init` prints policies for.
fn of_github(claims: &Claims, environments: &BTreeMap<String, bool>, checks: &mut Checks) {
    let presented = format!("`{}`", claims.sub);
    let known =
        || environments.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match claims.sub.split_once(":environment:") {
        Some((_, name)) if environments.contains_key(name) => {
            checks.good(WHAT, format!("{presented}, audience `{}`", claims.aud));
        }
        Some((_, name)) => checks.unknown(
            WHAT,
            format!(
                "{presented}: no workflow of Lakegate names the environment `{name}`, but {}",
                known()
            ),
            "look from a job whose environment is that of the target",
        ),
        None if claims.sub.starts_with("repo:") => checks.bad(
            WHAT,
            format!("{presented}: the job is in no environment, and policies are for {}", known()),
            "`environment: <target>` at the job; `lakegate init` prints the policy of each",
        ),
        None => checks.unknown(
            WHAT,
            format!("{presented} is a form that the organisation made"),
            "the federation policy must have this very subject",
        ),
    }
}

/// `p://acme/ml/flights`, or `sc://acme/ml/connection` by a service connection.
fn of_azure(claims: &Claims, env: &Env, checks: &mut Checks) {
    let presented = format!("`{}`", claims.sub);
    let Some(expected) = subject_of_azure(env) else {
        return checks.good(WHAT, format!("{presented}, audience `{}`", claims.aud));
    };
    if claims.sub.to_lowercase().starts_with(&expected.to_lowercase()) {
        checks.good(WHAT, format!("{presented}, audience `{}`", claims.aud));
    } else {
        checks.bad(
            WHAT,
            format!("{presented} is presented, where `{expected}` would be expected"),
            "the federation policy must have the subject that is presented",
        );
    }
}

/// The subject of this pipeline; of a service connection, how it begins.
fn subject_of_azure(env: &Env) -> Option<String> {
    let collection = env.get("SYSTEM_COLLECTIONURI")?;
    let address = url::Url::parse(collection).ok()?;
    let path = address.path().trim_matches('/').to_owned();
    let organisation = match address.host_str()?.strip_suffix(".visualstudio.com") {
        Some(name) => name.to_owned(),
        None => path,
    };
    let project = env.get("SYSTEM_TEAMPROJECT")?;
    if env.get("LAKEGATE_SERVICE_CONNECTION").is_some_and(|id| !id.is_empty()) {
        return Some(format!("sc://{organisation}/{project}/"));
    }
    let pipeline = env.get("BUILD_DEFINITIONNAME")?;
    Some(format!("p://{organisation}/{project}/{pipeline}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, Severity};

    fn said(look: impl FnOnce(&mut Checks)) -> Option<(Severity, String)> {
        let mut checks = Checks::default();
        look(&mut checks);
        let report = checks.conclude(Report::new("doctor", "x"));
        report.findings.into_iter().next().map(|finding| (finding.severity, finding.title))
    }

    fn of(sub: &str) -> Claims {
        Claims { iss: "i".into(), sub: sub.into(), aud: "a".into() }
    }

    #[test]
    fn a_job_of_github_is_in_an_environment_that_has_a_policy() {
        let environments = BTreeMap::from([("prod".to_owned(), true)]);
        let look = |sub: &str| said(|checks| of_github(&of(sub), &environments, checks));
        assert_eq!(look("repo:acme/flights:environment:prod"), None);
        assert_eq!(look("repo:acme@1/flights@2:environment:prod"), None);
        for (sub, severity, words) in [
            (
                "repo:acme/flights:environment:site",
                Severity::Notice,
                "names the environment `site`",
            ),
            ("repo:acme/flights:ref:refs/heads/main", Severity::Error, "policies are for `prod`"),
            ("repo:acme/flights:pull_request", Severity::Error, "is in no environment"),
            ("workflow:production", Severity::Notice, "that the organisation made"),
        ] {
            let (found, title) = look(sub).unwrap();
            assert_eq!(found, severity, "{sub}");
            assert!(title.contains(words) && title.contains(sub), "{title}");
        }
    }

    #[test]
    fn a_pipeline_of_azure_is_known_by_its_name() {
        let env = |more: &[(&str, &str)]| {
            let mut env = Env::from([
                ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/acme/"),
                ("SYSTEM_TEAMPROJECT", "ml"),
                ("BUILD_DEFINITIONNAME", "flights production"),
            ]);
            more.iter().for_each(|(name, value)| env.set(*name, *value));
            env
        };
        let look = |sub: &str, env: &Env| said(|checks| of_azure(&of(sub), env, checks));
        assert_eq!(look("p://acme/ml/flights production", &env(&[])), None);
        let (severity, title) = look("p://acme/ml/staging", &env(&[])).unwrap();
        assert_eq!(severity, Severity::Error);
        assert!(title.contains("`p://acme/ml/flights production` would be expected"), "{title}");
        let connection = env(&[("LAKEGATE_SERVICE_CONNECTION", "7")]);
        assert_eq!(look("sc://acme/ml/databricks", &connection), None);
        assert!(look("p://acme/ml/flights production", &connection).is_some());
        let old = env(&[("SYSTEM_COLLECTIONURI", "https://acme.visualstudio.com/")]);
        assert_eq!(look("p://acme/ml/flights production", &old), None);
    }
}
