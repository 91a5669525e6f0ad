//! What the identity may do with a model and with a job, as far as it can be asked.

use serde_json::Value;

use super::check::Checks;
use crate::databricks::jobs::Job;
use crate::names::ModelName;
use crate::step::Ctx;

/// Levels that let somebody start a job.
const TO_RUN: [&str; 3] = ["CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"];

/// To move an alias takes what the owner has, or `MANAGE`.
pub(super) async fn of_model(ctx: &Ctx, model: &ModelName, checks: &mut Checks) {
    let what = ("model", "right to promote");
    // Models are functions where rights are given.
    let held = match ctx.client.effective_privileges("function", &model.to_string()).await {
        Ok(held) => held,
        Err(error) => {
            let words = format!("the rights on `{model}` cannot be asked for: {error}");
            return checks.unknown(what, words, "only its owner may be allowed to ask");
        }
    };
    if held.contains("ALL_PRIVILEGES") || held.contains("MANAGE") {
        checks.good(what, format!("the aliases of `{model}` may be moved"));
    } else {
        checks.unknown(
            what,
            format!("MANAGE on `{model}` not seen; its owner needs none"),
            "grant MANAGE on it; training needs CREATE MODEL on its schema",
        );
    }
}

pub(super) async fn of_job(ctx: &Ctx, job: &Job, checks: &mut Checks) {
    let what = ("jobs", "right to run");
    let name = job.name();
    let me = match ctx.client.me().await {
        Ok(me) => me.user_name,
        // Told where the identity is looked at.
        Err(_) => return,
    };
    match ctx.client.permissions_get(&format!("/jobs/{}", job.job_id)).await {
        Ok(Some(found)) if may_run(&found, &me) => {
            checks.good(what, format!("`{name}` may be started"));
        }
        Ok(_) => checks.unknown(
            what,
            format!("`{name}` names no right of `{me}`; one of its groups may have it"),
            "CAN_MANAGE_RUN, under `permissions` of the job in databricks.yml",
        ),
        Err(error) => checks.unknown(
            what,
            format!("the rights on `{name}` cannot be asked for: {error}"),
            "who may not see them may not start it",
        ),
    }
}

/// Whether a list names somebody with a level that starts a job.
fn may_run(permissions: &Value, me: &str) -> bool {
    let entries = permissions["access_control_list"].as_array().into_iter().flatten();
    let own = entries.filter(|entry| {
        ["user_name", "service_principal_name"].iter().any(|field| entry[*field] == me)
    });
    own.flat_map(|entry| entry["all_permissions"].as_array().into_iter().flatten())
        .any(|given| given["permission_level"].as_str().is_some_and(|own| TO_RUN.contains(&own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_level_of_ones_own_that_runs_counts() {
        let list = |field: &str, level: &str| {
            let given = serde_json::json!([{ "permission_level": level, "inherited": false }]);
            serde_json::json!({ "access_control_list": [{ field: "me", "all_permissions": given }] })
        };
        assert!(may_run(&list("user_name", "IS_OWNER"), "me"));
        assert!(may_run(&list("service_principal_name", "CAN_MANAGE_RUN"), "me"));
        assert!(!may_run(&list("user_name", "CAN_VIEW"), "me"));
        assert!(!may_run(&list("group_name", "CAN_MANAGE"), "me"));
        assert!(!may_run(&list("user_name", "CAN_MANAGE"), "you"));
        assert!(!may_run(&serde_json::json!({}), "me"));
    }
}
