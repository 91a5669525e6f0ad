//! What becomes of a file that was written before: three texts are looked at, what was
//! written, what stands there now, and what would be written today.

use std::fmt::Write as _;

/// What is done with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Write(String),
    Update(String),
    /// Somebody's changes, and the new ones beside them.
    Merge(String),
    Unchanged,
    /// Somebody has removed it.
    LeftOut,
    /// Nothing would be written today, and nobody has touched it.
    Remove,
    /// Nothing would be written today, and somebody has changed it.
    Kept,
    /// The same lines were changed on both sides; the text has both.
    Conflict(String),
    /// It is somebody else's file.
    Foreign,
}

impl Change {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Update(_) => "update",
            Self::Merge(_) => "merge",
            Self::Unchanged => "unchanged",
            Self::LeftOut => "left out",
            Self::Remove => "remove",
            Self::Kept => "kept",
            Self::Conflict(_) => "conflict",
            Self::Foreign => "not ours",
        }
    }

    /// What stands in the file afterwards, if it is touched.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Write(text) | Self::Update(text) | Self::Merge(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the file is touched at all.
    pub(super) fn is_work(&self) -> bool {
        self.text().is_some() || *self == Self::Remove
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Foreign)
    }
}

/// What is to be done, by what was written, what is there, and what is wanted.
pub(super) fn decide(written: Option<&str>, own: Option<&str>, wanted: Option<&str>) -> Change {
    match (written, own, wanted) {
        (_, Some(own), Some(wanted)) if own == wanted => Change::Unchanged,
        (None, None, Some(wanted)) => Change::Write(wanted.to_owned()),
        (None, Some(_), Some(_)) => Change::Foreign,
        (Some(_), None, Some(_)) => Change::LeftOut,
        (Some(written), Some(own), Some(wanted)) if written == own => {
            Change::Update(wanted.to_owned())
        }
        (Some(written), Some(own), Some(wanted)) => match diffy::merge(written, own, wanted) {
            Ok(merged) if merged == own => Change::Unchanged,
            Ok(merged) => Change::Merge(merged),
            Err(both) => Change::Conflict(both),
        },
        (Some(written), Some(own), None) if written == own => Change::Remove,
        (_, Some(_), None) => Change::Kept,
        (_, None, None) => Change::LeftOut,
    }
}

/// The lines that differ, as a patch has them.
pub(super) fn diff(path: &str, own: &str, new: &str) -> String {
    let mut options = diffy::DiffOptions::new();
    options.set_original_filename(format!("a/{path}"));
    options.set_modified_filename(format!("b/{path}"));
    options.create_patch(own, new).to_string()
}

/// The parts of a text that both sides have changed, with their lines.
pub(super) fn conflicts(both: &str) -> String {
    let (mut out, mut inside) = (String::new(), false);
    for (at, line) in both.lines().enumerate() {
        inside |= line.starts_with("<<<<<<<");
        if inside {
            // Writing to a string cannot fail.
            let _infallible = writeln!(out, "{:>5} {line}", at + 1);
        }
        inside &= !line.starts_with(">>>>>>>");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";

    #[test]
    fn changes_of_both_sides_come_together() {
        let own = OLD.replace("one", "ours");
        let wanted = OLD.replace("six", "new");
        let merged = Change::Merge("ours\ntwo\nthree\nfour\nfive\nnew\n".to_owned());
        assert_eq!(decide(Some(OLD), Some(&own), Some(&wanted)), merged);
        assert_eq!(decide(Some(OLD), Some(OLD), Some(&wanted)), Change::Update(wanted.clone()));
        assert_eq!(decide(Some(OLD), Some(&own), Some(OLD)), Change::Unchanged);
        let clash = OLD.replace("one", "theirs");
        let change = decide(Some(OLD), Some(&own), Some(&clash));
        let Change::Conflict(both) = &change else { panic!("{change:?}") };
        let shown = conflicts(both);
        assert!(shown.contains("ours") && shown.contains("theirs"), "{shown}");
        assert!(!shown.contains("five"), "{shown}");
        assert!(change.is_refused() && change.text().is_none());
    }

    #[test]
    fn what_somebody_made_or_removed_is_theirs() {
        assert_eq!(decide(None, Some("a"), Some("b")), Change::Foreign);
        assert_eq!(decide(None, Some("a"), Some("a")), Change::Unchanged);
        assert_eq!(decide(None, None, Some("b")), Change::Write("b".to_owned()));
        assert_eq!(decide(Some("a"), None, Some("b")), Change::LeftOut);
        assert_eq!(decide(Some("a"), Some("a"), None), Change::Remove);
        assert_eq!(decide(Some("a"), Some("b"), None), Change::Kept);
    }

    fn lines() -> impl Strategy<Value = String> {
        prop::collection::vec("[a-d]{0,2}", 0..12).prop_map(|lines| lines.join("\n") + "\n")
    }

    proptest! {
        /// Nothing that somebody wrote is ever lost: it is there, or it is refused.
        #[test]
        fn one_side_alone_is_taken_as_it_is(old in lines(), new in lines()) {
            let update = decide(Some(&old), Some(&old), Some(&new));
            prop_assert_eq!(update.text().unwrap_or(&old), &new);
            let own = decide(Some(&old), Some(&new), Some(&old));
            prop_assert_eq!(own, Change::Unchanged);
        }

        #[test]
        fn a_merge_is_never_what_was_refused(old in lines(), own in lines(), new in lines()) {
            match decide(Some(&old), Some(&own), Some(&new)) {
                Change::Merge(text) => prop_assert!(!text.contains("<<<<<<<")),
                Change::Conflict(both) => prop_assert!(!conflicts(&both).is_empty()),
                Change::Update(text) => prop_assert!(own == old && text == new),
                Change::Unchanged => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
