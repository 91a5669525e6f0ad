//! Whether evidence still holds. Pure.

use jiff::Timestamp;

use crate::config::Gate;
use crate::names::{ModelName, Sha256};
use crate::record::evidence::Evidence;
use crate::report::{Fault, FaultKind};
use crate::verdict;

/// What the mover knows of itself and of the version now.
#[derive(Debug, Clone)]
pub(super) struct Now<'a> {
    pub(super) digest: Sha256,
    pub(super) time: Timestamp,
    pub(super) max_age_days: f64,
    /// The repository that this runs in, where the host tells it.
    pub(super) repository: Option<&'a str>,
    /// The model whose versions the configuration judges.
    pub(super) model: Option<&'a ModelName>,
    /// The model that they are copied to, if they are.
    pub(super) destination: Option<&'a ModelName>,
    /// The policy of the configuration.
    pub(super) policy: Option<&'a Gate>,
}

/// Refuses evidence that was edited, that its own numbers do not support, that
/// is too old, or is about another model, other bytes or another repository.
pub(super) fn evidence(evidence: &Evidence, now: &Now<'_>) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new(FaultKind::Integrity, message));
    verdict::stands(evidence)?;
    let statement = &evidence.statement;
    if let Some(model) = now.model.filter(|model| **model != statement.model) {
        return refuse(format!(
            "the evidence is about the model {}, not about {model}",
            statement.model
        ));
    }
    if statement.champion.is_some() && statement.champion_of.as_ref() != now.destination {
        let of = statement.champion_of.as_ref().unwrap_or(&statement.model);
        let wanted = now.destination.unwrap_or(&statement.model);
        return refuse(format!(
            "the evidence compares with the champion of {of}, not with that of {wanted}"
        ));
    }
    let theirs = statement.repository.as_deref().unwrap_or("nobody knows which");
    if let Some(ours) = now.repository.filter(|ours| *ours != theirs) {
        return refuse(format!("the evidence is of the repository {theirs}, this is {ours}"));
    }
    // Which rows are judged may be told on the command line, what must hold may not.
    let asked = now
        .policy
        .map(|policy| Gate { predictions: statement.policy.predictions.clone(), ..policy.clone() });
    if asked.is_some_and(|policy| policy != statement.policy) {
        return refuse(
            "the evidence was made by another policy than `gate` in lakegate.yml".into(),
        );
    }
    if statement.candidate.digest != now.digest {
        return refuse(format!(
            "version {} is not what the gate judged: its files have digest {}, the evidence says {}",
            statement.candidate.version,
            now.digest.short(),
            statement.candidate.digest.short()
        ));
    }
    verdict::in_time(statement, now.time, Some(now.max_age_days))
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

    /// Of a model that passes.
    fn sealed(champion: Option<u64>) -> Evidence {
        let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}]}";
        let policy = Config::parse("t", text).unwrap().gate.unwrap();
        let mut measured = Measured::default();
        measured.whole.rows = 5000;
        measured.whole.candidate.insert("roc_auc".into(), 0.8);
        let at = "2026-03-01T00:00:00Z";
        let decision = verdict::decide(&policy, &measured, at);
        Evidence::seal(Statement {
            model: "a.b.m".parse().unwrap(),
            candidate: subject(2),
            champion: champion.map(subject),
            champion_of: None,
            data: Data {
                source: Some("a.b.c".parse().unwrap()),
                version: Some(1),
                digest: None,
                champion: None,
                champion_version: None,
                filter: None,
                runs: Vec::new(),
                rows: 10,
                seed: 7,
            },
            policy,
            measured,
            checks: decision.checks,
            verdict: decision.verdict.as_str().into(),
            reason: decision.reason,
            at: at.into(),
            expires: Some("2026-03-06T00:00:00Z".into()),
            commit: None,
            repository: Some("team/flights".into()),
            run_url: None,
            stage: None,
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
        let (ours, other) = ("a.b.m".parse().unwrap(), "a.b.other".parse().unwrap());
        let now = Now {
            digest: fine.statement.candidate.digest,
            time: at("2026-03-02T00:00:00Z"),
            max_age_days: 7.0,
            repository: Some("team/flights"),
            model: Some(&ours),
            destination: None,
            policy: Some(&fine.statement.policy),
        };
        let looser = Gate { min_rows: 1, ..fine.statement.policy.clone() };
        assert!(evidence(&fine, &now).is_ok());
        let edited = |change: fn(&mut Statement)| {
            let mut edited = fine.clone();
            change(&mut edited.statement);
            edited
        };
        let resealed = |change: fn(&mut Statement)| Evidence::seal(edited(change).statement);
        let older = Now { time: at("2026-03-05T00:00:00Z"), max_age_days: 3.0, ..now.clone() };
        for (told, now, words) in [
            (edited(|it| it.verdict = "PASS".into()), now.clone(), "own digest"),
            (resealed(|it| it.verdict = "fail".into()), now.clone(), "its own numbers say pass"),
            (
                resealed(|it| it.measured.whole.candidate = [("roc_auc".to_owned(), 0.4)].into()),
                now.clone(),
                "its own numbers say fail",
            ),
            (
                resealed(|it| it.measured.whole.candidate = [("roc_auc".to_owned(), 0.7)].into()),
                now.clone(),
                "such as `roc_auc min 0.5`",
            ),
            (
                fine.clone(),
                Now { digest: Sha256::of("x"), ..now.clone() },
                "not what the gate judged",
            ),
            (fine.clone(), Now { time: at("2026-03-07T00:00:00Z"), ..now.clone() }, "expired"),
            (fine.clone(), older, "4.0 days old"),
            (fine.clone(), Now { time: at("2026-02-01T00:00:00Z"), ..now.clone() }, "future"),
            (fine.clone(), Now { repository: Some("team/fork"), ..now.clone() }, "repository"),
            (fine.clone(), Now { policy: Some(&looser), ..now.clone() }, "another policy"),
            (resealed(|it| it.repository = None), now.clone(), "nobody knows which"),
            (fine.clone(), Now { model: Some(&other), ..now.clone() }, "about the model a.b.m"),
            (
                fine.clone(),
                Now { destination: Some(&other), ..now.clone() },
                "champion of a.b.m, not with that of a.b.other",
            ),
            (
                resealed(|it| it.champion_of = Some("x.y.m".parse().unwrap())),
                now.clone(),
                "champion of x.y.m, not with that of a.b.m",
            ),
        ] {
            let fault = evidence(&told, &now).unwrap_err();
            assert!(fault.message.contains(words), "{fault}");
            assert_eq!(fault.kind, FaultKind::Integrity);
        }
    }

    #[test]
    fn no_byte_can_be_changed() {
        let text = serde_json::to_string(&sealed(Some(1))).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let read = Evidence::parse(&changed, "x");
            assert!(
                read.is_err() || verdict::stands(&read.unwrap()).is_err(),
                "byte {at}: {changed}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_number_in_the_evidence_changes_on_its_way_through_the_file(value in proptest::num::f64::NORMAL, low in -1.0..1.0f64) {
            let mut statement = sealed(Some(1)).statement;
            statement.measured.whole.candidate.insert("roc_auc".into(), value);
            statement.checks.push(Check { rule: "r".into(), low: Some(low), ..Check::default() });
            let text = serde_json::to_string_pretty(&Evidence::seal(statement)).unwrap();
            proptest::prop_assert!(serde_json::from_str::<Evidence>(&text).unwrap().is_intact());
        }
    }
}
