//! The relay: text that others wrote, made harmless before a CI agent reads it.
//!
//! Both agents look for commands in every line of every step. A merge request's
//! author writes the test output, so a test could set variables, upload files
//! or mask secrets by printing. Three parsers read the lines:
//!
//! - GitHub's current one trims Unicode white space and looks for `::` first;
//! - GitHub's old one looks for `##[` anywhere;
//! - Azure's looks for `##vso[` anywhere, ignoring case.
//!
//! Lines end at LF, CR or CRLF for all of them. Some of their comparisons
//! follow the culture's rules, which skip characters that have no width; those
//! are removed here. Escape sequences go first, as removing one can join what
//! it kept apart. Tests hold ports of the three parsers as oracles.

use std::collections::VecDeque;

/// Longest line that is passed on, in bytes; the rest is cut, and it says so.
pub const MAX_LINE: usize = 64 * 1024;

/// Stands before each relayed line, so that `::` is never first.
const PREFIX: &str = "| ";

const CUT: &str = " … [line cut]";

/// Splits a stream of bytes into harmless lines and hands each to `emit`.
///
/// Memory is bounded by [`MAX_LINE`] whatever the input. A chunk may end
/// anywhere, also inside a character or between CR and LF.
#[derive(Debug)]
pub struct Relay<F: FnMut(&str)> {
    emit: F,
    line: Vec<u8>,
    cut: bool,
    after_cr: bool,
}

impl<F: FnMut(&str)> Relay<F> {
    pub fn new(emit: F) -> Self {
        Self { emit, line: Vec::new(), cut: false, after_cr: false }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut chunk: &[u8]) {
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(&chunk[..end]);
            self.end_line();
            let was_cr = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            if was_cr {
                self.after_cr = chunk.is_empty();
                chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
            }
        }
        self.extend(chunk);
    }

    /// Passes on what stands after the last line end.
    pub fn finish(&mut self) {
        if !self.line.is_empty() || self.cut {
            self.end_line();
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let mut line = String::with_capacity(PREFIX.len() + text.len() + CUT.len());
        line.push_str(PREFIX);
        neutralise_into(&mut line, &text);
        if self.cut {
            line.push_str(CUT);
        }
        (self.emit)(&line);
        self.line.clear();
        self.cut = false;
    }
}

/// Lines of our own that may hold foreign names: harmless, without the prefix
/// wherever that is safe.
pub fn harmless_lines(text: &str) -> Vec<String> {
    let lines = text.split(['\n', '\r']).map(|line| {
        let mut clean = String::with_capacity(line.len());
        neutralise_into(&mut clean, line);
        if clean.trim_start().starts_with("::") { format!("{PREFIX}{clean}") } else { clean }
    });
    lines.collect()
}

/// Appends `text` without escape sequences, control characters and characters
/// that take no width, and with every `##[` and `##vso[` broken.
fn neutralise_into(out: &mut String, text: &str) {
    let start = out.len();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            skip_escape(&mut chars);
        } else if char == '\t' || !(char.is_control() || is_invisible(char)) {
            out.push(char);
        }
    }
    break_commands(out, start);
}

/// Turns `##[` and `##vso[` (any case) into `**[` and `**vso[`, as Azure's own
/// agent does for the output of git.
fn break_commands(out: &mut String, start: usize) {
    let Some(found) = out[start..].find("##").map(|at| start + at) else { return };
    let bytes = &out.as_bytes()[found..];
    let mut broken = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let opens = |rest: &[u8]| {
            rest.starts_with(b"[") || rest.len() >= 4 && rest[..4].eq_ignore_ascii_case(b"vso[")
        };
        let first = bytes[at..].starts_with(b"##") && opens(&bytes[at + 2..]);
        let second = at > 0 && bytes[at - 1..].starts_with(b"##") && opens(&bytes[at + 1..]);
        broken.push(if first || second { b'*' } else { *byte });
    }
    out.truncate(found);
    // Only whole ASCII bytes were replaced, so this never substitutes anything.
    out.push_str(&String::from_utf8_lossy(&broken));
}

/// Skips the rest of an escape sequence: CSI up to its final byte, OSC up to
/// BEL or ST, any other up to one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next_if(|char| matches!(char, '[' | ']' | '(' | ')' | '#')) {
        Some('[') => {
            while chars.next_if(|char| matches!(char, '\u{20}'..='\u{3f}')).is_some() {}
            chars.next_if(|char| matches!(char, '\u{40}'..='\u{7e}'));
        }
        Some(']') => {
            while let Some(char) = chars.next() {
                if char == '\u{7}' || char == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        Some(_) => {
            chars.next();
        }
        None => {}
    }
}

/// Characters without width, and those that change the reading direction:
/// Unicode's `Default_Ignorable_Code_Point`, line and paragraph separators.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The last lines of a stream, for the excerpt in an error.
#[derive(Debug)]
pub struct Tail {
    lines: VecDeque<String>,
    keep: usize,
}

impl Tail {
    pub fn new(keep: usize) -> Self {
        Self { lines: VecDeque::with_capacity(keep), keep }
    }

    pub fn push(&mut self, line: &str) {
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
