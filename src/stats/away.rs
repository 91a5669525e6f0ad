//! Values of a column that are kept elsewhere than in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

/// A key with how often it is there.
pub type Counted = io::Result<(u64, u64)>;

/// Counted keys that never fall.
pub type Rising<'a> = Box<dyn Iterator<Item = Counted> + Send + 'a>;

/// Values that were put away.
pub trait Away: std::fmt::Debug + Send + Sync {
    /// # Errors
    /// When they cannot be had back; so may each of them.
    fn rising(&self) -> io::Result<Rising<'_>>;
}

/// Several streams as one, in which each key stands once.
pub fn merged<'a>(streams: Vec<Rising<'a>>) -> io::Result<Rising<'a>> {
    let mut merged = Merged { streams, heads: BinaryHeap::new() };
    for at in 0..merged.streams.len() {
        merged.advance(at)?;
    }
    Ok(Box::new(merged))
}

struct Merged<'a> {
    streams: Vec<Rising<'a>>,
    /// The next key of each stream, with its count and the stream's number.
    heads: BinaryHeap<Reverse<(u64, u64, usize)>>,
}

impl Merged<'_> {
    fn advance(&mut self, at: usize) -> io::Result<()> {
        if let Some((key, count)) = self.streams[at].next().transpose()? {
            self.heads.push(Reverse((key, count, at)));
        }
        Ok(())
    }

    fn next_key(&mut self) -> io::Result<Option<(u64, u64)>> {
        let Some(Reverse((key, mut total, at))) = self.heads.pop() else { return Ok(None) };
        self.advance(at)?;
        while let Some(Reverse((_, count, at))) =
            self.heads.peek().copied().filter(|Reverse((next, ..))| *next == key)
        {
            total += count;
            self.heads.pop();
            self.advance(at)?;
        }
        Ok(Some((key, total)))
    }
}

impl Iterator for Merged<'_> {
    type Item = Counted;

    fn next(&mut self) -> Option<Counted> {
        self.next_key().transpose()
    }
}
