//! JUnit XML, as pytest and most other runners write it.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{MOST_DEPTH, Unreadable, attribute, name};
use crate::report::Place;

/// More failures than anybody reads are counted only.
const KEPT: usize = 500;

/// Of a failure's text, in characters.
const MOST_TEXT: usize = 4000;

/// A test that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub test: String,
    /// It broke before it could fail.
    pub is_error: bool,
    /// One line.
    pub message: String,
    /// What else was said.
    pub text: String,
    pub place: Option<Place>,
}

/// The results of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suite {
    pub tests: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Seconds, added up over the tests.
    pub seconds: f64,
    /// The first of them.
    pub failures: Vec<Failure>,
}

impl Suite {
    pub fn passed(&self) -> u64 {
        self.tests - self.failed - self.skipped
    }

    /// Adds the results of another run.
    pub fn add(&mut self, other: Self) {
        self.tests += other.tests;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.seconds += other.seconds;
        self.failures.extend(other.failures);
        self.failures.truncate(KEPT);
    }
}

/// A test that is being read.
#[derive(Default)]
struct Open {
    name: String,
    file: Option<String>,
    line: Option<u32>,
    skipped: bool,
    failure: Option<Failure>,
}

/// Reads results. The counts are those of the test cases, not of what a suite
/// claims to hold.
///
/// # Errors
/// When it is not JUnit XML, or ends before it is complete.
pub fn parse(from: impl BufRead) -> Result<Suite, Unreadable> {
    let mut reader = Reader::from_reader(from);
    reader.config_mut().check_end_names = true;
    let (mut buffer, mut depth) = (Vec::new(), 0);
    let mut reading = Reading::default();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(unreadable)?;
        match &event {
            Event::Start(_) | Event::Empty(_) if depth == 0 && reading.seen_root => {
                return Err(Unreadable::Xml("there is more behind its end".into()));
            }
            Event::Text(text) if depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(Unreadable::Xml("there is text around it".into()));
            }
            Event::Start(element) => {
                reading.start(element)?;
                depth += 1;
                if depth > MOST_DEPTH {
                    return Err(Unreadable::TooDeep);
                }
            }
            Event::Empty(element) => {
                reading.start(element)?;
                reading.end(&name(element.name().as_ref()));
            }
            Event::End(element) => {
                depth -= 1;
                reading.end(&name(element.name().as_ref()));
            }
            Event::Text(text) => reading.text(&String::from_utf8_lossy(text)),
            Event::CData(text) => reading.text(&String::from_utf8_lossy(text)),
            Event::GeneralRef(reference) => {
                let raw = format!("&{};", String::from_utf8_lossy(reference));
                let plain = quick_xml::escape::unescape(&raw)
                    .map_err(|error| Unreadable::Xml(error.to_string()))?;
                reading.text(&plain);
            }
            Event::DocType(_) => return Err(Unreadable::DocumentType),
            Event::Eof if !reading.seen_root => return Err(Unreadable::Empty),
            Event::Eof if depth > 0 => return Err(Unreadable::Truncated),
            Event::Eof => return reading.finish(),
            _ => {}
        }
    }
}

/// What is known in the middle of a file.
#[derive(Default)]
struct Reading {
    suite: Suite,
    open: Option<Open>,
    in_failure: bool,
    seen_root: bool,
    /// How many failures the outermost suites claim.
    said: u64,
    /// How many tests they claim.
    said_tests: u64,
    /// The suites that are open, and whether one around them has claimed failures, and
    /// tests.
    suites: Vec<[bool; 2]>,
}

impl Reading {
    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), Unreadable> {
        let kind = name(element.name().as_ref());
        if !self.seen_root && !matches!(kind.as_str(), "testsuites" | "testsuite") {
            return Err(Unreadable::OtherRoot(kind.chars().take(40).collect()));
        }
        self.seen_root = true;
        if matches!(kind.as_str(), "testsuites" | "testsuite") {
            let said = [claimed(element)?, number(element, "tests")?];
            let counted = self.suites.last().copied().unwrap_or_default();
            let new = [0, 1].map(|at| said[at].filter(|_| !counted[at]).unwrap_or(0));
            self.said = self.said.saturating_add(new[0]);
            self.said_tests = self.said_tests.saturating_add(new[1]);
            self.suites.push([0, 1].map(|at| counted[at] || said[at].is_some()));
        }
        match (kind.as_str(), &mut self.open) {
            ("testcase", open) => *open = Some(start(element, &mut self.suite)?),
            ("failure" | "error", Some(test)) => {
                // The first of several says what was wrong.
                self.in_failure = test.failure.is_none();
                fail(test, element, kind == "error")?;
            }
            ("skipped", Some(test)) => test.skipped = true,
            // Of no test: what broke before there was one.
            ("failure" | "error", None) if !self.suites.is_empty() => {
                let mut test = Open { name: "the suite itself".into(), ..Open::default() };
                fail(&mut test, element, kind == "error")?;
                close(Some(test), &mut self.suite);
            }
            _ => {}
        }
        Ok(())
    }

    /// The results, if as many failed as were said to have.
    fn finish(self) -> Result<Suite, Unreadable> {
        let (said, told) = (self.said, self.suite.failed);
        if said > told {
            return Err(Unreadable::Fewer { said, told });
        }
        // Where one failed, writers count in ways of their own, and it is red anyway.
        let (said, told) = (self.said_tests, self.suite.tests);
        if said > told && self.suite.failed == 0 {
            return Err(Unreadable::FewerTests { said, told });
        }
        Ok(self.suite)
    }

    fn end(&mut self, kind: &str) {
        match kind {
            "testcase" => close(self.open.take(), &mut self.suite),
            "testsuites" | "testsuite" => drop(self.suites.pop()),
            "failure" | "error" => self.in_failure = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_failure {
            add_text(self.open.as_mut(), text);
        }
    }
}

