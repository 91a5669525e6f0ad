//! Charts as inline SVG: no script, colours from the page's CSS classes.

use std::fmt::Write as _;

use serde::Serialize;

use super::number;

/// A bar chart of shares or scores, one or two bars per label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    pub title: String,
    pub labels: Vec<String>,
    pub series: Vec<Series>,
    /// A line across the bars, such as a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    pub name: String,
    pub values: Vec<f64>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
const BASELINE: f64 = 150.0;
const LEFT: f64 = 46.0;
/// The width of a character of a label, roughly.
const CHARACTER: f64 = 6.4;

impl Chart {
    /// The chart as one `<svg>` element that scales with the page.
    pub fn svg(&self) -> String {
        let top = self.highest();
        let mut out = opened("", [WIDTH, HEIGHT], &self.title);
        for step in [0.0, 0.5, 1.0] {
            let y = BASELINE - step * (BASELINE - 10.0);
            _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                number(top * step)
            );
        }
        self.bars(&mut out, top);
        if let Some(limit) = self.limit {
            let y = BASELINE - (limit / top) * (BASELINE - 10.0);
            _ = write!(
                out,
                "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
        out.push_str("</svg>");
        out
    }

    fn bars(&self, out: &mut String, top: f64) {
        let slots = self.labels.len().max(1) as f64;
        let slot = (WIDTH - LEFT) / slots;
        let bar = (slot * 0.8 / self.series.len().max(1) as f64).min(48.0);
        for (index, label) in self.labels.iter().enumerate() {
            let start =
                LEFT + slot * index as f64 + slot / 2.0 - bar * self.series.len() as f64 / 2.0;
            for (place, series) in self.series.iter().enumerate() {
                let value = series
                    .values
                    .get(index)
                    .copied()
                    .filter(|value| value.is_finite())
                    .unwrap_or(0.0);
                let height = (value.max(0.0) / top) * (BASELINE - 10.0);
                _ = write!(
                    out,
                    "<rect class=\"s{place}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{} {}: {}</title></rect>",
                    start + bar * place as f64,
                    BASELINE - height,
                    (bar - 1.0).max(1.0),
                    escape(&series.name),
                    escape(label),
                    number(value)
                );
            }
            // Labels that would overlap are left to the table and the tooltips.
            if slot >= 30.0 || index % (30.0 / slot).ceil() as usize == 0 {
                let short = shortened(label, (slot.max(30.0) / CHARACTER) as usize);
                _ = write!(
                    out,
                    "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    LEFT + slot * (index as f64 + 0.5),
                    BASELINE + 16.0,
                    escape(&short)
                );
            }
        }
    }

    fn highest(&self) -> f64 {
        let values = self.series.iter().flat_map(|series| &series.values).chain(&self.limit);
        let top = values.copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        if top > 0.0 { top * 1.05 } else { 1.0 }
    }
}

/// The label, or its end when that is what tells it from its neighbours' labels.
pub(super) fn shortened(label: &str, room: usize) -> String {
    let length = label.chars().count();
    if length <= room {
        return label.to_owned();
    }
    let kept = room.saturating_sub(1);
    format!("…{}", label.chars().skip(length - kept).collect::<String>())
}

/// The start of an `<svg>` element; `class` is an attribute with a space behind.
pub(super) fn opened(class: &str, [width, height]: [f64; 2], title: &str) -> String {
    let title = escape(title);
    format!(
        "<svg {class}viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
