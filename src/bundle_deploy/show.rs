//! A plan, a deployment and a status, for people.

use serde_json::Value;

use super::others::Others;
use crate::bundle::{Action, Deployed, Field, Plan, Step};
use crate::report::{Finding, Report, Severity, Table, counted};

/// Characters of a value that a table shows.
const SHOWN: usize = 60;

/// Fields of one resource that a table shows.
const FIELDS: usize = 12;

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    format!("{}…", text.chars().take(SHOWN).collect::<String>())
}

/// What each step does, field by field.
pub(super) fn changes(plan: &Plan) -> Table {
    let mut table = Table::new("Changes", ["action", "resource", "field", "now", "then"]);
    let cell = |text: &str| text.to_owned();
    for step in plan.steps.iter().filter(|step| step.action != Action::Skip) {
        let action = step.action.as_str();
        if step.changes.is_empty() {
            let why = if step.action == Action::Update { "set back" } else { "" };
            table.row(None, [cell(action), step.key.clone(), cell(why), cell(""), cell("")]);
        }
        for (at, field) in step.changes.iter().take(FIELDS).enumerate() {
            let (action, key) = if at == 0 { (action, step.key.as_str()) } else { ("", "") };
            let cells =
                [cell(action), cell(key), field.path.clone(), shown(&field.old), shown(&field.new)];
            table.row(None, cells);
        }
        if step.changes.len() > FIELDS {
            let rest = format!("{} more fields", step.changes.len() - FIELDS);
            table.row(None, [cell(""), cell(""), rest, cell(""), cell("")]);
        }
    }
    table
}

/// What others changed since the last deployment.
pub(super) fn drift<'a>(steps: impl Iterator<Item = &'a Step>, others: &Others) -> Table {
    let columns = ["resource", "field", "as deployed", "in the workspace", "by"];
    let mut table = Table::new("Changed by others", columns);
    for step in steps {
        let by = others.of_resource(&step.key);
        for Field { path, old, new } in step.drift.iter().take(FIELDS) {
            let cells = [step.key.clone(), path.clone(), shown(old), shown(new), by.clone()];
            table.row(None, cells);
        }
    }
    table
}

/// The plan in one line; `say` puts a verb into the tense of the moment.
pub(super) fn summary(plan: &Plan, say: fn(&str) -> String) -> String {
    let actions = [Action::Create, Action::Update, Action::Recreate, Action::Delete];
    let counts = actions.map(|action| format!("{} {}", plan.count(action), say(action.as_str())));
    format!(
        "{}, {} unchanged; {} {}, {} {}",
        counts.join(", "),
        plan.count(Action::Skip),
        counted(plan.upload.len(), "file"),
        say("upload"),
        plan.remove.len(),
        say("remove")
    )
}

pub(super) fn to_do(verb: &str) -> String {
    format!("to {verb}")
}

pub(super) fn done(verb: &str) -> String {
    format!("{}ed", verb.trim_end_matches('e'))
}

pub(super) fn report(
    (plan, others): (&Plan, &Others),
    verb: &str,
    engine: &str,
    release: Option<&Deployed>,
) -> Report {
    let mut report =
        Report::new("bundle-deploy", format!("{verb} {} to {}", plan.bundle, plan.target));
    report.fact("workspace", plan.host.clone());
    report.fact("serial", plan.serial.to_string());
    report.fact("engine", engine);
    if let Some(release) = release {
        report.fact("release", release.version.clone());
        report.fact("commit", release.commit.clone());
    }
    report.tables.push(changes(plan));
    let moved = plan.steps.iter().filter(|step| !step.drift.is_empty()).count();
    if moved > 0 {
        report.tables.push(drift(plan.steps.iter(), others));
        let title =
            format!("{}: changed by others since the last deployment", counted(moved, "resource"));
        let mut hint =
            "this deployment sets them back; to keep a change, write it into the bundle".to_owned();
        if let Some(why) = others.unknown() {
            hint.push_str(&format!(". Who made it is not known: {why}"));
        }
        report.findings.push(Finding::new(Severity::Warning, "deploy/drift", title).hint(hint));
    }
    report
}
