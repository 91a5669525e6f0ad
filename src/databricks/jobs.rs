//! Jobs 2.2: definitions, runs, outputs.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Client, Error};
use crate::sys::retry::Class;

#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub job_id: i64,
    #[serde(default)]
    pub settings: Value,
}

impl Job {
    pub fn name(&self) -> &str {
        self.settings.get("name").and_then(Value::as_str).unwrap_or_default()
    }
}

/// What to start a job with.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunNow {
    pub job_id: i64,
    /// At most 64 characters; the same token gives the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_token: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub job_parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunState {
    #[serde(default)]
    pub life_cycle_state: String,
    pub result_state: Option<String>,
    #[serde(default)]
    pub state_message: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Termination {
    #[serde(default)]
    pub code: String,
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunStatus {
    #[serde(default)]
    pub state: String,
    pub termination_details: Option<Termination>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TaskRun {
    pub run_id: i64,
    pub task_key: String,
    #[serde(default)]
    pub state: RunState,
    #[serde(default)]
    pub status: RunStatus,
    #[serde(default)]
    pub attempt_number: i64,
    /// What the task runs, if that is a notebook.
    pub notebook_task: Option<Value>,
    #[serde(default)]
    pub start_time: i64,
    #[serde(default)]
    pub end_time: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub run_id: i64,
    #[serde(default)]
    pub job_id: i64,
    #[serde(default)]
    pub run_page_url: String,
    pub creator_user_name: Option<String>,
    #[serde(default)]
    pub state: RunState,
    #[serde(default)]
    pub status: RunStatus,
    #[serde(default)]
    pub tasks: Vec<TaskRun>,
    #[serde(default)]
    pub start_time: i64,
    #[serde(default)]
    pub end_time: i64,
}

impl Run {
    pub fn is_over(&self) -> bool {
        matches!(self.state.life_cycle_state.as_str(), "TERMINATED" | "SKIPPED" | "INTERNAL_ERROR")
    }

    /// Whether the run waits for capacity and has not begun.
    pub fn is_queued(&self) -> bool {
        matches!(
            self.state.life_cycle_state.as_str(),
            "QUEUED" | "PENDING" | "BLOCKED" | "WAITING_FOR_RETRY"
        )
    }

    /// The only state that passes; every other, known or not, is a failure.
    pub fn succeeded(&self) -> bool {
        self.state.life_cycle_state == "TERMINATED"
            && self.state.result_state.as_deref() == Some("SUCCESS")
    }

    /// Whether the platform failed rather than the code.
    pub fn is_infrastructure_failure(&self) -> bool {
        let details = self.status.termination_details.as_ref();
        details.is_some_and(|details| {
            matches!(details.kind.as_str(), "CLOUD_FAILURE" | "INTERNAL_ERROR")
        })
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunOutput {
    pub notebook_output: Option<NotebookOutput>,
    pub logs: Option<String>,
    pub error: Option<String>,
    pub error_trace: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct NotebookOutput {
    pub result: Option<String>,
}

impl Client {
    pub async fn job_get(&self, job_id: i64) -> Result<Job, Error> {
        self.http.get("/api/2.2/jobs/get").query("job_id", job_id).read().await
    }

    /// All jobs, or those of one name.
    pub async fn job_list(&self, name: Option<&str>) -> Result<Vec<Job>, Error> {
        let call = self.http.get("/api/2.2/jobs/list").query("limit", 100);
        call.query_opt("name", name).read_all("jobs").await
    }

    pub async fn job_create(&self, settings: &Value) -> Result<i64, Error> {
        #[derive(Deserialize)]
        struct Answer {
            job_id: i64,
        }
        let call = self.http.call(Method::POST, "/api/2.2/jobs/create", Class::Unkeyed);
        Ok(call.json(settings)?.read::<Answer>().await?.job_id)
    }

    pub async fn job_reset(&self, job_id: i64, settings: &Value) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.2/jobs/reset", Class::Idempotent);
        call.json(&json!({ "job_id": job_id, "new_settings": settings }))?.done().await
    }

    pub async fn job_delete(&self, job_id: i64) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.2/jobs/delete", Class::Idempotent);
        call.json(&json!({ "job_id": job_id }))?.done().await
    }

    /// Starts a job. With a token, the same call gives the same run.
    pub async fn run_now(&self, request: &RunNow) -> Result<i64, Error> {
        let class = if request.idempotency_token.is_some() { Class::Keyed } else { Class::Unkeyed };
        self.start(
            "/api/2.2/jobs/run-now",
            class,
            &serde_json::to_value(request).unwrap_or_default(),
        )
        .await
    }

    /// Starts a run that no job defines.
    pub async fn run_submit(&self, request: &Value) -> Result<i64, Error> {
        let class =
            if request.get("idempotency_token").is_some() { Class::Keyed } else { Class::Unkeyed };
        self.start("/api/2.2/jobs/runs/submit", class, request).await
    }

    async fn start(&self, route: &str, class: Class, request: &Value) -> Result<i64, Error> {
        #[derive(Deserialize)]
        struct Answer {
            run_id: i64,
        }
        Ok(self.http.call(Method::POST, route, class).json(request)?.read::<Answer>().await?.run_id)
    }

    /// A run with all of its tasks, all pages.
    pub async fn run_get(&self, run_id: i64) -> Result<Run, Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(flatten)]
            run: Run,
            next_page_token: Option<String>,
        }
        let mut whole: Option<Run> = None;
        let mut token: Option<String> = None;
        loop {
            let call = self.http.get("/api/2.2/jobs/runs/get").query("run_id", run_id);
            let page: Page = call.query_opt("page_token", token.as_ref()).read().await?;
            let run = match whole.take() {
                None => page.run,
                Some(mut run) => {
                    run.tasks.extend(page.run.tasks);
                    run
                }
            };
            match page
                .next_page_token
                .filter(|next| !next.is_empty() && token.as_ref() != Some(next))
            {
                Some(next) => (whole, token) = (Some(run), Some(next)),
                None => return Ok(run),
            }
        }
    }

    /// The output of one task's run.
    pub async fn run_output(&self, task_run_id: i64) -> Result<RunOutput, Error> {
        self.http.get("/api/2.2/jobs/runs/get-output").query("run_id", task_run_id).read().await
    }

    /// Runs the failed tasks of a run again, and those that depend on them.
    pub async fn run_repair(&self, run_id: i64) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.2/jobs/runs/repair", Class::Unkeyed);
        call.json(&json!({ "run_id": run_id, "rerun_all_failed_tasks": true }))?.done().await
    }

    pub async fn run_cancel(&self, run_id: i64) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.2/jobs/runs/cancel", Class::Idempotent);
        call.json(&json!({ "run_id": run_id }))?.done().await
    }
}
