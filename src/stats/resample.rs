//! Resamples with replacement, as counts of how often each row is drawn. Eight
//! of them lie side by side, so that one pass over the rows serves them all.
//!
//! Counts are drawn in the order of the rows: Poisson counts first, of which
//! all that is wrong is their sum. Too few are completed by uniform draws, too
//! many are reduced by striking out drawn rows at random; both leave exactly
//! the multinomial counts of drawing one row after the other.

use std::sync::LazyLock;

use pulp::{Arch, NullaryFnOnce};
use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Resamples at a time.
pub const LANES: usize = 8;

/// How often a row is drawn by each of some resamples.
pub type Counts<const N: usize = LANES> = [u8; N];

/// What is drawn at a time: a row, or all rows of a cluster; from all, or from
/// each stratum as many as it has.
#[derive(Debug, Clone)]
pub struct Units {
    count: usize,
    /// The unit of each row; by itself where left out.
    of_row: Option<Vec<u32>>,
    /// The units of each stratum; all are one where left out.
    strata: Option<Vec<Vec<u32>>>,
}

/// Room for the counts of some resamples.
#[derive(Debug, Default)]
pub struct Drawn {
    units: Vec<Counts>,
    rows: Vec<Counts>,
}

impl Units {
    pub fn rows(count: usize) -> Self {
        Self { count, of_row: None, strata: None }
    }

    /// Clusters by the number that each row has, `0..count`.
    pub fn clusters(of_row: Vec<u32>, count: usize) -> Self {
        Self { count, of_row: Some(of_row), strata: None }
    }

    /// With the number of a stratum for each unit.
    #[must_use]
    pub fn stratified(mut self, of_unit: &[u32]) -> Self {
        let most = of_unit.iter().max().map_or(0, |most| *most as usize + 1);
        let mut strata = vec![Vec::new(); most];
        for (unit, stratum) in (0u32..).zip(of_unit) {
            strata[*stratum as usize].push(unit);
        }
        self.strata = Some(strata);
        self
    }

    /// For rows that come in another order.
    pub(super) fn reordered(&self, order: &[u32]) -> Self {
        match (&self.of_row, &self.strata) {
            (Some(of_row), strata) => {
                let of_row = order.iter().map(|row| of_row[*row as usize]).collect();
                Self { count: self.count, of_row: Some(of_row), strata: strata.clone() }
            }
            (None, Some(strata)) => {
                let mut place = vec![0; order.len()];
                for (at, row) in (0..).zip(order) {
                    place[*row as usize] = at;
                }
                let moved = |stratum: &Vec<u32>| {
                    let mut units: Vec<u32> =
                        stratum.iter().map(|row| place[*row as usize]).collect();
                    units.sort_unstable();
                    units
                };
                let strata = strata.iter().map(moved).collect();
                Self { count: self.count, of_row: None, strata: Some(strata) }
            }
            (None, None) => self.clone(),
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// The unit of a row.
    pub fn of(&self, row: usize) -> usize {
        self.of_row.as_ref().map_or(row, |of_row| of_row[row] as usize)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The counts of the rows in resamples `first` to `first + 7`. Each resample
    /// has a generator of its own: who draws it does not matter.
    pub fn draw<'d>(&self, seed: u64, first: u32, room: &'d mut Drawn) -> &'d [Counts] {
        room.units.clear();
        room.units.resize(self.count, [0; LANES]);
        let drawing = Drawing { of: self, seed, first, counts: &mut room.units };
        Arch::new().dispatch(drawing);
        self.spread(room)
    }

    /// All rows but those of every `groups`-th unit, from the one at `first` on.
    pub fn leave_out<'d>(&self, first: u32, groups: u32, room: &'d mut Drawn) -> &'d [Counts] {
        room.units.clear();
        room.units.extend((0..self.count as u64).map(|unit| {
            let group = unit % u64::from(groups.max(1));
            std::array::from_fn(|lane| u8::from(group != u64::from(first) + lane as u64))
        }));
        self.spread(room)
    }

    fn spread<'d>(&self, room: &'d mut Drawn) -> &'d [Counts] {
        let Some(of_row) = &self.of_row else { return &room.units };
        room.rows.clear();
        room.rows.extend(of_row.iter().map(|unit| room.units[*unit as usize]));
        &room.rows
    }
}

/// Draws with the widest instructions that the machine has; see `Counting` of
/// [`super::metrics::Ready`].
struct Drawing<'a> {
    of: &'a Units,
    seed: u64,
    first: u32,
    counts: &'a mut [Counts],
}

