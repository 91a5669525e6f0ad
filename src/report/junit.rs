//! JUnit XML: a suite per table, a test case per row that was judged, and one
//! for the verdict itself.

use anyhow::{Context as _, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Report, Verdict};

pub(super) fn render(report: &Report) -> Result<String> {
    let mut suites = quick_junit::Report::new(format!("lakegate {}", report.command));
    for table in &report.tables {
        let mut suite = TestSuite::new(table.title.clone());
        let judged = table.rows.iter().filter_map(|row| Some((row.verdict?, row)));
        for (verdict, row) in judged {
            let name = row.cells.first().map_or("", String::as_str);
            let told: Vec<String> = table
                .columns
                .iter()
                .zip(&row.cells)
                .skip(1)
                .map(|(column, cell)| format!("{column}: {cell}"))
                .collect();
            let class = format!("{}.{}", report.command, table.title);
            suite.add_test_case(case(name, &class, verdict, &told.join("; ")));
        }
        if !suite.test_cases.is_empty() {
            suites.add_test_suite(suite);
        }
    }
    let mut whole = TestSuite::new("Verdict");
    whole.add_test_case(case(&report.title, report.command, report.verdict, &report.reason));
    suites.add_test_suite(whole);
    suites.to_string().context("write JUnit XML")
}

fn case(name: &str, class: &str, verdict: Verdict, told: &str) -> TestCase {
    let status = match verdict {
        Verdict::Pass => TestCaseStatus::success(),
        // What could not be judged is no pass.
        Verdict::Inconclusive | Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(told).set_type(verdict.as_str());
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}
