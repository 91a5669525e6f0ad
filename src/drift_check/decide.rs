//! From differences to a decision that does not cry wolf: an effect of some
//! size and significance, both, with the level shared between the columns.

use super::columns::Compared;
use crate::config::Drift;
use crate::report::{Verdict, number};
use crate::stats::benjamini_hochberg;

/// A column and whether it drifted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) compared: Compared,
    /// Adjusted for the number of columns.
    pub(super) p_value: f64,
    pub(super) drifted: bool,
    pub(super) reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// Worst first.
    pub(super) columns: Vec<Judged>,
}

pub(super) fn decide(policy: &Drift, rows: [u64; 2], compared: Vec<Compared>) -> Decision {
    let values = benjamini_hochberg(
        &compared.iter().map(|column| column.tested.p_value).collect::<Vec<_>>(),
    );
    let nulls = benjamini_hochberg(
        &compared.iter().map(|column| column.nulls_tested.p_value).collect::<Vec<_>>(),
    );
    let mut columns: Vec<Judged> = compared
        .into_iter()
        .zip(values.into_iter().zip(nulls))
        .map(|(compared, (p_value, p_nulls))| judge(policy, compared, p_value, p_nulls))
        .collect();
    columns
        .sort_by(|a, b| b.drifted.cmp(&a.drifted).then(b.compared.psi.total_cmp(&a.compared.psi)));
    let drifted: Vec<&Judged> = columns.iter().filter(|column| column.drifted).collect();
    let few = rows.iter().any(|rows| *rows < policy.min_rows);
    let critical = drifted.iter().find(|column| policy.critical.contains(&column.compared.column));
    let share = drifted.len() as f64 / columns.len().max(1) as f64;
    let (verdict, reason) = if few {
        let reason = format!(
            "{} and {} rows are too few, at least {} are needed on each side",
            rows[0], rows[1], policy.min_rows
        );
        (Verdict::Inconclusive, reason)
    } else if columns.is_empty() {
        (Verdict::Inconclusive, "no column can be compared".to_owned())
    } else if let Some(column) = critical {
        (
            Verdict::Fail,
            format!("the critical column {} drifted: {}", column.compared.column, column.reason),
        )
    } else if !drifted.is_empty() && share >= policy.share {
        (
            Verdict::Fail,
            format!(
                "{} of {} columns drifted, worst {}",
                drifted.len(),
                columns.len(),
                named(drifted[0])
            ),
        )
    } else {
        (
            Verdict::Pass,
            format!(
                "{} of {} columns drifted, {} would be drift of the table",
                drifted.len(),
                columns.len(),
                number(policy.share)
            ),
        )
    };
    Decision { verdict, reason, columns }
}

fn named(column: &Judged) -> String {
    format!("{} ({})", column.compared.column, column.reason)
}

fn judge(policy: &Drift, compared: Compared, p_value: f64, p_nulls: f64) -> Judged {
    let nulls = (compared.nulls[1] - compared.nulls[0]).abs();
    let by_nulls = nulls > policy.nulls && p_nulls < policy.alpha;
    let by_values = compared.psi > policy.psi && p_value < policy.alpha;
    let reason = if by_values {
        format!("psi {} > {}", number(compared.psi), number(policy.psi))
    } else if by_nulls {
        format!("nulls {} → {}", number(compared.nulls[0]), number(compared.nulls[1]))
    } else {
        String::new()
    };
    Judged { compared, p_value, drifted: by_values || by_nulls, reason }
}

#[cfg(test)]
mod tests {
    use super::super::columns::Shape;
    use super::*;
    use crate::config::Config;
    use crate::stats::numeric::Tested;

    fn column(name: &str, psi: f64, p_value: f64, nulls: [f64; 2]) -> Compared {
        Compared {
            column: name.into(),
            shape: Shape::Numeric,
            psi,
            tested: Tested { statistic: 0.1, p_value },
            nulls,
            nulls_tested: Tested {
                statistic: 0.0,
                p_value: if nulls[0] == nulls[1] { 1.0 } else { 1e-9 },
            },
            labels: Vec::new(),
            shares: [Vec::new(), Vec::new()],
        }
    }

    fn policy(more: &str) -> Drift {
        let text = format!("drift: {{baseline: a.b.c, current: a.b.d, share: 0.5{more}}}");
        Config::parse("t", &text).unwrap().drift.unwrap()
    }

    fn verdict(more: &str, columns: Vec<Compared>) -> Verdict {
        decide(&policy(more), [1000, 1000], columns).verdict
    }

    #[test]
    fn significance_without_size_is_no_drift_and_neither_is_size_without_significance() {
        let flat = [0.0, 0.0];
        assert_eq!(verdict("", vec![column("a", 0.01, 1e-12, flat)]), Verdict::Pass);
        assert_eq!(verdict("", vec![column("a", 0.9, 0.2, flat)]), Verdict::Pass);
        assert_eq!(verdict("", vec![column("a", 0.9, 1e-12, flat)]), Verdict::Fail);
    }

    #[test]
    fn one_column_of_many_is_no_drift_of_the_table_unless_it_is_critical() {
        let columns = || {
            let mut columns: Vec<_> =
                (0..9).map(|n| column(&n.to_string(), 0.0, 0.5, [0.0, 0.0])).collect();
            columns.push(column("temp", 0.9, 1e-12, [0.0, 0.0]));
            columns
        };
        assert_eq!(verdict("", columns()), Verdict::Pass);
        assert_eq!(verdict(", critical: [temp]", columns()), Verdict::Fail);
    }

    #[test]
    fn a_change_of_nulls_is_drift() {
        assert_eq!(verdict("", vec![column("a", 0.0, 1.0, [0.0, 0.3])]), Verdict::Fail);
        assert_eq!(verdict("", vec![column("a", 0.0, 1.0, [0.0, 0.01])]), Verdict::Pass);
    }

    #[test]
    fn too_little_data_is_no_answer() {
        let decision = decide(&policy(""), [1000, 10], vec![column("a", 0.9, 1e-12, [0.0, 0.0])]);
        assert_eq!(decision.verdict, Verdict::Inconclusive);
        assert_eq!(verdict("", Vec::new()), Verdict::Inconclusive);
    }
}
