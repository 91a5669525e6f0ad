//! Somebody in front of this process.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};

/// Whether questions would be seen and answered.
pub fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// A line that is typed.
///
/// # Errors
/// When nothing can be read any more.
pub fn read_line() -> Result<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).context("read an answer")?;
    anyhow::ensure!(read > 0, "nobody answers: give the flags, or --yes");
    Ok(line)
}
