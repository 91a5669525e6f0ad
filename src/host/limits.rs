//! Every cap of a CI host in one place.

/// GitHub and Azure keep ten annotations of a kind per step and drop the rest.
pub(super) const ANNOTATIONS: usize = 10;

/// GitHub discards a whole summary above 1 MiB; this leaves room for others.
const SUMMARY_BYTES: usize = 900 * 1024;

/// The summary, cut at a line end when it is too long, with a word about it.
pub(super) fn cut_summary(markdown: &str) -> String {
    if markdown.len() <= SUMMARY_BYTES {
        return markdown.to_owned();
    }
    let mut end = SUMMARY_BYTES;
    while !markdown.is_char_boundary(end) {
        end -= 1;
    }
    let end = markdown[..end].rfind('\n').unwrap_or(end);
    let cut = markdown.len() - end;
    format!("{}\n\n*{cut} bytes more are in the HTML report.*\n", &markdown[..end])
}
