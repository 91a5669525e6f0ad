//! What a release says of itself, in the form of Keep a Changelog 1.1.0.

use super::version::{Change, Level};

/// The section of one version. `date` is a day, `2026-11-25`.
pub fn section(version: &str, date: &str, changes: &[Change]) -> String {
    let mut out = format!("## [{version}] - {date}\n");
    let breaking: Vec<String> = changes
        .iter()
        .filter(|change| change.level == Level::Breaking)
        .map(|change| line(change, change.breaking.as_deref().unwrap_or(&change.subject)))
        .collect();
    let of = |kinds: &[&str]| -> Vec<String> {
        changes
            .iter()
            .filter(|change| change.level != Level::Breaking)
            .filter(|change| kinds.contains(&change.kind.as_str()))
            .map(|change| line(change, &change.subject))
            .collect()
    };
    for (title, lines) in [
        ("Breaking", breaking),
        ("Added", of(&["feat"])),
        ("Fixed", of(&["fix"])),
        ("Changed", of(&["perf", "refactor", "revert"])),
    ] {
        if !lines.is_empty() {
            out.push_str(&format!("\n### {title}\n\n{}", lines.concat()));
        }
    }
    let told = ["feat", "fix", "perf", "refactor", "revert"];
    let untold =
        |change: &&Change| change.level != Level::Breaking && !told.contains(&change.kind.as_str());
    let others = changes.iter().filter(untold).count();
    if others > 0 {
        let noun = if others == 1 { "commit" } else { "commits" };
        out.push_str(&format!("\n{others} other {noun}.\n"));
    }
    out
}

/// Commit messages are foreign text: nothing in them may be markup.
fn line(change: &Change, text: &str) -> String {
    let scope = change.scope.as_deref().map(|scope| format!("**{}:** ", plain(scope)));
    let short = change.id.get(..7).unwrap_or(&change.id);
    format!("- {}{} ({short})\n", scope.unwrap_or_default(), plain(text))
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
