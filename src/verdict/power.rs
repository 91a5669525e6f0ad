//! What it would take to tell, where the data did not suffice.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// How much would tell, if the value stays as far `beyond` its limit as it is: the interval
/// narrows with the root of what there is.
pub(super) fn more(what: &str, there: u64, beyond: f64, half_width: f64) -> String {
    let there = there as f64;
    let needed = there * (half_width / beyond).powi(2);
    if !needed.is_finite() || needed > 1e12 {
        return format!(", no number of {what} is in sight that would tell");
    }
    // Never fewer than there are: an interval need not lie around its value.
    let needed = needed.max(there + 1.0);
    let size = 10f64.powf(needed.log10().floor() - 1.0).max(1.0);
    format!(", some {} {what} would tell", (needed / size).ceil() * size)
}

/// How likely a pass is when both models are as good as each other.
pub(super) fn of_equals(margin: f64, error: Option<f64>, level: f64) -> String {
    let normal = Normal::standard();
    match error.filter(|error| *error > 0.0) {
        Some(error) => {
            let power = normal.cdf(margin / error + normal.inverse_cdf(level));
            format!(
                "; an equal model passes on so many rows in {} % of cases",
                (power * 100.0).round()
            )
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_near_needs_four_times_as_many() {
        assert_eq!(more("rows", 1000, 0.5, 1.0), ", some 4000 rows would tell");
        assert_eq!(more("units", 1000, -0.25, 1.0), ", some 16000 units would tell");
        assert_eq!(more("rows", 1000, 2.0, 1.0), ", some 1100 rows would tell");
        let never = ", no number of rows is in sight that would tell";
        assert_eq!(more("rows", 1000, 0.0, 1.0), never);
        assert_eq!(more("rows", 1000, f64::NAN, 1.0), never);
    }

    #[test]
    fn an_equal_model_passes_half_the_time_when_the_margin_is_the_bound() {
        let bound = -Normal::standard().inverse_cdf(0.05);
        assert!(of_equals(bound, Some(1.0), 0.05).contains("in 50 %"));
        assert_eq!(of_equals(0.1, None, 0.05), "");
    }
}
