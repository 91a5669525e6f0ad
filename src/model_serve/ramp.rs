//! The shares of the traffic that a version gets, one after another.

use crate::report::Verdict;

/// All of the traffic, in percent.
pub(super) const ALL: u32 = 100;

/// The shares, in percent; the last one is all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ramp(Vec<u32>);

/// How far a version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is not served.
    Absent,
    /// It has a share that it was not judged at.
    Given(u32),
    Judged(u32, Verdict),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Give(u32),
    Judge(u32),
    /// It had this share, and did not stand up.
    Restore(u32, Verdict),
    Done,
}

impl Ramp {
    /// Without any traffic first, then by these steps to all of it.
    pub(super) fn by(steps: &[u32]) -> Self {
        let own = steps.iter().copied().filter(|share| (1..ALL).contains(share));
        Self([0].into_iter().chain(own).chain([ALL]).collect())
    }

    /// Where there is nothing to share the traffic with.
    pub(super) fn alone() -> Self {
        Self(vec![ALL])
    }

    pub(super) fn next(&self, state: State) -> Next {
        let after = |share: Option<u32>| self.0.iter().copied().find(|one| Some(*one) > share);
        match state {
            State::Absent => Next::Give(after(None).unwrap_or(ALL)),
            State::Given(share) => Next::Judge(share),
            State::Judged(share, Verdict::Pass) => {
                after(Some(share)).map_or(Next::Done, Next::Give)
            }
            State::Judged(share, verdict) => Next::Restore(share, verdict),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_grow_to_all_and_a_refusal_anywhere_restores(
            steps in proptest::collection::btree_set(1u32..100, 0..6),
            from in proptest::option::of(0u32..=100),
            refused_at in proptest::option::of(0usize..8),
        ) {
            let ramp = Ramp::by(&steps.into_iter().collect::<Vec<_>>());
            let mut state = from.map_or(State::Absent, State::Given);
            let (mut share, mut judged) = (from, 0);
            loop {
                match ramp.next(state) {
                    Next::Give(next) => {
                        prop_assert!(share.is_none_or(|share| next > share) && next <= ALL);
                        share = Some(next);
                        state = State::Given(next);
                    }
                    Next::Judge(at) => {
                        prop_assert_eq!(Some(at), share);
                        let verdict = if refused_at == Some(judged) { Verdict::Inconclusive } else { Verdict::Pass };
                        judged += 1;
                        state = State::Judged(at, verdict);
                    }
                    Next::Restore(at, verdict) => {
                        prop_assert_eq!((Some(at), verdict), (share, Verdict::Inconclusive));
                        prop_assert_eq!(refused_at, Some(judged - 1));
                        break;
                    }
                    Next::Done => {
                        prop_assert_eq!(state, State::Judged(ALL, Verdict::Pass));
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_version_answers_before_it_has_traffic() {
        assert_eq!(Ramp::by(&[10]).next(State::Absent), Next::Give(0));
        assert_eq!(Ramp::by(&[]).next(State::Judged(0, Verdict::Pass)), Next::Give(ALL));
        assert_eq!(Ramp::alone().next(State::Absent), Next::Give(ALL));
        assert_eq!(
            Ramp::by(&[10]).next(State::Judged(10, Verdict::Fail)),
            Next::Restore(10, Verdict::Fail)
        );
    }
}
