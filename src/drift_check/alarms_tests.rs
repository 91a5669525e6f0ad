//! How often a check cries wolf, and what it sees: simulated pairs of tables.
//!
//! `LAKEGATE_SIMULATE=PAIRS,ROWS` runs more of them and prints the rates;
//! `PAIRS,ROWS,SHIFT` for one shift only, and `PAIRS,ROWS,SHIFT,FROM` goes on where
//! `FROM` pairs were done.

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
    fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How many of `rows` rows fall into each cell.
    fn cells(&mut self, rows: usize) -> Vec<u32> {
        let mut cells = vec![0; CELLS];
        for row in (0..rows).step_by(4) {
            // Four draws of 16 bits in one of 64.
            let draw = self.0.next_u64();
            for part in 0..(rows - row).min(4) {
                cells[usize::from((draw >> (16 * part)) as u16)] += 1;
            }
        }
        cells
    }
}

/// A distribution is known by as many cells, which are equally likely; in one of
/// them it is even. A draw costs no logarithm, and rows that come cell by cell
/// need no way about the memory: their order decides nothing.
const CELLS: usize = 1 << 16;

/// What the sides of a table are drawn from.
struct Shapes {
    numbers: [Vec<f64>; 3],
    categories: [Vec<u16>; 4],
}

impl Shapes {
    /// With the location of each moved by `shift` deviations.
    fn shifted(shift: f64) -> Self {
        let mut random = Random::seeded(0x51ed);
        let mut numbers = [0, 1, 2].map(|_| Vec::with_capacity(CELLS + 1));
        for _ in 0..=CELLS {
            let x = random.normal() + shift;
            // Normal; log-normal, which a draw rounds to ties; with heavy tails.
            for (knots, x) in numbers.iter_mut().zip([x, x.exp(), x / random.uniform().sqrt()]) {
                knots.push(x);
            }
        }
        for knots in &mut numbers {
            knots.sort_by(f64::total_cmp);
        }
        let categories = [3, 12, 100, 1000].map(|categories| {
            // Falling shares, as categories have them.
            let share = |at: usize| ((at as f64 + 0.5) / CELLS as f64).powf(2.0 - shift);
            (0..CELLS).map(|at| (share(at) * f64::from(categories)) as u16).collect()
        });
        Self { numbers, categories }
    }

    /// One side of column `kind` of 40.
    fn side(&self, kind: usize, rows: usize, random: &mut Random) -> Column {
        if kind.is_multiple_of(4) {
            return self.categories(kind / 4 % 4, rows, random);
        }
        let mut keys = Vec::with_capacity(rows);
        let cells = self.numbers[kind % 4 - 1].windows(2).zip(random.cells(rows));
        for (bounds, count) in cells {
            for _ in 0..count {
                let part = (random.0.next_u64() >> 32) as f64 / f64::from(u32::MAX);
                let x = bounds[0] + part * (bounds[1] - bounds[0]);
                keys.push(of_float(if kind % 4 == 2 { (x * 100.0).round() / 100.0 } else { x }));
            }
        }
        let mut column = Column::new(Measure::Numbers(Scale::Float));
        let Column::Numbers(numbers) = &mut column else { unreachable!() };
        numbers.push(&keys);
        column
    }

    fn categories(&self, which: usize, rows: usize, random: &mut Random) -> Column {
        let of = &self.categories[which];
        let mut seen = vec![0; usize::from(of[CELLS - 1]) + 1];
        for (category, count) in of.iter().zip(random.cells(rows)) {
            seen[usize::from(*category)] += u64::from(count);
        }
        let mut column = Column::new(Measure::Categories);
        let Column::Categories(counts) = &mut column else { unreachable!() };
        for (category, count) in seen.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            counts.push(category.to_string().as_bytes(), count);
        }
        column
    }
}

/// The states of the table, and the columns that drifted or are watched.
fn pair(policy: &Drift, seed: u64, rows: usize, shapes: &[Shapes; 2]) -> (State, usize, usize) {
    let mut random = Random::seeded(seed);
    let columns = (0..40).map(|kind| {
        let sides = shapes.each_ref().map(|shapes| shapes.side(kind, rows, &mut random));
        compare(policy, &kind.to_string(), [&sides[0], &sides[1]]).unwrap()
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

fn rates(pairs: std::ops::Range<u64>, rows: usize, shift: f64) -> Rates {
    let shapes = [0.0, shift].map(Shapes::shifted);
    let count = (pairs.end - pairs.start) as f64;
    let policy = "drift: {baseline: a.csv, current: b.csv, min_rows: 1}";
    let policy = Config::parse("t", policy).unwrap().drift.unwrap();
    let found: Vec<_> =
        pairs.into_par_iter().map(|seed| pair(&policy, seed, rows, &shapes)).collect();
    let share = |wanted: &dyn Fn(&(State, usize, usize)) -> f64| {
        found.iter().map(wanted).sum::<f64>() / count
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
        let (pairs, rows): (u64, _) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
        let from: u64 = parts.get(3).map_or(0, |from| from.parse().unwrap());
        let one: Option<f64> = parts.get(2).map(|shift| shift.parse().unwrap());
        for shift in one.map_or_else(|| vec![0.0, 0.03, 0.25, 0.5], |shift| vec![shift]) {
            let found = rates(from..from + pairs, rows, shift);
            println!(
                "{pairs} pairs of {rows} rows, {shift} deviations: table {:.4}, any column {:.4}, columns drifted {:.4}, or watched {:.4}",
                found.table, found.any, found.columns[0], found.columns[1]
            );
        }
        return;
    }
    let quiet = rates(0..12, 1000, 0.0);
    assert_eq!(quiet.table, 0.0);
    assert!(quiet.any <= 0.02, "{}", quiet.any);
    let loud = rates(0..2, 2000, 0.6);
    assert_eq!(loud.table, 1.0);
}
