//! `drift-check` beside the tools it replaces: whole processes, from two
//! Parquet files to a result, taking turns in one run.
//!
//! `cargo bench --no-default-features --bench drift`
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LAKEGATE_BENCH_ROWS` | sizes, or shapes of `benches/shapes.py`, with commas | `100000,1000000` |
//! | `LAKEGATE_BENCH_PEERS` | names of peers, `all` or `none` | `scipy,duckdb,polars,numpy,numba` |
//! | `LAKEGATE_BENCH_RUNS` | counted runs of each, after one that is not | 5 |
//!
//! With `LAKEGATE_BENCH_PEERS=steps`, no peer runs, and the cost of each step of ours is told
//! instead: reading, then counting what is read, then the statistics and the decision; and
//! reports, which a comparison of a thousand rows has as well. With `scopes`, it is what
//! conditions, slices and windows cost.
//!
//! The peers are installed with their pinned versions below `target/bench`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints its table"
)]

mod harness;

use std::path::Path;

use arrow::datatypes::{DataType, Field, Schema};
use harness::{Used, data, environment, measure, root, setting};
use lakegate::lake::Side;
use lakegate::lake::parquet::Scratch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

/// A peer, the environment it lives in, and what it is told beside the files.
struct Peer {
    name: &'static str,
    environment: &'static str,
    more: &'static [&'static str],
    does: &'static str,
}

const PEERS: [Peer; 8] = [
    peer("evidently", "evidently", &["default"], "its preset: W1 by deviation, JS"),
    peer("whylogs", "whylogs", &[], "profiles and drift scores from sketches"),
    peer("nannyml", "nannyml", &["default"], "KS, JS, W1; chi², JS, L∞; 10 chunks"),
    peer("scipy", "arrays", &[], "KS, W1; chi², JS, TV, L∞"),
    peer("duckdb", "arrays", &[], "the same and PSI, exact, in SQL"),
    peer("polars", "arrays", &[], "the same, exact"),
    peer("numpy", "arrays", &[], "the same, exact, 2 threads"),
    peer("numba", "arrays", &[], "the same, exact, SIMD sort, compiled merge, 2 threads"),
];

const fn peer(
    name: &'static str,
    environment: &'static str,
    more: &'static [&'static str],
    does: &'static str,
) -> Peer {
    Peer { name, environment, more, does }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, mode, files @ ..] if mode == "decode" => return decode(files),
        [_, mode, files @ ..] if mode == "count" => return count(files),
        _ => {}
    }
    let sizes = setting("ROWS", "100000,1000000");
    let names = setting("PEERS", "scipy,duckdb,polars,numpy,numba");
    let runs: usize = setting("RUNS", "5").parse().unwrap();
    let peers: Vec<&Peer> = PEERS
        .iter()
        .filter(|peer| names == "all" || names.split(',').any(|name| name == peer.name))
        .collect();
    for rows in sizes.split(',') {
        match names.as_str() {
            "steps" => steps(rows, runs),
            "scopes" => scopes(rows, runs),
            _ => bench(rows, &peers, runs),
        }
    }
}

/// The files of both sides, and where results go.
fn inputs(rows: &str) -> [String; 3] {
    let data = data(rows);
    let files = ["baseline", "current"].map(|side| {
        let found = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        found.into_iter().find(|path| name(path).starts_with(side)).unwrap()
    });
    let [baseline, current] = files.map(|file| file.display().to_string());
    [baseline, current, data.join("out").display().to_string()]
}

/// Our command on two files.
fn ours([baseline, current, out]: &[String; 3]) -> Vec<String> {
    let report = format!("--report-dir={out}");
    let command = env!("CARGO_BIN_EXE_lakegate-drift-check");
    [command, "--baseline", baseline, "--current", current, "--fail-on=never", &report]
        .map(ToOwned::to_owned)
        .to_vec()
}

/// What each step adds to the one before, in CPU seconds.
fn steps(rows: &str, runs: usize) {
    let (files, few) = (inputs(rows), inputs("1000"));
    let this = std::env::current_exe().unwrap().display().to_string();
    let mode = |mode: &str| vec![this.clone(), mode.into(), files[0].clone(), files[1].clone()];
    let commands = [mode("decode"), mode("count"), ours(&files), ours(&few)];
    let mut used = commands.each_ref().map(|_| Vec::new());
    for _ in 0..runs {
        for (command, used) in commands.iter().zip(&mut used) {
            used.push(measure("steps", command).cpu);
        }
    }
    let [decode, count, whole, few] = used.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    println!("\n{rows} rows x 40 columns on each side, CPU seconds, medians of {runs} runs\n");
    println!("| step | CPU s | share |\n|---|---|---|");
    for (step, seconds) in [
        ("read and decode", decode),
        ("count", count - decode),
        ("statistics and decision", whole - count - few),
        ("start, reports, files", few),
        ("all", whole),
    ] {
        println!("| {step} | {seconds:.3} | {:.0} % |", 100.0 * seconds / whole);
    }
}

/// What it costs to look at rows apart, beside looking at all of them.
fn scopes(rows: &str, runs: usize) {
    const POLICIES: [(&str, &str); 5] = [
        ("all rows", ""),
        ("a condition that all fulfil", ", current_where: n00 > -1e9, baseline_where: n00 > -1e9"),
        ("slices of two values", ", slices: [b0]"),
        ("slices of five values", ", slices: [c1_5]"),
        ("30 windows of a day", ", windows: {every: 1d, column: ts}"),
    ];
    let files = inputs(rows);
    let [baseline, current, out] = &files;
    let mut used = POLICIES.map(|_| Vec::new());
    for run in 0..=runs {
        for (at, (_, policy)) in POLICIES.iter().enumerate() {
            let file = format!("{out}.{at}.yml");
            let text = format!("drift: {{baseline: {baseline}, current: {current}{policy}}}\n");
            std::fs::write(&file, text).unwrap();
            let mut command = ours(&files);
            command.push(format!("--config={file}"));
            let this = measure("scopes", &command);
            if run > 0 {
                used[at].push(this);
            }
        }
    }
    println!("\n{rows} rows x 40 columns on each side, medians of {runs} runs\n");
    println!("| looked at | wall s | CPU s | peak MB | wall / all rows |\n|---|---|---|---|---|");
    let first = middle(&used[0], |used| used.wall);
    for ((name, _), used) in POLICIES.iter().zip(&used) {
        let wall = middle(used, |used| used.wall);
        let (cpu, memory) = (middle(used, |used| used.cpu), middle(used, |used| used.megabytes));
        println!("| {name} | {wall:.3} | {cpu:.3} | {memory:.0} | {:.2} |", wall / first);
    }
}

fn middle(used: &[Used], of: fn(&Used) -> f64) -> f64 {
    let mut values: Vec<f64> = used.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn bench(rows: &str, peers: &[&Peer], runs: usize) {
    let files = inputs(rows);
    let [baseline, current, out] = &files;
    let mut commands: Vec<(&str, &str, Vec<String>)> = Vec::new();
    let decode = std::env::current_exe().unwrap().display().to_string();
    commands.push((
        "decode alone",
        "arrow-rs reads every column and does nothing",
        vec![decode, "decode".into(), baseline.clone(), current.clone()],
    ));
    commands.push(("lakegate", "all its statistics, profile, decision, reports", ours(&files)));
    for peer in peers {
        let python = environment(peer.environment);
        let script = root().join(format!("benches/peers/with_{}.py", peer.name));
        let mut command = vec![python, script.display().to_string()];
        command.extend([baseline.clone(), current.clone(), out.clone() + ".json"]);
        command.extend(peer.more.iter().map(|&word| word.to_owned()));
        commands.push((peer.name, peer.does, command));
    }
    let mut used = vec![Vec::new(); commands.len()];
    for run in 0..=runs {
        for (at, (name, _, command)) in commands.iter().enumerate() {
            let this = measure(name, command);
            if run > 0 {
                used[at].push(this);
            }
        }
    }
    print(rows, &commands, &used);
}

fn print(rows: &str, commands: &[(&str, &str, Vec<String>)], used: &[Vec<Used>]) {
    let middle = |at: usize, of| middle(&used[at], of);
    let size = if rows.parse::<u64>().is_ok() { " rows x 40 columns" } else { "" };
    println!("\n{rows}{size} on each side, medians of {} runs\n", used[0].len());
    println!(
        "| tool | what it computes | wall s | CPU s | peak MB | CPU / decode | CPU / lakegate | wall / lakegate |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (at, (name, does, _)) in commands.iter().enumerate() {
        let (wall, cpu) = (middle(at, |used| used.wall), middle(at, |used| used.cpu));
        println!(
            "| {name} | {does} | {wall:.3} | {cpu:.3} | {:.0} | {:.2} | {:.2} | {:.2} |",
            middle(at, |used| used.megabytes),
            cpu / middle(0, |used| used.cpu),
            cpu / middle(1, |used| used.cpu),
            wall / middle(1, |used| used.wall),
        );
    }
}

/// What reading costs: every column, one after the other, with strings left as
/// dictionaries.
fn decode(files: &[String]) {
    let mut rows = 0;
    for file in files {
        let open = || std::fs::File::open(file).unwrap();
        let read = ArrowReaderMetadata::load(&open(), ArrowReaderOptions::new()).unwrap();
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fields = read.schema().fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 => Field::new(field.name(), text.clone(), field.is_nullable()),
            _ => field.as_ref().clone(),
        });
        let options =
            ArrowReaderOptions::new().with_schema(Schema::new(fields.collect::<Vec<_>>()).into());
        let read = ArrowReaderMetadata::try_new(read.metadata().clone(), options).unwrap();
        for column in 0..read.schema().fields().len() {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(open(), read.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
            let batches = builder.with_projection(mask).with_batch_size(8192).build().unwrap();
            rows += batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
        }
    }
    assert!(rows > 0);
}

/// What reading and counting costs, as the command does it, on one thread.
fn count(files: &[String]) {
    let (mut rows, mut scratch) = (0, Scratch::default());
    for file in files {
        let side = Side::files(file, None).unwrap();
        let mut spare = None;
        for field in side.schema().fields() {
            let Some(measure) = lakegate::stats::arrow::measure(field.data_type()) else {
                continue;
            };
            let column = side.column((field, measure), spare.take(), &mut scratch, None).unwrap();
            rows += column.rows();
            spare = Some(column);
        }
    }
    assert!(rows > 0);
}
