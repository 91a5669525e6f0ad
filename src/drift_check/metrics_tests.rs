//! Metric tables in several variants.

use super::*;
use crate::config::Config;

fn policy(monitor: &str) -> Drift {
    let text = format!("drift: {{baseline: a.b.c, current: a.b.d, monitor: {{{monitor}}}}}");
    Config::parse("t", &text).unwrap().drift.unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const NEW: [&str; 12] = [
    "window",
    "granularity",
    "slice_key",
    "column_name",
    "drift_type",
    "population_stability_index",
    "js_distance",
    "ks_test",
    "chi_squared_test",
    "wasserstein_distance",
    "percent_null_delta",
    "model_id",
];

#[test]
fn statements_ask_for_what_the_table_has() {
    let whole = policy("");
    let known = names(&NEW);
    let rows = Rows {
        monitor: whole.monitor.as_ref().unwrap(),
        model_column: Some("model_id"),
        known: &known,
    };
    insta::assert_snapshot!(rows.drift("`m`.`s`.`t`").text);
    let one = policy("slice: carrier=AA, granularity: 1 day, model: '7', against: previous");
    let old: Vec<String> =
        known.iter().filter(|name| !name.starts_with("population")).cloned().collect();
    let rows = Rows {
        monitor: one.monitor.as_ref().unwrap(),
        model_column: Some("model_id"),
        known: &old,
    };
    let statement = rows.drift("`m`.`s`.`t`");
    insta::assert_snapshot!(statement.text);
    let values: Vec<_> =
        statement.parameters.iter().map(|parameter| parameter.value.clone()).collect();
    let told = ["1 day", "7", "carrier", "AA"].map(|value| Some(value.to_owned()));
    assert_eq!(values, told);
    insta::assert_snapshot!(rows.profile("`m`.`s`.`p`").text);
}

/// Days of 2026-01, with the distances of a column of numbers and one of text.
fn drift(days: &[(u32, f64)], granularity: &[&str]) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let columns = names(&[
        "window_start",
        "window_end",
        "granularity",
        "column_name",
        "ks_test_statistic",
        "ks_test_pvalue",
        "chi_squared_test_statistic",
        "chi_squared_test_pvalue",
        "js_distance",
        "wasserstein_distance",
    ]);
    let mut rows = Vec::new();
    for (at, (day, size)) in days.iter().enumerate() {
        let granularity = granularity[at % granularity.len()];
        let start = format!("2026-01-{day:02} 00:00:00");
        let end = format!("2026-01-{:02}T00:00:00.000Z", day + 1);
        let row = |cells: [Option<String>; 7]| -> Vec<Option<String>> {
            let first = [start.clone(), end.clone(), granularity.to_owned()].map(Some);
            first.into_iter().chain(cells).collect()
        };
        let (p, size) = (Some("1e-9".to_owned()), Some(size.to_string()));
        let (x, c) = (Some("x".to_owned()), Some("c".to_owned()));
        rows.push(row([x, size.clone(), p.clone(), None, None, None, Some("6".into())]));
        rows.push(row([c, None, None, Some("99".into()), p, size, None]));
        rows.push(row([Some(TABLE.into()), None, None, None, None, None, None]));
    }
    (columns, rows)
}

fn profile(days: &[u32]) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    // A table whose `count` leaves nulls out.
    let columns =
        ["window_start", "log_type", "column_name", "count", "num_nulls", "percent_null", "stddev"];
    let columns = names(&columns);
    let row = |start: Option<String>, kind: &str, column: &str| {
        let told = |text: &str| Some(text.to_owned());
        vec![start, told(kind), told(column), told("4950"), told("50"), told("1"), told("12")]
    };
    let mut rows = vec![row(None, "BASELINE", TABLE), row(None, "BASELINE", "x")];
    for day in days {
        for column in [TABLE, "x", "c"] {
            rows.push(row(Some(format!("2026-01-{day:02} 00:00:00")), "INPUT", column));
        }
    }
    (columns, rows)
}

fn read(policy: &Drift, days: &[(u32, f64)], granularity: &[&str]) -> Result<(Vec<Scoped>, usize)> {
    let (columns, rows) = drift(days, granularity);
    let (profile_columns, profile_rows) =
        profile(&days.iter().map(|(day, _)| *day).collect::<Vec<_>>());
    // In the middle of the 10th of January.
    let clock = names::time("2026-01-10T12:00:00Z").unwrap().as_millisecond();
    windows(
        policy,
        &Answer { columns: &columns, rows: &rows },
        &Answer { columns: &profile_columns, rows: &profile_rows },
        clock,
    )
}

#[test]
fn windows_that_are_over_are_read_in_order() {
    let policy = policy("");
    let (found, open) = read(&policy, &[(9, 0.4), (8, 0.0), (10, 0.9)], &["1 day"]).unwrap();
    assert_eq!(open, 1);
    let scopes: Vec<_> = found.iter().map(|scoped| scoped.scope.clone()).collect();
    let day = |day: &str| Against::Window(format!("2026-01-{day}T00:00:00Z"));
    assert_eq!(scopes, [day("08"), day("09")]);
    assert_eq!(found[1].rows, [5000, 5000]);
    let columns = &found[1].columns;
    assert_eq!(columns.len(), 2);
    let ks = columns[0].effect(Statistic::KolmogorovSmirnov).unwrap();
    assert_eq!((ks.corrected, columns[0].tested.p_value), (0.4, 1e-9));
    // In deviations of the baseline.
    assert_eq!(columns[0].effect(Statistic::Wasserstein).unwrap().value, 0.5);
    assert_eq!(columns[1].effect(Statistic::JensenShannon).unwrap().value, 0.4);
    assert_eq!(columns[1].kind, Kind::Categories);
    assert_eq!(columns[0].profiles[1].nulls, 50);
}

#[test]
fn windows_of_several_lengths_are_not_mixed() {
    let refused = read(&policy(""), &[(7, 0.1), (8, 0.1)], &["1 day", "1 hour"]).unwrap_err();
    assert!(refused.to_string().contains("1 day, 1 hour"), "{refused}");
    let previous = policy("against: previous");
    let (found, _) = read(&previous, &[(7, 0.1), (8, 0.1)], &["1 day"]).unwrap();
    assert_eq!(found[0].rows, [0, 5000], "nothing came before");
    assert_eq!(found[1].rows, [5000, 5000]);
}
