//! What a run's states mean while it is waited for. Pure: the loop around it
//! does the waiting.

use std::time::Duration;

use crate::databricks::jobs::{Run, TaskRun};

/// What to do after looking at a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Wait,
    Over,
    /// It waited for capacity for too long.
    QueuedTooLong,
    RanTooLong,
}

/// The two deadlines are separate: an hour in the queue says nothing about
/// whether the work is slow.
pub(super) fn next(
    run: &Run,
    waited: Duration,
    ran: Duration,
    queue_limit: Duration,
    run_limit: Duration,
) -> Next {
    if run.is_over() {
        Next::Over
    } else if run.is_queued() && waited >= queue_limit {
        Next::QueuedTooLong
    } else if !run.is_queued() && ran >= run_limit {
        Next::RanTooLong
    } else {
        Next::Wait
    }
}

/// The pause before the next look: short at first, so that short jobs end
/// soon, then longer.
pub(super) fn pause(elapsed: Duration) -> Duration {
    (elapsed / 10).clamp(Duration::from_millis(100), Duration::from_secs(15))
}

/// One line that changes when the run does: `prepare ✓ · train … · score`.
pub(super) fn progress(run: &Run) -> String {
    let mut newest: Vec<&TaskRun> = Vec::new();
    for task in &run.tasks {
        newest.retain(|known| known.task_key != task.task_key);
        newest.push(task);
    }
    let tasks: Vec<String> = newest
        .iter()
        .map(|task| {
            match (task.state.life_cycle_state.as_str(), task.state.result_state.as_deref()) {
                (_, Some("SUCCESS")) => format!("{} ✓", task.task_key),
                (_, Some("EXCLUDED")) => format!("{} –", task.task_key),
                (_, Some(_)) => format!("{} ✗", task.task_key),
                ("RUNNING", _) => format!("{} …", task.task_key),
                _ => task.task_key.clone(),
            }
        })
        .collect();
    let state = run.state.life_cycle_state.to_lowercase();
    if tasks.is_empty() { state } else { format!("{state}: {}", tasks.join(" · ")) }
}

/// The task that made the run fail: the first that failed by itself.
pub(super) fn culprit(run: &Run) -> Option<&TaskRun> {
    let failed = |task: &&TaskRun| {
        let result = task.state.result_state.as_deref();
        result.is_some_and(|result| !matches!(result, "SUCCESS" | "EXCLUDED"))
    };
    let upstream = |task: &&TaskRun| {
        task.state.result_state.as_deref().is_some_and(|r| r.starts_with("UPSTREAM"))
    };
    let mut candidates: Vec<&TaskRun> = run.tasks.iter().filter(failed).collect();
    candidates.sort_by_key(|task| (upstream(task), task.end_time));
    candidates.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(state: &str) -> Run {
        serde_json::from_value(json!({ "run_id": 1, "state": { "life_cycle_state": state } }))
            .unwrap()
    }

    #[test]
    fn queue_and_run_have_deadlines_of_their_own() {
        let minute = Duration::from_secs(60);
        let look = |state, waited, ran| next(&run(state), waited, ran, minute, minute);
        assert_eq!(look("PENDING", minute, Duration::ZERO), Next::QueuedTooLong);
        assert_eq!(look("RUNNING", minute * 9, Duration::ZERO), Next::Wait);
        assert_eq!(look("RUNNING", Duration::ZERO, minute), Next::RanTooLong);
        assert_eq!(look("TERMINATED", minute * 9, minute * 9), Next::Over);
        assert_eq!(look("SOMETHING_NEW", Duration::ZERO, Duration::ZERO), Next::Wait);
    }

    #[test]
    fn only_success_passes() {
        let over = |result: &str| -> Run {
            let state = json!({ "life_cycle_state": "TERMINATED", "result_state": result });
            serde_json::from_value(json!({ "run_id": 1, "state": state })).unwrap()
        };
        assert!(over("SUCCESS").succeeded());
        for result in [
            "SUCCESS_WITH_FAILURES",
            "EXCLUDED",
            "UPSTREAM_FAILED",
            "DISABLED",
            "NEW_STATE",
            "FAILED",
        ] {
            assert!(!over(result).succeeded(), "{result}");
        }
        let skipped = json!({ "run_id": 1, "state": { "life_cycle_state": "SKIPPED", "result_state": "SUCCESS" } });
        assert!(!serde_json::from_value::<Run>(skipped).unwrap().succeeded());
    }

    #[test]
    fn the_culprit_is_the_task_that_failed_by_itself() {
        let task = |key: &str, result: &str, end: i64| json!({ "run_id": end, "task_key": key, "end_time": end, "state": { "life_cycle_state": "TERMINATED", "result_state": result } });
        let tasks = json!([
            task("score", "UPSTREAM_FAILED", 1),
            task("train", "FAILED", 5),
            task("features", "SUCCESS", 2)
        ]);
        let run: Run = serde_json::from_value(json!({ "run_id": 1, "tasks": tasks })).unwrap();
        assert_eq!(culprit(&run).unwrap().task_key, "train");
    }
}
