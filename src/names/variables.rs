//! Variables that steps read, as workflows and machines set them.

/// The variable that may be meant by one that nothing reads. Only what is very
/// near: other variables of these prefixes are somebody's own.
pub fn meant_variable(given: &str) -> Option<&'static str> {
    let known = || VARIABLES.iter().chain(&SIGN_IN).copied();
    if known().any(|known| known == given) {
        return None;
    }
    PREFIXES.into_iter().find_map(|prefix| {
        let own = given.strip_prefix(prefix)?;
        known().find(|known| known.strip_prefix(prefix).is_some_and(|known| is_slip(own, known)))
    })
}

const PREFIXES: [&str; 3] = ["LAKEGATE_", "DATABRICKS_", "ARM_"];

/// What tells the workspace, and who signs in there.
const SIGN_IN: [&str; 17] = [
    "ARM_CLIENT_ID",
    "ARM_CLIENT_SECRET",
    "ARM_TENANT_ID",
    "DATABRICKS_AUTH_TYPE",
    "DATABRICKS_AZURE_RESOURCE_ID",
    "DATABRICKS_BUNDLE_ENGINE",
    "DATABRICKS_CLIENT_ID",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_CONFIG_FILE",
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_HOST",
    "DATABRICKS_OIDC_TOKEN",
    "DATABRICKS_OIDC_TOKEN_ENV",
    "DATABRICKS_OIDC_TOKEN_FILEPATH",
    "DATABRICKS_TOKEN",
    "DATABRICKS_TOKEN_AUDIENCE",
    "DATABRICKS_WAREHOUSE_ID",
];

/// Whether one name is another with a letter too many, too few, another one, or two
/// that changed places. In short names that would be most of the others.
pub fn is_slip(given: &str, known: &str) -> bool {
    const SHORTEST: usize = 5;
    /// From here on another letter is a slip, too: `STAGE` is not meant for `STATE`.
    const LONG: usize = 8;
    let (one, other): (Vec<char>, Vec<char>) = (given.chars().collect(), known.chars().collect());
    if one.len().min(other.len()) < SHORTEST || one == other {
        return false;
    }
    let start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[start..], &other[start..]);
    match (one, other) {
        ([_, rest @ ..], other) if rest == other => true,
        (one, [_, rest @ ..]) if one == rest => true,
        ([a, b, rest @ ..], [c, d, end @ ..]) if (a, b) == (d, c) => rest == end,
        ([_, rest @ ..], [_, end @ ..]) => rest == end && known.chars().count() >= LONG,
        _ => false,
    }
}

/// All that are read, or handed to what a step starts.
pub const VARIABLES: [&str; 75] = [
    "LAKEGATE_ACTION",
    "LAKEGATE_AGAIN",
    "LAKEGATE_ALIAS",
    "LAKEGATE_ALL",
    "LAKEGATE_ALLOW_DESTROY",
    "LAKEGATE_AT_ONCE",
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
    "LAKEGATE_ENDPOINT",
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
            ("LAKEGATE_ROOT", None),
            ("LAKEGATE_STAGE", None),
            ("LAKEGATE_MODE", None),
            ("LAKEGATE_COMMIT", None),
            ("LAKEGATE_RETRAIN_JIB", Some("LAKEGATE_RETRAIN_JOB")),
            ("LAKEGATE_TEAM", None),
            ("LAKE_TARGET", None),
            ("DATABRICKS_CLINET_ID", Some("DATABRICKS_CLIENT_ID")),
            ("DATABRICKS_WAREHOUS_ID", Some("DATABRICKS_WAREHOUSE_ID")),
            ("DATABRICKS_CLIENT_ID", None),
            ("DATABRICKS_CLUSTER_ID", None),
            ("DATABRICKS_ACCOUNT_ID", None),
            ("ARM_TENNANT_ID", Some("ARM_TENANT_ID")),
            ("ARM_SUBSCRIPTION_ID", None),
        ] {
            assert_eq!(meant_variable(given), meant, "{given}");
        }
    }
}
