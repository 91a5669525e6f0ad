//! Resamples with replacement, as counts of how often each row is drawn. Some
//! of them lie side by side, so that one pass over the rows serves them all.
//!
//! Counts are drawn in the order of the rows: Poisson counts first, of which
//! all that is wrong is their sum. Too few are completed by uniform draws, too
//! many are reduced by striking out drawn rows at random; both leave exactly
//! the multinomial counts of drawing one row after the other.

use pulp::{Arch, NullaryFnOnce};
use rand_core::Rng as _;

use super::poisson::{AT_ONCE, Poisson};

/// Resamples at a time.
pub const LANES: usize = 16;

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
    stratum: Vec<Counts>,
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
        debug_assert_eq!(of_unit.len(), self.count, "each unit has a stratum");
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

    /// The counts of the rows in the resamples of block `number`. Each block has
    /// a generator of its own: who draws it does not matter.
    pub fn draw<'d>(&self, seed: u64, number: u32, room: &'d mut Drawn) -> &'d [Counts] {
        let seed = seed ^ (u64::from(number) << 32).wrapping_add(0x9e37_79b9);
        // Each unit is drawn anew.
        room.units.resize(self.count, [0; LANES]);
        Arch::new().dispatch(Drawing { of: self, poisson: Poisson::seeded(seed), room });
        self.spread(room)
    }

    /// All rows but those of every `groups`-th unit, from the one at `first` on.
    pub fn leave_out<'d>(&self, first: u32, groups: u32, room: &'d mut Drawn) -> &'d [Counts] {
        let of_group = |group: u32| -> Counts {
            std::array::from_fn(|lane| u8::from(group as usize != first as usize + lane))
        };
        let of_groups: Vec<Counts> = (0..groups.max(1)).map(of_group).collect();
        room.units.clear();
        room.units.extend(of_groups.iter().cycle().take(self.count));
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
    poisson: Poisson,
    room: &'a mut Drawn,
}

impl NullaryFnOnce for Drawing<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { of, mut poisson, room: Drawn { units, stratum: of_stratum, .. } } = self;
        let Some(strata) = &of.strata else {
            return draw(units, &mut poisson);
        };
        for stratum in strata {
            of_stratum.clear();
            of_stratum.resize(stratum.len(), [0; LANES]);
            draw(of_stratum, &mut poisson);
            for (unit, drawn) in stratum.iter().zip(&*of_stratum) {
                units[*unit as usize] = *drawn;
            }
        }
    }
}

/// Draws as many units as there are, in each lane.
#[inline(always)]
fn draw(counts: &mut [Counts], poisson: &mut Poisson) {
    let mut totals = [0u32; LANES];
    let (whole, rest) = counts.as_flattened_mut().as_chunks_mut::<AT_ONCE>();
    for drawn in whole {
        *drawn = poisson.draw();
        add(&mut totals, drawn);
    }
    rest.copy_from_slice(&poisson.draw()[..rest.len()]);
    add(&mut totals, rest);
    for (lane, total) in totals.into_iter().enumerate() {
        correct(counts, lane, poisson, total.into());
    }
}

#[inline(always)]
fn add(totals: &mut [u32; LANES], drawn: &[u8]) {
    for counts in drawn.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            totals[lane] += u32::from(counts[lane]);
        }
    }
}

/// Brings the sum of a lane's counts to the number of units.
fn correct(counts: &mut [Counts], lane: usize, poisson: &mut Poisson, mut total: u64) {
    /// No Poisson count of mean 1 is as large.
    const MOST: u64 = 32;
    let wanted = counts.len() as u64;
    // Lemire's multiplication: the bias is below 2^-32 for our row counts.
    let mut any = |below: u64| {
        let random = poisson.alone.next_u64();
        ((u128::from(random) * u128::from(below)) >> 64) as u64
    };
    while total < wanted {
        let target = &mut counts[any(wanted) as usize][lane];
        *target = target.saturating_add(1);
        total += 1;
    }
    while total > wanted {
        let target = &mut counts[any(wanted) as usize][lane];
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
        let blocks = 2000;
        for block in 0..blocks {
            for counts in units.draw(7, block, &mut room).iter().take(1) {
                counts.iter().for_each(|count| seen[usize::from(*count)] += 1.0);
            }
            let [a, b, ..] = units.draw(7, block, &mut room) else { unreachable!() };
            together += a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        }
        let total = f64::from(blocks) * LANES as f64;
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
            // The same ones again, and others in another block.
            prop_assert_eq!(&counts, units.draw(seed, 16, &mut room));
            prop_assert!(strata.len() < 20 || counts != units.draw(seed, 17, &mut room));
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
