//! Poisson counts of mean 1, many at a time.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

/// Counts that one step draws.
pub(super) const AT_ONCE: usize = 64;

/// `P(X = k)`. Greater ones are rarer than a generator of 64 bits can tell.
const CHANCE: [f64; 20] = {
    let mut chance = [1.0 / std::f64::consts::E; 20];
    let mut count = 1;
    while count < chance.len() {
        chance[count] = chance[count - 1] / count as f64;
        count += 1;
    }
    chance
};

/// A byte below the first of these is count 0, and so on: each count has as many
/// of the 256 bytes to itself as its chance allows.
const UP_TO: [u8; 5] = {
    let mut up_to = [(CHANCE[0] * 256.0) as u8; 5];
    let mut count = 1;
    while count < up_to.len() {
        up_to[count] = up_to[count - 1] + (CHANCE[count] * 256.0) as u8;
        count += 1;
    }
    up_to
};

/// What the other bytes stand for: a draw from what the counts' chances have left,
/// of which this is the distribution, `P(X <= k)`.
const OF_THE_REST: [f64; 20] = {
    let mut up_to = [0.0; 20];
    let (mut sum, mut count) = (0.0, 0);
    while count < up_to.len() {
        let in_bytes = CHANCE[count] * 256.0;
        sum += in_bytes - (in_bytes as u8) as f64;
        up_to[count] = sum / (256 - UP_TO[4] as u32) as f64;
        count += 1;
    }
    up_to
};

/// Draws counts by the bytes of eight generators that step together.
#[derive(Debug)]
pub(super) struct Poisson {
    /// The words of their states (xoshiro256++, Blackman and Vigna 2021), side by
    /// side, so that one instruction serves some of them.
    states: [[u64; 8]; 4],
    /// For what is drawn one at a time.
    pub(super) alone: Xoshiro256PlusPlus,
}

impl Poisson {
    pub(super) fn seeded(seed: u64) -> Self {
        let mut words = SplitMix64::seed_from_u64(seed);
        let alone = Xoshiro256PlusPlus::seed_from_u64(words.next_u64());
        Self { states: [(); 4].map(|()| [(); 8].map(|()| words.next_u64())), alone }
    }

    #[inline(always)]
    fn step(&mut self) -> [u64; 8] {
        let mut drawn = [0; 8];
        let [a, b, c, d] = &mut self.states;
        for at in 0..8 {
            drawn[at] = a[at].wrapping_add(d[at]).rotate_left(23).wrapping_add(a[at]);
            let shifted = b[at] << 17;
            c[at] ^= a[at];
            d[at] ^= b[at];
            b[at] ^= c[at];
            a[at] ^= d[at];
            c[at] ^= shifted;
            d[at] = d[at].rotate_left(45);
        }
        drawn
    }

    #[inline(always)]
    pub(super) fn draw(&mut self) -> [u8; AT_ONCE] {
        let mut bytes = [0u8; AT_ONCE];
        for (bytes, drawn) in bytes.as_chunks_mut().0.iter_mut().zip(self.step()) {
            *bytes = drawn.to_le_bytes();
        }
        // Compared rather than looked up, so that one instruction does it for many.
        let mut counts = [0u8; AT_ONCE];
        for (count, byte) in counts.iter_mut().zip(bytes) {
            for up_to in UP_TO {
                *count += u8::from(byte >= up_to);
            }
        }
        self.draw_the_rest(&mut counts);
        counts
    }

    /// Replaces each count that no byte stands for.
    #[inline(always)]
    fn draw_the_rest(&mut self, counts: &mut [u8; AT_ONCE]) {
        let mut open = 0u64;
        for (at, word) in counts.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // Of 0 to 5, only 5 has both bits.
            open |= (word & (word >> 2) & 0x0101_0101_0101_0101) << at;
        }
        while open != 0 {
            let bit = open.trailing_zeros() as usize;
            counts[bit % 8 * 8 + bit / 8] = of_the_rest(&mut self.alone);
            open &= open - 1;
        }
    }
}

fn of_the_rest(random: &mut Xoshiro256PlusPlus) -> u8 {
    let uniform = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    OF_THE_REST.iter().take_while(|up_to| uniform >= **up_to).count() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_the_rest_make_up_each_chance() {
        let mut from = [0.0; 2];
        let rest = f64::from(256 - u32::from(UP_TO[4])) / 256.0;
        for (count, chance) in CHANCE.into_iter().enumerate() {
            let up_to = UP_TO.get(count).map_or(from[0], |byte| f64::from(*byte) / 256.0);
            let whole = (up_to - from[0]) + (OF_THE_REST[count] - from[1]) * rest;
            assert!((whole - chance).abs() < 1e-15, "{count}: {whole} {chance}");
            from = [up_to, OF_THE_REST[count]];
        }
        assert_eq!(UP_TO, [94, 188, 235, 250, 253]);
        assert!((OF_THE_REST[19] - 1.0).abs() < 1e-14);
    }

    #[test]
    fn generators_step_as_each_would_alone() {
        let mut poisson = Poisson::seeded(3);
        let mut alone: Vec<Xoshiro256PlusPlus> = (0..8)
            .map(|at| {
                let state = poisson.states.map(|words| words[at].to_le_bytes());
                Xoshiro256PlusPlus::from_seed(state.as_flattened().try_into().unwrap())
            })
            .collect();
        for _ in 0..100 {
            let drawn = poisson.step();
            assert_eq!(
                drawn.to_vec(),
                alone.iter_mut().map(|of| of.next_u64()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn counts_come_as_often_as_they_should() {
        let mut poisson = Poisson::seeded(1);
        let (mut seen, mut at_place) = ([0.0; 20], [0.0; AT_ONCE]);
        let steps = 20_000;
        for _ in 0..steps {
            for (at, count) in poisson.draw().into_iter().enumerate() {
                seen[usize::from(count)] += 1.0;
                at_place[at] += f64::from(count);
            }
        }
        let total = f64::from(steps) * AT_ONCE as f64;
        for (count, seen) in seen.into_iter().enumerate() {
            let error = (CHANCE[count] * total).sqrt().max(1.0);
            assert!((seen - CHANCE[count] * total).abs() < 4.5 * error, "{count}: {seen}");
        }
        for sum in at_place {
            assert!((sum / f64::from(steps) - 1.0).abs() < 5.0 / f64::from(steps).sqrt());
        }
    }
}
