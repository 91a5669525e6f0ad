//! Archives: the plainest tar there is, written and read without any choice.
//!
//! Written: regular files in the order of their paths, ustar headers, one time,
//! no owner, mode 0644 or 0755. Read: exactly that, in the order of the
//! manifest. Readers of tar differ in what links, devices, extended headers
//! and repeated names mean, so none of those is read at all.
//!
//! Format: POSIX.1-1988 (ustar).

use std::io::{self, Read, Write};

use super::manifest::FileEntry;
use super::path::{self, PathError, Seen};
use crate::names::Sha256;

const BLOCK: usize = 512;

/// The time of every file. Zip files know no earlier year, some tools warn of 1970.
const TIME: u64 = 315_532_800;

/// No file of a release is larger: each is read as a whole, and its size stands in
/// eleven octal digits.
const MOST_BYTES: u64 = 2 << 30;

/// Why an archive is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Path(#[from] PathError),
    #[error("`{path}` is {what}: a release holds regular files only")]
    Kind { path: String, what: &'static str },
    #[error("the archive has {0}, which readers understand differently")]
    Extension(&'static str),
    #[error("the header at byte {0} is damaged: its checksum is wrong")]
    Checksum(u64),
    #[error("the header at byte {0} is not ustar")]
    Format(u64),
    #[error("the header of `{path}`: {field} is not a plain octal number")]
    Number { path: String, field: &'static str },
    #[error("`{0}` is in the archive, the manifest does not list it")]
    Unlisted(String),
    #[error("`{found}` comes where the manifest has `{expected}`")]
    Order { found: String, expected: String },
    #[error("`{0}` is listed in the manifest, the archive does not have it")]
    Missing(String),
    #[error("`{path}`: {found} bytes, the manifest says {expected}")]
    Size { path: String, found: u64, expected: u64 },
    #[error("`{path}` has {size} bytes: no file of a release has more than {MOST_BYTES}")]
    TooLarge { path: String, size: u64 },
    #[error("`{path}`: mode {found:o}, the manifest says {expected:o}")]
    Mode { path: String, found: u32, expected: u32 },
    #[error("`{path}`: the bytes are not those of the manifest")]
    Digest { path: String },
    #[error("`{path}`: the bytes that fill up its last block are not zero")]
    Padding { path: String },
    #[error("`{path}`: its header has another form than a release's")]
    Form { path: String },
    #[error("something follows the end of the archive")]
    Trailing,
    #[error("the archive ends in the middle")]
    Truncated,
    #[error("the archive is not readable: {0}")]
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

/// A file of the archive being written.
pub fn append(out: &mut impl Write, entry: &FileEntry, bytes: &[u8]) -> Result<(), Refusal> {
    out.write_all(&header(entry)?)?;
    out.write_all(bytes)?;
    out.write_all(&[0; BLOCK][..padding(entry.size)])?;
    Ok(())
}

/// The two empty blocks at the end.
pub fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

fn header(entry: &FileEntry) -> Result<[u8; BLOCK], Refusal> {
    path::check(entry.path.as_bytes())?;
    if entry.size > MOST_BYTES {
        return Err(Refusal::TooLarge { path: entry.path.clone(), size: entry.size });
    }
    let mut block = [0; BLOCK];
    let (prefix, name) = split(&entry.path)?;
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[345..345 + prefix.len()].copy_from_slice(prefix.as_bytes());
    octal(&mut block[100..108], u64::from(entry.mode));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], entry.size);
    octal(&mut block[136..148], TIME);
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], 0);
    octal(&mut block[337..345], 0);
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// A path in the two fields that ustar has for it.
fn split(path: &str) -> Result<(&str, &str), PathError> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    let fits = |at: &usize| *at <= 155 && path.len() - at - 1 <= 100;
    let at = path.match_indices('/').map(|(at, _)| at).find(fits);
    at.map(|at| (&path[..at], &path[at + 1..])).ok_or_else(|| PathError::TooLong(path.to_owned()))
}

fn octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    field[..width].copy_from_slice(format!("{number:0width$o}").as_bytes());
}

/// The sum of the header's bytes, its own field taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + 8 * 32 + sum(&block[156..])
}

