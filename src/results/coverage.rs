//! Which lines the tests ran: Cobertura XML and lcov.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{MOST_DEPTH, Unreadable, attribute, name};

/// By file, whether each line that can be run was run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<String, BTreeMap<u32, bool>>);

/// How much of a change was run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Lines of the change that can be run.
    pub lines: u64,
    pub run: u64,
    /// By file, the lines that no test ran.
    pub missed: BTreeMap<String, Vec<u32>>,
    /// Files of the languages that the report knows, and which it does not know.
    pub unknown: Vec<String>,
}

impl Changed {
    /// Between 0 and 1; nothing when no line of the change can be run.
    pub fn share(&self) -> Option<f64> {
        (self.lines > 0).then(|| self.run as f64 / self.lines as f64)
    }
}

impl Coverage {
    /// Reads either form.
    ///
    /// # Errors
    /// When it is neither, or ends before it is complete.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if text.trim().is_empty() {
            return Err(Unreadable::Empty);
        }
        if text.trim_start().starts_with('<') { cobertura(text) } else { lcov(text) }
    }

    /// Of all lines, the share that was run.
    pub fn share(&self) -> Option<f64> {
        let all: Vec<bool> = self.0.values().flat_map(|lines| lines.values().copied()).collect();
        let run = all.iter().filter(|run| **run).count();
        (!all.is_empty()).then(|| run as f64 / all.len() as f64)
    }

    /// Adds what other tests ran.
    pub fn add(&mut self, other: Self) {
        for (file, lines) in other.0 {
            for (line, run) in lines {
                self.note(&file, line, run);
            }
        }
    }

    fn note(&mut self, file: &str, line: u32, run: bool) {
        *self.0.entry(file.to_owned()).or_default().entry(line).or_default() |= run;
    }

    /// The changed lines among those that can be run. Paths of the change are
    /// relative to the repository, those of the report to where the tests ran,
    /// `folder` or one of `sources` below it.
    pub fn of_change(
        &self,
        change: &BTreeMap<String, Vec<RangeInclusive<u32>>>,
        folder: &str,
    ) -> Changed {
        let mut found = Changed::default();
        for (file, ranges) in change {
            let local = if folder.is_empty() {
                Some(file.as_str())
            } else {
                file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(local) = local else { continue };
            let Some(lines) = self.lines_of(local) else {
                let ending = Path::new(local).extension();
                if self.0.keys().any(|known| Path::new(known).extension() == ending) {
                    found.unknown.push(file.clone());
                }
                continue;
            };
            for (line, run) in lines {
                if ranges.iter().any(|range| range.contains(line)) {
                    found.lines += 1;
                    found.run += u64::from(*run);
                    if !run {
                        found.missed.entry(file.clone()).or_default().push(*line);
                    }
                }
            }
        }
        found
    }

    /// The report's file for a path, which may be told from a source folder on.
    fn lines_of(&self, path: &str) -> Option<&BTreeMap<u32, bool>> {
        self.0.get(path).or_else(|| {
            let ends = |known: &&String| {
                path.strip_suffix(known.as_str()).is_some_and(|rest| rest.ends_with('/'))
                    || known.strip_suffix(path).is_some_and(|rest| rest.ends_with('/'))
            };
            let mut matching = self.0.keys().filter(ends);
            // Two files of one name are told apart by nothing else.
            match (matching.next(), matching.next()) {
                (Some(only), None) => self.0.get(only),
                _ => None,
            }
        })
    }
}

