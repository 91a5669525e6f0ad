//! `drift-check` on files of this machine, in every form that they have.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::drift::{LISTS, check, column, csv, same};
use crate::support::{Served, lakegate};

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_folder_is_read_as_its_log_says() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let rows = "SELECT value AS id, value % 50 AS x, CAST(value % 2 AS STRING) AS part FROM generate_series(1, 4000)";
    served.sql(&format!("CREATE TABLE main.default.plain AS {rows}")).await;
    served.sql(&format!("CREATE TABLE main.default.cut PARTITIONED BY (part) AS {rows}")).await;
    for table in ["plain", "cut"] {
        // Removed rows stay in old files, and only the log knows.
        served.sql(&format!("DELETE FROM main.default.{table} WHERE x < 25")).await;
    }
    let client = served.client();
    let mut folders = Vec::new();
    for table in ["plain", "cut"] {
        let name = format!("main.default.{table}").parse().unwrap();
        let place = client.table_get(&name).await.unwrap().unwrap().storage_location.unwrap();
        folders.push(place.trim_start_matches("file://").to_owned());
    }
    let run = |baseline: &str, current: &str| {
        let mut command = lakegate();
        command.args(["drift-check", "--fail-on=never", "--baseline", baseline]);
        command.args(["--current", current, "--json"]);
        check(&mut command, dir.path())
    };
    let at = |folder: &str, state: &str| format!("{folder}@{state}");
    for folder in &folders {
        let (code, result, told) = run(&at(folder, "v1"), folder);
        assert_eq!((code, &result["state"]), (0, &Value::from("drift")), "{told}");
        assert_eq!(result["rows"]["baseline"], 4000);
        assert_eq!(result["rows"]["current"], 2000);
        assert_eq!(column(&result, "part")["state"], "none");
        assert!(told.contains("@v2"), "{told}");
        // It is the newest state, named in another way.
        let (_, result, told) = run(&at(folder, "2199-01-01"), folder);
        assert_eq!(result["state"], "none", "{told}");
        assert!(told.contains("nothing was written since"), "{told}");
        let (code, _, told) = run(&at(folder, "v9"), folder);
        assert!(code == 2 && told.contains("Delta table"), "{told}");
        let (code, _, told) = run(&at(folder, "2001-01-01"), folder);
        assert!(code == 2 && told.contains("Delta table"), "{told}");
    }
    std::fs::create_dir_all(dir.path().join("bad/_delta_log")).unwrap();
    std::fs::write(dir.path().join("bad/_delta_log/00000000000000000000.json"), "junk").unwrap();
    let (code, _, told) = run("./bad", &folders[0]);
    let calm = told.lines().count() < 5 && told.contains("read the Delta table `./bad`");
    assert!(code == 2 && calm, "{told}");
    let (_, result, told) = run(&at(&folders[0], "v1"), &at(&folders[1], "v1"));
    assert_eq!(result["state"], "none", "{told}");
    let mut table = served.command();
    table.args(["drift-check", "--fail-on=never", "--baseline=main.default.plain@v1"]);
    table.args(["--current=main.default.plain@2199-01-01"]);
    let (code, result, told) = check(&mut table, dir.path());
    assert_eq!((code, &result["state"]), (0, &Value::from("drift")), "{told}");
    assert_eq!(result["rows"]["baseline"], 4000);
    let mut table = served.command();
    table.args(["drift-check", "--baseline=main.default.plain@2001-01-01"]);
    table.args(["--current=main.default.plain"]);
    let (code, _, told) = check(&mut table, dir.path());
    assert!(code == 2 && told.contains("no version of 2001"), "{told}");
}

#[test]
fn values_that_do_not_fit_are_put_away_where_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    for (file, moved) in [("then.csv", 0), ("now.csv", 40)] {
        let rows =
            (0..150_000u32).map(|row| format!("{},c{}", row * 7919 % 100_003 + moved, row % 3));
        std::fs::write(dir.path().join(file), csv("x,c", rows)).unwrap();
    }
    std::fs::create_dir(dir.path().join("away")).unwrap();
    let run = |more: &[&str]| {
        let mut command = lakegate();
        command.args([
            "drift-check",
            "--baseline=then.csv",
            "--current=now.csv",
            "--fail-on=never",
        ]);
        check(command.args(more), dir.path())
    };
    let (code, held, told) = run(&[]);
    assert_eq!(code, 0, "{told}");
    let (code, _, told) = run(&["--memory=1"]);
    assert!(code == 2 && told.contains("--spill"), "{told}");
    let (code, away, told) = run(&["--memory=1", "--spill=away"]);
    assert_eq!(code, 0, "{told}");
    same(&held, &away, &["x", "c"], 1e-12);
    assert_eq!(std::fs::read_dir(dir.path().join("away")).unwrap().count(), 0);
    let (code, _, told) = run(&["--memory=1", "--spill=away", "--compat=evidently"]);
    assert!(code == 2 && told.contains("in memory"), "{told}");
}

