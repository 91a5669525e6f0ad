//! Parquet's hybrid of run lengths and bit packing: the encoding of dictionary
//! indices and of definition levels.

/// Bytes that are not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// What the encoded values are handed to.
pub(super) trait Sink {
    fn run(&mut self, value: u32, length: usize);
    fn values(&mut self, values: &[u32]);
}

/// Values that are unpacked at a time; a group has eight.
const LANES: usize = 32;

/// Decodes `count` values of `width` bits.
pub(super) fn decode(
    mut data: &[u8],
    width: u8,
    mut count: usize,
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    if width > 32 {
        return Err(Malformed("an index is wider than 32 bits"));
    }
    while count > 0 {
        let header = varint(&mut data)?;
        let length =
            usize::try_from(header >> 1).map_err(|_overflow| Malformed("a run is too long"))?;
        if header & 1 == 0 {
            let bytes = usize::from(width).div_ceil(8);
            let value = take(&mut data, bytes)?;
            let mut word = [0; 4];
            word[..bytes].copy_from_slice(value);
            let length = length.min(count);
            if length == 0 {
                return Err(Malformed("a run has no values"));
            }
            sink.run(u32::from_le_bytes(word), length);
            count -= length;
        } else {
            let values = length.checked_mul(8).ok_or(Malformed("a run is too long"))?.min(count);
            if values == 0 {
                return Err(Malformed("a packed run has no values"));
            }
            let bytes = (values * usize::from(width)).div_ceil(8);
            let whole = length.saturating_mul(usize::from(width)).min(data.len());
            // The last group may be cut off behind its last value.
            let packed = take(&mut data, whole.max(bytes))?;
            unpack(packed, width, values, sink);
            count -= values;
        }
    }
    Ok(())
}

fn varint(data: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = take(data, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed("a run's header does not end"))
}

pub(super) fn take<'a>(data: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = data.split_at_checked(count).ok_or(Malformed("the page ends too early"))?;
    *data = rest;
    Ok(taken)
}

fn unpack(packed: &[u8], width: u8, count: usize, sink: &mut impl Sink) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                0 => sink.run(0, count),
                $($width => unpack_all::<$width>(packed, count, sink),)*
                _ => {}
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_all<const WIDTH: usize>(packed: &[u8], count: usize, sink: &mut impl Sink) {
    let mut left = count;
    let mut values = [0; LANES];
    let mut chunks = packed.chunks_exact(WIDTH * LANES / 8);
    for chunk in chunks.by_ref() {
        unpack_lanes::<WIDTH>(chunk, &mut values);
        let here = left.min(LANES);
        sink.values(&values[..here]);
        left -= here;
        if left == 0 {
            return;
        }
    }
    let mut last = [0; 32 * LANES / 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    unpack_lanes::<WIDTH>(&last[..WIDTH * LANES / 8], &mut values);
    sink.values(&values[..left.min(LANES)]);
}

/// With the width known, the compiler unrolls this into shifts of words.
#[inline(always)]
fn unpack_lanes<const WIDTH: usize>(packed: &[u8], values: &mut [u32; LANES]) {
    let mut words = [0u32; 33];
    for (word, bytes) in words.iter_mut().zip(packed.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    let mask = if WIDTH == 32 { u32::MAX } else { (1u32 << WIDTH) - 1 };
    for (lane, value) in values.iter_mut().enumerate() {
        let (word, shift) = (lane * WIDTH / 32, lane * WIDTH % 32);
        let both = u64::from(words[word]) | u64::from(words[word + 1]) << 32;
        *value = (both >> shift) as u32 & mask;
    }
}

/// Counts the values that are there, by levels of one bit.
#[derive(Debug, Default)]
pub(super) struct Present(pub(super) usize);

impl Sink for Present {
    fn run(&mut self, value: u32, length: usize) {
        self.0 += if value == 1 { length } else { 0 };
    }

    fn values(&mut self, values: &[u32]) {
        self.0 += values.iter().map(|value| *value as usize & 1).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Collected(Vec<u32>);

    impl Sink for Collected {
        fn run(&mut self, value: u32, length: usize) {
            self.0.extend(std::iter::repeat_n(value, length));
        }

        fn values(&mut self, values: &[u32]) {
            self.0.extend_from_slice(values);
        }
    }

    /// The format's own words, bit by bit.
    fn encode(runs: &[Vec<u32>], width: u8) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        let header = |mut value: usize, bytes: &mut Vec<u8>| {
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        };
        for run in runs {
            if run.len() == 1 {
                let length = (run[0] as usize % 300) + 1;
                header(length << 1, &mut bytes);
                bytes.extend(&run[0].to_le_bytes()[..usize::from(width).div_ceil(8)]);
                values.extend(std::iter::repeat_n(run[0], length));
            } else {
                let mut run = run.clone();
                run.resize(run.len().next_multiple_of(8), 0);
                header((run.len() / 8) << 1 | 1, &mut bytes);
                let mut packed = vec![0u8; run.len() / 8 * usize::from(width)];
                for (at, value) in run.iter().enumerate() {
                    for bit in 0..usize::from(width) {
                        let place = at * usize::from(width) + bit;
                        packed[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                    }
                }
                bytes.extend(packed);
                values.extend(run);
            }
        }
        (bytes, values)
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(
            (width, runs) in (0u8..=32).prop_flat_map(|width| {
                let most = if width == 32 { u32::MAX } else { (1u32 << width) - 1 };
                (Just(width), prop::collection::vec(prop::collection::vec(0..=most, 1..90), 1..6))
            }),
            cut in 0usize..8,
        ) {
            let (bytes, values) = encode(&runs, width);
            let count = values.len() - cut.min(values.len() - 1);
            let mut found = Collected::default();
            decode(&bytes, width, count, &mut found).unwrap();
            prop_assert_eq!(&found.0, &values[..count]);
        }

        #[test]
        fn no_bytes_make_more_than_was_asked_for(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            width in 0u8..=40,
            count in 0usize..1000,
        ) {
            let mut found = Collected::default();
            let decoded = decode(&bytes, width, count, &mut found);
            prop_assert!(found.0.len() <= count);
            prop_assert!(decoded.is_err() || found.0.len() == count);
        }
    }
}
