//! What test runners write: results as JUnit XML, coverage as Cobertura or lcov.
//!
//! The files come from the code under test, so nothing in them is trusted: no
//! entity is expanded, nesting and size are bounded, and what is cut short is an
//! error rather than fewer failures.

pub mod coverage;
pub mod junit;

pub use coverage::{Changed, Coverage};
pub use junit::{Failure, Suite};

/// Larger files are no results.
pub const MOST_BYTES: u64 = 128 << 20;

/// Deeper elements are no results.
const MOST_DEPTH: usize = 64;

/// Why a file of results is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it ends in the middle")]
    Truncated,
    #[error("it declares a document type: entities are not expanded")]
    DocumentType,
    #[error("it is nested more than {MOST_DEPTH} levels deep")]
    TooDeep,
    #[error("it is not XML: {0}")]
    Xml(String),
    #[error("it is XML, its root is `{0}`")]
    OtherRoot(String),
    #[error("line {line}: {what}")]
    Line { line: usize, what: String },
    #[error("it says that {said} tests failed, and tells of {told}")]
    Fewer { said: u64, told: u64 },
    #[error("it says that there were {said} tests, and tells of {told}")]
    FewerTests { said: u64, told: u64 },
    #[error("it is empty")]
    Empty,
}

/// The name of an element or attribute, without a prefix.
fn name(bytes: &[u8]) -> String {
    let local = bytes.rsplit(|byte| *byte == b':').next().unwrap_or(bytes);
    String::from_utf8_lossy(local).into_owned()
}

/// An attribute's value.
fn attribute(
    element: &quick_xml::events::BytesStart<'_>,
    wanted: &str,
) -> Result<Option<String>, Unreadable> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| Unreadable::Xml(error.to_string()))?;
        if name(attribute.key.as_ref()) == wanted {
            let value = String::from_utf8_lossy(&attribute.value).into_owned();
            let value = quick_xml::escape::unescape(&value)
                .map_err(|error| Unreadable::Xml(error.to_string()))?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}
