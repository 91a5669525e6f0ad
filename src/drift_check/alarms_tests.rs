//! How often a check cries wolf, and what it sees: simulated pairs of tables.
//!
//! `LAKEGATE_SIMULATE=PAIRS,ROWS` runs more of them and prints the rates;
//! `PAIRS,ROWS,SHIFT` for one shift only.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::compare::compare;
use super::decide::{Against, Scoped, State, decide};
use crate::config::{Config, Drift};
use crate::stats::column::{Column, Measure};
use crate::stats::keys::{Scale, of_float};

struct Random(Xoshiro256PlusPlus);

impl Random {
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// One side of column `kind` of 40, its location moved by `shift` deviations.
fn side(kind: usize, rows: usize, shift: f64, random: &mut Random) -> Column {
    if kind.is_multiple_of(4) {
        let categories = [3, 12, 100, 1000][kind / 4 % 4];
        let mut column = Column::new(Measure::Categories);
        let Column::Categories(counts) = &mut column else { unreachable!() };
        for _ in 0..rows {
            // Falling shares, as categories have them.
            let draw = random.uniform().powf(2.0 - shift) * f64::from(categories);
            counts.push((draw as u32).to_string().as_bytes(), 1);
        }
        return column;
    }
    let keys: Vec<u64> = (0..rows)
        .map(|_| {
            let x = random.normal() + shift;
            of_float(match kind % 4 {
                1 => x,
                2 => (x.exp() * 100.0).round() / 100.0,
                _ => x / random.uniform().sqrt(),
            })
        })
        .collect();
    let mut column = Column::new(Measure::Numbers(Scale::Float));
    let Column::Numbers(numbers) = &mut column else { unreachable!() };
    numbers.push(&keys);
    column
}

/// The states of the table, and the columns that drifted or are watched.
fn pair(policy: &Drift, seed: u64, rows: usize, shift: f64) -> (State, usize, usize) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
    let columns = (0..40).map(|kind| {
        let sides = [0.0, shift].map(|shift| side(kind, rows, shift, &mut random));
        compare(&kind.to_string(), [&sides[0], &sides[1]], policy.bins).unwrap()
    });
    let scope = Scoped { scope: Against::All, rows: [rows as u64; 2], columns: columns.collect() };
    let decision = decide(policy, &[], vec![scope]);
    let count = |state| decision.columns().iter().filter(|column| column.state == state).count();
    (decision.state, count(State::Drift), count(State::Watch))
}

struct Rates {
    /// Tables with at least one drifted column.
    any: f64,
    /// Tables that drifted.
    table: f64,
    /// Columns that drifted, and that drifted or are watched.
    columns: [f64; 2],
}

fn rates(pairs: u64, rows: usize, shift: f64) -> Rates {
    let policy = "drift: {baseline: a.csv, current: b.csv, min_rows: 1}";
    let policy = Config::parse("t", policy).unwrap().drift.unwrap();
    let found: Vec<_> =
        (0..pairs).into_par_iter().map(|seed| pair(&policy, seed, rows, shift)).collect();
    let share = |wanted: &dyn Fn(&(State, usize, usize)) -> f64| {
        found.iter().map(wanted).sum::<f64>() / pairs as f64
    };
    Rates {
        any: share(&|found| f64::from(u8::from(found.1 > 0))),
        table: share(&|found| f64::from(u8::from(found.0 == State::Drift))),
        columns: [
            share(&|found| found.1 as f64 / 40.0),
            share(&|found| (found.1 + found.2) as f64 / 40.0),
        ],
    }
}

#[test]
fn a_check_cries_wolf_no_oftener_than_it_says() {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let asked = std::env::var("LAKEGATE_SIMULATE");
    if let Ok(asked) = asked {
        let parts: Vec<&str> = asked.split(',').collect();
        let (pairs, rows) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
        let one: Option<f64> = parts.get(2).map(|shift| shift.parse().unwrap());
        for shift in one.map_or_else(|| vec![0.0, 0.03, 0.25, 0.5], |shift| vec![shift]) {
            let found = rates(pairs, rows, shift);
            println!(
                "{pairs} pairs of {rows} rows, {shift} deviations: table {:.4}, any column {:.4}, columns drifted {:.4}, or watched {:.4}",
                found.table, found.any, found.columns[0], found.columns[1]
            );
        }
        return;
    }
    let quiet = rates(12, 1000, 0.0);
    assert_eq!(quiet.table, 0.0);
    assert!(quiet.any <= 0.02, "{}", quiet.any);
    let loud = rates(2, 2000, 0.6);
    assert_eq!(loud.table, 1.0);
}