/// Reads a tar stream that must hold exactly the files of the manifest, and
/// hands each to `keep` when its bytes are proved. No more is read, and no
/// more memory taken, than the manifest allows.
///
/// # Errors
/// The first thing that is not as it must be; what came before it was handed on.
pub fn read(
    mut from: impl Read,
    files: &[FileEntry],
    mut keep: impl FnMut(&FileEntry, Vec<u8>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut at = 0;
    let mut seen = Seen::default();
    let mut block = [0; BLOCK];
    for expected in files {
        from.read_exact(&mut block)?;
        if block == [0; BLOCK] {
            return Err(Refusal::Missing(expected.path.clone()));
        }
        let found = parse(&block, at)?;
        seen.add(&found.path)?;
        compare(&found, expected, files)?;
        // Owners, times, and whatever else a reader might look at.
        if block != header(expected)? {
            return Err(Refusal::Form { path: found.path });
        }
        let mut bytes = Vec::new();
        from.by_ref().take(expected.size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != expected.size {
            return Err(Refusal::Truncated);
        }
        if Sha256::of(&bytes) != expected.sha256 {
            return Err(Refusal::Digest { path: found.path });
        }
        let filler = padding(expected.size);
        from.read_exact(&mut block[..filler])?;
        if block[..filler].iter().any(|byte| *byte != 0) {
            return Err(Refusal::Padding { path: found.path });
        }
        at += (BLOCK + filler) as u64 + expected.size;
        keep(expected, bytes)?;
    }
    for _ in 0..2 {
        from.read_exact(&mut block)?;
        if block != [0; BLOCK] {
            let found = parse(&block, at)?;
            seen.add(&found.path)?;
            return Err(Refusal::Unlisted(found.path));
        }
    }
    match from.read(&mut block[..1])? {
        0 => Ok(()),
        _ => Err(Refusal::Trailing),
    }
}

fn compare(found: &Header, expected: &FileEntry, files: &[FileEntry]) -> Result<(), Refusal> {
    let path = found.path.clone();
    if path != expected.path {
        return Err(if files.iter().any(|file| file.path == path) {
            Refusal::Order { found: path, expected: expected.path.clone() }
        } else {
            Refusal::Unlisted(path)
        });
    }
    if found.size != expected.size {
        return Err(Refusal::Size { path, found: found.size, expected: expected.size });
    }
    if found.mode != expected.mode {
        return Err(Refusal::Mode { path, found: found.mode, expected: expected.mode });
    }
    Ok(())
}

struct Header {
    path: String,
    size: u64,
    mode: u32,
}

fn parse(block: &[u8; BLOCK], at: u64) -> Result<Header, Refusal> {
    let stated = number(&block[148..156]).ok_or(Refusal::Checksum(at))?;
    if stated != u64::from(checksum(block)) {
        return Err(Refusal::Checksum(at));
    }
    if &block[257..263] != b"ustar\0" {
        return Err(match &block[257..265] {
            b"ustar  \0" => Refusal::Extension("GNU headers"),
            _ => Refusal::Format(at),
        });
    }
    let text = |range: std::ops::Range<usize>| {
        let field = &block[range];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        &field[..end]
    };
    let (name, prefix) = (text(0..100), text(345..500));
    let whole = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
    let shown = || String::from_utf8_lossy(&whole).escape_debug().to_string();
    match block[156] {
        b'0' => {}
        b'x' | b'g' => return Err(Refusal::Extension("extended (PAX) headers")),
        b'L' | b'K' => return Err(Refusal::Extension("long names in entries of their own")),
        b'S' => return Err(Refusal::Extension("sparse files")),
        kind => {
            let what = match kind {
                b'1' => "a hard link",
                b'2' => "a symbolic link",
                b'3' | b'4' => "a device",
                b'5' => "a folder of its own",
                b'6' => "a named pipe",
                b'7' => "a contiguous file",
                0 => "an entry of the old tar",
                _ => "of an unknown kind",
            };
            return Err(Refusal::Kind { path: shown(), what });
        }
    }
    // The rest of a name's field is where a second name can hide.
    let hidden = |range: std::ops::Range<usize>, used: usize| {
        block[range].iter().skip(used).any(|byte| *byte != 0)
    };
    if hidden(0..100, name.len()) || hidden(345..500, prefix.len()) {
        return Err(PathError::Control(shown()).into());
    }
    if block[157..257].iter().any(|byte| *byte != 0) {
        return Err(Refusal::Kind { path: shown(), what: "linked to another name" });
    }
    let path = path::check(&whole)?.to_owned();
    let field = |name: &'static str, range: std::ops::Range<usize>| {
        let refused = || Refusal::Number { path: path.clone(), field: name };
        number(&block[range]).ok_or_else(refused)
    };
    let size = field("size", 124..136)?;
    let mode = u32::try_from(field("mode", 100..108)?).unwrap_or(u32::MAX);
    Ok(Header { path, size, mode })
}

/// Octal digits up to a zero or a space. The base-256 form is not for us.
fn number(field: &[u8]) -> Option<u64> {
    let end = field.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(field.len());
    let digits = std::str::from_utf8(&field[..end]).ok()?;
    if digits.is_empty() || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
