//! Groups of rows of both sides, paired and compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rayon::prelude::*;

use super::compare::{Compared, under};
use super::decide::{Against, Scoped};
use super::schema::Chosen;
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
/// the window before.
pub(super) fn compare(
    policy: &Drift,
    chosen: &Chosen,
    before: &BTreeMap<Scope, Group>,
    now: &BTreeMap<Scope, Group>,
) -> Vec<Scoped> {
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
    for (scope, group) in now {
        let Scope::Window(start) = scope else { continue };
        // The last rows may not fill a window: they wait for the next check.
        let full = policy.windows.as_ref().and_then(|windows| windows.rows);
        if full.is_some_and(|full| group.rows < full) {
            continue;
        }
        let name = label(policy, *start);
        if last.is_some() {
            steps.push((Against::Before(name.clone()), last, Some(group)));
        }
        pairs.push((Against::Window(name), before.get(&Scope::All), Some(group)));
        last = Some(group);
    }
    pairs.extend(steps);
    pairs
        .into_par_iter()
        .map(|(scope, before, now)| {
            let rows = [before, now].map(|group| group.map_or(0, |group| group.rows));
            Scoped { scope, rows, columns: columns(policy, chosen, before, now) }
        })
        .collect()
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
