//! What the tour tells at its end.

use std::time::Duration;

use super::steps::STEPS;
use super::travel::{Places, Travel, shown};
use crate::report::{Chart, Finding, Report, Series, Severity, Table, Verdict};
use crate::sys::clock;

pub(super) fn build(places: &Places, travel: &Travel) -> Report {
    let mut report = Report::new("tour", "The production loop in an embedded workspace");
    report.fact("project", shown(&places.project()));
    report.fact("workspace", shown(&places.workspace()));
    let total: f64 = travel.done.iter().map(|done| done.seconds).sum();
    report.fact("time", clock::human(Duration::from_secs_f64(total)));
    let mut table = Table::new("Steps", ["step", "part of the loop", "took", "what happened"]);
    for done in &travel.done {
        let step = STEPS.iter().find(|step| step.id == done.id);
        let took = clock::human(Duration::from_secs_f64(done.seconds));
        let (title, part) = step.map_or(("", ""), |step| (step.title, step.part));
        table
            .row(Some(done.mark()), [title.to_owned(), part.to_owned(), took, done.reason.clone()]);
    }
    report.tables.push(table);
    let mut reports = Table::new("Their own reports", ["step", "file"]);
    for done in &travel.done {
        if let Some(path) = &done.report {
            let below = std::path::Path::new(path).strip_prefix(&places.root);
            let shown = below.map_or_else(|_| path.clone(), |below| below.display().to_string());
            reports.row(None, [done.id.clone(), shown]);
        }
    }
    report.tables.push(reports);
    report.charts.push(Chart {
        title: "Seconds per step".into(),
        labels: travel.done.iter().map(|done| done.id.clone()).collect(),
        series: vec![Series {
            name: "seconds".into(),
            values: travel.done.iter().map(|done| done.seconds).collect(),
        }],
        limit: None,
    });
    if let Some(failed) = travel.done.iter().find(|done| !done.as_expected) {
        let title = format!("step {} did not do what it should: {}", failed.id, failed.reason);
        let log = shown(&places.log(&failed.id));
        report.findings.push(
            Finding::new(Severity::Error, "tour/step", title)
                .hint(format!("its output is in {log}")),
        );
        return report
            .concluded(Verdict::Fail, format!("step {} failed: {}", failed.id, failed.reason));
    }
    if travel.finished {
        report.concluded(Verdict::Pass, format!("all {} steps did what they should", STEPS.len()))
    } else {
        report.concluded(
            Verdict::Pass,
            format!(
                "{} of {} steps are done; the same command goes on",
                travel.done.len(),
                STEPS.len()
            ),
        )
    }
}
