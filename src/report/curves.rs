//! Curves over the unit square, such as ROC and calibration.

use std::fmt::Write as _;

use serde::Serialize;

use super::chart::{escape, opened};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curves {
    pub title: String,
    /// Below and beside the square.
    pub axes: [String; 2],
    pub lines: Vec<Line>,
    /// Whether the diagonal means something.
    pub diagonal: bool,
}

/// Points `[x, y]` between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub name: String,
    pub points: Vec<[f64; 2]>,
}

const SIDE: f64 = 260.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 8.0;

impl Curves {
    /// The curves as one `<svg>` element that scales with the page.
    pub fn svg(&self) -> String {
        let size = [LEFT + SIDE + 12.0, TOP + SIDE + 40.0];
        let mut out = opened("class=\"square\" ", size, &self.title);
        for step in [0.0, 0.5, 1.0] {
            let (x, y) = at([step, step]);
            let [right, bottom] = [LEFT + SIDE, TOP + SIDE];
            _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{step}</text>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
                LEFT - 6.0,
                y + 4.0,
                bottom + 14.0
            );
        }
        if self.diagonal {
            let ((a, b), (c, d)) = (at([0.0, 0.0]), at([1.0, 1.0]));
            _ = write!(
                out,
                "<line class=\"zero\" x1=\"{a:.1}\" y1=\"{b:.1}\" x2=\"{c:.1}\" y2=\"{d:.1}\"/>"
            );
        }
        for (place, line) in self.lines.iter().enumerate() {
            let points: Vec<String> = line
                .points
                .iter()
                .filter(|point| point.iter().all(|value| value.is_finite()))
                .map(|point| {
                    let (x, y) = at(*point);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            _ = write!(
                out,
                "<polyline class=\"c{place}\" points=\"{}\"><title>{}</title></polyline>",
                points.join(" "),
                escape(&line.name)
            );
        }
        _ = write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"tick\" transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text></svg>",
            LEFT + SIDE / 2.0,
            TOP + SIDE + 30.0,
            escape(&self.axes[0]),
            TOP + SIDE / 2.0,
            escape(&self.axes[1])
        );
        out
    }
}

fn at([x, y]: [f64; 2]) -> (f64, f64) {
    (LEFT + x.clamp(0.0, 1.0) * SIDE, TOP + (1.0 - y.clamp(0.0, 1.0)) * SIDE)
}
