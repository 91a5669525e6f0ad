//! Numbers as unsigned keys of the same order, so that sorting and cutting an
//! axis is integer work whatever the type.

/// How keys stand for values. The arithmetic is done in the unit of the keys;
/// divided by [`Scale::per_unit`] it is in the unit of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// `f64`, and `f32` widened.
    Float,
    /// Whole numbers with a sign, `digits` of them behind a decimal point.
    Signed { digits: u8 },
    /// Whole numbers without a sign.
    Unsigned,
}

/// One kind of key, for loops that must not ask at each value.
pub(super) trait Key: Copy + Send + Sync {
    fn value(key: u64) -> f64;
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Float;
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed;
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned;

const SIGN: u64 = 1 << 63;

impl Key for Float {
    #[inline(always)]
    fn value(key: u64) -> f64 {
        let negative = (key >> 63).wrapping_sub(1);
        f64::from_bits(key ^ (negative | SIGN))
    }
}

impl Key for Signed {
    #[inline(always)]
    fn value(key: u64) -> f64 {
        (key ^ SIGN) as i64 as f64
    }
}

impl Key for Unsigned {
    #[inline(always)]
    fn value(key: u64) -> f64 {
        key as f64
    }
}

/// The key of a number that is not NaN. Both zeros have one key.
#[inline(always)]
pub fn of_float(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    let negative = ((bits as i64) >> 63) as u64;
    bits ^ (negative | SIGN)
}

#[inline(always)]
pub fn of_signed(value: i64) -> u64 {
    value as u64 ^ SIGN
}

impl Scale {
    /// How many of the keys' units are one of the column's. A division by it is
    /// correctly rounded where a product with 0.1 is not.
    pub fn per_unit(self) -> f64 {
        match self {
            Self::Signed { digits } => 10f64.powi(i32::from(digits)),
            Self::Float | Self::Unsigned => 1.0,
        }
    }

    /// The number that a key stands for, in the column's unit.
    pub fn value(self, key: u64) -> f64 {
        match self {
            Self::Float => Float::value(key),
            Self::Signed { .. } => Signed::value(key) / self.per_unit(),
            Self::Unsigned => Unsigned::value(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_have_the_order_of_their_numbers(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(of_float(a).cmp(&of_float(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(Scale::Float.value(of_float(a)), a);
        }

        #[test]
        fn so_have_the_keys_of_whole_numbers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(of_signed(a).cmp(&of_signed(b)), a.cmp(&b));
            prop_assert_eq!(Scale::Signed { digits: 2 }.value(of_signed(a)), a as f64 / 100.0);
        }
    }
}
