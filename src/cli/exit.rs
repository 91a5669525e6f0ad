//! Exit codes, the same for every command.

use crate::config::ConfigError;
use crate::databricks;
use crate::names::NameError;
use crate::report::{Fault, FaultKind, Verdict};

/// The verdict is a pass.
pub const PASS: u8 = 0;
/// The verdict is a fail: the answer is no.
pub const FAIL: u8 = 1;
/// Wrong flags, files or names.
pub const USAGE: u8 = 2;
/// The data did not suffice for an answer.
pub const INCONCLUSIVE: u8 = 3;
/// Somebody else changed the same thing.
pub const CONFLICT: u8 = 4;
/// A deadline passed.
pub const TIMEOUT: u8 = 5;
/// The world failed after retries.
pub const REMOTE: u8 = 6;
/// A digest or a read-back does not match.
pub const INTEGRITY: u8 = 7;
/// Ended by SIGINT; SIGTERM gives 143.
pub const CANCELLED: u8 = 130;

/// Which verdicts fail the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum FailOn {
    /// Everything but a pass.
    #[default]
    NotPass,
    /// A fail only; inconclusive passes.
    Fail,
    /// Nothing: the verdict is an output only.
    Never,
}

pub(super) fn of_verdict(verdict: Verdict, fail_on: FailOn) -> u8 {
    match (verdict, fail_on) {
        (Verdict::Pass, _) | (_, FailOn::Never) | (Verdict::Inconclusive, FailOn::Fail) => PASS,
        (Verdict::Inconclusive, FailOn::NotPass) => INCONCLUSIVE,
        (Verdict::Fail, _) => FAIL,
    }
}

pub(super) fn of_error(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return match fault.kind {
                FaultKind::Usage | FaultKind::Data(_) => USAGE,
                FaultKind::Conflict => CONFLICT,
                FaultKind::Timeout => TIMEOUT,
                FaultKind::Integrity => INTEGRITY,
                FaultKind::Cancelled => CANCELLED,
                FaultKind::Remote => REMOTE,
            };
        }
        if let Some(remote) = cause.downcast_ref::<databricks::Error>() {
            return match remote {
                databricks::Error::Deadline { .. } => TIMEOUT,
                remote if remote.is_usage() => USAGE,
                _ => REMOTE,
            };
        }
        if cause.is::<NameError>() || cause.is::<ConfigError>() {
            return USAGE;
        }
    }
    REMOTE
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn only_a_pass_is_zero_by_default() {
        assert_eq!(of_verdict(Verdict::Pass, FailOn::NotPass), 0);
        assert_eq!(of_verdict(Verdict::Fail, FailOn::NotPass), 1);
        assert_eq!(of_verdict(Verdict::Inconclusive, FailOn::NotPass), 3);
        assert_eq!(of_verdict(Verdict::Inconclusive, FailOn::Fail), 0);
        assert_eq!(of_verdict(Verdict::Fail, FailOn::Never), 0);
    }

    #[test]
    fn the_kind_survives_context() {
        let error = Err::<(), _>(Fault::new(FaultKind::Conflict, "moved").hint("look"))
            .context("set the alias");
        let error = error.unwrap_err();
        assert_eq!(of_error(&error), CONFLICT);
        assert_eq!(crate::step::hint_of(&error).as_deref(), Some("look"));
        assert_eq!(of_error(&anyhow::anyhow!("plain")), REMOTE);
    }
}
