//! Numbers as they lie in a file, into keys.

use arrow::datatypes::DataType;
use parquet::basic::Type;

use crate::stats::keys::{self, Scale};

/// How the file's bytes become keys of the column's scale.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw {
    Double,
    Single,
    /// 32 or 64 bits, with the digits behind the point.
    Signed {
        bytes: usize,
        digits: u8,
    },
    Unsigned {
        bytes: usize,
    },
}

impl Raw {
    pub(super) fn of(physical: Type, data_type: &DataType) -> Option<Self> {
        let bytes = match physical {
            Type::DOUBLE => return Some(Self::Double),
            Type::FLOAT => return Some(Self::Single),
            Type::INT32 => 4,
            Type::INT64 => 8,
            _ => return None,
        };
        match data_type {
            DataType::Decimal32(_, digits)
            | DataType::Decimal64(_, digits)
            | DataType::Decimal128(_, digits) => {
                Some(Self::Signed { bytes, digits: u8::try_from(*digits).ok()? })
            }
            kind if kind.is_unsigned_integer() => Some(Self::Unsigned { bytes }),
            _ => Some(Self::Signed { bytes, digits: 0 }),
        }
    }

    pub(super) fn width(self) -> usize {
        match self {
            Self::Double => 8,
            Self::Single => 4,
            Self::Signed { bytes, .. } | Self::Unsigned { bytes } => bytes,
        }
    }

    /// Appends the keys of whole values.
    pub(super) fn keys(self, bytes: &[u8], scale: Scale, keys: &mut Vec<u64>) {
        let as_is = match self {
            Self::Double | Self::Single => scale == Scale::Float,
            Self::Signed { digits, .. } => scale == (Scale::Signed { digits }),
            Self::Unsigned { .. } => scale == Scale::Unsigned,
        };
        let (fours, _) = bytes.as_chunks::<4>();
        let (eights, _) = bytes.as_chunks::<8>();
        match self {
            Self::Double => {
                keys.extend(eights.iter().map(|part| keys::of_float(f64::from_le_bytes(*part))));
            }
            Self::Single => {
                let wide = |part: &[u8; 4]| keys::of_float(f64::from(f32::from_le_bytes(*part)));
                keys.extend(fours.iter().map(wide));
            }
            Self::Signed { bytes: 4, digits } => {
                let whole = fours.iter().map(|part| i64::from(i32::from_le_bytes(*part)));
                signed(whole, digits, as_is, keys);
            }
            Self::Signed { digits, .. } => {
                let whole = eights.iter().map(|part| i64::from_le_bytes(*part));
                signed(whole, digits, as_is, keys);
            }
            Self::Unsigned { bytes: 4 } => {
                let whole = fours.iter().map(|part| u64::from(u32::from_le_bytes(*part)));
                unsigned(whole, as_is, keys);
            }
            Self::Unsigned { .. } => {
                unsigned(eights.iter().map(|part| u64::from_le_bytes(*part)), as_is, keys);
            }
        }
    }
}

fn signed(values: impl Iterator<Item = i64>, digits: u8, as_is: bool, keys: &mut Vec<u64>) {
    if as_is {
        keys.extend(values.map(keys::of_signed));
    } else {
        let scale = Scale::Signed { digits };
        keys.extend(values.map(|value| keys::of_float(scale.value(keys::of_signed(value)))));
    }
}

fn unsigned(values: impl Iterator<Item = u64>, as_is: bool, keys: &mut Vec<u64>) {
    if as_is {
        keys.extend(values);
    } else {
        keys.extend(values.map(|value| keys::of_float(value as f64)));
    }
}
