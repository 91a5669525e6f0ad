//! A page: its levels taken off, what is left are values.

use anyhow::{Result, bail};
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;

use super::hybrid::{self, Malformed, Present, take};

/// What a page holds behind its levels.
pub(super) struct Values {
    pub(super) bytes: Bytes,
    pub(super) encoding: Encoding,
    pub(super) count: usize,
}

/// Takes the levels off a page.
pub(super) fn values_of(page: Page, optional: bool) -> Result<Values> {
    match page {
        Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
            let mut bytes = &buf[..];
            let mut count = num_values as usize;
            if optional {
                if def_level_encoding != Encoding::RLE {
                    bail!("levels in the encoding {def_level_encoding} are too old to be read");
                }
                let mut length = [0; 4];
                length.copy_from_slice(take(&mut bytes, 4)?);
                let levels = take(&mut bytes, u32::from_le_bytes(length) as usize)?;
                let mut present = Present::default();
                hybrid::decode(levels, 1, count, &mut present)?;
                count = present.0;
            }
            let rest = buf.len() - bytes.len();
            Ok(Values { bytes: buf.slice(rest..), encoding, count })
        }
        Page::DataPageV2 {
            buf,
            num_values,
            encoding,
            num_nulls,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
            if levels > buf.len() || num_nulls > num_values {
                return Err(Malformed("a page's header contradicts itself").into());
            }
            Ok(Values {
                bytes: buf.slice(levels..),
                encoding,
                count: (num_values - num_nulls) as usize,
            })
        }
        Page::DictionaryPage { .. } => bail!("a dictionary stands between the pages"),
    }
}
