//! Wall-clock time for records; deadlines use `std::time::Instant`.

use std::time::Duration;

use jiff::Timestamp;

/// The current time, to the millisecond.
pub fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond())
        .unwrap_or_else(|_| Timestamp::now())
}

/// Milliseconds since 1970, as every Databricks API counts time.
pub fn now_ms() -> i64 {
    now().as_millisecond()
}

/// `850 ms`, `12.3 s`, `4 min 10 s`, `3 h 05 min`, `2 d 04 h`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", duration.as_millis())
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        let (minutes, hours) = (whole / 60, whole / 3600);
        match hours {
            0 => format!("{minutes} min {:02} s", whole % 60),
            1..48 => format!("{hours} h {:02} min", minutes % 60),
            _ => format!("{} d {:02} h", hours / 24, hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(human(Duration::from_millis(850)), "850 ms");
        assert_eq!(human(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(human(Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(human(Duration::from_secs(11_100)), "3 h 05 min");
        assert_eq!(human(Duration::from_secs(52 * 3600)), "2 d 04 h");
    }
}
