//! A forest plot: estimates with their intervals, one per line, and what each
//! is held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::chart::{escape, opened, shortened};
use super::{Verdict, number};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forest {
    pub title: String,
    pub intervals: Vec<Interval>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interval {
    pub label: String,
    /// Intervals of one unit share a scale.
    pub unit: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    pub verdict: Verdict,
}

const WIDTH: f64 = 640.0;
const LINE: f64 = 26.0;
/// Where labels end, and where numbers begin.
const FROM: f64 = 236.0;
const TO: f64 = 460.0;
/// More lines than this are left to the tables.
const MOST: usize = 40;

impl Forest {
    /// The plot as one `<svg>` element that scales with the page.
    pub fn svg(&self) -> String {
        let shown = &self.intervals[..self.intervals.len().min(MOST)];
        let height = LINE * shown.len() as f64 + 8.0;
        let mut out = opened("", [WIDTH, height], &self.title);
        let scales = scales(shown);
        for (at, interval) in shown.iter().enumerate() {
            let scale = &scales[interval.unit.as_str()];
            line(&mut out, interval, scale, LINE * (at as f64 + 0.5) + 4.0);
        }
        out.push_str("</svg>");
        out
    }
}

/// From what to what each unit is drawn.
fn scales(intervals: &[Interval]) -> BTreeMap<&str, [f64; 2]> {
    let mut scales: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for interval in intervals {
        let ends = [Some(interval.low), Some(interval.high), Some(interval.value), interval.limit];
        let ends = ends.into_iter().flatten().filter(|end| end.is_finite());
        for end in ends {
            let scale = scales.entry(&interval.unit).or_insert([end, end]);
            *scale = [scale[0].min(end), scale[1].max(end)];
        }
        scales.entry(&interval.unit).or_insert([0.0, 1.0]);
    }
    scales
}

fn line(out: &mut String, interval: &Interval, [from, to]: &[f64; 2], y: f64) {
    let width = if to > from { to - from } else { 1.0 };
    let place = |value: f64| FROM + 10.0 + (value - from) / width * (TO - FROM - 20.0);
    let told = format!(
        "{}: {} [{}, {}]",
        interval.label,
        number(interval.value),
        number(interval.low),
        number(interval.high)
    );
    let limit = interval.limit.map(|limit| format!(", held against {}", number(limit)));
    _ = write!(
        out,
        "<g><title>{}</title><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <line class=\"grid\" x1=\"{FROM}\" x2=\"{TO}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
        escape(&format!("{told}{}", limit.unwrap_or_default())),
        FROM - 8.0,
        y + 4.0,
        escape(&shortened(&interval.label, 40))
    );
    if (from..=to).contains(&&0.0) {
        let x = place(0.0);
        _ = write!(
            out,
            "<line class=\"zero\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            y - LINE / 2.0,
            y + LINE / 2.0
        );
    }
    if let Some(limit) = interval.limit {
        let x = place(limit);
        _ = write!(
            out,
            "<line class=\"limit\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            y - LINE / 2.0 + 3.0,
            y + LINE / 2.0 - 3.0
        );
    }
    let class = interval.verdict.as_str();
    _ = write!(
        out,
        "<line class=\"range {class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <circle class=\"mark {class}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{} [{}, {}] {}</text></g>",
        place(interval.low),
        place(interval.high),
        place(interval.value),
        TO + 8.0,
        y + 4.0,
        number(interval.value),
        number(interval.low),
        number(interval.high),
        interval.verdict.mark()
    );
}