/// The failures and errors that a suite says it has, if it says so.
fn claimed(element: &BytesStart<'_>) -> Result<Option<u64>, Unreadable> {
    let (failures, errors) = (number(element, "failures")?, number(element, "errors")?);
    let any = failures.is_some() || errors.is_some();
    Ok(any.then(|| failures.unwrap_or(0).saturating_add(errors.unwrap_or(0))))
}

fn number(element: &BytesStart<'_>, name: &str) -> Result<Option<u64>, Unreadable> {
    Ok(attribute(element, name)?.and_then(|text| text.trim().parse().ok()))
}

fn unreadable(error: quick_xml::Error) -> Unreadable {
    match error {
        quick_xml::Error::Syntax(_) => Unreadable::Truncated,
        error => Unreadable::Xml(error.to_string()),
    }
}

fn start(element: &BytesStart<'_>, suite: &mut Suite) -> Result<Open, Unreadable> {
    let class = attribute(element, "classname")?.filter(|class| !class.is_empty());
    let own = attribute(element, "name")?.unwrap_or_default();
    let time = attribute(element, "time")?.and_then(|time| time.replace(',', "").parse().ok());
    suite.seconds += time.filter(|time: &f64| time.is_finite() && *time > 0.0).unwrap_or(0.0);
    Ok(Open {
        name: class.map_or_else(|| own.clone(), |class| format!("{class}::{own}")),
        file: attribute(element, "file")?,
        // pytest counts lines from zero.
        line: attribute(element, "line")?.and_then(|line| line.parse::<u32>().ok()).map(|l| l + 1),
        ..Open::default()
    })
}

fn fail(test: &mut Open, element: &BytesStart<'_>, is_error: bool) -> Result<(), Unreadable> {
    let message = attribute(element, "message")?.or(attribute(element, "type")?);
    let message = message.unwrap_or_default();
    let line = message.lines().next().unwrap_or_default().chars().take(300).collect();
    test.failure.get_or_insert_with(|| Failure {
        test: String::new(),
        is_error,
        message: line,
        text: String::new(),
        place: None,
    });
    Ok(())
}

fn add_text(test: Option<&mut Open>, text: &str) {
    if let Some(failure) = test.and_then(|test| test.failure.as_mut()) {
        let room = MOST_TEXT.saturating_sub(failure.text.chars().count());
        failure.text.extend(text.chars().take(room));
    }
}

fn close(test: Option<Open>, suite: &mut Suite) {
    let Some(test) = test else { return };
    suite.tests += 1;
    match test.failure {
        Some(mut failure) => {
            suite.failed += 1;
            let told = place_in(&failure.text);
            failure.place = told.or_else(|| test.file.map(|file| Place { file, line: test.line }));
            failure.test = test.name;
            if suite.failures.len() < KEPT {
                suite.failures.push(failure);
            }
        }
        None => suite.skipped += u64::from(test.skipped),
    }
}

