//! What a release says of itself, in the form of Keep a Changelog 1.1.0.

use super::version::{Change, Level};

/// The headings in their order; nothing for what is only counted.
const HEADINGS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

fn heading(change: &Change) -> Option<&'static str> {
    if change.level == Level::Breaking {
        return Some("Changed");
    }
    match (change.kind.as_str(), change.scope.as_deref()) {
        ("fix", Some("security")) | ("security", _) => Some("Security"),
        ("feat", _) => Some("Added"),
        ("fix", _) => Some("Fixed"),
        ("deprecate", _) => Some("Deprecated"),
        ("remove", _) => Some("Removed"),
        ("perf" | "refactor" | "revert", _) => Some("Changed"),
        _ => None,
    }
}

/// The section of one version. `date` is a day, `2026-11-25`.
pub fn section(version: &str, date: &str, changes: &[Change]) -> String {
    let mut out = format!("## [{version}] - {date}\n");
    for title in HEADINGS {
        let mut own: Vec<&Change> =
            changes.iter().filter(|change| heading(change) == Some(title)).collect();
        own.sort_by_key(|change| change.level != Level::Breaking);
        if !own.is_empty() {
            let lines: String = own.into_iter().map(line).collect();
            out.push_str(&format!("\n### {title}\n\n{lines}"));
        }
    }
    let others = changes.iter().filter(|change| heading(change).is_none()).count();
    if others > 0 {
        let noun = if others == 1 { "commit" } else { "commits" };
        out.push_str(&format!("\n{others} other {noun}.\n"));
    }
    out
}

/// Commit messages are foreign text: nothing in them may be markup.
fn line(change: &Change) -> String {
    let is_breaking = change.level == Level::Breaking;
    let mark = if is_breaking { "**Breaking:** " } else { "" };
    let text = change.breaking.as_ref().filter(|_| is_breaking).unwrap_or(&change.subject);
    let scope = change.scope.as_deref().map(|scope| format!("**{}:** ", plain(scope)));
    let short = change.id.get(..7).unwrap_or(&change.id);
    format!("- {mark}{}{} ({short})\n", scope.unwrap_or_default(), plain(text))
}

fn plain(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars().filter(|char| !char.is_control()) {
        if matches!(char, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '@') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Commit;

    #[test]
    fn the_section_tells_what_changed_and_runs_nothing() {
        let messages = [
            "feat(gate): compare slices",
            "fix: a tie in `roc_auc`",
            "feat!: the column `score` is called `probability`",
            "chore: tidy",
            "deprecate: the flag `--old`",
            "remove(cli): the flag `--older`",
            "fix(security): a hole",
            "security: another",
            "perf: a sort",
            "fix: <img src=x> [click](http://evil.test) @everyone",
        ];
        let changes: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(at, message)| {
                Change::of(&Commit { id: format!("{at}abcdef0123"), message: (*message).into() })
            })
            .collect();
        insta::assert_snapshot!(section("1.3.0", "2026-11-25", &changes));
    }
}