impl NullaryFnOnce for Drawing<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { of, seed, first, counts } = self;
        let mut randoms: [Xoshiro256PlusPlus; LANES] =
            std::array::from_fn(|lane| generator(seed, first + lane as u32));
        match &of.strata {
            None => draw(counts, &mut randoms, of.count, |at| at),
            Some(strata) => {
                for stratum in strata {
                    let place = |at: usize| stratum[at] as usize;
                    draw(counts, &mut randoms, stratum.len(), place);
                }
            }
        }
    }
}

fn generator(seed: u64, number: u32) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(number) << 32).wrapping_add(0x9e37_79b9))
}

/// `2^64 P(X <= k)` of a Poisson variable with mean 1.
static UP_TO: LazyLock<[u64; 20]> = LazyLock::new(|| {
    let mut term = (-1.0f64).exp();
    let mut sum = 0.0;
    std::array::from_fn(|k| {
        sum += term;
        term /= k as f64 + 1.0;
        // Beyond the last float below 2^64, the cast gives the largest number.
        (sum * 2f64.powi(64)) as u64
    })
});

/// First bytes of uniform numbers that two counts share: more of the number
/// tells which one it is. Above the last of them, no count has a byte of its own.
static SHARED: LazyLock<[u8; 5]> =
    LazyLock::new(|| std::array::from_fn(|count| (UP_TO[count] >> 56) as u8));
const UNTOLD: u8 = u8::MAX;

fn poisson(uniform: u64) -> u8 {
    UP_TO.iter().take_while(|up_to| uniform >= **up_to).count() as u8
}

/// Units that are drawn at a time: a uniform number has a byte for each.
const STEPS: usize = 8;

/// The counts that bytes tell, or [`UNTOLD`]. Compared rather than looked up, so
/// that one instruction does it for many.
#[inline(always)]
fn told(bytes: &[u8; LANES * STEPS], shared: &[u8; 5]) -> [u8; LANES * STEPS] {
    let mut counts = [0; LANES * STEPS];
    for (count, byte) in counts.iter_mut().zip(bytes) {
        let mut untold = 0;
        for at in shared {
            *count += u8::from(byte > at);
            untold |= u8::from(byte == at);
        }
        *count |= 0u8.wrapping_sub(untold);
    }
    counts
}

/// Columns of an 8 by 8 matrix of bytes as its rows.
#[inline(always)]
fn transposed(mut rows: [u64; 8]) -> [u64; 8] {
    for (apart, keep) in
        [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)]
    {
        let bits = 8 * apart;
        for row in (0..8).filter(|row| row & apart == 0) {
            let swap = ((rows[row] >> bits) ^ rows[row + apart]) & keep;
            rows[row] ^= swap << bits;
            rows[row + apart] ^= swap;
        }
    }
    rows
}

/// Draws `count` of the units at `place(0..count)`.
#[inline(always)]
fn draw(
    counts: &mut [Counts],
    randoms: &mut [Xoshiro256PlusPlus; LANES],
    count: usize,
    place: impl Fn(usize) -> usize,
) {
    const MARKS: u64 = 0x8080_8080_8080_8080;
    let shared = &*SHARED;
    let mut totals = [0u64; LANES];
    for at in (0..count).step_by(STEPS) {
        let here = (count - at).min(STEPS);
        let mut bytes = [0; LANES * STEPS];
        for (bytes, random) in bytes.as_chunks_mut().0.iter_mut().zip(&mut *randoms) {
            *bytes = random.next_u64().to_le_bytes();
        }
        let drawn = told(&bytes, shared);
        let mut of_lane: [u64; LANES] = std::array::from_fn(|lane| {
            u64::from_le_bytes(drawn.as_chunks().0[lane]) & (u64::MAX >> (64 - 8 * here))
        });
        for lane in 0..LANES {
            let mut marks = of_lane[lane] & MARKS;
            while marks != 0 {
                let bits = marks.trailing_zeros() & !7;
                let byte = bytes[lane * STEPS + bits as usize / 8];
                let rest = randoms[lane].next_u64() >> 8;
                let drawn = poisson(u64::from(byte) << 56 | rest);
                of_lane[lane] ^= u64::from(UNTOLD ^ drawn) << bits;
                marks &= marks - 1;
            }
        }
        let of_unit = transposed(of_lane);
        // Eight counts are too few to overflow a byte.
        let sums = of_unit.iter().sum::<u64>().to_le_bytes();
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += u64::from(sum);
        }
        for (step, drawn) in of_unit.iter().enumerate().take(here) {
            counts[place(at + step)] = drawn.to_le_bytes();
        }
    }
    for (lane, (total, random)) in totals.into_iter().zip(randoms).enumerate() {
        correct(counts, lane, random, total, (count, &place));
    }
}