/// Where it happened: the last line of the form `tests/test_a.py:12: Error`.
fn place_in(text: &str) -> Option<Place> {
    text.lines().rev().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (file, number, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let is_file = file.ends_with(".py") && !file.contains(char::is_whitespace);
        let relative = is_file && !file.starts_with('/') && !file.contains("..");
        let line = number.parse().ok()?;
        (relative && rest.starts_with(' '))
            .then(|| Place { file: file.to_owned(), line: Some(line) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.1"><testcase classname="tests.test_a" name="test_ok" time="0.010" /><testcase classname="tests.test_a" name="test_no" time="0.020"><failure message="AssertionError: 1 &lt; 2&#10;assert False">def test_no():
&gt;       assert 2 &lt; 1
tests/test_a.py:7: AssertionError</failure></testcase><testcase classname="tests.test_a" name="test_skip" time="0"><skipped type="pytest.skip" message="later">x</skipped></testcase><testcase classname="tests.test_b" name="test_broken" time="0"><error message="failed on setup"><![CDATA[<boom>]]></error></testcase></testsuite></testsuites>"#;

    #[test]
    fn results_are_counted_by_their_cases() {
        let suite = parse(PYTEST.as_bytes()).unwrap();
        assert_eq!((suite.tests, suite.failed, suite.skipped, suite.passed()), (4, 2, 1, 1));
        let [no, broken] = &suite.failures[..] else { panic!("{:?}", suite.failures) };
        assert_eq!(no.test, "tests.test_a::test_no");
        assert_eq!(no.message, "AssertionError: 1 < 2");
        assert!(no.text.contains("assert 2 < 1"), "{}", no.text);
        assert_eq!(no.place, Some(Place { file: "tests/test_a.py".into(), line: Some(7) }));
        assert!(broken.is_error && broken.text == "<boom>", "{broken:?}");
        assert!((suite.seconds - 0.03).abs() < 1e-9);
    }

    #[test]
    fn failures_that_are_claimed_and_not_told_are_not_lost() {
        let case = "<testcase name='a'/>";
        let half = format!("<testsuite tests='5'>{case}</testsuite>");
        assert_eq!(parse(half.as_bytes()), Err(Unreadable::FewerTests { said: 5, told: 1 }));
        let nested =
            format!("<testsuites tests='1'><testsuite tests='1'>{case}</testsuite></testsuites>");
        assert!(parse(nested.as_bytes()).is_ok());
        let told = |text: &str| parse(text.as_bytes());
        let fewer = |said, told| Err(Unreadable::Fewer { said, told });
        let root = format!(
            "<testsuites tests='1' failures='2'><testsuite>{case}</testsuite></testsuites>"
        );
        assert_eq!(told(&root), fewer(2, 0));
        // What is claimed around others counts once.
        let broken = "<testcase name='a'><error/></testcase>";
        let suite = format!("<testsuite errors='1'>{broken}</testsuite>");
        let nested = format!("<testsuites errors='2' failures='0'>{suite}{suite}</testsuites>");
        assert_eq!(told(&nested).unwrap().failed, 2);
        let beside =
            format!("<testsuites>{suite}<testsuite failures='1'>{case}</testsuite></testsuites>");
        assert_eq!(told(&beside), fewer(2, 1));
        // Before there was a test.
        let early = format!("<testsuite errors='1'><error message='collect'/>{case}</testsuite>");
        let early = told(&early).unwrap();
        assert_eq!((early.tests, early.failed), (2, 1));
        assert_eq!(early.failures[0].message, "collect");
        for more in ["<testsuite/>", "garbage", "<a/>"] {
            let text = format!("<testsuite>{case}</testsuite>{more}");
            assert!(matches!(told(&text), Err(Unreadable::Xml(_))), "{more}");
        }
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        let nested = format!("<testsuite>{}", "<a>".repeat(100));
        let bomb = "<!DOCTYPE x [<!ENTITY a \"b\">]><testsuite>&a;</testsuite>";
        for (text, expected) in [
            (&PYTEST[..PYTEST.len() - 30], Unreadable::Truncated),
            (&PYTEST[..400], Unreadable::Truncated),
            ("", Unreadable::Empty),
            (&nested, Unreadable::TooDeep),
            (bomb, Unreadable::DocumentType),
            ("<html><body/></html>", Unreadable::OtherRoot("html".into())),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        let unknown =
            "<testsuite><testcase name='a'><failure>&evil;</failure></testcase></testsuite>";
        assert!(matches!(parse(unknown.as_bytes()), Err(Unreadable::Xml(_))));
        let claims = "<testsuite tests='100' failures='0'><testcase name='a'><failure/></testcase></testsuite>";
        let suite = parse(claims.as_bytes()).unwrap();
        assert_eq!((suite.tests, suite.failed), (1, 1));
    }

    #[test]
    fn a_place_outside_the_repository_is_not_taken() {
        assert_eq!(place_in("/usr/lib/x.py:3: Error\n../evil.py:1: Error"), None);
        assert_eq!(place_in("a b.py:3: Error"), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "(<|>|/|&|testsuite|testcase|failure| name='a'|\\PC){0,60}") {
            let _read = parse(text.as_bytes());
        }

        #[test]
        fn cutting_never_hides_a_failure(at in 0usize..PYTEST.len()) {
            let at = (0..=at).rev().find(|at| PYTEST.is_char_boundary(*at)).unwrap();
            prop_assert!(parse(&PYTEST.as_bytes()[..at]).is_err());
        }
    }
}
