//! A limited number of rows, drawn by lot while all of them go by.

use anyhow::Result;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;

use crate::stats;

/// Rows that were drawn.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub batch: RecordBatch,
    /// The rows that they were drawn from.
    pub of: u64,
}

/// Fixed, so that two runs on the same rows agree.
const SEED: u64 = 0x6472_6177_6e62_796c;

/// Keeps the rows with the lowest lots: which these are is a matter of their
/// number, not of how they arrive.
#[derive(Debug)]
pub(super) struct Draw {
    limit: usize,
    seen: u64,
    /// Lots from here on are out.
    below: u64,
    kept: Vec<(RecordBatch, Vec<u64>)>,
}

impl Draw {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, seen: 0, below: u64::MAX, kept: Vec::new() }
    }

    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = self.seen..self.seen + batch.num_rows() as u64;
        self.seen = rows.end;
        let lots: Vec<u64> = rows.map(|row| stats::lot(SEED, row)).collect();
        self.kept.push(self.thinned(batch, lots)?);
        let held: usize = self.kept.iter().map(|(_, lots)| lots.len()).sum();
        if held > self.limit.saturating_mul(2) {
            self.thin()?;
        }
        Ok(())
    }

    /// Lets go of all rows but those within the limit.
    fn thin(&mut self) -> Result<()> {
        let mut lots: Vec<u64> = self.kept.iter().flat_map(|(_, lots)| lots).copied().collect();
        if lots.len() > self.limit {
            let (_, first_out, _) = lots.select_nth_unstable(self.limit);
            self.below = *first_out;
            let kept = std::mem::take(&mut self.kept);
            let thinned = kept.into_iter().map(|(batch, lots)| self.thinned(&batch, lots));
            self.kept = thinned.collect::<Result<_>>()?;
        }
        Ok(())
    }

    fn thinned(&self, batch: &RecordBatch, lots: Vec<u64>) -> Result<(RecordBatch, Vec<u64>)> {
        if self.below == u64::MAX {
            return Ok((batch.clone(), lots));
        }
        let inside: BooleanArray = lots.iter().map(|lot| Some(*lot < self.below)).collect();
        let kept = filter_record_batch(batch, &inside)?;
        Ok((kept, lots.into_iter().filter(|lot| *lot < self.below).collect()))
    }

    pub(super) fn done(mut self, schema: &SchemaRef) -> Result<Drawn> {
        self.thin()?;
        let schema = self.kept.first().map_or_else(|| schema.clone(), |(batch, _)| batch.schema());
        let batch = concat_batches(&schema, self.kept.iter().map(|(batch, _)| batch))?;
        Ok(Drawn { batch, of: self.seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, AsArray as _, Int64Array};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    fn drawn(limit: usize, parts: &[usize]) -> Vec<i64> {
        let mut draw = Draw::new(limit);
        let mut next = 0;
        let mut schema = None;
        for rows in parts {
            let end = next + i64::try_from(*rows).unwrap();
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(next..end));
            next = end;
            let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
            schema = Some(batch.schema());
            draw.push(&batch).unwrap();
        }
        let drawn = draw.done(&schema.unwrap()).unwrap();
        assert_eq!(drawn.of, parts.iter().sum::<usize>() as u64);
        drawn.batch.column(0).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn how_rows_arrive_does_not_matter() {
        let at_once = drawn(100, &[1000]);
        assert_eq!(at_once.len(), 100);
        assert_eq!(drawn(100, &[1, 299, 0, 650, 50]), at_once);
        assert_eq!(drawn(100, &[90]), (0..90).collect::<Vec<_>>());
        let mean = drawn(1000, &[10_000]).iter().sum::<i64>() / 1000;
        assert!((4600..5400).contains(&mean), "{mean}");
    }
}
