//! Who changed what was deployed: the workspace's audit log tells, where it can be read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bundle::Step;
use crate::deployment::Known;
use crate::lake::Lake;
use crate::names;
use crate::record::statement::{Parameter, Statement};
use crate::step::Ctx;

/// The log may be long: a plan does not wait for it longer than this.
const PATIENCE: Duration = Duration::from_secs(90);
/// More resources than these are not asked after.
const MOST: usize = 20;
/// How the names of actions begin that change something.
const CHANGES: &str =
    "^(add|alter|change|create|delete|edit|grant|patch|put|remove|replace|reset|revoke|set|update)";

/// Who changed resources since they were deployed.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// By the resource's key.
    told: BTreeMap<String, String>,
    /// Why nobody is told.
    unknown: Option<String>,
}

impl Others {
    /// Asks who changed what is not as it was deployed.
    pub(super) async fn of<'a>(
        ctx: &Ctx,
        before: Option<&Known>,
        steps: impl Iterator<Item = &'a Step>,
    ) -> Self {
        let Some((state, remembered)) = before else { return Self::default() };
        let drifted = steps.filter(|step| !step.drift.is_empty());
        let id = |step: &Step| {
            // Rights are changed on what they are of: `schemas.s.grants`.
            let whose =
                [".grants", ".permissions"].iter().find_map(|end| step.key.strip_suffix(end));
            Some((step.key.clone(), state.id(whose.unwrap_or(&step.key))?.to_owned()))
        };
        let resources: Vec<(String, String)> = drifted.filter_map(id).take(MOST).collect();
        let unknown = |why: &str| Self { unknown: Some(why.to_owned()), ..Self::default() };
        if resources.is_empty() {
            return Self::default();
        }
        let Some(since) = remembered.by(state).and_then(|by| names::time(&by.at)) else {
            return unknown("when this was deployed is not known");
        };
        if ctx.warehouse.is_none() {
            return unknown(
                "`workspace.warehouse` is not set: with it, `system.access.audit` tells",
            );
        }
        match changes(ctx, &since.to_string(), &resources).await {
            Ok(told) => Self { told, unknown: None },
            Err(error) => unknown(&format!("{error:#}")),
        }
    }

    pub(super) fn of_resource(&self, key: &str) -> String {
        self.told.get(key).cloned().unwrap_or_else(|| "–".to_owned())
    }

    /// Why nobody is told, for whoever asks.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }
}

async fn changes(
    ctx: &Ctx,
    since: &str,
    resources: &[(String, String)],
) -> anyhow::Result<BTreeMap<String, String>> {
    let client = ctx.client.with_deadline(PATIENCE);
    let lake = Lake { client: &client, ..ctx.lake()? };
    let rows = lake.client.sql(lake.warehouse, &question(since, resources)).await?.rows;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let Some((key, _)) = cell(0).parse().ok().and_then(|at: usize| resources.get(at)) else {
            continue;
        };
        let (who, did, at) = (cell(1), cell(2), cell(3));
        let told = format!("{who} ({did} at {})", at.get(..19).unwrap_or(&at));
        found.entry(key.clone()).or_default().push(told);
    }
    Ok(found.into_iter().map(|(key, told)| (key, told.join(", "))).collect())
}

/// Each resource's id is one of the parameters that a request had; days come first, as the
/// log is kept by them.
fn question(since: &str, resources: &[(String, String)]) -> Statement {
    let part = |at: usize| {
        format!(
            "SELECT {at} AS number, user_identity.email AS who, action_name AS did, CAST(max(event_time) AS STRING) AS last \
             FROM system.access.audit \
             WHERE event_date >= CAST(:day AS DATE) AND event_time > CAST(:since AS TIMESTAMP) \
             AND regexp_like(lower(action_name), :changes) AND array_contains(map_values(request_params), :id{at}) \
             GROUP BY user_identity.email, action_name"
        )
    };
    let parts: Vec<String> = (0..resources.len()).map(part).collect();
    let text = format!("{} ORDER BY number, last", parts.join(" UNION ALL "));
    let ids = resources.iter().enumerate();
    ids.fold(
        Statement::new(text)
            .with(Parameter::string("day", since.get(..10).unwrap_or(since)))
            .with(Parameter::string("since", since))
            .with(Parameter::string("changes", CHANGES)),
        |statement, (at, (_, id))| statement.with(Parameter::string(format!("id{at}"), id.clone())),
    )
}
