//! Variables of ours, as steps and machines set them.

use super::edit_distance;

/// The variable that may be meant by one that nothing reads. Only what is very
/// near: other variables with our prefix are somebody's own.
pub fn meant_variable(given: &str) -> Option<&'static str> {
    if !given.starts_with("LAKEGATE_") || VARIABLES.contains(&given) {
        return None;
    }
    let near = VARIABLES.iter().map(|known| (edit_distance(given, known), *known));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known)
}

/// All that are read, or handed to what a step starts.
pub const VARIABLES: [&str; 72] = [
    "LAKEGATE_ACTION",
    "LAKEGATE_ALIAS",
    "LAKEGATE_ALL",
    "LAKEGATE_ALLOW_DESTROY",
    "LAKEGATE_BASE",
    "LAKEGATE_BASELINE",
    "LAKEGATE_BASELINE_WHERE",
    "LAKEGATE_BINARY_PATH",
    "LAKEGATE_BUNDLE",
    "LAKEGATE_BUNDLE_VARS",
    "LAKEGATE_CACHE",
    "LAKEGATE_CANCEL_LEFT",
    "LAKEGATE_CANDIDATE",
    "LAKEGATE_CHAMPION",
    "LAKEGATE_CHECKS",
    "LAKEGATE_COMMANDS",
    "LAKEGATE_COMMENT",
    "LAKEGATE_COMPAT",
    "LAKEGATE_CONFIG",
    "LAKEGATE_CURRENT",
    "LAKEGATE_CURRENT_WHERE",
    "LAKEGATE_DESTROY",
    "LAKEGATE_DRIFT_ENGINE",
    "LAKEGATE_ENGINE",
    "LAKEGATE_ENVIRONMENT",
    "LAKEGATE_EVIDENCE",
    "LAKEGATE_FAIL_ON",
    "LAKEGATE_FROM",
    "LAKEGATE_HOST",
    "LAKEGATE_ISOLATION",
    "LAKEGATE_JOB",
    "LAKEGATE_JSON",
    "LAKEGATE_KEEP",
    "LAKEGATE_LOCAL",
    "LAKEGATE_LOCK_ID",
    "LAKEGATE_LOG",
    "LAKEGATE_MANIFEST_DIGEST",
    "LAKEGATE_MEMORY",
    "LAKEGATE_MIRROR",
    "LAKEGATE_MODEL",
    "LAKEGATE_OLDER_THAN",
    "LAKEGATE_ON_DRIFT",
    "LAKEGATE_OUT",
    "LAKEGATE_OVERRIDE",
    "LAKEGATE_PARAMS",
    "LAKEGATE_PLAN",
    "LAKEGATE_PLAN_COMMENT",
    "LAKEGATE_PREDICTIONS",
    "LAKEGATE_PUBLISH",
    "LAKEGATE_PYTHON",
    "LAKEGATE_QUEUE_TIMEOUT",
    "LAKEGATE_REASON",
    "LAKEGATE_RECOMPUTE",
    "LAKEGATE_RELEASE",
    "LAKEGATE_RELEASE_VERSION",
    "LAKEGATE_REPORT_DIR",
    "LAKEGATE_RERUN_INFRASTRUCTURE",
    "LAKEGATE_RETRAIN_HERE",
    "LAKEGATE_RETRAIN_JOB",
    "LAKEGATE_RETRAIN_PARAMS",
    "LAKEGATE_RUN_TIMEOUT",
    "LAKEGATE_SERVICE_CONNECTION",
    "LAKEGATE_SPILL",
    "LAKEGATE_STATE",
    "LAKEGATE_STEP_KEY",
    "LAKEGATE_TARGET",
    "LAKEGATE_THREADS",
    "LAKEGATE_TOUR_DIR",
    "LAKEGATE_WHERE",
    "LAKEGATE_WINDOW",
    "LAKEGATE_WORKING_DIRECTORY",
    "LAKEGATE_WORKSPACE_DIR",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_a_slip() {
        for (given, meant) in [
            ("LAKEGATE_TRAGET", Some("LAKEGATE_TARGET")),
            ("LAKEGATE_ON_DRFT", Some("LAKEGATE_ON_DRIFT")),
            ("LAKEGATE_MIRRORS", Some("LAKEGATE_MIRROR")),
            ("LAKEGATE_MIRROR", None),
            ("LAKEGATE_TEAM", None),
            ("LAKE_TARGET", None),
        ] {
            assert_eq!(meant_variable(given), meant, "{given}");
        }
    }
}
