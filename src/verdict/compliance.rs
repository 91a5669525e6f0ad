//! Whether what is known about a version is what the policy asks for.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use spdx::{Expression, ParseMode};

use crate::config::{Compliance, Licences, Pickle};
use crate::record::evidence::{Check, Facts};
use crate::report::{Verdict, number};

/// `at` is the time of the decision, RFC 3339.
pub(super) fn checks(policy: &Compliance, facts: &Facts, at: &str) -> Vec<Check> {
    let mut checks = Checks(Vec::new());
    described(policy, facts, &mut checks);
    inputs(policy, facts, &mut checks);
    training(policy, facts, &mut checks);
    contents(policy, facts, &mut checks);
    if let Some(most) = policy.max_age_days {
        checks.age(most, facts, at);
    }
    if policy.pickle != Some(Pickle::Allowed) {
        let (fits, told) = match &facts.pickles[..] {
            _ if facts.bytes == 0 => (false, "no file of the version was seen".to_owned()),
            [] => (true, "none".to_owned()),
            found => (false, format!("{} runs code when it is read", found.join(", "))),
        };
        checks.judge("pickle", fits, told);
    }
    checks.0
}

/// What people say about it.
fn described(policy: &Compliance, facts: &Facts, checks: &mut Checks) {
    if let Some(least) = policy.description {
        let letters = facts.description.trim().chars().count();
        checks.judge(
            "description",
            letters >= least,
            format!("{letters} letters, {least} are asked for"),
        );
    }
    if let Some(owners) = &policy.owner {
        let owner = facts.owner.as_deref().filter(|owner| !owner.is_empty());
        let fits =
            owner.is_some_and(|owner| owners.is_empty() || owners.iter().any(|it| it == owner));
        let told = format!("the owner is {}", owner.unwrap_or("nobody"));
        checks.judge("owner", fits, told);
    }
    checks.tags("tag", &policy.tags, &facts.tags);
}

/// What it takes and gives.
fn inputs(policy: &Compliance, facts: &Facts, checks: &mut Checks) {
    if policy.signature {
        let told = facts.inputs.as_ref().map(|inputs| format!("{} inputs", inputs.len()));
        let fits = told.is_some() && facts.has_outputs;
        checks.judge("signature", fits, told.unwrap_or("the model has no signature".into()));
    }
    if policy.input_example {
        let told = if facts.has_example { "there is one" } else { "there is none" };
        checks.judge("input example", facts.has_example, told.to_owned());
    }
    if !policy.forbidden_inputs.is_empty() {
        let forbidden = named_inputs(facts).map(|inputs| {
            let found = inputs.iter().filter(|input| policy.forbidden_inputs.contains(input));
            found.cloned().collect::<Vec<_>>()
        });
        let (fits, told) = match forbidden {
            Err(why) => (false, why),
            Ok(found) if found.is_empty() => (true, "none is taken".to_owned()),
            Ok(found) => (false, format!("the model takes {}", found.join(", "))),
        };
        checks.judge("forbidden inputs", fits, told);
    }
    if !policy.forbidden_tags.is_empty() {
        let (fits, told) = match tagged(&policy.forbidden_tags, facts) {
            Err(why) => (false, why),
            Ok(found) if found.is_empty() => {
                (true, format!("no input has the tag {}", policy.forbidden_tags.join(" or ")))
            }
            Ok(found) => (false, found.join("; ")),
        };
        checks.judge("forbidden tags", fits, told);
    }
}

/// The inputs, where each has a name.
fn named_inputs(facts: &Facts) -> Result<&[String], String> {
    let Some(inputs) = &facts.inputs else {
        return Err("the model does not say which columns it takes".into());
    };
    if inputs.iter().any(|input| input.starts_with('#')) {
        return Err("some of the model's inputs have no name".into());
    }
    Ok(inputs)
}

/// The inputs with such a tag, where the tags of all are known.
fn tagged(forbidden: &[String], facts: &Facts) -> Result<Vec<String>, String> {
    let inputs = named_inputs(facts)?;
    let tags = facts.input_tags.as_ref().ok_or("the tags of the inputs were not read")?;
    if !facts.unknown_datasets.is_empty() {
        let named = facts.unknown_datasets.join(", ");
        return Err(format!("{named}: no table that can be seen, its columns may have any tag"));
    }
    let unknown: Vec<&str> =
        inputs.iter().filter(|input| !tags.contains_key(*input)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Err(format!("no table that is known has the columns {}", unknown.join(", ")));
    }
    let is_forbidden = |tag: &String| {
        let key = tag.split_once('=').map_or(tag.as_str(), |(key, _)| key);
        forbidden.iter().any(|word| word == tag || word == key)
    };
    let of_input = |input: &String| {
        let found: Vec<&str> =
            tags[input].iter().filter(|tag| is_forbidden(tag)).map(String::as_str).collect();
        (!found.is_empty()).then(|| format!("`{input}` is tagged {}", found.join(", ")))
    };
    Ok(inputs.iter().filter_map(of_input).collect())
}

