//! Packages with versions that are known as bad, from a file of the team's own.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::report::Fault;

/// The versions that a requirements file pins, by normalised name.
pub(super) fn pinned(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let line = line.split(['#', ';']).next()?.trim();
        let (name, version) = line.split_once("==")?;
        // `===` pins, too.
        let version = version.trim().trim_start_matches('=').trim_end_matches('\\').trim();
        Some((normal(name), version.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Requirements whose version is not known from the file.
pub(super) fn unpinned(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default().trim());
    // Options, and the hashes of pinned lines.
    let wanted = lines.filter(|line| !line.is_empty() && !line.starts_with('-'));
    wanted.filter(|line| !line.contains("==") || line.contains('*')).map(str::to_owned).collect()
}

/// A name as PEP 503 has it, without extras.
fn normal(name: &str) -> String {
    let name = name.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
    name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// What of `packages` a line of the file is about: `NAME CONDITION[,CONDITION] WHY`.
///
/// # Errors
/// When a line cannot be read: one that is skipped would let a bad version pass.
pub(super) fn found(text: &str, packages: &BTreeMap<String, String>) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = || {
            let fault =
                Fault::usage(format!("line {} of the advisories: `{line}` cannot be read", at + 1));
            fault.hint("a line is a name, conditions such as <1.22,>=1.20, and why")
        };
        let start = line.find(['<', '>', '=', '!']).ok_or_else(wrong)?;
        let (name, rest) = line.split_at(start);
        let (conditions, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let conditions: Vec<Condition<'_>> =
            conditions.split(',').map(Condition::parse).collect::<Option<_>>().ok_or_else(wrong)?;
        let Some(version) = packages.get(&normal(name)) else { continue };
        if conditions.iter().all(|condition| condition.holds(version)) {
            found.push(format!("{} {version}: {}", name.trim(), why.trim()));
        }
    }
    Ok(found)
}

struct Condition<'a> {
    sign: &'a str,
    version: &'a str,
}

impl<'a> Condition<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let signs = ["<=", ">=", "==", "!=", "<", ">"];
        let sign = signs.into_iter().find(|sign| text.starts_with(sign))?;
        let version = text[sign.len()..].trim();
        let plain = version.chars().all(|c| c.is_ascii_alphanumeric() || "._+-!".contains(c));
        (!version.is_empty() && plain).then_some(Self { sign, version })
    }

    fn holds(&self, version: &str) -> bool {
        let order = compare(version, self.version);
        match self.sign {
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "==" => order == Ordering::Equal,
            _ => order != Ordering::Equal,
        }
    }
}

/// Releases by their numbers; letters, as in `1.0rc1`, come before none, and
/// `post` after it.
fn compare(a: &str, b: &str) -> Ordering {
    let rank = |letters: &str| match letters {
        "" => 1,
        letters if letters.trim_start_matches(['-', '_']).starts_with("post") => 2,
        _ => 0,
    };
    let parts = |text: &str| -> Vec<(u64, u8, String)> {
        let text = text.split('+').next().unwrap_or_default();
        let mut parts: Vec<(u64, u8, String)> = text
            .split('.')
            .map(|part| {
                let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
                let (digits, letters) = part.split_at(end);
                (digits.parse().unwrap_or(0), rank(letters), letters.to_owned())
            })
            .collect();
        while parts.last().is_some_and(|(number, rank, _)| *number == 0 && *rank == 1) {
            parts.pop();
        }
        parts
    };
    let (a, b) = (parts(a), parts(b));
    let zero = (0, 1, String::new());
    (0..a.len().max(b.len()))
        .map(|at| a.get(at).unwrap_or(&zero).cmp(b.get(at).unwrap_or(&zero)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_and_known_bad_ones_found() {
        let packages = pinned(
            "mlflow==3.17.2\nscikit_learn[all]==1.9.1 ; python_version > '3'\nPyYAML==5.3 \\\n  --hash=x\npandas\n# numpy==1\n",
        );
        assert_eq!(packages.keys().collect::<Vec<_>>(), ["mlflow", "pyyaml", "scikit-learn"]);
        let text = "# known\npyyaml<5.4 CVE-2020-14343\nscikit-learn>=1.5,<1.9 old\nnumpy<9 other\nmlflow==3.17.2\n";
        assert_eq!(
            found(text, &packages).unwrap(),
            ["pyyaml 5.3: CVE-2020-14343", "mlflow 3.17.2: "]
        );
        for line in ["pyyaml 5.4", "pyyaml<", "pyyaml~5 x", "pyyaml<5;rm x"] {
            assert!(found(line, &packages).is_err(), "{line}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert_eq!(unpinned("a==1\n  --hash=x\nb>=2\nc\n# d\ne==1.*\n"), ["b>=2", "c", "e==1.*"]);
        for (a, b) in [
            ("1.26.0", "1.26.0.post1"),
            ("1.9", "1.10"),
            ("1.0rc1", "1.0"),
            ("1.0", "1.0.1"),
            ("2", "10.0"),
        ] {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
        }
        assert_eq!(compare("1.0", "1.0.0+local"), Ordering::Equal);
    }
}
