//! Whether evidence still holds. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::names::Sha256;
use crate::record::evidence::Evidence;
use crate::report::{Fault, FaultKind};

/// Refuses evidence that was edited, is too old, or is about other bytes.
pub(super) fn evidence(
    evidence: &Evidence,
    digest_now: Sha256,
    now: Timestamp,
    max_age_days: f64,
) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new(FaultKind::Integrity, message));
    if !evidence.is_intact() {
        return refuse(
            "the evidence does not match its own digest: it was changed after the gate wrote it"
                .into(),
        );
    }
    let statement = &evidence.statement;
    if statement.candidate.digest != digest_now {
        return refuse(format!(
            "version {} is not what the gate judged: its files have digest {}, the evidence says {}",
            statement.candidate.version,
            digest_now.short(),
            statement.candidate.digest.short()
        ));
    }
    let written: Timestamp = statement.at.parse().map_err(|error| {
        Fault::new(FaultKind::Integrity, format!("the evidence has no readable time: {error}"))
    })?;
    let age = now.duration_since(written);
    if age < SignedDuration::from_mins(-10) {
        return refuse(format!("the evidence is from the future ({written}): a clock is wrong"));
    }
    if age.as_secs_f64() > max_age_days * 86_400.0 {
        let days = age.as_secs_f64() / 86_400.0;
        return Err(Fault::new(
            FaultKind::Integrity,
            format!("the evidence is {days:.1} days old, {max_age_days} are allowed"),
        )
        .hint("run model-gate again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::names::ModelVersion;
    use crate::record::evidence::{Check, Data, Measured, Statement, Subject};

    fn subject(version: u64) -> Subject {
        Subject { version: ModelVersion(version), digest: Sha256::of(version.to_string()) }
    }

    fn sealed(champion: Option<u64>) -> Evidence {
        let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}]}";
        Evidence::seal(Statement {
            model: "a.b.m".parse().unwrap(),
            candidate: subject(2),
            champion: champion.map(subject),
            data: Data {
                source: "a.b.c".parse().unwrap(),
                version: Some(1),
                digest: None,
                champion: None,
                filter: None,
                rows: 10,
                seed: 7,
            },
            policy: Config::parse("t", text).unwrap().gate.unwrap(),
            measured: Measured::default(),
            checks: Vec::new(),
            verdict: "pass".into(),
            reason: String::new(),
            at: "2026-03-01T00:00:00Z".into(),
            expires: None,
            commit: None,
            repository: None,
            run_url: None,
            actor: None,
        })
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn evidence_survives_its_own_file() {
        let evidence = sealed(Some(1));
        let text = serde_json::to_string_pretty(&evidence).unwrap();
        let read: Evidence = serde_json::from_str(&text).unwrap();
        assert!(read.is_intact());
        assert_eq!(read, evidence);
    }

    #[test]
    fn edited_old_and_foreign_evidence_is_refused() {
        let fine = sealed(Some(1));
        let digest = fine.statement.candidate.digest;
        let now = at("2026-03-02T00:00:00Z");
        assert!(super::evidence(&fine, digest, now, 7.0).is_ok());
        let mut edited = fine.clone();
        edited.statement.verdict = "PASS".into();
        for (evidence, digest, now, words) in [
            (&edited, digest, now, "own digest"),
            (&fine, Sha256::of("other bytes"), now, "not what the gate judged"),
            (&fine, digest, at("2026-03-09T00:00:00Z"), "8.0 days old"),
            (&fine, digest, at("2026-02-01T00:00:00Z"), "future"),
        ] {
            let fault = super::evidence(evidence, digest, now, 7.0).unwrap_err();
            assert!(fault.message.contains(words), "{fault}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_number_in_the_evidence_changes_on_its_way_through_the_file(value in proptest::num::f64::NORMAL, low in -1.0..1.0f64) {
            let mut statement = sealed(Some(1)).statement;
            statement.measured.whole.candidate.insert("roc_auc".into(), value);
            statement.checks.push(Check {
                kind: "rules".into(),
                rule: "r".into(),
                scope: None,
                metric: "roc_auc".into(),
                candidate: Some(value),
                champion: None,
                value: None,
                low: Some(low),
                high: None,
                limit: None,
                p_value: None,
                verdict: "pass".into(),
                reason: String::new(),
            });
            let text = serde_json::to_string_pretty(&Evidence::seal(statement)).unwrap();
            proptest::prop_assert!(serde_json::from_str::<Evidence>(&text).unwrap().is_intact());
        }
    }
}
