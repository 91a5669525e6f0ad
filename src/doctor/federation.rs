//! What a job shows to be let into the workspace, beside what federation policies are
//! made for.

use std::collections::BTreeMap;

use super::check::Checks;
use crate::databricks::Claims;
use crate::host::{Dialect, organisation};
use crate::step::Ctx;
use crate::sys::Env;

const WHAT: (&str, &str) = ("CI host", "subject");

/// `environments` are those that workflows of ours name; `is_in` is whether the workspace
/// let this job in, whatever it presents.
pub(super) async fn look(
    ctx: &Ctx,
    environments: &BTreeMap<String, bool>,
    is_in: bool,
    checks: &mut Checks,
) {
    if ctx.client.is_nowhere() || ctx.host.dialect() == Dialect::Terminal {
        return;
    }
    // Why there is no token is told where the identity is looked at.
    let Ok(Some(claims)) = ctx.client.presented().await else { return };
    let said = match ctx.host.dialect() {
        Dialect::GitHub => of_github(&claims.sub, environments),
        Dialect::Azure => of_azure(&claims.sub, &ctx.env),
        Dialect::Terminal => None,
    };
    tell(&claims, said, is_in, checks);
}

/// What is odd about a subject, and the way out.
type Odd = Option<(String, &'static str)>;

fn tell(claims: &Claims, odd: Odd, is_in: bool, checks: &mut Checks) {
    let presented = format!("`{}`, audience `{}`", claims.sub, claims.aud);
    match odd {
        None => checks.good(WHAT, presented),
        // A policy may be for whatever it is.
        Some((odd, _)) if is_in => checks.good(WHAT, format!("{presented}; {odd}")),
        Some((odd, fix)) => checks.bad(WHAT, format!("{presented}: {odd}"), fix),
    }
}

/// `repo:acme/flights:environment:prod` is what `init` prints policies for.
fn of_github(subject: &str, environments: &BTreeMap<String, bool>) -> Odd {
    let names: Vec<String> = environments.keys().map(|name| format!("`{name}`")).collect();
    let known = match &names[..] {
        [] => String::new(),
        names => format!("; those of the workflows are {}", names.join(", ")),
    };
    if let Some((_, name)) = subject.split_once(":environment:") {
        let is_odd = !environments.is_empty() && !environments.contains_key(name);
        return is_odd.then(|| {
            let odd = format!("no workflow of Lakegate names the environment `{name}`{known}");
            (odd, "look from a job whose environment is that of the target")
        });
    }
    let is_plain = subject.contains(":ref:") || subject.ends_with(":pull_request");
    Some(if subject.starts_with("repo:") && is_plain {
        let odd = format!("the job is in no environment{known}");
        (odd, "`environment: <target>` at the job; `lakegate init` prints the policy of each")
    } else {
        let odd = "a form that the organisation made".to_owned();
        (odd, "the federation policy must have this very subject")
    })
}

/// `p://acme/ml/flights`, or by a service connection `sc://acme/ml/connection`, or one
/// of Entra's own.
fn of_azure(subject: &str, env: &Env) -> Odd {
    let expected = subject_of_azure(env)?;
    let (own, all) = (subject.to_lowercase(), expected.to_lowercase());
    let is_it = match expected.ends_with('/') {
        true => own.starts_with(&all) || own.starts_with("/eid1/"),
        false => own == all,
    };
    let fix = "the federation policy must have the subject that is presented";
    (!is_it).then(|| (format!("`{expected}` would be expected"), fix))
}

/// The subject of this pipeline; of a service connection, how it begins.
fn subject_of_azure(env: &Env) -> Option<String> {
    let organisation = organisation(env)?;
    let project = env.get("SYSTEM_TEAMPROJECT")?;
    if env.get("LAKEGATE_SERVICE_CONNECTION").is_some() {
        return Some(format!("sc://{organisation}/{project}/"));
    }
    let pipeline = env.get("BUILD_DEFINITIONNAME")?;
    Some(format!("p://{organisation}/{project}/{pipeline}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, Severity};

    fn said(sub: &str, odd: Odd, is_in: bool) -> Option<(Severity, String)> {
        let claims = Claims { iss: "i".into(), sub: sub.into(), aud: "a".into() };
        let mut checks = Checks::default();
        tell(&claims, odd, is_in, &mut checks);
        let report = checks.conclude(Report::new("doctor", "x"));
        report.findings.into_iter().next().map(|finding| (finding.severity, finding.title))
    }

    #[test]
    fn a_job_of_github_is_in_an_environment_that_has_a_policy() {
        let environments = BTreeMap::from([("prod".to_owned(), true)]);
        let look = |sub: &str, is_in| said(sub, of_github(sub, &environments), is_in);
        assert_eq!(look("repo:acme/flights:environment:prod", false), None);
        assert_eq!(look("repo:acme@1/flights@2:environment:prod", false), None);
        for (sub, words) in [
            ("repo:acme/flights:environment:site", "names the environment `site`"),
            ("repo:acme/flights:ref:refs/heads/main", "those of the workflows are `prod`"),
            ("repo:acme/flights:pull_request", "is in no environment"),
            ("repo:acme/flights:job_workflow_ref:x", "that the organisation made"),
        ] {
            let (found, title) = look(sub, false).unwrap();
            assert_eq!(found, Severity::Error, "{sub}");
            assert!(title.contains(words) && title.contains(sub), "{title}");
            // Whoever is let in has a policy that fits.
            assert_eq!(look(sub, true), None, "{sub}");
        }
        let anywhere = of_github("repo:acme/flights:environment:prod", &BTreeMap::new());
        assert_eq!(anywhere, None);
    }

    #[test]
    fn a_pipeline_of_azure_is_known_by_its_name() {
        let env = |more: &[(&str, &str)]| {
            let mut env = Env::from([
                ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/acme/"),
                ("SYSTEM_TEAMPROJECT", "ml"),
                ("BUILD_DEFINITIONNAME", "flights"),
            ]);
            more.iter().for_each(|(name, value)| env.set(*name, *value));
            env
        };
        let look = |sub: &str, env: &Env| said(sub, of_azure(sub, env), false);
        assert_eq!(look("p://acme/ml/flights", &env(&[])), None);
        for other in ["p://acme/ml/flights-staging", "p://acme/ml/staging"] {
            let (severity, title) = look(other, &env(&[])).unwrap();
            assert_eq!(severity, Severity::Error);
            assert!(title.contains("`p://acme/ml/flights` would be expected"), "{title}");
        }
        let connection = env(&[("LAKEGATE_SERVICE_CONNECTION", "7")]);
        for own in ["sc://acme/ml/databricks", "/eid1/c/pub/t/abc/a/def/sc/org/7"] {
            assert_eq!(look(own, &connection), None, "{own}");
        }
        assert!(look("p://acme/ml/flights", &connection).is_some());
        let old = env(&[("SYSTEM_COLLECTIONURI", "https://acme.visualstudio.com/")]);
        assert_eq!(look("p://acme/ml/flights", &old), None);
    }
}
