//! Standard output: for programs, so it holds results and nothing else.

use std::io::Write as _;

use anyhow::{Context as _, Result};

pub(super) fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("write to standard output")
}
