//! Whether enough people agreed.

use jiff::Timestamp;

use crate::config::SignOff;

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Unknown where the source does not tell.
    pub who: Option<String>,
    pub at: Option<Timestamp>,
    pub comment: String,
    /// Where it was read, for the records.
    pub source: String,
}

/// What the approvals come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Those that count.
    pub counted: Vec<Approval>,
    /// Those that do not, and why.
    pub refused: Vec<(Approval, String)>,
    /// How many more are needed.
    pub missing: usize,
}

/// The people that approvals are held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct People<'a> {
    /// They started the run or wrote what it runs.
    pub authors: &'a [String],
    /// They belong to one of the teams that may approve.
    pub members: &'a [String],
}

/// Tells which approvals count.
pub fn count(
    policy: &SignOff,
    approvals: Vec<Approval>,
    people: People<'_>,
    now: Timestamp,
) -> Signed {
    let mut signed = Signed { counted: Vec::new(), refused: Vec::new(), missing: 0 };
    for approval in approvals {
        match refusal(policy, &approval, people, now, &signed.counted) {
            Some(reason) => signed.refused.push((approval, reason)),
            None => signed.counted.push(approval),
        }
    }
    signed.missing = policy.required.saturating_sub(signed.counted.len());
    signed
}

fn refusal(
    policy: &SignOff,
    approval: &Approval,
    people: People<'_>,
    now: Timestamp,
    counted: &[Approval],
) -> Option<String> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let who = approval.who.as_deref();
    let is_of = |all: &[String]| who.is_some_and(|who| all.iter().any(|one| same(one, who)));
    let anybody = policy.approvers.is_empty() && policy.teams.is_empty();
    if !anybody && !is_of(&policy.approvers) && !is_of(people.members) {
        return Some(format!("{} is none of the approvers", who.unwrap_or("nobody known")));
    }
    if let Some(who) = who.filter(|_| policy.not_author && is_of(people.authors)) {
        return Some(format!("{who} started the run, or wrote what it runs"));
    }
    if let Some(at) = approval.at {
        let days = now.duration_since(at).as_secs_f64() / 86_400.0;
        if days > policy.max_age_days {
            return Some(format!("it is {days:.1} days old, {} are allowed", policy.max_age_days));
        }
    }
    let twice = |other: &Approval| {
        who.is_some_and(|who| other.who.as_deref().is_some_and(|it| same(it, who)))
    };
    counted.iter().any(twice).then(|| "one person counts once".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(who: &str, at: &str) -> Approval {
        Approval {
            who: Some(who.into()),
            at: Some(at.parse().unwrap()),
            comment: String::new(),
            source: "table".into(),
        }
    }

    fn counted(policy: &str, approvals: &[(&str, &str)]) -> (usize, Vec<String>) {
        let text = format!("promotion: {{sign_off: {{from: table, {policy}}}}}");
        let policy = crate::config::Config::parse("t", &text).unwrap().promotion.sign_off.unwrap();
        let now = "2026-03-10T00:00:00Z".parse().unwrap();
        let approvals = approvals.iter().map(|(who, at)| approval(who, at)).collect();
        let (authors, members) = (["author".to_owned()], ["ann".to_owned(), "author".to_owned()]);
        let people = People { authors: &authors, members: &members };
        let signed = count(&policy, approvals, people, now);
        (signed.missing, signed.refused.into_iter().map(|(_, reason)| reason).collect())
    }

    #[test]
    fn only_other_people_of_the_list_count_and_each_once() {
        let today = "2026-03-09T00:00:00Z";
        assert_eq!(counted("required: 1", &[("eve", today)]).0, 0);
        assert_eq!(counted("required: 2", &[("eve", today), ("EVE", today)]).0, 1);
        assert_eq!(counted("required: 2", &[("eve", today), ("bob", today)]).0, 0);
        let (missing, refused) = counted("approvers: [bob]", &[("eve", today), ("bob", today)]);
        assert_eq!((missing, refused.len()), (0, 1));
        let (missing, refused) = counted("required: 1", &[("Author", today)]);
        assert!(missing == 1 && refused[0].contains("started the run"), "{refused:?}");
        assert_eq!(counted("not_author: false", &[("author", today)]).0, 0);
        let (missing, refused) = counted("max_age_days: 3", &[("eve", "2026-03-01T00:00:00Z")]);
        assert!(missing == 1 && refused[0].contains("9.0 days old"), "{refused:?}");
        assert_eq!(counted("required: 1", &[]).0, 1);
        let given = [("ann", today), ("bob", today), ("author", today)];
        let (missing, refused) = counted("teams: [ml], required: 2", &given);
        assert_eq!((missing, refused.len()), (1, 2), "{refused:?}");
        let (missing, refused) = counted("teams: [ml], approvers: [bob], required: 2", &given);
        assert_eq!((missing, refused.len()), (0, 1), "{refused:?}");
    }
}
