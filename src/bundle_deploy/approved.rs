//! Whether a plan that was approved is still the one.

use crate::bundle::Plan;
use crate::report::{Fault, FaultKind};

/// The first file that one of them has in another form, or alone.
fn other_file(approved: &Plan, current: &Plan) -> Option<String> {
    let (one, other) = (&approved.files.0, &current.files.0);
    let mut paths = one.keys().chain(other.keys());
    paths.find(|path| one.get(*path) != other.get(*path)).cloned()
}

/// An embedded workspace has another port in each process; which one it is, its
/// lineage tells.
fn is_one_place(one: &str, other: &str) -> bool {
    const HERE: &str = "http://127.0.0.1:";
    one == other || one.starts_with(HERE) && other.starts_with(HERE)
}

/// Only what was planned is applied: any difference makes the plan stale.
pub(super) fn check_fresh(approved: &Plan, current: &Plan) -> Result<(), Fault> {
    // A first deployment has no lineage to compare yet.
    let first = approved.serial == 0 && current.serial == 0;
    let other = other_file(approved, current);
    let what = if !is_one_place(&approved.host, &current.host)
        || approved.target != current.target
        || approved.bundle != current.bundle
    {
        "it was made for another bundle, target or workspace"
    } else if approved.release != current.release {
        "it was made for another release"
    } else if !first && (approved.lineage != current.lineage || approved.serial != current.serial) {
        "another deployment came between"
    } else if let Some(path) = &other {
        let message = format!("the plan is stale: `{path}` is not as it was planned");
        return Err(Fault::new(FaultKind::Conflict, message).hint(
            "make a new plan and have it approved; what a build leaves behind belongs into .gitignore",
        ));
    } else if approved.steps != current.steps || approved.forget != current.forget {
        "the changes are not those that were planned"
    } else if approved.upload != current.upload
        || approved.remove != current.remove
        || approved.version != current.version
    {
        "it was changed after it was made"
    } else {
        return Ok(());
    };
    let fault = Fault::new(FaultKind::Conflict, format!("the plan is stale: {what}"));
    Err(fault.hint("make a new plan and have it approved"))
}
