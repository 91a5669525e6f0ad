//! Groups of rows of both sides, paired and compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rayon::prelude::*;

use super::compare::{Compared, under};
use super::decide::{Against, Scoped};
use super::schema::{Change, Chosen};
use crate::config::{Drift, Windows};
use crate::lake::{Group, Scope, Window};

/// How the current rows are cut, if the policy cuts them.
pub(super) fn window(windows: &Windows) -> Option<Window> {
    match (windows.rows, &windows.column, windows.milliseconds()) {
        (Some(rows), ..) => Some(Window::Rows(rows)),
        (None, Some(column), Some(every)) => Some(Window::Time { column: column.clone(), every }),
        _ => None,
    }
}

/// All rows first, then slices, then windows against the baseline and against
/// the window before; and what of the rows was in none of them. `clock` is in
/// milliseconds since 1970.
pub(super) fn compare(
    policy: &Drift,
    chosen: &Chosen,
    before: &BTreeMap<Scope, Group>,
    now: &BTreeMap<Scope, Group>,
    clock: i64,
) -> (Vec<Scoped>, Vec<Change>) {
    let mut pairs: Vec<(Against, Option<&Group>, Option<&Group>)> =
        vec![(Against::All, before.get(&Scope::All), now.get(&Scope::All))];
    // A slice that is gone is told as well as one that is new.
    let slices: BTreeSet<&Scope> =
        before.keys().chain(now.keys()).filter(|scope| matches!(scope, Scope::Slice(_))).collect();
    for scope in slices {
        if let Scope::Slice(name) = scope {
            pairs.push((Against::Slice(name.clone()), before.get(scope), now.get(scope)));
        }
    }
    let mut last: Option<&Group> = None;
    let mut steps = Vec::new();
    let mut left_out = Vec::new();
    let mut leave_out = |what: String| {
        left_out.push(Change {
            column: "windows".into(),
            what,
            breaks: false,
            rule: "drift/windows",
        });
    };
    for (scope, group) in now {
        let start = match scope {
            Scope::Window(start) => *start,
            Scope::NoWindow => {
                leave_out(format!("miss {} rows, which have no time", group.rows));
                continue;
            }
            Scope::All | Scope::Slice(_) => continue,
        };
        let name = label(policy, start);
        // What is not full yet waits for the next check.
        let windows = policy.windows.as_ref();
        let full = windows.and_then(|windows| windows.rows);
        let over = windows
            .and_then(Windows::milliseconds)
            .is_none_or(|every| start.checked_add(every).is_some_and(|end| end <= clock));
        if !over || full.is_some_and(|full| group.rows < full) {
            leave_out(format!("leave out {name}, which is not full yet ({} rows)", group.rows));
            continue;
        }
        if last.is_some() {
            steps.push((Against::Before(name.clone()), last, Some(group)));
        }
        pairs.push((Against::Window(name), before.get(&Scope::All), Some(group)));
        last = Some(group);
    }
    pairs.extend(steps);
    let scopes = pairs
        .into_par_iter()
        .map(|(scope, before, now)| {
            let rows = [before, now].map(|group| group.map_or(0, |group| group.rows));
            Scoped { scope, rows, columns: columns(policy, chosen, before, now) }
        })
        .collect();
    (scopes, left_out)
}

fn columns(
    policy: &Drift,
    chosen: &Chosen,
    before: Option<&Group>,
    now: Option<&Group>,
) -> Vec<Compared> {
    let (Some(before), Some(now)) = (before, now) else { return Vec::new() };
    let pair = |name: &str| Some((before.columns.get(name)?, now.columns.get(name)?));
    chosen
        .common
        .par_iter()
        .filter_map(|common| {
            let (a, b) = pair(common.name())?;
            Some(under(policy, common, [a, b]))
        })
        .collect()
}

/// A window's start, as people write it.
fn label(policy: &Drift, start: i64) -> String {
    let windows = policy.windows.as_ref();
    if let Some(rows) = windows.and_then(|windows| windows.rows) {
        let first = u64::try_from(start).unwrap_or(0);
        return format!("rows {first} to {}", first + rows - 1);
    }
    let whole_days =
        windows.and_then(Windows::milliseconds).is_some_and(|every| every % 86_400_000 == 0);
    match Timestamp::from_millisecond(start) {
        Ok(time) if whole_days => time.to_string().chars().take(10).collect(),
        Ok(time) => time.to_string(),
        Err(_) => start.to_string(),
    }
}
