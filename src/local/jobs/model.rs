//! Runs and task runs as they are stored, and as the API shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::USER;
use crate::sys::clock;

/// A state in all the ways the API tells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) life_cycle: String,
    pub(super) result: Option<String>,
    pub(super) message: String,
    /// The termination code and type, once over.
    pub(super) code: Option<String>,
    pub(super) kind: Option<String>,
}

impl State {
    pub(super) fn moving(life_cycle: &str) -> Self {
        Self {
            life_cycle: life_cycle.into(),
            result: None,
            message: String::new(),
            code: None,
            kind: None,
        }
    }

    fn over(
        life_cycle: &str,
        result: &str,
        code: &str,
        kind: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            life_cycle: life_cycle.into(),
            result: Some(result.into()),
            message: message.into(),
            code: Some(code.into()),
            kind: Some(kind.into()),
        }
    }

    pub(super) fn success() -> Self {
        Self::over("TERMINATED", "SUCCESS", "SUCCESS", "SUCCESS", "")
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::over("TERMINATED", "FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR", message)
    }

    pub(super) fn bad_environment(message: impl Into<String>) -> Self {
        Self::over(
            "INTERNAL_ERROR",
            "FAILED",
            "LIBRARY_INSTALLATION_ERROR",
            "CLIENT_ERROR",
            message,
        )
    }

    pub(super) fn lost() -> Self {
        let message = "the workspace's process ended while the task ran";
        Self::over("INTERNAL_ERROR", "FAILED", "DRIVER_ERROR", "INTERNAL_ERROR", message)
    }

    pub(super) fn timed_out(seconds: u64) -> Self {
        Self::over(
            "TERMINATED",
            "TIMEDOUT",
            "RUN_EXECUTION_ERROR",
            "CLIENT_ERROR",
            format!("timed out after {seconds} s"),
        )
    }

    pub(super) fn canceled() -> Self {
        Self::over("TERMINATED", "CANCELED", "USER_CANCELED", "SUCCESS", "Run cancelled.")
    }

    pub(super) fn upstream(result: &str) -> Self {
        Self::over(
            "TERMINATED",
            result,
            "RUN_EXECUTION_ERROR",
            "CLIENT_ERROR",
            "An upstream task failed.",
        )
    }

    pub(super) fn excluded() -> Self {
        Self::over("TERMINATED", "EXCLUDED", "SUCCESS", "SUCCESS", "The run condition was not met.")
    }

    pub(super) fn too_many() -> Self {
        let message = "Run was skipped: the maximum of concurrent runs is reached";
        Self::over(
            "SKIPPED",
            "MAXIMUM_CONCURRENT_RUNS_REACHED",
            "MAX_CONCURRENT_RUNS_EXCEEDED",
            "CLIENT_ERROR",
            message,
        )
    }

    pub(super) fn with_failures() -> Self {
        Self::over("TERMINATED", "SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES", "SUCCESS", "")
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.life_cycle.as_str(), "TERMINATED" | "SKIPPED" | "INTERNAL_ERROR")
    }

    pub(super) fn result(&self) -> &str {
        self.result.as_deref().unwrap_or_default()
    }

    /// Whether the task counts as failed for those that depend on it.
    pub(super) fn is_failure(&self) -> bool {
        matches!(
            self.result(),
            "FAILED" | "TIMEDOUT" | "CANCELED" | "UPSTREAM_FAILED" | "UPSTREAM_CANCELED"
        )
    }

    fn put_into(&self, shown: &mut Value) {
        let mut state = json!({
            "life_cycle_state": self.life_cycle,
            "state_message": self.message,
            "user_cancelled_or_timedout": matches!(self.result(), "CANCELED" | "TIMEDOUT"),
        });
        let over = self.is_over();
        let current = match self.life_cycle.as_str() {
            _ if over => "TERMINATED",
            "WAITING_FOR_RETRY" => "WAITING",
            other => other,
        };
        let mut status = json!({ "state": current });
        if let Some(result) = &self.result {
            state["result_state"] = json!(result);
        }
        if over {
            status["termination_details"] =
                json!({ "code": self.code, "type": self.kind, "message": self.message });
        }
        shown["state"] = state;
        shown["status"] = status;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TaskRun {
    pub(super) run_id: i64,
    pub(super) task_key: String,
    pub(super) attempt: u32,
    pub(super) state: State,
    pub(super) start: i64,
    pub(super) end: i64,
    /// What later tasks can refer to.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Value>,
    /// `true` or `false` of a condition.
    #[serde(default)]
    pub(super) outcome: Option<String>,
    #[serde(default)]
    pub(super) result: Option<String>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) trace: Option<String>,
    /// The run that a `run_job_task` started.
    #[serde(default)]
    pub(super) child: Option<i64>,
}

