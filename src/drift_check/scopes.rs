//! Groups of rows of both sides, paired and compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use jiff::Timestamp;
use rayon::prelude::*;

use super::compare::{Compared, under};
use super::compat::nannyml;
use super::decide::{Against, Scoped};
use super::schema::{Change, Chosen};
use crate::config::{Drift, Windows};
use crate::lake::{Group, Scope, Window};
use crate::report::{Fault, counted};
use crate::stats::column::{Column, Kind};

/// How the current rows are cut, if the policy cuts them.
pub(super) fn window(windows: &Windows) -> Option<Window> {
    match (windows.rows, &windows.column, windows.milliseconds()) {
        (Some(rows), ..) => Some(Window::Rows(rows)),
        (None, Some(column), Some(every)) => Some(Window::Time { column: column.clone(), every }),
        _ => None,
    }
}

/// Two groups of rows that are compared. A window's other side may be the
/// window before: a group of the current side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) scope: Against,
    /// The side, 0 or 1, and the group in it.
    pub(super) before: (usize, Scope),
    pub(super) now: Scope,
}

/// All rows first, then slices, then windows against the baseline and against
/// the window before; and what of the rows is in none of them. Both sides come
/// as numbers of rows by group; `clock` is in milliseconds since 1970.
pub(super) fn pairs(
    policy: &Drift,
    before: &BTreeMap<Scope, u64>,
    now: &BTreeMap<Scope, u64>,
    clock: i64,
) -> (Vec<Pair>, Vec<Change>) {
    let against_baseline =
        |scope: Against, before: Scope, now: Scope| Pair { scope, before: (0, before), now };
    let mut pairs = vec![against_baseline(Against::All, Scope::All, Scope::All)];
    // A slice that is gone is told as well as one that is new.
    let slices: BTreeSet<&Scope> =
        before.keys().chain(now.keys()).filter(|scope| matches!(scope, Scope::Slice(_))).collect();
    for scope in slices {
        if let Scope::Slice(name) = scope {
            let against = Against::Slice(name.clone());
            pairs.push(against_baseline(against, scope.clone(), scope.clone()));
        }
    }
    let (windows, left_out) = windows(policy, now, clock);
    pairs.extend(windows);
    (pairs, left_out)
}

/// Windows against the baseline and against the window before.
fn windows(policy: &Drift, now: &BTreeMap<Scope, u64>, clock: i64) -> (Vec<Pair>, Vec<Change>) {
    let pair = |scope, before, now: &Scope| Pair { scope, before, now: now.clone() };
    let mut pairs = Vec::new();
    let mut last: Option<(i64, &Scope)> = None;
    // Windows of time that are over between one that starts then and a time.
    let every = policy.windows.as_ref().and_then(Windows::milliseconds);
    let between = |start: i64, time: i64| -> usize {
        let passed = every.and_then(|every| time.checked_sub(start)?.checked_div(every));
        passed.and_then(|passed| usize::try_from(passed - 1).ok()).unwrap_or(0)
    };
    let mut steps = Vec::new();
    let mut left_out = Vec::new();
    let of_windows = |rule, what| Change { column: "windows".into(), what, breaks: false, rule };
    let mut leave_out = |what: String| {
        left_out.push(of_windows("drift/windows", what));
    };
    for (scope, rows) in now {
        let start = match scope {
            Scope::Window(start) => *start,
            Scope::NoWindow => {
                leave_out(format!("miss {rows} rows, which have no time"));
                continue;
            }
            Scope::All | Scope::Slice(_) => continue,
        };
        let name = label(policy, start);
        // What is not full yet waits for the next check.
        let windows = policy.windows.as_ref();
        let full = windows.and_then(|windows| windows.rows);
        let over =
            every.is_none_or(|every| start.checked_add(every).is_some_and(|end| end <= clock));
        if !over || full.is_some_and(|full| *rows < full) {
            leave_out(format!("leave out {name}, which is not full yet ({rows} rows)"));
            continue;
        }
        let missing = last.map_or(0, |(before, _)| between(before, start));
        if missing > 0 {
            leave_out(format!("have no rows in {} before {name}", counted(missing, "window")));
        } else if let Some((_, last)) = last {
            steps.push(pair(Against::Before(name.clone()), (1, last.clone()), scope));
        }
        pairs.push(pair(Against::Window(name), (0, Scope::All), scope));
        last = Some((start, scope));
    }
    if let Some((start, _)) = last {
        let missing = between(start, clock);
        if missing > 0 {
            let name = label(policy, start);
            let what = format!("have no rows in {} since {name}", counted(missing, "window"));
            // What is judged then is no longer how it is now.
            let decide = policy.windows.as_ref().map_or(1, |windows| windows.of.max(1));
            let rule = if missing > decide { Change::SILENT } else { "drift/windows" };
            left_out.push(of_windows(rule, what));
        }
    }
    pairs.extend(steps);
    (pairs, left_out)
}

