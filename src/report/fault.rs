//! Errors whose kind decides the exit code.

/// What kind of failure ended a step; each has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Wrong flags, files or names: the caller must change something.
    Usage,
    /// Data that cannot be judged, by the short name of what is wrong with it. Whoever
    /// judges says no to it.
    Data(&'static str),
    /// Another actor got there first.
    Conflict,
    Timeout,
    /// A digest or a read-back that does not match.
    Integrity,
    Cancelled,
    /// Another service did not do its part.
    Remote,
}

/// A failure with a next step. It reads on after *failed to*.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Usage, message)
    }

    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Data(code), message)
    }

    /// What to change.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The outermost fault of an error, whatever context lies around it.
    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }

    /// `did you mean …`, where `known` holds something near.
    #[must_use]
    pub fn or_near<'a>(
        self,
        given: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        let near = crate::names::near(given, known.clone());
        if near.is_empty() {
            let all: Vec<_> = known.into_iter().take(8).collect();
            if all.is_empty() { self } else { self.hint(format!("known: {}", quoted(&all))) }
        } else {
            self.hint(format!("did you mean {}?", quoted(&near)))
        }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
