//! The steps of the tour: what each does, and what must come of it.

use super::repository::Change;
use crate::report::Verdict;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Write the starter project.
    Project,
    /// Build the project's Python environment.
    Environment,
    /// Commit a change to its branch, and test it as its merge request would be.
    MergeTest(&'static Change),
    /// Merge a branch, and release what came of it.
    Release(&'static str),
    /// Change a job behind the bundle's back, and look at what is deployed.
    ByHand,
    /// Run a command of the suite; `{step}` is replaced by the step's key.
    Command(&'static [&'static str]),
    /// Check the drift again: the same window must give the same run.
    SameRetraining(&'static [&'static str]),
    /// Wait for the run that the drift check started.
    Retraining,
    /// Leave the version that was promoted last.
    Rollback(&'static [&'static str]),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Where it stands in the reference architecture.
    pub(super) part: &'static str,
    pub(super) action: Action,
    /// The verdict that makes the step a success.
    pub(super) expected: Verdict,
}

const fn step(id: &'static str, title: &'static str, part: &'static str, action: Action) -> Step {
    Step { id, title, part, action, expected: Verdict::Pass }
}

/// A step that is right when the answer is no.
const fn refused(
    id: &'static str,
    title: &'static str,
    part: &'static str,
    action: Action,
) -> Step {
    Step { id, title, part, action, expected: Verdict::Fail }
}

/// A step that is right when there is no answer yet.
const fn unanswered(
    id: &'static str,
    title: &'static str,
    part: &'static str,
    action: Action,
) -> Step {
    Step { id, title, part, action, expected: Verdict::Inconclusive }
}

const MODEL: &str = "main.flights.late_arrival";
const DRIFT: &[&str] = &[
    "drift-check",
    "--current-where=month = 7",
    "--window=2013-07",
    "--retrain-param=months=4-7",
    "--retrain-param=key=retraining-2013-07",
];

pub(super) const STEPS: [Step; 39] = [
    step("project", "write the starter project", "development", Action::Project),
    step(
        "environment",
        "install the project's Python packages",
        "development",
        Action::Environment,
    ),
    refused(
        "change-red",
        "test a change that breaks a promise",
        "merge request",
        Action::MergeTest(&RED),
    ),
    step(
        "change",
        "mend it, and test it with the jobs it touches",
        "merge request",
        Action::MergeTest(&GREEN),
    ),
    step("release", "merge it, and pack a release", "release", Action::Release(GREEN.branch)),
    step(
        "deploy",
        "deploy that release, and no other bytes",
        "release",
        Action::Command(&["bundle-deploy", "apply", RELEASE, "--step-key={step}"]),
    ),
    step(
        "features",
        "refresh the features of January to April",
        "feature refresh",
        job(&["flights-refresh-features", "months=1-4"]),
    ),
    step(
        "quality",
        "hold the features to the rules of quality",
        "feature refresh",
        Action::Command(&["drift-check", "--checks=quality"]),
    ),
    step(
        "train",
        "train the first model",
        "training",
        job(&["flights-train", "months=1-3", "key=first"]),
    ),
    step(
        "evaluate",
        "predict April, which it has not seen",
        "evaluation",
        job(&["flights-evaluate", "months=4"]),
    ),
    step(
        "check",
        "load it and let it predict, on the workspace",
        "evaluation",
        job(&["flights-check-model", "environment=job"]),
    ),
    step(
        "gate",
        "judge it by absolute limits",
        "evaluation",
        Action::Command(&["model-gate", "--model", MODEL]),
    ),
    unanswered(
        "promote-unsigned",
        "promote it, which nobody agreed to yet",
        "promotion",
        Action::Command(&["model-promote", "promote", FIRST]),
    ),
    step(
        "approve",
        "agree, as a person",
        "promotion",
        Action::Command(&["model-promote", "approve", FIRST]),
    ),
    step(
        "promote",
        "make it the champion",
        "promotion",
        Action::Command(&["model-promote", "promote", FIRST]),
    ),
    step(
        "serve",
        "serve it online, and ask it",
        "deployment",
        Action::Command(&["model-serve", "rollout"]),
    ),
    step("score", "score the flights of April", "deployment", job(&["flights-score", "months=4"])),
    step(
        "train-worse",
        "train a model that knows the distance only",
        "training",
        job(&["flights-train", "months=1-3", "columns=distance", "key=worse"]),
    ),
    step(
        "evaluate-worse",
        "let it predict April beside the champion",
        "evaluation",
        job(&["flights-evaluate", "months=4"]),
    ),
    step(
        "check-worse",
        "load that one, too",
        "evaluation",
        job(&["flights-check-model", "environment=job"]),
    ),
    refused(
        "gate-worse",
        "the gate must reject it",
        "evaluation",
        Action::Command(&["model-gate", "--model", MODEL]),
    ),
    step(
        "months-pass",
        "refresh the features up to August",
        "feature refresh",
        job(&["flights-refresh-features", "months=5-8"]),
    ),
    step(
        "score-july",
        "score July with the model of winter",
        "deployment",
        job(&["flights-score", "months=7"]),
    ),
    refused(
        "drift",
        "compare July with winter: it must have drifted",
        "monitoring",
        Action::Command(DRIFT),
    ),
    refused(
        "drift-again",
        "check again: retraining must start once only",
        "monitoring",
        Action::SameRetraining(DRIFT),
    ),
    step("retrain", "wait for the retraining that it started", "retraining", Action::Retraining),
    step(
        "evaluate-new",
        "let both models predict August",
        "evaluation",
        job(&["flights-evaluate", "months=8"]),
    ),
    step(
        "check-new",
        "load the new one",
        "evaluation",
        job(&["flights-check-model", "environment=job"]),
    ),
    step(
        "gate-new",
        "judge the new model against the champion",
        "evaluation",
        Action::Command(&["model-gate", "--model", MODEL]),
    ),
    step(
        "approve-new",
        "agree to the new one",
        "promotion",
        Action::Command(&["model-promote", "approve", NEW]),
    ),
    step(
        "promote-new",
        "make it the champion",
        "promotion",
        Action::Command(&["model-promote", "promote", NEW]),
    ),
    step(
        "serve-new",
        "roll it out: a tenth of the traffic, a half, all",
        "deployment",
        Action::Command(&["model-serve", "rollout"]),
    ),
    step(
        "rollback",
        "go back to the version before, as a drill",
        "promotion",
        Action::Rollback(&["model-promote", "rollback", "--reason=a drill"]),
    ),
    step(
        "serve-back",
        "serve that one again, at once",
        "deployment",
        Action::Command(&["model-serve", "rollout", "--at-once"]),
    ),
    refused("hand", "change a job by hand: it must be noticed", "release", Action::ByHand),
    step(
        "change-words",
        "test a change that touches no job",
        "merge request",
        Action::MergeTest(&WORDS),
    ),
    step("release-words", "merge and release that", "release", Action::Release(WORDS.branch)),
    step(
        "deploy-words",
        "deploy it, which sets the job back",
        "release",
        Action::Command(&["bundle-deploy", "apply", NEXT_RELEASE, "--step-key={step}"]),
    ),
    step(
        "rollback-deploy",
        "go back to the release before, as a drill",
        "release",
        Action::Command(&["bundle-deploy", "rollback", "--from=0.1.1", "--step-key={step}"]),
    ),
];

