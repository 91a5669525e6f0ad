//! The next version from the commits since the last one.
//!
//! Conventional Commits 1.0.0 give each commit a weight, Semantic Versioning
//! 2.0.0 says which number it raises. Below 1.0.0 a breaking change raises the
//! minor version.

use semver::{Prerelease, Version};

/// How much a commit changes for those who use the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing that they see.
    None,
    Patch,
    Minor,
    Breaking,
}

/// A commit since the last release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    /// Subject, body and footers.
    pub message: String,
}

/// A commit, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: String,
    /// `feat`, `fix`, …; empty when the subject has no type.
    pub kind: String,
    pub scope: Option<String>,
    pub subject: String,
    pub level: Level,
    /// What a footer says of the break.
    pub breaking: Option<String>,
}

impl Change {
    pub fn of(commit: &Commit) -> Self {
        let (first, rest) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
        let footer = rest.lines().find_map(|line| {
            let text = line.strip_prefix("BREAKING CHANGE: ");
            text.or_else(|| line.strip_prefix("BREAKING-CHANGE: "))
        });
        let parsed = prefix(first);
        let (kind, scope, bang, subject) = match &parsed {
            Some((kind, scope, bang, subject)) => (kind.as_str(), scope.clone(), *bang, *subject),
            None => ("", None, false, first),
        };
        let level = match kind {
            _ if bang || footer.is_some() => Level::Breaking,
            "feat" | "deprecate" => Level::Minor,
            "fix" | "perf" | "revert" | "remove" | "security" => Level::Patch,
            _ => Level::None,
        };
        Self {
            id: commit.id.clone(),
            kind: kind.to_owned(),
            scope,
            subject: subject.trim().to_owned(),
            level,
            breaking: footer.map(str::to_owned).or_else(|| bang.then(|| subject.trim().to_owned())),
        }
    }
}

/// `type(scope)!: subject` in its parts.
fn prefix(line: &str) -> Option<(String, Option<String>, bool, &str)> {
    let (head, subject) = line.split_once(": ")?;
    let (head, bang) = match head.strip_suffix('!') {
        Some(head) => (head, true),
        None => (head, false),
    };
    let (kind, scope) = match head.split_once('(') {
        Some((kind, scope)) => (kind, Some(scope.strip_suffix(')')?)),
        None => (head, None),
    };
    let is_word = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_word.then(|| (kind.to_ascii_lowercase(), scope.map(str::to_owned), bang, subject))
}

/// The version after `last`, or nothing when no commit asks for one. The first
/// release is 0.1.0.
pub fn next(last: Option<&Version>, changes: &[Change]) -> Option<Version> {
    let Some(last) = last else { return Some(Version::new(0, 1, 0)) };
    let level = changes.iter().map(|change| change.level).max().unwrap_or(Level::None);
    if !last.pre.is_empty() && level > Level::None {
        return Some(Version { pre: Prerelease::EMPTY, ..last.clone() });
    }
    let (major, minor, patch) = (last.major, last.minor, last.patch);
    match level {
        Level::None => None,
        Level::Patch => Some(Version::new(major, minor, patch + 1)),
        Level::Minor => Some(Version::new(major, minor + 1, 0)),
        Level::Breaking if major == 0 => Some(Version::new(0, minor + 1, 0)),
        Level::Breaking => Some(Version::new(major + 1, 0, 0)),
    }
}

/// The versions among tags of the form `v{version}`, newest first.
pub fn tagged<'a>(tags: impl Iterator<Item = &'a str>, template: &str) -> Vec<(Version, &'a str)> {
    let (before, after) = template.split_once("{version}").unwrap_or((template, ""));
    let mut found: Vec<_> = tags
        .filter_map(|tag| {
            let text = tag.strip_prefix(before)?.strip_suffix(after)?;
            Some((Version::parse(text).ok()?, tag))
        })
        .collect();
    found.sort_by(|one, other| other.0.cmp(&one.0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(message: &str) -> Change {
        Change::of(&Commit { id: "c".into(), message: message.into() })
    }

    #[test]
    fn commits_have_the_weight_that_the_convention_gives_them() {
        for (message, kind, level) in [
            ("feat: add slices", "feat", Level::Minor),
            ("Fix(gate): a tie", "fix", Level::Patch),
            ("perf: faster", "perf", Level::Patch),
            ("docs: words", "docs", Level::None),
            ("refactor!: drop the flag", "refactor", Level::Breaking),
            ("feat(api)!: another form", "feat", Level::Breaking),
            ("fix: a\n\nbody\n\nBREAKING CHANGE: the column is gone", "fix", Level::Breaking),
            ("Merge branch 'x'", "", Level::None),
            ("feat: ", "feat", Level::Minor),
            ("feat(: x", "", Level::None),
            ("a b: c", "", Level::None),
        ] {
            let found = change(message);
            assert_eq!((found.kind.as_str(), found.level), (kind, level), "{message}");
        }
        assert_eq!(change("fix: a\n\nBREAKING CHANGE: gone").breaking.as_deref(), Some("gone"));
    }

    #[test]
    fn the_heaviest_change_decides() {
        let after = |last: &str, messages: &[&str]| {
            let changes: Vec<_> = messages.iter().map(|message| change(message)).collect();
            next(Some(&Version::parse(last).unwrap()), &changes).map(|version| version.to_string())
        };
        assert_eq!(after("1.2.3", &["fix: a", "feat: b"]).as_deref(), Some("1.3.0"));
        assert_eq!(after("1.2.3", &["fix: a", "docs: b"]).as_deref(), Some("1.2.4"));
        assert_eq!(after("1.2.3", &["feat!: a"]).as_deref(), Some("2.0.0"));
        assert_eq!(after("0.2.3", &["feat!: a"]).as_deref(), Some("0.3.0"));
        assert_eq!(after("2.0.0-rc.1", &["fix: a"]).as_deref(), Some("2.0.0"));
        assert_eq!(after("1.2.3", &["docs: b", "ci: c"]), None);
        assert_eq!(next(None, &[]).unwrap().to_string(), "0.1.0");
    }

    #[test]
    fn versions_are_ordered_as_versions() {
        let tags = ["v1.9.0", "v1.10.0", "v1.10.0-rc.1", "other-2.0.0", "v1.x"];
        let found = tagged(tags.into_iter(), "v{version}");
        assert_eq!(
            found.iter().map(|(_, tag)| *tag).collect::<Vec<_>>(),
            ["v1.10.0", "v1.10.0-rc.1", "v1.9.0"]
        );
    }
}