fn cobertura(text: &str) -> Result<Coverage, Unreadable> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut found, mut file) = (0, Coverage::default(), String::new());
    let mut seen_root = false;
    loop {
        let event = reader.read_event().map_err(|error| match error {
            quick_xml::Error::Syntax(_) => Unreadable::Truncated,
            error => Unreadable::Xml(error.to_string()),
        })?;
        match &event {
            Event::Start(element) | Event::Empty(element) => {
                let kind = name(element.name().as_ref());
                if !seen_root && kind != "coverage" {
                    return Err(Unreadable::OtherRoot(kind.chars().take(40).collect()));
                }
                seen_root = true;
                match kind.as_str() {
                    "class" => file = attribute(element, "filename")?.unwrap_or_default(),
                    "line" => {
                        let number = attribute(element, "number")?.unwrap_or_default();
                        let hits = attribute(element, "hits")?.unwrap_or_default();
                        let (Ok(at), Ok(count)) = (number.parse(), hits.parse::<u64>()) else {
                            let what = format!("line `{number}` with `{hits}` hits");
                            return Err(Unreadable::Xml(what));
                        };
                        found.note(&file, at, count > 0);
                    }
                    _ => {}
                }
                depth += usize::from(matches!(event, Event::Start(_)));
                if depth > MOST_DEPTH {
                    return Err(Unreadable::TooDeep);
                }
            }
            Event::End(_) => depth -= 1,
            // Cobertura's own files name a document type; one that declares entities is refused.
            Event::DocType(text) if text.contains(&b'[') => return Err(Unreadable::DocumentType),
            Event::Eof if !seen_root => return Err(Unreadable::Empty),
            Event::Eof if depth > 0 => return Err(Unreadable::Truncated),
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// Format: geninfo(1). Of each record, its file and its lines.
fn lcov(text: &str) -> Result<Coverage, Unreadable> {
    let mut found = Coverage::default();
    let mut file: Option<String> = None;
    for (at, line) in text.lines().enumerate() {
        let wrong = |what: &str| Unreadable::Line { line: at + 1, what: what.to_owned() };
        let line = line.trim_end();
        if let Some(path) = line.strip_prefix("SF:") {
            if file.is_some() {
                return Err(wrong("a record begins before the last one has ended"));
            }
            file = Some(path.trim_start_matches("./").to_owned());
        } else if line == "end_of_record" {
            file.take().ok_or_else(|| wrong("a record ends that did not begin"))?;
        } else if let Some(data) = line.strip_prefix("DA:") {
            let own = file.as_deref().ok_or_else(|| wrong("a line belongs to no file"))?;
            let mut parts = data.split(',');
            let number = parts.next().and_then(|number| number.parse().ok());
            let hits = parts.next().and_then(|hits| hits.parse::<i64>().ok());
            let (Some(number), Some(hits)) = (number, hits) else {
                return Err(wrong("`DA:` is followed by a line's number and its count"));
            };
            found.note(own, number, hits > 0);
        } else if !line.is_empty() && !line.contains(':') {
            return Err(wrong("this is neither Cobertura XML nor lcov"));
        }
    }
    if file.is_some() { Err(Unreadable::Truncated) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COBERTURA: &str = r#"<?xml version="1.0" ?><!DOCTYPE coverage SYSTEM 'x.dtd'><coverage version="7"><packages><package name="."><classes><class name="a.py" filename="flights/a.py"><methods/><lines><line number="1" hits="1"/><line number="2" hits="0"/><line number="4" hits="3"/></lines></class></classes></package></packages></coverage>"#;
    const LCOV: &str = "TN:\nSF:./flights/a.py\nDA:1,1\nDA:2,0,hash\nDA:4,3\nLF:3\nend_of_record\n";

    #[test]
    fn both_forms_say_the_same() {
        let one = Coverage::parse(COBERTURA).unwrap();
        assert_eq!(one, Coverage::parse(LCOV).unwrap());
        assert!((one.share().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_passed_over() {
        for wrong in ["number=\"x\"", "number=\"-1\""] {
            let text = COBERTURA.replace("number=\"2\"", wrong);
            assert!(matches!(Coverage::parse(&text), Err(Unreadable::Xml(_))), "{wrong}");
        }
        let text = COBERTURA.replace("hits=\"0\"", "hits=\"many\"");
        assert!(matches!(Coverage::parse(&text), Err(Unreadable::Xml(_))));
    }

    #[test]
    fn only_lines_that_changed_and_can_be_run_count() {
        let coverage = Coverage::parse(LCOV).unwrap();
        let change = BTreeMap::from([
            ("ml/src/flights/a.py".to_owned(), vec![2..=3, 4..=9]),
            ("ml/README.md".to_owned(), vec![1..=5]),
            ("ml/src/flights/b.py".to_owned(), vec![1..=5]),
            ("other/flights/a.py".to_owned(), vec![1..=1]),
        ]);
        let found = coverage.of_change(&change, "ml");
        assert_eq!((found.lines, found.run), (2, 1));
        assert_eq!(found.missed["ml/src/flights/a.py"], [2]);
        assert_eq!(found.unknown, ["ml/src/flights/b.py"]);
        assert_eq!(Coverage::default().of_change(&change, "").share(), None);
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        for (text, words) in [
            ("", "empty"),
            (&COBERTURA[..COBERTURA.len() - 12], "middle"),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><coverage/>", "entities"),
            ("<testsuite/>", "testsuite"),
            ("SF:a\nDA:1,1\n", "middle"),
            ("SF:a\nSF:b\n", "before the last"),
            ("DA:1,1\n", "no file"),
            ("SF:a\nDA:x,1\n", "number"),
            ("hello\n", "neither"),
        ] {
            let told = Coverage::parse(text).unwrap_err().to_string();
            assert!(told.contains(words), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in "(<|>|/|coverage|line| hits='1'|SF:|DA:|1,|\n|\\PC){0,60}") {
            let _read = Coverage::parse(&text);
        }
    }
}
