//! Text for terminals and logs.

use std::fmt::Write as _;

use super::{Report, Severity, Table, Verdict};

pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut out = String::new();
    for table in &report.tables {
        render_table(&mut out, table, colour);
    }
    for finding in &report.findings {
        let name = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "note",
        };
        _ = writeln!(out, "{name}[{}]: {}", finding.rule, finding.title);
        if let Some(place) = &finding.place {
            let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
            _ = writeln!(out, "  --> {}{line}", place.file);
        }
        if let Some(hint) = &finding.hint {
            _ = writeln!(out, "  help: {hint}");
        }
    }
    if !report.facts.is_empty() {
        let facts = report.facts.iter().map(|(name, value)| format!("{name} {value}"));
        _ = writeln!(out, "{}", facts.collect::<Vec<_>>().join(" · "));
    }
    let verdict = report.verdict;
    let headline = format!("{} {}: {}", verdict.mark(), verdict.as_str(), report.title);
    _ = writeln!(out, "{}\n  {}", paint(&headline, verdict, colour), report.reason);
    out
}

fn render_table(out: &mut String, table: &Table, colour: bool) {
    if table.rows.is_empty() {
        return;
    }
    let mut widths: Vec<usize> =
        table.columns.iter().map(|column| column.chars().count()).collect();
    for row in &table.rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    _ = writeln!(out, "{}", table.title);
    let line = |mark: &str, cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {mark} {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    _ = writeln!(out, "{}", line(" ", &table.columns));
    for row in &table.rows {
        let text = line(row.verdict.map_or(" ", Verdict::mark), &row.cells);
        _ = writeln!(
            out,
            "{}",
            row.verdict.map_or_else(|| text.clone(), |verdict| paint(&text, verdict, colour))
        );
    }
    out.push('\n');
}

fn paint(text: &str, verdict: Verdict, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match verdict {
        Verdict::Pass => 32,
        Verdict::Inconclusive => 33,
        Verdict::Fail => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