/// Where it comes from.
fn training(policy: &Compliance, facts: &Facts, checks: &mut Checks) {
    if let Some(allowed) = &policy.trained_on {
        checks.trained_on(allowed, facts);
    }
    if policy.data_versions {
        let unknown: Vec<&str> = facts.unversioned.iter().map(String::as_str).collect();
        let (fits, told) = match &unknown[..] {
            _ if facts.datasets.is_empty() => (false, "the run names no data".to_owned()),
            [] => (true, data(facts)),
            unknown => (false, format!("no version is named of {}", unknown.join(", "))),
        };
        checks.judge("data versions", fits, told);
    }
    checks.tags("trained in", &policy.trained_in, &facts.run_tags);
    if let Some(branch) = &policy.commit_on {
        let (fits, told) = match (&facts.commit, facts.commit_is_there) {
            (None, _) => (false, "the version does not name its commit".to_owned()),
            (Some(commit), Some(true)) => (true, format!("{} is on {branch}", short(commit))),
            (Some(commit), Some(false)) => (false, format!("{} is not on {branch}", short(commit))),
            (Some(commit), None) => {
                (false, format!("whether {} is on {branch} cannot be told here", short(commit)))
            }
        };
        checks.judge("commit", fits, told);
    }
}

/// What its files are.
fn contents(policy: &Compliance, facts: &Facts, checks: &mut Checks) {
    if !policy.flavors.is_empty() {
        let other: Vec<&str> = facts
            .flavors
            .iter()
            .filter(|flavor| !policy.flavors.contains(flavor))
            .map(String::as_str)
            .collect();
        let fits = other.is_empty() && !facts.flavors.is_empty();
        let told = if fits {
            facts.flavors.join(", ")
        } else {
            format!("not allowed: {}", other.join(", "))
        };
        checks.judge("flavors", fits, told);
    }
    if policy.advisories.is_some() {
        let (fits, told) = match (facts.advisories.as_deref(), facts.unpinned.as_deref()) {
            (None, _) => (false, "the advisories were not read".to_owned()),
            (_, None) => (false, "the version does not list its packages".to_owned()),
            (Some([]), Some([])) => {
                let by = facts.advisories_digest.map(|digest| format!(" by {}", digest.short()));
                let by = by.unwrap_or_default();
                (true, format!("none of {} packages is known as bad{by}", facts.packages.len()))
            }
            (Some([]), Some(open)) => (false, format!("no version is pinned: {}", open.join(", "))),
            (Some(bad), _) => (false, bad.join("; ")),
        };
        checks.judge("advisories", fits, told);
    }
    if let Some(policy) = &policy.licences {
        let (fits, told) = match facts.licences.as_ref().filter(|found| !found.is_empty()) {
            None => (false, "no job wrote down which packages the version runs with".to_owned()),
            Some(found) => {
                let refused: Vec<String> = found
                    .iter()
                    .filter(|(package, licence)| !is_licensed(policy, package, licence))
                    .map(|(package, licence)| match licence.trim() {
                        "" => format!("{package} names no licence"),
                        licence => format!("{package} has {licence}"),
                    })
                    .collect();
                let told = format!("those of {} packages are allowed", found.len());
                (refused.is_empty(), if refused.is_empty() { told } else { refused.join("; ") })
            }
        };
        checks.judge("licences", fits, told);
    }
}

/// Words that may mean several licences are guessed at by nobody.
const EXACT: ParseMode = ParseMode {
    allow_slash_as_or_operator: false,
    allow_imprecise_license_names: false,
    allow_postfix_plus_on_gpl: true,
    allow_deprecated: true,
    allow_unknown: false,
};

/// Whether a package may be used with what it says of its licence: an expression
/// of SPDX, or words; all of them, where it has several.
fn is_licensed(policy: &Licences, package: &str, licence: &str) -> bool {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let is_allowed = |text: &str| policy.allowed.iter().any(|word| same(word, text));
    let fits = |text: &str| {
        is_allowed(text)
            || Expression::parse_mode(text.trim(), EXACT)
                .is_ok_and(|found| found.evaluate(|one| is_allowed(&one.to_string())))
    };
    policy.exceptions.iter().any(|name| same(name, package)) || licence.split(';').all(fits)
}

