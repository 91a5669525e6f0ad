//! What lies in the workspace: schemas, tables, the model, the deployment.

use anyhow::{Context as _, Result};

use super::check::Checks;
use super::run::Request;
use super::{compute, rights};
use crate::bundle::{Bundle, Kind};
use crate::checkout::{self, BundleChoice};
use crate::config::Config;
use crate::databricks::unity::Securable;
use crate::deployment::{Store, releases};
use crate::names::{Place, SchemaName, Source, TableName};
use crate::record::statement::Statement;
use crate::step::Ctx;
use crate::sys::clock;

const AREA: &str = "data";

/// What recording a row takes.
const TO_RECORD: [&str; 4] = ["USE_SCHEMA", "CREATE_TABLE", "SELECT", "MODIFY"];

/// The warehouse; the tables can be read only with it.
pub(super) async fn warehouse(ctx: &Ctx, checks: &mut Checks) -> bool {
    let what = ("workspace", "SQL warehouse");
    let Some(lake) = ctx.lake_if_any() else {
        checks.bad(
            what,
            "none is named",
            "set `workspace.warehouse` in lakegate.yml, or DATABRICKS_WAREHOUSE_ID",
        );
        return false;
    };
    let begun = clock::now();
    match lake.client.sql(lake.warehouse, &Statement::new("SELECT 1")).await {
        Ok(_) => {
            let took = std::time::Duration::try_from(clock::now() - begun).unwrap_or_default();
            checks.good(what, format!("{} answers in {}", lake.warehouse, clock::human(took)));
            true
        }
        Err(error) => {
            let fix = "is the id right, and may the identity use it (CAN USE)?";
            checks.failed(what, &error.into(), fix);
            false
        }
    }
}

/// Everything that the configuration names.
/// `answers` is whether the warehouse does.
pub(super) async fn look(ctx: &Ctx, request: &Request, answers: bool, checks: &mut Checks) {
    let config = &request.config;
    if let Some(schema) = config.record.schema.as_deref().and_then(|name| name.parse().ok()) {
        record(ctx, &schema, checks).await;
    }
    for (what, name) in tables(config) {
        table(ctx, (what, name), answers, checks).await;
    }
    if let Some(drift) = config.drift.as_ref().filter(|drift| drift.monitor.is_some())
        && let Place::Table(table) = &drift.current.place
    {
        monitor(ctx, table, checks).await;
    }
    if let Some(model) = &config.promotion.model {
        let what = ("model", "promotion.model");
        match ctx.client.model_get(model).await {
            Ok(Some(_)) => {
                alias(ctx, request, checks).await;
                rights::of_model(ctx, model, checks).await;
            }
            Ok(None) => checks.unknown(
                what,
                format!("`{model}` is not registered"),
                "the first training registers it; if there was one, is the name right?",
            ),
            Err(error) => checks.failed(what, &error.into(), "may the identity see its schema?"),
        }
    }
    if let Some(job) = config.drift.as_ref().and_then(|drift| drift.retrain_job.as_ref()) {
        match checkout::find_job(ctx, job, config.target.as_deref()).await {
            Ok(found) => {
                checks.good(("jobs", "drift.retrain_job"), found.name().to_owned());
                rights::of_job(ctx, &found, checks).await;
            }
            Err(error) => checks.unknown(
                ("jobs", "drift.retrain_job"),
                format!("{error:#}"),
                "a deployment makes it; if there was one to this target, name one of its jobs",
            ),
        }
    }
}

