//! What an endpoint tells of the requests of others, in Prometheus' text format: numbers of
//! its last minute, for each version that it serves.

use std::collections::BTreeMap;

/// What was told of requests: how many there were, and how many ended with an error.
pub(super) type Counts = [u64; 2];

/// Requests minute by minute.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    served: String,
    /// What happened before, in milliseconds since 1970, is not counted.
    since: i64,
    /// The most that was told of each minute, by the labels and the time of it: all
    /// requests, faults of the caller, faults of the server.
    minutes: BTreeMap<(Vec<String>, i64), [f64; 3]>,
}

const MINUTE: i64 = 60_000;
const KINDS: [&str; 3] =
    ["request_count_total", "request_4xx_count_total", "request_5xx_count_total"];

impl Live {
    /// A minute that begins before `since` is not counted, as it may hold our own requests.
    pub(super) fn of(served: &str, since: i64) -> Self {
        Self { served: served.to_owned(), since, minutes: BTreeMap::new() }
    }

    /// Counts what is told at `now`. A minute that is told twice counts once.
    pub(super) fn add(&mut self, text: &str, now: i64) {
        for line in text.lines() {
            let Some((name, labels, value, at)) = sample(line) else { continue };
            let Some(which) = KINDS.iter().position(|known| *known == name) else { continue };
            // Without a time of its own, it is of the minute that is over now.
            let end = at.unwrap_or(now / MINUTE * MINUTE);
            if end - MINUTE < self.since || !value.is_finite() {
                continue;
            }
            let minute = self.minutes.entry((labels, end)).or_default();
            minute[which] = minute[which].max(value);
        }
    }

    /// Those of the version, and those of what is served beside it in the same time; nothing
    /// where nothing was told of the version.
    pub(super) fn counts(&self) -> Option<[Counts; 2]> {
        let is_own = |labels: &[String]| labels.contains(&self.served);
        if !self.minutes.keys().any(|(labels, _)| is_own(labels)) {
            return None;
        }
        Some([true, false].map(|own| {
            let all = self.minutes.iter().filter(|((labels, _), _)| is_own(labels) == own);
            let [all, callers, servers] = all.fold([0.0; 3], |sums: [f64; 3], (_, minute)| {
                [0, 1, 2].map(|which| sums[which] + minute[which])
            });
            // Errors without requests are errors all the same.
            let failed = (callers + servers) as u64;
            [(all as u64).max(failed), failed]
        }))
    }
}

/// The name of a sample, the values of its labels, its value, and its time if it has one.
fn sample(line: &str) -> Option<(&str, Vec<String>, f64, Option<i64>)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|char: char| char == '{' || char.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next()?.parse().ok()?;
    // Milliseconds in Prometheus' format, seconds with a fraction in OpenMetrics.
    let time = words.next().and_then(|word| word.parse::<f64>().ok());
    let time = time.map(|time| if time < 1e11 { time * 1000.0 } else { time } as i64);
    Some((name, labels, value, time))
}

/// The values of labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(Vec<String>, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (_, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, char) => value.push(char),
            }
        };
        found.push(value);
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_minute_of_the_version_counts_once() {
        let mut live = Live::of("m-2", 1_700_000_000_000);
        let told = |minute: i64, all: u32, bad: u32| {
            let at = 1_700_000_000_000 + minute * MINUTE;
            format!(
                "# TYPE request_count_total gauge\nrequest_count_total{{endpoint_name=\"e\",served_model_name=\"m-1\"}} 900 {at}\nrequest_4xx_count_total{{endpoint_name=\"e\",served_model_name=\"m-1\"}} 7 {at}\nrequest_count_total{{endpoint_name=\"e\",served_model_name=\"m-2\"}} {all} {at}\nrequest_4xx_count_total{{endpoint_name=\"e\",served_model_name=\"m-2\"}} 2 {at}\nrequest_5xx_count_total{{endpoint_name=\"e\",served_model_name=\"m-2\"}} {bad} {at}\ncpu_usage_percentage{{served_model_name=\"m-2\"}} 3\n"
            )
        };
        assert_eq!(live.counts(), None);
        // The minute in which our own requests may still lie.
        live.add(&told(0, 200, 200), 0);
        assert_eq!(live.counts(), None);
        live.add(&told(1, 30, 1), 0);
        live.add(&told(1, 31, 1), 0);
        live.add(&told(2, 10, 0), 0);
        assert_eq!(live.counts(), Some([[41, 5], [1800, 14]]));
        let mut alone = Live::of("m-2", 0);
        alone.add("request_5xx_count_total{served_model_name=\"m-2\"} 500", 10 * MINUTE);
        assert_eq!(alone.counts(), Some([[500, 500], [0, 0]]));
    }

    #[test]
    fn both_formats_are_read_and_what_is_no_sample_is_left_out() {
        let read = |line: &str| {
            sample(line).map(|(name, labels, value, at)| (name.to_owned(), labels, value, at))
        };
        assert_eq!(
            read("a{x=\"1\\\"}\\\\\",y=\"z\"} 2.5e1 1700000000.5").unwrap(),
            ("a".into(), vec!["1\"}\\".into(), "z".into()], 25.0, Some(1_700_000_000_500))
        );
        assert_eq!(read("a 1").unwrap().2, 1.0);
        for line in ["", "# HELP a b", "a", "a{x=\"1} 2", "a{x} 1", "a{} b"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "([a-z_]{1,8}[{]?[a-z\"=,\\\\}]{0,12} ?[0-9.e+-]{0,6}\n){0,5}") {
            let mut live = Live::of("a", 0);
            live.add(&text, 10 * MINUTE);
            let _counts = live.counts();
        }
    }
}
