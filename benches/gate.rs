//! The gate's statistics beside scikit-learn's: all binary metrics of two
//! models, and the paired bootstrap of three of them; whole processes, from a
//! Parquet file to numbers.
//!
//! `cargo bench --no-default-features --bench gate`
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LAKEGATE_BENCH_ROWS` | sizes, with commas | `1000000,10000000` |
//! | `LAKEGATE_BENCH_RUNS` | counted runs of each, after one that is not | 3 |
//! | `LAKEGATE_BENCH_PEERS` | `sklearn` or `none` | `sklearn` |
//!
//! The bootstrap of scikit-learn's metrics, by hand and by scipy, is run for 10
//! replicates and its time beyond the metrics' is told for 2,000.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints its table"
)]

mod harness;

use std::path::Path;

use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use harness::{Used, data, environment, measure, root, setting};
use lakegate::config::Problem;
use lakegate::stats::bootstrap::{self, Method, Plan};
use lakegate::stats::metrics::{Measure, Metric, Model, Predictions, Settings};
use lakegate::stats::resample::Units;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const RESAMPLES: u32 = 2000;
const PEERS_REPLICATES: u32 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, file] = &arguments[..]
        && matches!(mode.as_str(), "read" | "metrics" | "bootstrap")
    {
        return work(mode, file);
    }
    let runs: usize = setting("RUNS", "3").parse().unwrap();
    let peers = setting("PEERS", "sklearn") != "none";
    for rows in setting("ROWS", "1000000,10000000").split(',') {
        bench(rows, runs, peers);
    }
}

fn bench(rows: &str, runs: usize, peers: bool) {
    let folder = data(rows);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("eval");
    let file = files.into_iter().find(|path| is_it(path)).unwrap().display().to_string();
    let this = std::env::current_exe().unwrap().display().to_string();
    let small = rows.len() < 8;
    let mut commands: Vec<(&str, Vec<String>)> = Vec::new();
    for mode in ["read", "metrics", "bootstrap"] {
        if small || mode != "bootstrap" {
            commands.push((mode, vec![this.clone(), mode.into(), file.clone()]));
        }
    }
    if peers {
        let python = environment("sklearn");
        let script = root().join("benches/peers/with_sklearn.py").display().to_string();
        let replicates = PEERS_REPLICATES.to_string();
        let replicates = replicates.as_str();
        let work = [
            ("sklearn metrics", vec!["0"]),
            ("sklearn bootstrap", vec![replicates]),
            ("scipy bootstrap", vec![replicates, "scipy"]),
        ];
        for (name, how) in work {
            if small || how == ["0"] {
                let words = [python.as_str(), &script, &file].into_iter().chain(how);
                commands.push((name, words.map(str::to_owned).collect()));
            }
        }
    }
    let mut used: Vec<Vec<Used>> = vec![Vec::new(); commands.len()];
    for run in 0..=runs {
        for (at, (name, command)) in commands.iter().enumerate() {
            let this = measure(name, command);
            if run > 0 {
                used[at].push(this);
            }
        }
    }
    print(rows, &commands, &used);
}

fn print(rows: &str, commands: &[(&str, Vec<String>)], used: &[Vec<Used>]) {
    let runs = used[0].len();
    println!(
        "\n{rows} rows, medians of {runs} runs\n\n| work | wall s | CPU s | peak MB |\n|---|---|---|---|"
    );
    let middle = |at: usize, of: fn(&Used) -> f64| {
        let mut values: Vec<f64> = used[at].iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (at, (name, _)) in commands.iter().enumerate() {
        println!(
            "| {name} | {:.3} | {:.3} | {:.0} |",
            middle(at, |used| used.wall),
            middle(at, |used| used.cpu),
            middle(at, |used| used.megabytes),
        );
    }
    let wall = |name: &str| {
        let at = commands.iter().position(|(other, _)| *other == name)?;
        Some(middle(at, |used| used.wall))
    };
    println!("\nmetrics over reading: {:.2}", wall("metrics").unwrap() / wall("read").unwrap());
    for peer in ["sklearn bootstrap", "scipy bootstrap"] {
        let (Some(ours), Some(theirs), Some(alone)) =
            (wall("bootstrap"), wall(peer), wall("sklearn metrics"))
        else {
            continue;
        };
        let whole = (theirs - alone) * f64::from(RESAMPLES) / f64::from(PEERS_REPLICATES);
        println!("{RESAMPLES} replicates, {peer}: {whole:.0} s, {:.0} times ours", whole / ours);
    }
}

fn column(file: &str, name: &str) -> Vec<f64> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap();
    let at = builder.schema().index_of(name).unwrap();
    let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
    let mut values = Vec::new();
    for batch in builder.with_projection(mask).with_batch_size(8192).build().unwrap() {
        let array = cast(batch.unwrap().column(0), &DataType::Float64).unwrap();
        values.extend_from_slice(array.as_primitive::<Float64Type>().values());
    }
    values
}

fn work(mode: &str, file: &str) {
    let [labels, a, b] = ["y", "score_a", "score_b"].map(|name| column(file, name));
    if mode == "read" {
        assert!(labels.len() == a.len() && a.len() == b.len());
        return;
    }
    let rows = labels.len();
    let settings = Settings::default();
    let again = labels.clone();
    let (a, b) = rayon::join(
        || Model::of_scores(Predictions::new(labels, a, settings)),
        || Model::of_scores(Predictions::new(again, b, settings)),
    );
    if mode == "metrics" {
        let all: Vec<Measure> =
            Metric::of(Problem::Binary).into_iter().map(Measure::Metric).collect();
        let (a, b) = rayon::join(|| a.values(&all), || b.values(&all));
        println!("{a:?} {b:?}");
        return;
    }
    let metrics = [Metric::RocAuc, Metric::LogLoss, Metric::F1].map(Measure::Metric);
    let plan =
        Plan { units: &Units::rows(rows), resamples: RESAMPLES, method: Method::Bca, seed: 7 };
    println!("{:?}", bootstrap::differences(&a, &b, &metrics, plan));
}