fn short(commit: &str) -> String {
    commit.chars().take(12).collect()
}

/// What the run says it read.
fn data(facts: &Facts) -> String {
    let one = |name: &String| match facts.dataset_versions.get(name) {
        Some(versions) => {
            let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
            format!("{name} at version {}", versions.join(" and "))
        }
        None => name.clone(),
    };
    facts.datasets.iter().map(one).collect::<Vec<_>>().join(", ")
}

struct Checks(Vec<Check>);

impl Checks {
    fn judge(&mut self, rule: &str, fits: bool, told: impl std::fmt::Display) {
        let verdict = if fits { Verdict::Pass } else { Verdict::Fail };
        self.0.push(Check {
            kind: "compliance".into(),
            rule: rule.to_owned(),
            verdict: verdict.as_str().to_owned(),
            reason: format!("{rule}: {told}"),
            ..Check::default()
        });
    }

    fn tags(
        &mut self,
        rule: &str,
        policy: &BTreeMap<String, Vec<String>>,
        found: &BTreeMap<String, String>,
    ) {
        for (tag, allowed) in policy {
            let value = found.get(tag).filter(|value| !value.is_empty());
            let fits = value.is_some_and(|value| allowed.is_empty() || allowed.contains(value));
            let told = match value {
                None => format!("the tag `{tag}` is not set"),
                Some(value) if fits => format!("the tag `{tag}` is {value}"),
                Some(value) => {
                    format!("the tag `{tag}` is {value}, not one of {}", allowed.join(", "))
                }
            };
            self.judge(&format!("{rule} {tag}"), fits, told);
        }
    }

