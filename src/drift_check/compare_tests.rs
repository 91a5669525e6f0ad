//! What is seen in two sides of a column.

use super::super::categories::SHOWN;
use super::*;
use crate::config::{Binning, Zeros};
use crate::stats::{self, column::Measure};
use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int32Array, StringArray};
use arrow::datatypes::Field;
use std::sync::Arc;

fn compared(base: &ArrayRef, current: &ArrayRef) -> Compared {
    under_policy(&policy(), base, current)
}

fn policy() -> Drift {
    Drift::between("a.csv".parse().unwrap(), "b.csv".parse().unwrap())
}

fn under_policy(policy: &Drift, base: &ArrayRef, current: &ArrayRef) -> Compared {
    let measure = stats::arrow::measure(base.data_type()).unwrap();
    let column = |array: &ArrayRef| {
        let mut column = Column::new(measure);
        stats::arrow::push(&mut column, array).unwrap();
        column
    };
    compare(policy, "c", [&column(base), &column(current)]).unwrap()
}

fn psi(result: &Compared) -> Effect {
    result.effect(Statistic::Psi).unwrap()
}

/// Of thousands of decimals beyond 10^37, floats know one.
#[test]
fn decimals_that_lost_digits_are_not_told_to_be_alike() {
    let base = 10i128.pow(37);
    let effects = |from: i128, digits: i8| {
        let values = (0..2000).map(|row| from + row);
        let array = Decimal128Array::from_iter_values(values);
        let array: ArrayRef = Arc::new(array.with_precision_and_scale(38, digits).unwrap());
        let field = Field::new("d", array.data_type().clone(), true);
        let measure = stats::arrow::measure(array.data_type()).unwrap();
        let mut column = Column::new(measure);
        stats::arrow::push(&mut column, &array).unwrap();
        let common = Common { fields: [field.clone(), field], measure, sql: None };
        under(&policy(), &common, [&column, &column]).unwrap().effects
    };
    assert!(effects(base, 0).iter().all(|effect| effect.corrected.is_nan()));
    assert!(effects(base, 36).iter().all(|effect| effect.corrected == 0.0));
}

#[test]
fn the_same_data_does_not_drift() {
    let data: ArrayRef = Arc::new(Int32Array::from_iter_values(0..1000));
    let same = compared(&data, &data);
    assert_eq!((psi(&same).corrected, same.tested.p_value), (0.0, 1.0));
    assert!(same.effects.iter().all(|effect| effect.value.abs() < 1e-12));
    assert_eq!(same.effects.len(), 9);
}

#[test]
fn many_categories_alone_are_no_drift() {
    // Two samples of 2000 rows from the same 400 categories.
    let draw = |side: &str| -> ArrayRef {
        let values = (0..2000).map(|row| {
            let seed = crate::names::Sha256::of(format!("{side}{row}")).seed();
            format!("c{}", seed % 400)
        });
        Arc::new(StringArray::from_iter_values(values))
    };
    let result = compared(&draw("base"), &draw("current"));
    assert!(psi(&result).value > 0.3, "chance alone makes it large");
    assert!(result.effects.iter().all(|effect| effect.corrected < 0.06), "{:?}", result.effects);
    assert!(result.tested.p_value > 0.01);
    assert_eq!(result.labels.len(), SHOWN);
}

#[test]
fn nulls_and_what_is_not_finite_are_drift_of_their_own() {
    let base: ArrayRef =
        Arc::new(Float64Array::from_iter((0..400).map(|row| Some(f64::from(row)))));
    let holes = (0..400)
        .map(|row| (row % 4 != 0).then(|| if row % 4 == 1 { f64::NAN } else { f64::from(row) }));
    let current: ArrayRef = Arc::new(Float64Array::from_iter(holes));
    let result = compared(&base, &current);
    assert_eq!(result.profiles.each_ref().map(Profile::missing_share), [0.0, 0.5]);
    assert!(result.nulls_tested.p_value < 1e-10);
    assert!(psi(&result).corrected < 0.01);
}

/// As much is missing as before, and it is something else.
#[test]
fn nulls_that_became_infinities_are_a_change() {
    let column = |hole: Option<f64>| -> ArrayRef {
        let values = (0..400).map(|row| if row % 2 == 0 { hole } else { Some(f64::from(row)) });
        Arc::new(Float64Array::from_iter(values))
    };
    let result = compared(&column(None), &column(Some(f64::NEG_INFINITY)));
    assert_eq!(result.profiles.each_ref().map(Profile::missing_share), [0.5, 0.5]);
    let (what, counts) = result.holes();
    assert!(counts == [200, 0] && what == "nulls" || counts == [0, 200], "{what} {counts:?}");
    assert!(result.nulls_tested.p_value < 1e-10);
    let same = compared(&column(None), &column(None));
    assert_eq!((same.holes().0, same.nulls_tested.p_value), ("nulls", 1.0));
}

