//! What was looked at, and how it is.

use anyhow::Error;

use crate::report::{Finding, Report, Severity, Table, Verdict, counted};
use crate::step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Bad,
    /// It could not be looked at, or may be right for reasons not seen here.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    area: &'static str,
    what: String,
    state: State,
    words: String,
    fix: Option<String>,
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    fn push(
        &mut self,
        (area, what): (&'static str, &str),
        state: State,
        words: impl Into<String>,
        fix: Option<String>,
    ) {
        self.0.push(Check { area, what: what.to_owned(), state, words: words.into(), fix });
    }

    pub(super) fn good(&mut self, what: (&'static str, &str), words: impl Into<String>) {
        self.push(what, State::Good, words, None);
    }

    pub(super) fn bad(
        &mut self,
        what: (&'static str, &str),
        words: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(what, State::Bad, words, Some(fix.into()));
    }

    pub(super) fn unknown(
        &mut self,
        what: (&'static str, &str),
        words: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(what, State::Unknown, words, Some(fix.into()));
    }

    /// A failure, with the way out that it knows itself.
    pub(super) fn failed(&mut self, what: (&'static str, &str), error: &Error, fix: &str) {
        let fix = step::hint_of(error).unwrap_or_else(|| fix.to_owned());
        self.bad(what, format!("{error:#}"), fix);
    }

    pub(super) fn has_bad(&self, area: &str) -> bool {
        self.0.iter().any(|check| check.area == area && check.state == State::Bad)
    }

    pub(super) fn conclude(self, mut report: Report) -> Report {
        let mut table = Table::new("What was looked at", ["where", "what", "how it is"]);
        let count = |state| self.0.iter().filter(|check| check.state == state).count();
        let (good, bad, unknown) = (count(State::Good), count(State::Bad), count(State::Unknown));
        let all = self.0.len();
        for check in self.0 {
            let verdict = match check.state {
                State::Good => Verdict::Pass,
                State::Bad => Verdict::Fail,
                State::Unknown => Verdict::Inconclusive,
            };
            let cells = [check.area.to_owned(), check.what.clone(), check.words.clone()];
            table.row(Some(verdict), cells);
            if let Some(fix) = check.fix {
                let severity =
                    if check.state == State::Bad { Severity::Error } else { Severity::Notice };
                let rule = format!("doctor/{}", check.area);
                let title = format!("{}: {}", check.what, check.words);
                report.findings.push(Finding::new(severity, rule, title).hint(fix));
            }
        }
        report.tables.push(table);
        let mut reason = match bad {
            0 => format!("{} found nothing wrong", counted(good, "check")),
            _ => format!("{bad} of {} found something wrong", counted(all, "check")),
        };
        if unknown > 0 {
            reason.push_str(&format!("; {unknown} could not be settled"));
        }
        let verdict = if bad > 0 { Verdict::Fail } else { Verdict::Pass };
        report.concluded(verdict, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Fault;

    #[test]
    fn what_is_bad_decides_and_what_is_not_known_is_told() {
        let mut checks = Checks::default();
        checks.good(("workspace", "identity"), "anna");
        checks.unknown(("data", "record.schema"), "not seen", "GRANT …");
        let report = checks.conclude(Report::new("doctor", "x"));
        assert_eq!(report.verdict, Verdict::Pass);
        assert_eq!(report.reason, "1 check found nothing wrong; 1 could not be settled");
        let mut checks = Checks::default();
        checks.failed(("data", "t"), &Fault::usage("no").hint("do this").into(), "other");
        assert!(checks.has_bad("data") && !checks.has_bad("workspace"));
        let report = checks.conclude(Report::new("doctor", "x"));
        assert_eq!(report.verdict, Verdict::Fail);
        assert_eq!(report.findings[0].hint.as_deref(), Some("do this"));
    }
}
