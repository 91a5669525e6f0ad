//! One self-contained page: inline CSS and SVG, no script, light and dark.

use anyhow::{Context as _, Result};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use super::Report;

const PAGE: &str = include_str!("../../templates/report/page.html");

/// Charts that are not folded away.
const SHOWN: usize = 8;

pub(super) fn render(report: &Report) -> Result<String> {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_template("page", PAGE).context("read the report template")?;
    let charts: Vec<_> = report
        .charts
        .iter()
        .map(|chart| context! { title => chart.title.clone(), series => Value::from(Serde(&chart.series)), svg => Value::from_safe_string(chart.svg()) })
        .collect();
    let drawn =
        |title: &str, svg: String| context! { title => title, svg => Value::from_safe_string(svg) };
    let forests: Vec<_> =
        report.forests.iter().map(|forest| drawn(&forest.title, forest.svg())).collect();
    let graph = report.graph.iter().filter_map(|graph| Some(drawn(&graph.title, graph.svg()?)));
    let graph: Vec<_> = graph.collect();
    let curves: Vec<_> =
        report.curves.iter().map(|curves| drawn(&curves.title, curves.svg())).collect();
    let lines: Vec<String> = report
        .curves
        .first()
        .into_iter()
        .flat_map(|curves| &curves.lines)
        .map(|line| line.name.clone())
        .collect();
    let page = context! {
        report => Value::from(Serde(report)),
        mark => report.verdict.mark(),
        charts => charts,
        forests => forests,
        graph => graph,
        curves => curves,
        lines => lines,
        shown => SHOWN,
    };
    env.get_template("page").and_then(|template| template.render(page)).context("render the report")
}