/// Compares the groups of both sides.
pub(super) fn compare(
    policy: &Drift,
    chosen: &Chosen,
    sides: [&BTreeMap<Scope, Group>; 2],
    clock: i64,
) -> Result<(Vec<Scoped>, Vec<Change>)> {
    let rows = sides.map(|side| {
        side.iter().map(|(scope, group)| (scope.clone(), group.rows)).collect::<BTreeMap<_, _>>()
    });
    let (pairs, left_out) = pairs(policy, &rows[0], &rows[1], clock);
    let scopes = pairs
        .into_par_iter()
        .map(|pair| {
            let (before, now) = (sides[pair.before.0].get(&pair.before.1), sides[1].get(&pair.now));
            let rows = [before, now].map(|group| group.map_or(0, |group| group.rows));
            Ok(Scoped { scope: pair.scope, rows, columns: columns(policy, chosen, before, now)? })
        })
        .collect::<Result<_>>()?;
    Ok((scopes, left_out))
}

fn columns(
    policy: &Drift,
    chosen: &Chosen,
    before: Option<&Group>,
    now: Option<&Group>,
) -> Result<Vec<Compared>> {
    let (Some(before), Some(now)) = (before, now) else { return Ok(Vec::new()) };
    let pair = |name: &str| Some((before.columns.get(name)?, now.columns.get(name)?));
    chosen
        .common
        .par_iter()
        .filter_map(|common| {
            let (a, b) = pair(common.name())?;
            let learnt = chosen.learnt.get(common.name()).copied();
            let compared = under(policy, common, [a, b]);
            Some(compared.map(|compared| Compared { learnt, ..compared }))
        })
        .collect()
}

/// All rows, each column with nannyml's verdict on the newest chunk.
pub(super) fn as_nannyml(
    policy: &Drift,
    chosen: &Chosen,
    sides: [&BTreeMap<Scope, Group>; 2],
) -> Result<Vec<Scoped>> {
    let [before, now] = sides.map(|side| side.get(&Scope::All));
    let rows = [before, now].map(|group| group.map_or(0, |group| group.rows));
    let mut compared = columns(policy, chosen, before, now)?;
    for column in &mut compared {
        let of = |side: usize| -> Vec<&Column> {
            let chunks = sides[side].iter().filter(|(scope, _)| matches!(scope, Scope::Window(_)));
            chunks.filter_map(|(_, chunk)| chunk.columns.get(&column.column)).collect()
        };
        let whole = before.and_then(|before| before.columns.get(&column.column));
        column.foreign = whole.and_then(|whole| nannyml::verdict(whole, &of(0), &of(1)));
    }
    Ok(vec![Scoped { scope: Against::All, rows, columns: compared }])
}