    fn trained_on(&mut self, allowed: &[String], facts: &Facts) {
        let datasets = &facts.datasets;
        let fits = |dataset: &&String| {
            allowed.is_empty()
                || allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => dataset.starts_with(start),
                    None => *dataset == pattern,
                })
        };
        let other: Vec<&str> =
            datasets.iter().filter(|dataset| !fits(dataset)).map(String::as_str).collect();
        let told = if datasets.is_empty() {
            "the run names no data".to_owned()
        } else if other.is_empty() {
            data(facts)
        } else {
            format!("not allowed: {}", other.join(", "))
        };
        self.judge("trained on", other.is_empty() && !datasets.is_empty(), told);
    }

    fn age(&mut self, most: f64, facts: &Facts, at: &str) {
        let made = facts.created_at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let age =
            made.zip(at.parse::<Timestamp>().ok()).map(|(made, now)| now.duration_since(made));
        // A clock may be a little off; a version from the future is none.
        let known = age.filter(|age| *age > SignedDuration::from_mins(-10));
        let days = known.map(|age| age.as_secs_f64() / 86_400.0);
        let told = match days {
            Some(days) => format!("{} days, {} are allowed", number(days.max(0.0)), number(most)),
            None => "when the version was made cannot be told".to_owned(),
        };
        self.judge("age", days.is_some_and(|days| days <= most), told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(policy: &str, facts: &Facts) -> Vec<(String, bool)> {
        let text = format!(
            "gate: {{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{{metric: roc_auc, min: 0.5}}], compliance: {policy}}}"
        );
        let gate = crate::config::Config::parse("t", &text).unwrap().gate.unwrap();
        let found = checks(&gate.compliance.unwrap(), facts, "2026-03-02T00:00:00Z");
        found.into_iter().map(|check| (check.reason, check.verdict == "pass")).collect()
    }

    #[test]
    fn what_is_not_known_never_passes() {
        let policy = "{forbidden_tags: [pii], licences: {packages: a.b.c, allowed: [MIT]}, description: 10, owner: [], tags: {licence: [MIT], intended_use: []}, signature: true, input_example: true, trained_on: [main.f.*], data_versions: true, trained_in: {environment: [prod]}, commit_on: main, flavors: [sklearn], advisories: bad.txt, max_age_days: 5, forbidden_inputs: [sex]}";
        for (reason, passes) in verdicts(policy, &Facts::default()) {
            assert!(!passes, "{reason}");
        }
    }

    #[test]
    fn what_is_known_and_right_passes() {
        let facts = Facts {
            description: "predicts late arrivals".into(),
            owner: Some("team@x.org".into()),
            created_at: Some(1_772_323_200_000),
            tags: [("licence".to_owned(), "MIT".to_owned())].into(),
            flavors: vec!["sklearn".into()],
            inputs: Some(vec!["hour".into(), "sex".into()]),
            has_outputs: true,
            pickles: vec!["model.pkl".into()],
            bytes: 1,
            datasets: vec!["main.f.features".into()],
            dataset_versions: [("main.f.features".to_owned(), [3, 5].into())].into(),
            run_tags: [("environment".to_owned(), "prod".to_owned())].into(),
            advisories: Some(vec!["numpy 1.20: CVE-2021-41496".into()]),
            commit: Some("abc".into()),
            commit_is_there: Some(true),
            ..Facts::default()
        };
        let policy = "{description: 10, owner: [team@x.org], tags: {licence: [MIT]}, signature: true, trained_on: [main.f.*], data_versions: true, trained_in: {environment: [prod]}, commit_on: main, flavors: [sklearn], pickle: allowed, max_age_days: 5}";
        let passed = verdicts(policy, &facts);
        for (reason, passes) in &passed {
            assert!(passes, "{reason}");
        }
        let told = "data versions: main.f.features at version 3 and 5";
        assert!(passed.iter().any(|(reason, _)| reason == told), "{passed:?}");
        // Unless it is allowed, it is not.
        let silent = verdicts("{description: 10}", &facts);
        assert_eq!(silent[1], ("pickle: model.pkl runs code when it is read".into(), false));
        let refused = verdicts(
            "{tags: {licence: [GPL]}, pickle: forbidden, advisories: bad.txt, forbidden_inputs: [sex], max_age_days: 0.5, owner: [me], trained_on: [x], trained_in: {environment: [dev]}}",
            &facts,
        );
        for (reason, passes) in &refused {
            assert!(!passes, "{reason}");
        }
        assert!(
            refused.iter().any(|(reason, _)| reason == "forbidden inputs: the model takes sex")
        );
    }

    #[test]
    fn no_input_has_a_tag_that_is_forbidden_and_all_are_looked_up() {
        let tags = |of: &[(&str, &[&str])]| {
            let entry = |(name, tags): &(&str, &[&str])| {
                ((*name).to_owned(), tags.iter().map(|tag| (*tag).to_owned()).collect())
            };
            Some(of.iter().map(entry).collect())
        };
        let told = |input_tags| {
            let inputs = Some(vec!["hour".to_owned(), "sex".to_owned()]);
            let facts = Facts { inputs, input_tags, ..Facts::default() };
            verdicts("{forbidden_tags: [pii, class=personal]}", &facts).remove(0)
        };
        let fine = told(tags(&[("hour", &["class=time"]), ("sex", &["piii"])]));
        assert_eq!(
            fine,
            ("forbidden tags: no input has the tag pii or class=personal".into(), true)
        );
        let facts = Facts {
            inputs: Some(vec!["hour".to_owned()]),
            input_tags: tags(&[("hour", &[])]),
            unknown_datasets: vec!["dbfs:/x".into()],
            ..Facts::default()
        };
        let (reason, passes) = verdicts("{forbidden_tags: [pii]}", &facts).remove(0);
        assert!(!passes && reason.contains("dbfs:/x: no table that can be seen"), "{reason}");
        for (found, words) in [
            (
                tags(&[("hour", &[]), ("sex", &["pii=yes", "class=personal"])]),
                "`sex` is tagged class=personal, pii=yes",
            ),
            (tags(&[("hour", &[])]), "no table that is known has the columns sex"),
            (None, "not read"),
        ] {
            let (reason, passes) = told(found);
            assert!(!passes && reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn licences_are_read_as_expressions_and_as_words() {
        let passes = |licence: &str| {
            let licences = Some([("numpy".to_owned(), licence.to_owned())].into());
            let facts = Facts { licences, ..Facts::default() };
            let policy = "{licences: {packages: a.b.c, allowed: [MIT, BSD-3-Clause, our own terms], exceptions: [ours]}}";
            verdicts(policy, &facts).remove(0).1
        };
        for licence in [
            "MIT",
            "mit",
            "MIT OR GPL-3.0-only",
            "MIT AND BSD-3-Clause",
            "Our own terms",
            "MIT; BSD-3-Clause",
        ] {
            assert!(passes(licence), "{licence}");
        }
        for licence in [
            "",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "MIT; GPL-3.0-only",
            "MIT OR",
            "anything",
            "BSD",
            "MIT/GPL-3.0",
        ] {
            assert!(!passes(licence), "{licence}");
        }
        let licences = Some([("ours".to_owned(), String::new())].into());
        let facts = Facts { licences, ..Facts::default() };
        assert!(
            verdicts("{licences: {packages: a.b.c, allowed: [MIT], exceptions: [ours]}}", &facts)
                [0]
            .1
        );
    }
}
