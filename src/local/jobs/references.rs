//! Dynamic value references: `{{job.run_id}}`, `{{tasks.train.values.auc}}`.

use serde_json::Value;

use super::model::{Run, TaskRun};

/// What a task's settings may refer to.
pub(super) struct Scope<'a> {
    pub(super) run: &'a Run,
    pub(super) task: &'a TaskRun,
    pub(super) host: &'a str,
}

impl Scope<'_> {
    /// Replaces every reference in every text of `settings`.
    pub(super) fn resolve(&self, settings: &Value) -> Result<Value, String> {
        Ok(match settings {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let resolved =
                    fields.iter().map(|(name, value)| Ok((name.clone(), self.resolve(value)?)));
                Value::Object(resolved.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else { break };
            out.push_str(before);
            out.push_str(&self.value(name.trim())?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        let parts: Vec<_> = name.split('.').collect();
        let run = self.run;
        let found = match parts[..] {
            ["job", "id"] | ["job_id"] => Some(run.job_id.to_string()),
            ["job", "name"] => Some(run.run_name.clone()),
            ["job", "run_id"] | ["run_id"] | ["parent_run_id"] => Some(run.run_id.to_string()),
            ["job", "repair_count"] => Some(run.repairs.len().to_string()),
            ["job", "start_time", form] => start_time(run.start, form),
            ["job", "trigger", "type"] => Some(run.trigger.to_lowercase()),
            ["job", "parameters", parameter] => run.parameters.get(parameter).cloned(),
            ["task", "name"] | ["task_key"] => Some(self.task.task_key.clone()),
            ["task", "run_id"] => Some(self.task.run_id.to_string()),
            ["task", "execution_count"] => Some((self.task.attempt + 1).to_string()),
            ["workspace", "url"] => Some(self.host.to_owned()),
            ["workspace", "id"] => Some("1".to_owned()),
            ["tasks", task, "result_state"] => {
                run.newest(task).map(|task| task.state.result().to_lowercase())
            }
            ["tasks", task, "run_id"] => run.newest(task).map(|task| task.run_id.to_string()),
            ["tasks", task, "values", ref key @ ..] => {
                let value = run.newest(task).and_then(|task| task.values.get(&key.join(".")));
                value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            }
            _ => return Err(format!("the reference `{{{{{name}}}}}` is not known")),
        };
        found.ok_or_else(|| format!("the reference `{{{{{name}}}}}` has no value in this run"))
    }
}

fn start_time(milliseconds: i64, form: &str) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    let pattern = match form {
        "iso_date" => "%Y-%m-%d",
        "iso_datetime" => "%Y-%m-%dT%H:%M:%S",
        "year" => "%Y",
        "month" => "%m",
        "day" => "%d",
        "hour" => "%H",
        "minute" => "%M",
        "second" => "%S",
        "timestamp_ms" => return Some(milliseconds.to_string()),
        _ => return None,
    };
    Some(time.strftime(pattern).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::model::State;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn run() -> Run {
        let mut train = TaskRun::new(12, "train", 0);
        train.state = State::success();
        train.values.insert("auc".into(), json!(0.8));
        train.values.insert("a.b".into(), json!("dotted"));
        Run {
            run_id: 11,
            job_id: 3,
            run_name: "nightly".into(),
            number_in_job: 1,
            settings: json!({}),
            parameters: [("month".to_owned(), "2013-07".to_owned())].into(),
            state: State::moving("RUNNING"),
            start: 1_767_225_600_000,
            end: 0,
            tasks: vec![train],
            trigger: "ONE_TIME".into(),
            repairs: Vec::new(),
            submitted: false,
        }
    }

    fn resolved(text: &str) -> Result<String, String> {
        let run = run();
        let task = TaskRun::new(13, "evaluate", 1);
        Scope { run: &run, task: &task, host: "http://h" }.text(text)
    }

    #[test]
    fn references_find_their_values() {
        for (text, expected) in [
            ("{{job.parameters.month}}", "2013-07"),
            ("run {{job.run_id}}/{{ task.run_id }}", "run 11/13"),
            ("{{tasks.train.values.auc}}", "0.8"),
            ("{{tasks.train.values.a.b}}", "dotted"),
            ("{{tasks.train.result_state}}", "success"),
            ("{{job.start_time.iso_date}}", "2026-01-01"),
            ("{{task.execution_count}}", "2"),
            ("no reference }}", "no reference }}"),
        ] {
            assert_eq!(resolved(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unknown_reference_is_an_error_that_names_it() {
        assert_eq!(
            resolved("{{job.magic}}").unwrap_err(),
            "the reference `{{job.magic}}` is not known"
        );
        assert!(resolved("{{tasks.train.values.f1}}").unwrap_err().contains("no value"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_resolver(text in "[a-z.{} ]{0,40}") {
            let _resolved = resolved(&text);
        }
    }
}
