//! Markdown for step summaries and comments. Everything that comes from
//! outside is escaped: a test name must not become a link or a heading.

use std::fmt::Write as _;

use super::{Finding, Report, Table, Verdict};

/// Rows of one table that a summary shows; the HTML report has them all.
const MAX_ROWS: usize = 50;

/// Lines of a summary that is to be brief.
const BRIEF_LINES: usize = 25;

/// Findings among them; the rest is for what was judged.
const BRIEF_FINDINGS: usize = 6;

pub(super) fn render(report: &Report) -> String {
    let mut out = head(report);
    if report.is_brief {
        brief(&mut out, report);
        return out;
    }
    for finding in &report.findings {
        told(&mut out, finding);
    }
    for table in &report.tables {
        render_table(&mut out, table);
    }
    out
}

fn head(report: &Report) -> String {
    let mut out = format!("## {} {}\n\n", emoji(report.verdict), escape(&report.title));
    _ = writeln!(out, "**{}** — {}\n", report.verdict.as_str(), escape(&report.reason));
    if !report.facts.is_empty() {
        let facts =
            report.facts.iter().map(|(name, value)| format!("{}: `{}`", escape(name), code(value)));
        _ = writeln!(out, "{}\n", facts.collect::<Vec<_>>().join(" · "));
    }
    out
}

fn told(out: &mut String, finding: &Finding) {
    _ = write!(out, "- {} `[{}]`", escape(&finding.title), code(&finding.rule));
    if let Some(hint) = &finding.hint {
        _ = write!(out, " — *{}*", escape(hint));
    }
    out.push('\n');
}

/// What is left of the lines goes to what was judged, the worst first.
fn brief(out: &mut String, report: &Report) {
    let judged = report.tables.iter().flat_map(|table| {
        table.rows.iter().filter_map(move |row| Some((row.verdict?, table, row)))
    });
    let mut judged: Vec<_> = judged.collect();
    // A finding that repeats a row says nothing more.
    let is_row = |finding: &&Finding| {
        judged.iter().any(|(.., row)| row.cells.last().is_some_and(|cell| *cell == finding.title))
    };
    let findings: Vec<&Finding> =
        report.findings.iter().filter(|finding| !is_row(finding)).collect();
    findings.iter().take(BRIEF_FINDINGS).for_each(|finding| told(out, finding));
    let mut more = findings.len().saturating_sub(BRIEF_FINDINGS);
    judged.sort_by_key(|(verdict, ..)| std::cmp::Reverse(*verdict));
    // The table's own three lines, and the last one.
    let room = BRIEF_LINES.saturating_sub(out.lines().count() + 5);
    if !judged.is_empty() && room > 0 {
        out.push_str("\n|  | of | check | |\n|--|--|--|--|\n");
        for (verdict, table, row) in judged.iter().take(room) {
            let [name, why] = [row.cells.first(), row.cells.last()]
                .map(|cell| escape(cell.map_or("", String::as_str)));
            _ = writeln!(
                out,
                "| {} | {} | {name} | {why} |",
                emoji(*verdict),
                escape(&table.title)
            );
        }
    }
    more += judged.len().saturating_sub(room);
    if more > 0 {
        _ = writeln!(out, "\n{more} more stand in the report.");
    }
}

fn render_table(out: &mut String, table: &Table) {
    if table.rows.is_empty() {
        return;
    }
    let header = table.columns.iter().map(|column| escape(column)).collect::<Vec<_>>();
    _ = writeln!(
        out,
        "\n### {}\n\n|  | {} |\n|--{}|",
        escape(&table.title),
        header.join(" | "),
        "|--".repeat(header.len())
    );
    for row in table.rows.iter().take(MAX_ROWS) {
        let cells = row.cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>();
        _ = writeln!(out, "| {} | {} |", row.verdict.map_or("", emoji), cells.join(" | "));
    }
    if table.rows.len() > MAX_ROWS {
        _ = writeln!(out, "\n{} more rows are in the report.", table.rows.len() - MAX_ROWS);
    }
}

fn emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Inconclusive => "❔",
        Verdict::Fail => "❌",
    }
}

/// Text that shows as itself: no markup, no HTML, no line breaks, no mentions.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(char);
            }
            // `@team` would notify people, `http://…` and `www.…` become links.
            '@' => out.push_str("&#64;"),
            ':' => out.push_str("&#58;"),
            '.' if out.ends_with("www") => out.push_str("&#46;"),
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out
}

/// Text for a code span.
fn code(text: &str) -> String {
    text.chars()
        .map(|char| {
            if char == '`' {
                '\''
            } else if char.is_control() || char == '|' {
                ' '
            } else {
                char
            }
        })
        .collect()
}
