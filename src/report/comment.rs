//! A report as the one comment on a merge request: short, the rest folded.

use super::{Report, Severity, markdown};

/// GitHub takes 65,536 characters, Azure DevOps 150,000.
const MOST: usize = 60_000;

/// Rows that are seen without unfolding.
const ROWS: usize = 8;

pub(super) fn render(report: &Report) -> String {
    let mut out = format!(
        "**{} {}: {}** {}\n",
        report.verdict.mark(),
        report.command,
        report.verdict.as_str(),
        markdown::escape(&report.reason)
    );
    let told: Vec<_> = report.findings.iter().filter(|f| f.severity < Severity::Notice).collect();
    if !told.is_empty() {
        out.push_str("\n| | what | where |\n|---|---|---|\n");
        for finding in told.iter().take(ROWS) {
            let mark = if finding.severity == Severity::Error { "✗" } else { "!" };
            let place = finding.place.as_ref().map_or_else(String::new, |place| {
                let line = place.line.map(|line| format!(":{line}")).unwrap_or_default();
                markdown::escape(&format!("{}{line}", place.file))
            });
            let title: String = finding.title.chars().take(160).collect();
            out.push_str(&format!("| {mark} | {} | {place} |\n", markdown::escape(&title)));
        }
        if told.len() > ROWS {
            out.push_str(&format!("\n{} more below.\n", told.len() - ROWS));
        }
    }
    let details = report.markdown();
    let room = MOST.saturating_sub(out.len());
    let mut end = details.len().min(room);
    while !details.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if end < details.len() { "\n\n*The rest is in the report.*" } else { "" };
    // A table that is cut in the middle of a row would swallow the fold's end.
    let end = if cut.is_empty() { end } else { details[..end].rfind('\n').unwrap_or(end) };
    out.push_str(&format!(
        "\n<details><summary>Details</summary>\n\n{}{cut}\n\n</details>\n",
        &details[..end]
    ));
    out
}
