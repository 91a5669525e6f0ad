//! The tests of Databricks data profiling. Its algorithms and thresholds are not
//! published: these are its fields, computed exactly, with the usual alert.

use super::{Foreign, join, split, texts};
use crate::stats::categorical;
use crate::stats::column::Column;
use crate::stats::numeric::Tested;

/// `ks_test` of numbers, or `chi_squared_test` of categories. Nothing for columns
/// without values on a side, and for those that it does not test.
pub(in crate::drift_check) fn verdict(ks: Tested, sides: [&Column; 2]) -> Option<Foreign> {
    match sides {
        [Column::Numbers(a), Column::Numbers(b)] => {
            let values = a.facts().values > 0 && b.facts().values > 0;
            values.then(|| Foreign::significance("ks_test.pvalue", ks.p_value))
        }
        [Column::Categories(a), Column::Categories(b)] => {
            if a.counts.is_empty() || b.counts.is_empty() {
                return None;
            }
            let [a, b] = split(&join(&texts(a), &texts(b)));
            let tested = categorical::chi_squared(&a, &b);
            Some(Foreign::significance("chi_squared_test.pvalue", tested.p_value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::column::Measure;

    fn categories(counts: &[(&str, u64)]) -> Column {
        let mut column = Column::new(Measure::Categories);
        let Column::Categories(categories) = &mut column else { unreachable!() };
        counts.iter().for_each(|(name, count)| categories.push(name.as_bytes(), *count));
        column
    }

    #[test]
    fn categories_are_tested_for_independence() {
        let none = Tested { statistic: 0.0, p_value: 1.0 };
        let before = categories(&[("a", 60), ("b", 40)]);
        let found = verdict(none, [&before, &categories(&[("a", 45), ("b", 55)])]).unwrap();
        // scipy.stats.chi2_contingency([[60, 40], [45, 55]], correction=False).
        assert!((found.score - 0.033_672_068_856_345_896).abs() < 1e-12, "{found:?}");
        assert!(found.drifted);
        let found = verdict(none, [&before, &categories(&[("a", 58), ("b", 42)])]).unwrap();
        assert!(!found.drifted);
        assert_eq!(verdict(none, [&before, &categories(&[])]), None);
    }
}