const RED: Change = Change {
    branch: "late-minutes",
    file: "src/flights/features.py",
    from: "LATE_MINUTES = 15\n",
    to: "LATE_MINUTES = 1\n",
    message: "feat: call a flight late from the first minute",
};

const GREEN: Change = Change {
    branch: "late-minutes",
    file: "src/flights/features.py",
    from: "LATE_MINUTES = 1\n",
    to: "# As the airlines count.\nLATE_MINUTES = 15\n",
    message: "fix: keep to the airlines' fifteen minutes",
};

const WORDS: Change = Change {
    branch: "words",
    file: "README.md",
    from: "# ",
    to: "# The starter project: ",
    message: "fix: say what this is",
};

const RELEASE: &str = "--release=.lakegate/releases/flights-0.1.0";
const NEXT_RELEASE: &str = "--release=.lakegate/releases/flights-0.1.1";

/// The gate's evidence lies with the gate's own step.
const FIRST: &str = "--evidence=.lakegate/reports/gate/model-gate.evidence.json";
const NEW: &str = "--evidence=.lakegate/reports/gate-new/model-gate.evidence.json";

/// A job by its name, with parameters.
const fn job(words: &'static [&'static str]) -> Action {
    Action::Command(words)
}

/// The arguments of a command's process.
pub(super) fn arguments(words: &[&str], id: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    if words[0].starts_with("flights-") {
        arguments.extend(["job-run", words[0], "--rerun-infrastructure"].map(str::to_owned));
        arguments.push(format!("--step-key=tour/{id}"));
        arguments.extend(words[1..].iter().map(|parameter| format!("--param={parameter}")));
    } else {
        arguments.extend(words.iter().map(|word| word.replace("{step}", &format!("tour/{id}"))));
    }
    arguments.push("--json".into());
    arguments.push(format!("--report-dir=.lakegate/reports/{id}"));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own_and_promotions_a_gate_before_them() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..at].iter().all(|other| other.id != step.id), "{}", step.id);
            if let Action::Command(["model-promote", _, evidence]) = step.action {
                let gate = evidence.split('/').nth(2).unwrap();
                assert!(STEPS[..at].iter().any(|other| other.id == gate), "{gate}");
            }
        }
    }

    #[test]
    fn a_job_is_keyed_by_its_step() {
        let Action::Command(words) = STEPS[8].action else { panic!() };
        assert_eq!(
            arguments(words, "train")[..4],
            ["job-run", "flights-train", "--rerun-infrastructure", "--step-key=tour/train"]
        );
    }
}