#[test]
fn neither_the_threads_nor_the_batches_change_a_bit() {
    let dir = tempfile::tempdir().unwrap();
    let values = |row: u32, moved: u32| f64::from(row * 7919 % 100_003 + moved) / 7.0;
    for (name, moved) in [("then", 0), ("now", 900)] {
        let rows =
            || (0..20_000u32).map(|row| format!("{},{}", values(row, moved), values(row, 0).sin()));
        std::fs::write(dir.path().join(format!("{name}.csv")), csv("x,y", rows())).unwrap();
        // The same rows in many files.
        let parts = dir.path().join(format!("{name}-parts"));
        std::fs::create_dir(&parts).unwrap();
        let rows: Vec<String> = rows().collect();
        for (at, part) in rows.chunks(777).enumerate() {
            std::fs::write(parts.join(format!("{at:03}.csv")), csv("x,y", part.iter().cloned()))
                .unwrap();
        }
    }
    let run = |sides: [&str; 2], threads: &str| {
        let mut command = lakegate();
        command.args(["drift-check", "--baseline", sides[0], "--current", sides[1]]);
        command.args(["--fail-on=never", "--window=w", "--threads", threads]);
        let (code, result, told) = check(&mut command, dir.path());
        assert_eq!(code, 0, "{told}");
        LISTS
            .iter()
            .fold(result["columns"].to_string(), |told, list| told + &result[list].to_string())
    };
    // Columns of Parquet are compared side by side, and their row groups one by one.
    for (name, moved) in [("then", 0), ("now", 900)] {
        for group in [20_000, 777] {
            let column = |step: u32| -> ArrayRef {
                let values = (0..20_000u32).map(|row| values(row, moved) * f64::from(step + 1));
                Arc::new(Float64Array::from_iter_values(values))
            };
            let columns = (0..6).map(|step| (format!("x{step}"), column(step)));
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let file = dir.path().join(format!("{name}-{group}.parquet"));
            let file = std::fs::File::create(file).unwrap();
            let settings =
                WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(settings)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
    }
    let groups = |group: u32| [format!("then-{group}.parquet"), format!("now-{group}.parquet")];
    let of = |group: u32, threads: &str| {
        let [then, now] = groups(group);
        run([&then, &now], threads)
    };
    let alone = of(20_000, "1");
    assert_eq!(alone, of(20_000, "4"));
    assert_eq!(alone, of(777, "4"));
    let whole = run(["then.csv", "now.csv"], "1");
    assert_eq!(whole, run(["then.csv", "now.csv"], "4"));
    assert_eq!(whole, run(["./then-parts", "./now-parts"], "2"));
    // Told apart in one pass, some columns on each thread.
    let policy = "drift: {baseline: none.csv, current: none.csv, baseline_where: x0 > 9, slices: [x1 > 5000], windows: {rows: 4000}}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let alone = of(20_000, "1");
    assert!(alone.contains("rows 4000 to 7999"));
    assert_eq!(alone, of(20_000, "4"));
    assert_eq!(alone, of(777, "3"));
}

#[test]
fn folders_of_partitions_are_columns() {
    let dir = tempfile::tempdir().unwrap();
    let parts = |side: &str, moved: u32, file: &str| {
        for month in ["2026-01", "2026-02"] {
            let folder = dir.path().join(format!("{side}/month={month}/hour=7"));
            std::fs::create_dir_all(&folder).unwrap();
            let moved = if month == "2026-02" { moved } else { 0 };
            let rows = (0..1000u32).map(|row| f64::from(row % 97 + moved));
            if file.ends_with("csv") {
                let rows = rows.map(|value| value.to_string());
                std::fs::write(folder.join(file), csv("x", rows)).unwrap();
            } else {
                let values: ArrayRef = Arc::new(Float64Array::from_iter_values(rows));
                let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
                let file = std::fs::File::create(folder.join(file)).unwrap();
                let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
                writer.write(&batch).unwrap();
                writer.close().unwrap();
            }
        }
    };
    let run = |more: &str| {
        let policy = format!("drift: {{baseline: ./then, current: ./now{more}}}\n");
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        let (code, result, told) = check(lakegate().arg("drift-check"), dir.path());
        assert!(code == 0 || code == 1, "{told}");
        result
    };
    let mut all = Vec::new();
    for file in ["part-0.parquet", "part-0.csv"] {
        parts("then", 0, file);
        parts("now", 60, file);
        let result = run("");
        assert_eq!(column(&result, "month")["state"], "none");
        assert_eq!(column(&result, "hour")["kind"], "numeric");
        assert_eq!(column(&result, "x")["state"], "drift");
        let january = run(", current_where: month = '2026-01'");
        assert_eq!(january["rows"]["current"], 1000);
        assert_eq!(column(&january, "x")["state"], "none");
        assert_eq!(column(&january, "month")["state"], "drift");
        let slices = run(", columns: [x], slices: [month]");
        let names = slices["slices"].as_array().unwrap().iter().map(|slice| slice["name"].clone());
        assert_eq!(names.collect::<Vec<_>>(), ["month = 2026-01", "month = 2026-02"]);
        all.push(column(&result, "month").clone());
        std::fs::remove_dir_all(dir.path().join("then")).unwrap();
        std::fs::remove_dir_all(dir.path().join("now")).unwrap();
    }
    assert_eq!(all[0], all[1]);
}
