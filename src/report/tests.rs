use super::*;

fn sample() -> Report {
    let mut report = Report::new("drift-check", "Drift of main.flights.features");
    report.fact("rows", "120 / 80");
    report.findings.push(
        Finding::new(Severity::Error, "drift/psi", "temp drifted: psi 0.31 > 0.25")
            .hint("look at the weather feed"),
    );
    let mut table = Table::new("Columns", ["column", "psi"]);
    table.row(Some(Verdict::Pass), ["wind".into(), "0.01".into()]);
    table.row(Some(Verdict::Fail), ["temp".into(), "0.31".into()]);
    table.worst_first();
    report.tables.push(table);
    report.charts.push(Chart {
        title: "temp".into(),
        labels: vec!["low".into(), "high".into()],
        series: vec![
            Series { name: "baseline".into(), values: vec![0.5, 0.5] },
            Series { name: "current".into(), values: vec![0.2, 0.8] },
        ],
        limit: None,
    });
    report.concluded(Verdict::Fail, "1 of 2 columns drifted")
}

#[test]
fn markdown_leads_with_the_verdict() {
    insta::assert_snapshot!(sample().markdown());
}

#[test]
fn a_brief_summary_has_few_lines_and_the_worst_of_all() {
    let mut report = sample();
    report.is_brief = true;
    insta::assert_snapshot!(report.markdown());
    let mut slices = Table::new("Slices", ["rule", "reason"]);
    for row in 0..100 {
        let verdict = if row == 70 { Verdict::Fail } else { Verdict::Pass };
        slices.row(Some(verdict), [format!("slice {row}"), format!("value {row}")]);
    }
    report.tables.push(slices);
    for at in 0..30 {
        let title = format!("finding {at}");
        report.findings.push(Finding::new(Severity::Warning, "a/b", title));
    }
    let told = report.markdown();
    assert!(told.lines().count() <= 25, "{told}");
    assert!(told.contains("slice 70") && told.contains("more stand in the report"), "{told}");
}

#[test]
fn plain_text_has_the_verdict_last() {
    insta::assert_snapshot!(sample().plain(false));
}

#[test]
fn junit_has_a_case_per_judged_row_and_one_for_the_verdict() {
    let mut report = sample();
    report.tables[0].row(None, ["\u{1b}[0m]]> & \"note\"".into(), String::new()]);
    report.tables[0].row(Some(Verdict::Inconclusive), ["<a>\u{0}".into(), "nan".into()]);
    insta::assert_snapshot!(report.junit().unwrap());
}

#[test]
fn colour_adds_codes_and_no_words() {
    let coloured = sample().plain(true);
    let stripped = coloured.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[0m", "");
    assert_ne!(coloured, stripped);
    assert_eq!(stripped, sample().plain(false));
}

#[test]
fn html_is_one_page_without_scripts_or_links() {
    let page = sample().html().unwrap();
    insta::assert_snapshot!(page.split_once("<body>").unwrap().1);
    for forbidden in ["<script", "src=", "href=", "http:", "https:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let mut report = Report::new("job-run", "<img src=x onerror=alert(1)> @team [x](http://evil)");
    report.fact("a`b", "c`d|e\n# heading");
    let report = report.concluded(Verdict::Pass, "| **bold** |\n\n## heading");
    let markdown = report.markdown();
    assert!(!markdown.contains("<img"), "{markdown}");
    assert!(!markdown.contains("http:"), "{markdown}");
    assert!(!markdown.contains("@team"), "{markdown}");
    assert!(!markdown.contains("\n## heading"), "{markdown}");
    assert!(!markdown.contains("\n# heading"), "{markdown}");
    assert!(!report.html().unwrap().contains("<img"));
}

#[test]
fn numbers_are_short_and_honest() {
    for (value, text) in [
        (0.0, "0"),
        (0.123456, "0.1235"),
        (12.3456, "12.35"),
        (1234.56, "1234.6"),
        (0.00012345, "1.234e-4"),
        (1e9, "1.000e9"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(number(value), text);
    }
}

#[test]
fn the_worse_verdict_wins() {
    assert_eq!(Verdict::Pass.and(Verdict::Inconclusive), Verdict::Inconclusive);
    assert_eq!(Verdict::Fail.and(Verdict::Inconclusive), Verdict::Fail);
}