/// The tables that the policies read.
fn tables(config: &Config) -> Vec<(&'static str, &TableName)> {
    let mut named: Vec<(&'static str, Option<&Source>)> = Vec::new();
    if let Some(gate) = &config.gate {
        named.push(("gate.predictions", gate.predictions.as_ref()));
        let results = gate.infrastructure.as_ref().map(|checked| &checked.results);
        named.push(("gate.infrastructure.results", results));
    }
    if let Some(drift) = &config.drift {
        named.push(("drift.baseline", Some(&drift.baseline)));
        named.push(("drift.current", Some(&drift.current)));
    }
    let found = named.into_iter().filter_map(|(what, source)| match &source?.place {
        Place::Table(table) => Some((what, table)),
        Place::Files(_) => None,
    });
    found.collect()
}

/// The catalog of the records: without it, nothing in it can be seen.
async fn catalog(ctx: &Ctx, name: &str, checks: &mut Checks) -> bool {
    let what = (AREA, "catalog");
    match ctx.client.securable_get(Securable::Catalog, name).await {
        Ok(Some(_)) => {
            checks.good(what, format!("`{name}` is seen"));
            true
        }
        Ok(None) => {
            let fix = format!("make it, or: GRANT USE CATALOG ON CATALOG `{name}` TO …");
            checks.bad(what, format!("`{name}` is not there, or may not be seen"), fix);
            false
        }
        Err(error) => {
            checks.failed(what, &error.into(), "may the identity see the catalog?");
            false
        }
    }
}

async fn record(ctx: &Ctx, schema: &SchemaName, checks: &mut Checks) {
    let what = (AREA, "record.schema");
    let name = schema.to_string();
    if !catalog(ctx, &schema.catalog, checks).await {
        return;
    }
    let found = ctx.client.securable_get(Securable::Schema, &name).await;
    match found {
        Ok(Some(_)) => {}
        Ok(None) => {
            return checks.unknown(
                what,
                format!("`{name}` is not there"),
                format!("the first record makes it; or: CREATE SCHEMA {}", schema.quoted()),
            );
        }
        Err(error) => {
            return checks.failed(what, &error.into(), "may the identity see the catalog?");
        }
    }
    let missing = match ctx.client.effective_privileges("schema", &name).await {
        Ok(held) if held.contains("ALL_PRIVILEGES") => Vec::new(),
        Ok(held) => TO_RECORD.into_iter().filter(|right| !held.contains(*right)).collect(),
        Err(error) => {
            let words = format!("its privileges cannot be asked for: {error}");
            return checks.unknown(what, words, "only its owner may be allowed to ask");
        }
    };
    if missing.is_empty() {
        checks.good(what, format!("`{name}` may be written to"));
    } else {
        checks.unknown(
            what,
            format!("{} on `{name}` not seen; its owner has them without", missing.join(", ")),
            format!("GRANT {} ON SCHEMA {} TO …", missing.join(", "), schema.quoted()),
        );
    }
}

/// The state of a table's monitor.
async fn monitor(ctx: &Ctx, table: &TableName, checks: &mut Checks) {
    let what = (AREA, "drift.monitor");
    let found = match ctx.client.table_get(table).await {
        Ok(Some(info)) => ctx.client.monitor_get(&info).await,
        // Told where the table itself is looked at.
        Ok(None) | Err(_) => return,
    };
    match found {
        Ok(Some(monitor)) => match monitor.fault() {
            None => checks.good(what, format!("of `{table}`: it works")),
            Some(fault) => checks.bad(what, fault, "mend it, or make it anew"),
        },
        Ok(None) => checks.unknown(
            what,
            format!("`{table}` has none"),
            "the first drift-check makes it where `drift.monitor.create` says how",
        ),
        Err(error) => checks.failed(what, &error.into(), "may the identity see the monitor?"),
    }
}

async fn table(
    ctx: &Ctx,
    (what, table): (&'static str, &TableName),
    answers: bool,
    checks: &mut Checks,
) {
    let what = (AREA, what);
    match ctx.client.table_get(table).await {
        Ok(Some(found)) => {
            let Some(lake) = ctx.lake_if_any().filter(|_| answers) else {
                let words = format!("`{table}` is there, and was not read");
                return checks.unknown(what, words, "a SQL warehouse reads it");
            };
            let read = Statement::new(format!("SELECT * FROM {} LIMIT 0", table.quoted()));
            match lake.client.sql(lake.warehouse, &read).await {
                Ok(_) => {
                    checks.good(what, format!("`{table}`: {} columns", found.columns.len()));
                }
                Err(error) => checks.failed(
                    what,
                    &error.into(),
                    &format!("GRANT SELECT ON TABLE {} TO …", table.quoted()),
                ),
            }
        }
        Ok(None) => checks.unknown(
            what,
            format!("`{table}` is not there"),
            "a job of the loop makes it; if it has run, is the name right, and may the identity see the schema?",
        ),
        Err(error) => checks.failed(what, &error.into(), "may the identity see its schema?"),
    }
}

async fn alias(ctx: &Ctx, request: &Request, checks: &mut Checks) {
    let promotion = &request.config.promotion;
    let (Some(model), Ok(alias)) = (&promotion.model, promotion.alias.parse()) else { return };
    let what = ("model", "promotion.alias");
    match ctx.client.alias_get(model, &alias).await {
        Ok(Some(found)) => checks.good(what, format!("`{alias}` is version {found}")),
        Ok(None) => checks.good(what, format!("`{alias}` is free: the first model takes it")),
        Err(error) => checks.failed(what, &error.into(), "may the identity see the model?"),
    }
}

/// The serving endpoints of the bundle and of `model-serve`, as they are now.
async fn endpoints(ctx: &Ctx, bundle: &Bundle, config: &Config, checks: &mut Checks) {
    let own = config.serving.as_ref().map(|serving| serving.endpoint.as_str());
    let all = bundle.resources.iter();
    for (key, endpoint) in all.filter(|(_, one)| one.kind == Kind::ModelServingEndpoints) {
        let Some(name) = endpoint.settings["name"].as_str() else { continue };
        if own == Some(name) {
            checks.bad(
                ("serving", key.as_str()),
                format!("`{name}` is the endpoint of `serving`, and a resource of the bundle: each deployment takes a roll-out back"),
                "leave it to model-serve, which makes it: take it out of the bundle",
            );
        }
        serves(ctx, (key.as_str(), name), "a deployment makes it", checks).await;
    }
    if let Some(name) = own {
        serves(ctx, ("serving.endpoint", name), "`model-serve` makes it", checks).await;
    }
}

async fn serves(ctx: &Ctx, (key, name): (&str, &str), made: &str, checks: &mut Checks) {
    let what = ("serving", key);
    match ctx.client.endpoint_get(name).await {
        Ok(Some(found)) => match found.pointer("/state/ready").and_then(|ready| ready.as_str()) {
            Some("READY") => checks.good(what, format!("`{name}` answers")),
            state => checks.bad(
                what,
                format!("`{name}` is {}", state.unwrap_or("in an unknown state")),
                "its events at the workspace tell why",
            ),
        },
        Ok(None) => checks.unknown(what, format!("`{name}` is not there"), made),
        Err(error) => checks.failed(what, &error.into(), "may the identity see it?"),
    }
}

/// What is deployed in the target, and whether anybody holds it.
pub(super) async fn deployment(ctx: &Ctx, request: &Request, checks: &mut Checks) {
    let what = ("deployment", "state");
    match deployed(ctx, request, checks).await {
        Ok((words, None)) => checks.good(what, words),
        Ok((words, Some(held))) => {
            checks.unknown(what, format!("{words}; {held}"), "`bundle-deploy status` tells more");
        }
        Err(error) => checks.failed(what, &error, "mend databricks.yml, or deploy it"),
    }
}

async fn deployed(
    ctx: &Ctx,
    request: &Request,
    checks: &mut Checks,
) -> Result<(String, Option<String>)> {
    let target = request.config.target.clone();
    let choice = BundleChoice::to_look(request.bundle.clone(), target);
    let bundle = checkout::load_bundle(&choice, &ctx.client, &ctx.env, &ctx.context).await?;
    checkout::confirm_host(&ctx.client, &bundle)?;
    let store = Store::new(&ctx.client, &bundle);
    let state = store.state().await.context("read what is deployed")?;
    compute::look(&bundle, checks);
    endpoints(ctx, &bundle, &request.config, checks).await;
    let history = releases::history(&ctx.client, &bundle).await?;
    let words = match (state.serial, history.settled()) {
        (0, _) => format!("nothing is deployed to {}", bundle.target),
        (_, Some(release)) => format!("release {} runs in {}", release.version, bundle.target),
        (serial, None) => format!("{} was deployed {serial} times", bundle.target),
    };
    let holder = store.holder().await?;
    let held = holder
        .map(|lock| format!("`{}` holds the lock since {}", lock.user, lock.acquisition_time));
    Ok((words, held))
}