impl TaskRun {
    pub(super) fn new(run_id: i64, task_key: &str, attempt: u32) -> Self {
        Self {
            run_id,
            task_key: task_key.to_owned(),
            attempt,
            state: State::moving("PENDING"),
            start: clock::now_ms(),
            end: 0,
            values: BTreeMap::new(),
            outcome: None,
            result: None,
            error: None,
            trace: None,
            child: None,
        }
    }

    fn shown(&self, run: &Run, host: &str) -> Value {
        let mut shown = run.task(&self.task_key).cloned().unwrap_or_else(|| json!({}));
        shown["run_id"] = json!(self.run_id);
        shown["attempt_number"] = json!(self.attempt);
        shown["start_time"] = json!(self.start);
        shown["end_time"] = json!(self.end);
        shown["execution_duration"] = json!((self.end - self.start).max(0));
        shown["run_page_url"] = json!(format!("{host}/jobs/{}/runs/{}", run.job_id, self.run_id));
        if let Some(outcome) = &self.outcome {
            shown["condition_task"]["outcome"] = json!(outcome);
        }
        self.state.put_into(&mut shown);
        shown
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) run_id: i64,
    pub(super) job_id: i64,
    pub(super) run_name: String,
    pub(super) number_in_job: i64,
    /// The job's settings when the run began.
    pub(super) settings: Value,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) state: State,
    pub(super) start: i64,
    pub(super) end: i64,
    /// Every attempt of every task, in the order they began.
    pub(super) tasks: Vec<TaskRun>,
    pub(super) trigger: String,
    #[serde(default)]
    pub(super) repairs: Vec<Value>,
    #[serde(default)]
    pub(super) submitted: bool,
}

impl Run {
    pub(super) fn task_settings(&self) -> &[Value] {
        self.settings["tasks"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn task(&self, key: &str) -> Option<&Value> {
        self.task_settings().iter().find(|task| task["task_key"] == key)
    }

    /// The newest attempt of a task.
    pub(super) fn newest(&self, key: &str) -> Option<&TaskRun> {
        self.tasks.iter().rev().find(|task| task.task_key == key)
    }

    pub(super) fn newest_mut(&mut self, key: &str) -> Option<&mut TaskRun> {
        self.tasks.iter_mut().rev().find(|task| task.task_key == key)
    }

    pub(super) fn shown(&self, host: &str) -> Value {
        let parameters =
            self.parameters.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        let mut shown = json!({
            "run_id": self.run_id,
            "job_id": self.job_id,
            "run_name": self.run_name,
            "number_in_job": self.number_in_job,
            "creator_user_name": USER,
            "run_page_url": format!("{host}/jobs/{}/runs/{}", self.job_id, self.run_id),
            "run_type": if self.submitted { "SUBMIT_RUN" } else { "JOB_RUN" },
            "format": "MULTI_TASK",
            "trigger": self.trigger,
            "start_time": self.start,
            "end_time": self.end,
            "run_duration": (self.end - self.start).max(0),
            "job_parameters": parameters.collect::<Vec<_>>(),
            "tasks": self.tasks.iter().map(|task| task.shown(self, host)).collect::<Vec<_>>(),
        });
        if !self.repairs.is_empty() {
            shown["repair_history"] = json!(self.repairs);
        }
        self.state.put_into(&mut shown);
        shown
    }
}
