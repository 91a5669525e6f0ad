//! The token that makes a retried step find its own run again.

use std::collections::BTreeMap;

use crate::host::Context;
use crate::names::Sha256;

/// 64 characters, the most that the service takes. The same attempt of the
/// same step with the same inputs gives the same token; without a CI run there
/// is nothing to retry, so each call is a run of its own. A token counts within
/// one workspace, so its address is no part of it: addresses change.
pub(super) fn run_token(
    context: &Context,
    step_key: Option<&str>,
    job_id: i64,
    parameters: &BTreeMap<String, String>,
    rerun: u32,
) -> String {
    let unique = uuid::Uuid::new_v4().to_string();
    let in_run = context.run_id.is_some() || step_key.is_some();
    let mut parts = vec![
        context.repository.as_deref().unwrap_or_default(),
        context.run_id.as_deref().unwrap_or_default(),
        context.attempt.as_deref().unwrap_or_default(),
        step_key.or(context.step.as_deref()).unwrap_or_default(),
        if in_run { "" } else { &unique },
    ];
    let numbers = [job_id.to_string(), rerun.to_string()];
    parts.extend(numbers.iter().map(String::as_str));
    parts.extend(parameters.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    Sha256::of_parts(parts).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(attempt: &str, parameter: &str, rerun: u32) -> String {
        let context = Context {
            repository: Some("acme/flights".into()),
            run_id: Some("7".into()),
            attempt: Some(attempt.into()),
            ..Context::default()
        };
        run_token(&context, None, 3, &[("month".to_owned(), parameter.to_owned())].into(), rerun)
    }

    #[test]
    fn the_same_attempt_gives_the_same_token_and_nothing_else_does() {
        assert_eq!(token("1", "07", 0), token("1", "07", 0));
        assert_eq!(token("1", "07", 0).len(), 64);
        for other in [token("2", "07", 0), token("1", "08", 0), token("1", "07", 1)] {
            assert_ne!(token("1", "07", 0), other);
        }
    }

    #[test]
    fn outside_of_ci_each_call_is_a_run_of_its_own() {
        let token = || run_token(&Context::default(), None, 1, &BTreeMap::new(), 0);
        assert_ne!(token(), token());
        let keyed = || run_token(&Context::default(), Some("k"), 1, &BTreeMap::new(), 0);
        assert_eq!(keyed(), keyed());
    }
}