#[test]
fn a_column_without_values_is_told_by_its_nulls() {
    let base: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let current: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
    let result = compared(&base, &current);
    assert!(result.effects.is_empty());
    assert_eq!(result.profiles[1].missing_share(), 1.0);
}

#[test]
fn what_lies_outside_of_the_other_side_is_as_far_as_it_can_be() {
    let base: ArrayRef = Arc::new(Int32Array::from_iter_values(0..1000));
    let current: ArrayRef = Arc::new(Int32Array::from_iter_values(5000..6000));
    let result = compared(&base, &current);
    let of = |statistic| result.effect(statistic).unwrap().value;
    assert_eq!(of(Statistic::KolmogorovSmirnov), 1.0);
    assert!((of(Statistic::TotalVariation) - 0.9).abs() < 1e-9);
    assert!(of(Statistic::Wasserstein) > 17.0);
}

#[test]
fn new_and_vanished_categories_are_named_the_frequent_first() {
    let of = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let result = compared(&of(&["a", "b", "c", "c"]), &of(&["a", "x", "y", "y"]));
    assert_eq!(
        (result.new, result.vanished),
        (vec!["y".into(), "x".into()], vec!["c".into(), "b".into()])
    );
    assert_eq!(result.test, "chi²");
    assert_eq!(Measure::Categories.common(Measure::Categories), Some(Measure::Categories));
}

#[test]
fn what_lies_below_a_value_that_fills_a_bin_does_not_hide_beside_it() {
    let of = |values: &[i32]| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(values.iter().copied().cycle().take(3000)))
    };
    let js = |base: &[i32], current: &[i32]| {
        compared(&of(base), &of(current)).effect(Statistic::JensenShannon).unwrap().corrected
    };
    assert!(js(&[7], &[7, 5]) > 0.4);
    assert!(js(&[7], &[7, 9]) > 0.4);
    assert!(js(&[0, 0, 0, 1, 2], &[0, -1, 0, 1, 2]) > 0.2);
    assert!(js(&[-3, -2, 0, 0, 0, 1], &[-3, -2, -1, 0, 0, 1]) > 0.2);
    let result = compared(&of(&[-3, -2, 0, 0, 0, 1]), &of(&[0]));
    assert_eq!(result.labels, ["<-3", "=-3", "<-2", "=-2", "<0", "=0", "≤1", ">1"]);
}

#[test]
fn the_axis_is_cut_as_the_policy_says() {
    let base: ArrayRef = Arc::new(Float64Array::from_iter_values((0..1000).map(f64::from)));
    let current: ArrayRef = Arc::new(Float64Array::from_iter_values((500..1500).map(f64::from)));
    let shares = |policy: &Drift| under_policy(policy, &base, &current).shares;
    let near = |found: &[f64], wanted: &[f64]| {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2e-3), "{found:?}");
    };
    let wide = Drift { binning: Binning::Width, bins: 4, ..policy() };
    let [before, now] = shares(&wide);
    near(&before, &[0.25; 4]);
    near(&now, &[0.0, 0.0, 0.25, 0.75]);
    let edges = [("c".to_owned(), vec![99.0, 999.0])].into();
    let given = Drift { edges, ..policy() };
    let [before, now] = shares(&given);
    near(&before, &[0.1, 0.9, 0.0]);
    near(&now, &[0.0, 0.5, 0.5]);
    // 0.1 ln(0.1 / 0.0001) + 0.5 ln(0.5 / 0.9) twice, as the index has it.
    let psi = psi(&under_policy(&given, &base, &current)).value;
    let parts = [(0.1, 1e-4), (0.9, 0.5), (1e-4, 0.5)];
    let wanted: f64 = parts.iter().map(|(p, q): &(f64, f64)| (q - p) * (q / p).ln()).sum();
    assert!((psi - wanted).abs() < 1e-12, "{psi} {wanted}");
    let added = Drift { zeros: Zeros { fill: None, add: Some(0.5) }, ..given };
    let share = |count: f64| (count + 0.5) / 1001.5;
    let parts = [(100.0, 0.0), (900.0, 500.0), (0.0, 500.0)].map(|(p, q)| (share(p), share(q)));
    let wanted: f64 = parts.iter().map(|(p, q): &(f64, f64)| (q - p) * (q / p).ln()).sum();
    let psi = self::psi(&under_policy(&added, &base, &current)).value;
    assert!((psi - wanted).abs() < 1e-12, "{psi} {wanted}");
    let constant: ArrayRef = Arc::new(Float64Array::from_iter_values([7.0; 600]));
    let found = under_policy(&wide, &constant, &current);
    assert_eq!(found.labels.len(), 3, "{:?}", found.labels);
}
