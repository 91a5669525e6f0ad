//! Whether an Arrow file's lengths fit the file: its readers make room for what
//! they are told before they look.

use std::path::Path;

use anyhow::{Context as _, Result};
use arrow::ipc::{Message, RecordBatch, root_as_footer, root_as_message};

use crate::report::Fault;
use crate::sys::fs::ReadAt;

/// The two forms of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    File,
    Stream,
}

const MAGIC: &[u8; 6] = b"ARROW1";
/// Of a footer: its length and the magic.
const TAIL: u64 = 10;
const CONTINUATION: u32 = u32::MAX;
/// What a buffer may grow to when it is unpacked, by byte, and at all.
const GROWTH: u64 = 1 << 16;
const LARGEST: u64 = 4 << 30;

/// # Errors
/// When a part would lie outside the file, or is told to be larger than it can be.
pub(super) fn check(path: &Path) -> Result<Form> {
    let file = ReadAt::open(path)?;
    let mut magic = [0; 6];
    let has_magic = file.fill(0, &mut magic).is_ok() && magic == *MAGIC;
    let form = if has_magic { Form::File } else { Form::Stream };
    let checked = match form {
        Form::File => check_file(&file),
        Form::Stream => check_stream(&file),
    };
    let damaged =
        |error| Fault::usage(format!("`{}` is not a whole Arrow file: {error:#}", path.display()));
    checked.map_err(damaged)?;
    Ok(form)
}

fn check_file(file: &ReadAt) -> Result<()> {
    let end = file.len().checked_sub(TAIL).context("it has no footer")?;
    let length = u64::from(number(&read(file, end, 4)?));
    let start = end.checked_sub(length).context("its footer is longer than the file")?;
    let footer = read(file, start, length)?;
    let footer = root_as_footer(&footer).map_err(|error| unread("its footer", &error))?;
    footer.schema().context("its footer has no schema")?;
    let blocks = [footer.dictionaries(), footer.recordBatches()];
    for block in blocks.into_iter().flatten().flat_map(|blocks| blocks.iter()) {
        let part = |number: i64| u64::try_from(number).context("a block has a negative length");
        let (at, body) = (part(block.offset())?, part(block.bodyLength())?);
        let meta = part(block.metaDataLength().into())?;
        let message = at.checked_add(meta).context("a block has no end")?;
        within(file, message, body)?;
        let bytes = read(file, at, meta)?;
        let skipped = if number(&bytes) == CONTINUATION { 8 } else { 4 };
        let bytes = bytes.get(skipped..).context("a block has no message")?;
        let told = root_as_message(bytes).map_err(|error| unread("a message", &error))?;
        check_buffers(file, &told, message, body)?;
    }
    Ok(())
}

fn check_stream(file: &ReadAt) -> Result<()> {
    let mut at = 0;
    while at < file.len() {
        let mut length = number(&read(file, at, 4)?);
        at += 4;
        if length == CONTINUATION {
            length = number(&read(file, at, 4)?);
            at += 4;
        }
        if length == 0 {
            return Ok(());
        }
        let bytes = read(file, at, length.into())?;
        at += u64::from(length);
        let told = root_as_message(&bytes).map_err(|error| unread("a message", &error))?;
        let body = u64::try_from(told.bodyLength()).context("a body has a negative length")?;
        within(file, at, body)?;
        check_buffers(file, &told, at, body)?;
        at += body;
    }
    Ok(())
}

fn check_buffers(file: &ReadAt, message: &Message<'_>, start: u64, body: u64) -> Result<()> {
    let batch = message.header_as_record_batch();
    let batch = batch.or_else(|| message.header_as_dictionary_batch()?.data());
    let Some(batch) = batch else { return Ok(()) };
    for buffer in batch.buffers().iter().flat_map(|buffers| buffers.iter()) {
        let place = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let (offset, length) = place.context("a buffer has a negative place")?;
        let end = offset.checked_add(length).context("a buffer has no end")?;
        anyhow::ensure!(end <= body, "a buffer lies outside its message");
        check_growth(file, &batch, start + offset, length)?;
    }
    Ok(())
}

/// A packed buffer begins with the length that it unpacks to; -1 where it is as it is.
fn check_growth(file: &ReadAt, batch: &RecordBatch<'_>, at: u64, length: u64) -> Result<()> {
    if batch.compression().is_none() || length == 0 {
        return Ok(());
    }
    anyhow::ensure!(length >= 8, "a packed buffer has no length");
    let told = read(file, at, 8)?;
    let told = told.try_into().map(i64::from_le_bytes).unwrap_or(i64::MAX);
    let most = length.saturating_mul(GROWTH).min(LARGEST);
    let fits = told == -1 || u64::try_from(told).is_ok_and(|told| told <= most);
    anyhow::ensure!(fits, "a buffer of {length} bytes would unpack to {told}");
    Ok(())
}

fn unread(what: &str, error: &impl std::fmt::Display) -> anyhow::Error {
    // Behind the first line comes where in the format it went wrong.
    let told = error.to_string();
    anyhow::anyhow!("{what} cannot be read: {}", told.lines().next().unwrap_or_default())
}

fn within(file: &ReadAt, at: u64, length: u64) -> Result<()> {
    let fits = at.checked_add(length).is_some_and(|end| end <= file.len());
    anyhow::ensure!(fits, "{length} bytes at {at} reach beyond its end");
    Ok(())
}

fn read(file: &ReadAt, at: u64, length: u64) -> Result<Vec<u8>> {
    within(file, at, length)?;
    let mut bytes = vec![0; usize::try_from(length)?];
    file.fill(at, &mut bytes).context("it cannot be read")?;
    Ok(bytes)
}

/// The number in the first four bytes; 0 where there are fewer.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