/// Thresholds from how far the baseline's own windows lie from the baseline.
///
/// # Errors
/// When there are too few of them to learn from.
pub(super) fn learn(
    policy: &Drift,
    chosen: &Chosen,
    baseline: &BTreeMap<Scope, Group>,
    quantile: f64,
) -> Result<BTreeMap<String, f64>> {
    const LEAST: usize = 5;
    let whole = baseline.get(&Scope::All);
    let windows: Vec<&Group> = baseline
        .iter()
        .filter(|(scope, group)| matches!(scope, Scope::Window(_)) && group.rows >= policy.min_rows)
        .map(|(_, group)| group)
        .collect();
    if windows.len() < LEAST {
        let message = format!(
            "`windows.learn` needs {LEAST} windows of {} rows in the baseline, there are {}",
            policy.min_rows,
            windows.len()
        );
        return Err(Fault::usage(message).hint("make them shorter, or the baseline longer").into());
    }
    let mut sizes = BTreeMap::<String, Vec<f64>>::new();
    let far: Vec<Vec<Compared>> = windows
        .par_iter()
        .map(|window| columns(policy, chosen, whole, Some(window)))
        .collect::<Result<_>>()?;
    for compared in far.into_iter().flatten() {
        let statistic = policy.limit(&compared.column, compared.kind).statistic;
        let rows = compared.profiles.each_ref().map(|profile| profile.rows as f64);
        // A window is part of the whole: from the others it is this much further.
        let further = rows[0] / (rows[0] - rows[1]).max(1.0);
        if let Some(effect) =
            compared.effect(statistic).filter(|effect| effect.corrected.is_finite())
        {
            sizes.entry(compared.column).or_default().push(effect.corrected * further);
        }
    }
    let threshold = |(column, mut sizes): (String, Vec<f64>)| {
        sizes.sort_by(f64::total_cmp);
        let kind = chosen.common.iter().find(|common| common.name() == column);
        let kind = kind.map_or(Kind::Numbers, |common| common.measure.kind());
        let least = policy.limit(&column, kind).threshold() * policy.watch;
        // As far as the baseline has been is no drift.
        (column, crate::stats::quantile(&sizes, quantile).next_up().max(least))
    };
    Ok(sizes.into_iter().map(threshold).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// The names of windows that are compared, and what is told beside them.
    fn compared(starts: &[i64], clock: i64) -> (Vec<String>, Vec<String>) {
        let text = "drift: {baseline: a.csv, current: b.csv, windows: {column: t, every: 1d}}";
        let policy = crate::config::Config::parse("t", text).unwrap().drift.unwrap();
        let now = starts.iter().map(|day| (Scope::Window(day * DAY), 5)).collect();
        let (pairs, told) = pairs(&policy, &BTreeMap::new(), &now, clock * DAY);
        let scopes = pairs.into_iter().map(|pair| pair.scope);
        let name = |scope: Against| match scope {
            Against::Window(name) => Some(name),
            Against::Before(name) => Some(format!("before {name}")),
            _ => None,
        };
        let told = told.into_iter().map(|told| match told.rule {
            Change::SILENT => format!("silent: {}", told.what),
            _ => told.what,
        });
        (scopes.filter_map(name).collect(), told.collect())
    }

    #[test]
    fn windows_without_rows_are_told() {
        let (names, told) = compared(&[0, 1, 2], 3);
        assert_eq!(names[3..], ["before 1970-01-02", "before 1970-01-03"]);
        assert_eq!(told, [""; 0]);
        // The window before is the one before, or none.
        let (names, told) = compared(&[0, 3, 4], 7);
        assert_eq!(names[3..], ["before 1970-01-05"]);
        assert_eq!(
            told,
            [
                "have no rows in 2 windows before 1970-01-04",
                "silent: have no rows in 2 windows since 1970-01-05"
            ]
        );
        assert_eq!(compared(&[0, 1], 3).1, ["have no rows in 1 window since 1970-01-02"]);
    }
}
