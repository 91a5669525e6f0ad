//! Whether a document still tells what it told.

use jiff::{SignedDuration, Timestamp};

use super::decide;
use crate::record::evidence::{Evidence, Statement};
use crate::report::{Fault, FaultKind};

/// Takes the decision of a document again.
///
/// # Errors
/// When it was changed after it was sealed, or when its own numbers do not give
/// the verdict and the checks that it states.
pub fn stands(evidence: &Evidence) -> Result<(), Fault> {
    let refuse = |message: String| Err(Fault::new(FaultKind::Integrity, message));
    if !evidence.is_intact() {
        return refuse(
            "the evidence does not match its own digest: it was changed after the gate wrote it"
                .into(),
        );
    }
    let statement = &evidence.statement;
    let decision = decide(&statement.policy, &statement.measured, &statement.at);
    if decision.verdict.as_str() != statement.verdict {
        return refuse(format!(
            "the evidence says {}, its own numbers say {}: {}",
            statement.verdict,
            decision.verdict.as_str(),
            decision.reason
        ));
    }
    if decision.checks != statement.checks {
        let other = decision.checks.iter().zip(&statement.checks).find(|(a, b)| a != b);
        let told = other.map(|(check, _)| format!(", such as `{}`", check.rule));
        return refuse(format!(
            "the evidence states checks that its own numbers do not give{}",
            told.unwrap_or_default()
        ));
    }
    Ok(())
}

/// Refuses evidence whose time is over. `now` is the present time.
///
/// # Errors
/// Also when it has no readable time, or is from the future.
pub fn in_time(
    statement: &Statement,
    now: Timestamp,
    max_age_days: Option<f64>,
) -> Result<(), Fault> {
    let refuse = |message: String| Fault::new(FaultKind::Integrity, message);
    let read = |text: &str| {
        text.parse::<Timestamp>()
            .map_err(|error| refuse(format!("the evidence has no readable time: {error}")))
    };
    let written = read(&statement.at)?;
    let age = now.duration_since(written);
    if age < SignedDuration::from_mins(-10) {
        return Err(refuse(format!(
            "the evidence is from the future ({written}): a clock is wrong"
        )));
    }
    if let Some(expires) = &statement.expires
        && read(expires)? < now
    {
        return Err(
            refuse(format!("the evidence expired at {expires}")).hint("run model-gate again")
        );
    }
    let days = age.as_secs_f64() / 86_400.0;
    match max_age_days.filter(|most| days > *most) {
        None => Ok(()),
        Some(most) => {
            let fault = refuse(format!("the evidence is {days:.1} days old, {most} are allowed"));
            Err(fault.hint("run model-gate again"))
        }
    }
}