/// Brings the sum of a lane's counts to the number of units.
fn correct(
    counts: &mut [Counts],
    lane: usize,
    random: &mut Xoshiro256PlusPlus,
    mut total: u64,
    (count, place): (usize, &impl Fn(usize) -> usize),
) {
    /// No Poisson count of mean 1 is as large.
    const MOST: u64 = 32;
    let wanted = count as u64;
    // Lemire's multiplication: the bias is below 2^-32 for our row counts.
    let mut any = |below: u64| ((u128::from(random.next_u64()) * u128::from(below)) >> 64) as u64;
    while total < wanted {
        let target = &mut counts[place(any(wanted) as usize)][lane];
        *target = target.saturating_add(1);
        total += 1;
    }
    while total > wanted {
        let target = &mut counts[place(any(wanted) as usize)][lane];
        // As likely as it was drawn often.
        if any(MOST) < u64::from(*target) {
            *target -= 1;
            total -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_are_those_of_drawing_with_replacement() {
        // The chance of each count of one row among 5: binomial with 1/5.
        let units = Units::rows(5);
        let mut room = Drawn::default();
        let mut seen = [0.0; 6];
        let mut together = 0.0;
        let blocks = 4000;
        for block in 0..blocks {
            for counts in units.draw(7, block * 8, &mut room).iter().take(1) {
                counts.iter().for_each(|count| seen[usize::from(*count)] += 1.0);
            }
            let [a, b, ..] = units.draw(7, block * 8, &mut room) else { unreachable!() };
            together += a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        }
        let total = f64::from(blocks) * 8.0;
        let mut chance = 0.8f64.powi(5);
        for (count, seen) in seen.iter().enumerate() {
            let error = (chance * (1.0 - chance) / total).sqrt();
            assert!((seen / total - chance).abs() < 4.5 * error, "{count}: {seen} {chance}");
            chance *= (5 - count) as f64 / (count + 1) as f64 / 4.0;
        }
        // E[X Y] = n (n - 1) p q.
        assert!((together / total - 20.0 / 25.0).abs() < 0.02, "{}", together / total);
    }

    proptest! {
        #[test]
        fn each_resample_has_as_many_as_there_are(
            strata in prop::collection::vec(0u32..3, 1..400),
            seed in any::<u64>(),
        ) {
            let units = Units::rows(strata.len()).stratified(&strata);
            let mut room = Drawn::default();
            let counts = units.draw(seed, 16, &mut room).to_vec();
            for lane in 0..LANES {
                for stratum in 0..3 {
                    let of = |counts: u64, stratum_of: u32| if stratum_of == stratum { counts } else { 0 };
                    let drawn: u64 = counts.iter().zip(&strata).map(|(c, s)| of(u64::from(c[lane]), *s)).sum();
                    prop_assert_eq!(drawn, strata.iter().map(|s| of(1, *s)).sum::<u64>());
                }
            }
            // In another order of the rows, strata and clusters stay together.
            let backwards: Vec<u32> = (0..strata.len() as u32).rev().collect();
            let drawn = units.reordered(&backwards).draw(seed, 0, &mut room).to_vec();
            for stratum in 0..3 {
                let of = |row: usize| strata[strata.len() - 1 - row] == stratum;
                let sum: u64 = (0..drawn.len()).filter(|row| of(*row)).map(|row| u64::from(drawn[row][0])).sum();
                prop_assert_eq!(sum, strata.iter().filter(|s| **s == stratum).count() as u64);
            }
            let clusters = Units::clusters(strata.clone(), 3).reordered(&backwards);
            let drawn = clusters.draw(seed, 0, &mut room);
            for (row, counts) in drawn.iter().enumerate() {
                let same = strata.iter().rev().position(|s| *s == strata[strata.len() - 1 - row]);
                prop_assert_eq!(counts, &drawn[same.unwrap()]);
            }
            // A resample is the same one, whichever block it is drawn in.
            let other = units.draw(seed, 19, &mut room);
            for (one, other) in counts.iter().zip(other) {
                prop_assert_eq!(&one[3..], &other[..5]);
            }
        }

        #[test]
        fn rows_of_a_cluster_come_together(of_row in prop::collection::vec(0u32..9, 1..60)) {
            let units = Units::clusters(of_row.clone(), 9);
            let mut room = Drawn::default();
            let counts = units.draw(1, 0, &mut room).to_vec();
            for (a, row) in counts.iter().zip(&of_row) {
                let first = of_row.iter().position(|other| other == row).unwrap();
                prop_assert_eq!(a, &counts[first]);
            }
            let left = units.leave_out(2, 9, &mut room);
            for (counts, cluster) in left.iter().zip(&of_row) {
                prop_assert_eq!(counts[0], u8::from(*cluster != 2));
            }
        }
    }
}
