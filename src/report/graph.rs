//! What follows from what: boxes in columns, and arrows from left to right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::chart::{escape, opened, shortened};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Graph {
    pub title: String,
    /// From a cause to what it touches.
    pub arrows: Vec<[String; 2]>,
}

const WIDTH: f64 = 900.0;
const LINE: f64 = 34.0;
const BOX: f64 = 24.0;
/// Between two columns, for the arrows.
const GAP: f64 = 56.0;
/// The width of a character, roughly.
const CHARACTER: f64 = 5.8;
/// More boxes than this are left to the table.
const MOST: usize = 60;

/// Where a box stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    column: usize,
    row: usize,
}

impl Graph {
    /// The graph as one `<svg>` element that scales with the page; nothing when it
    /// has no arrow, or too many boxes.
    pub fn svg(&self) -> Option<String> {
        let names: BTreeSet<&str> = self.arrows.iter().flatten().map(String::as_str).collect();
        if names.is_empty() || names.len() > MOST {
            return None;
        }
        let places = self.places(&names);
        let columns = places.values().map(|place| place.column + 1).max().unwrap_or(1);
        let rows = places.values().map(|place| place.row + 1).max().unwrap_or(1);
        let width = (WIDTH - GAP * (columns - 1) as f64) / columns as f64;
        let left = |place: &Place| (width + GAP) * place.column as f64;
        let middle = |place: &Place| LINE * (place.row as f64 + 0.5);
        let mut out = opened("", [WIDTH, LINE * rows as f64 + 4.0], &self.title);
        for [from, to] in &self.arrows {
            let (from, to) = (&places[from.as_str()], &places[to.as_str()]);
            let (x1, y1, x2, y2) = (left(from) + width, middle(from), left(to), middle(to));
            let bend = f64::midpoint(x1, x2);
            _ = write!(
                out,
                "<path class=\"arrow\" d=\"M{x1:.1} {y1:.1}C{bend:.1} {y1:.1} {bend:.1} {y2:.1} {:.1} {y2:.1}\"/>\
                 <path class=\"head\" d=\"M{x2:.1} {y2:.1}l-7 -4v8z\"/>",
                x2 - 6.0
            );
        }
        let room = ((width - 12.0) / CHARACTER) as usize;
        for (name, place) in &places {
            let (x, y) = (left(place), middle(place) - BOX / 2.0);
            _ = write!(
                out,
                "<g><title>{}</title><rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BOX}\" rx=\"4\"/>\
                 <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
                escape(name),
                x + 6.0,
                middle(place) + 4.0,
                escape(&shortened(name, room))
            );
        }
        out.push_str("</svg>");
        Some(out)
    }

    /// A box stands one column behind the last of its causes, about as high as they do.
    fn places<'n>(&self, names: &BTreeSet<&'n str>) -> BTreeMap<&'n str, Place> {
        let mut columns: BTreeMap<&str, usize> = names.iter().map(|name| (*name, 0)).collect();
        // As many rounds as a path can be long; a circle ends there, too.
        for _ in 0..names.len() {
            let mut moved = false;
            for [from, to] in self.arrows.iter().filter(|[from, to]| from != to) {
                let behind = (columns[from.as_str()] + 1).min(names.len() - 1);
                if let Some(column) =
                    columns.get_mut(to.as_str()).filter(|column| **column < behind)
                {
                    *column = behind;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        let mut places = BTreeMap::<&'n str, Place>::new();
        let used: BTreeSet<usize> = columns.values().copied().collect();
        for (column, level) in used.into_iter().enumerate() {
            let mut here: Vec<(f64, &'n str)> = names
                .iter()
                .filter(|name| columns[*name] == level)
                .map(|name| (self.height_of_causes(name, &places), *name))
                .collect();
            here.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
            for (row, (_, name)) in here.into_iter().enumerate() {
                places.insert(name, Place { column, row });
            }
        }
        places
    }

    fn height_of_causes(&self, name: &str, places: &BTreeMap<&str, Place>) -> f64 {
        let causes = self.arrows.iter().filter(|[_, to]| to == name);
        let rows: Vec<f64> =
            causes.filter_map(|[from, _]| Some(places.get(from.as_str())?.row as f64)).collect();
        if rows.is_empty() { 0.0 } else { rows.iter().sum::<f64>() / rows.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[[&str; 2]]) -> Graph {
        let arrows = arrows.iter().map(|arrow| arrow.map(str::to_owned)).collect();
        Graph { title: "t".into(), arrows }
    }

    #[test]
    fn causes_stand_before_what_they_touch() {
        let graph =
            graph(&[["a.py", "train"], ["train", "score"], ["a.py", "score"], ["b.py", "score"]]);
        let names = graph.arrows.iter().flatten().map(String::as_str).collect();
        let places = graph.places(&names);
        let of = |name: &str| (places[name].column, places[name].row);
        assert_eq!(
            [of("a.py"), of("b.py"), of("train"), of("score")],
            [(0, 0), (0, 1), (1, 0), (2, 0)]
        );
    }

    #[test]
    fn circles_end_and_hostile_names_stay_text() {
        let svg =
            graph(&[["a", "b"], ["b", "a"], ["c", "c"], ["<b onload=x>", "a"]]).svg().unwrap();
        assert!(svg.contains("&lt;b onload=x&gt;") && !svg.contains("<b "), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_and_too_much_are_not_drawn() {
        assert_eq!(graph(&[]).svg(), None);
        let many: Vec<[String; 2]> = (0..MOST).map(|at| [format!("f{at}"), "job".into()]).collect();
        assert_eq!(Graph { title: "t".into(), arrows: many }.svg(), None);
    }
}
