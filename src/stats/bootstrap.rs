//! The paired bootstrap: both models are judged on the same resampled rows,
//! so that what they share cancels out (Efron and Tibshirani 1993).

use pulp::Arch;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::metrics::{Measure, Model, Panel};
use super::resample::{Counts, Drawn, LANES, Units};

/// How an interval follows from the resamples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Corrected for bias and for how its width changes with the value (Efron
    /// 1987, "BCa").
    #[default]
    Bca,
    /// The quantiles of the resamples as they are.
    Percentile,
}

/// How resamples are drawn, and what is made of them.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub units: &'a Units,
    pub resamples: u32,
    pub method: Method,
    pub seed: u64,
}

/// Units are left out in at most so many groups to learn the acceleration.
const GROUPS: usize = 256;

/// What some resamples gave.
type Block<const M: usize> = Vec<[[f64; LANES]; M]>;

/// Candidate minus champion, of several measures over the same resamples. The
/// result does not depend on how many cores there are.
pub fn differences(
    candidate: &Model,
    champion: &Model,
    measures: &[Measure],
    plan: Plan<'_>,
) -> Vec<Estimate> {
    estimates([candidate, champion], measures, plan, |[a, b]| a - b)
}

/// The values of one model, of several measures over the same resamples.
pub fn values(model: &Model, measures: &[Measure], plan: Plan<'_>) -> Vec<Estimate> {
    estimates([model], measures, plan, |[value]| value)
}

fn estimates<const M: usize>(
    models: [&Model; M],
    measures: &[Measure],
    plan: Plan<'_>,
    finish: impl Fn([f64; M]) -> f64 + Sync,
) -> Vec<Estimate> {
    // By falling score, so that walking along it does not jump about in memory.
    let order = models[0].order();
    let units = &plan.units.reordered(&order);
    let models = models.map(|model| model.taken(&order));
    let panel = Panel::new(&models, measures);
    let machine = Arch::new();
    let judge = |counts: &[Counts]| -> Block<M> { panel.counted(machine, counts) };
    let lanes = LANES as u32;
    let drawn: Vec<Block<M>> = (0..plan.resamples.div_ceil(lanes))
        .into_par_iter()
        .map_init(Drawn::default, |room, block| judge(units.draw(plan.seed, block, room)))
        .collect();
    let groups = units.len().min(GROUPS) as u32;
    let left_out: Vec<Block<M>> = match plan.method {
        Method::Percentile => Vec::new(),
        Method::Bca => (0..groups.div_ceil(lanes))
            .into_par_iter()
            .map_init(Drawn::default, |room, block| {
                judge(units.leave_out(block * lanes, groups, room))
            })
            .collect(),
    };
    let whole = panel.counted(machine, &vec![[1]; order.len()]);
    let of_measure = |at: usize| {
        let take = |blocks: &[Block<M>], count: u32| -> Vec<f64> {
            let of_lane = |block: &Block<M>, lane: usize| finish(block[at].map(|of| of[lane]));
            let values = blocks.iter().flat_map(|block| (0..LANES).map(move |lane| (block, lane)));
            values.map(|(block, lane)| of_lane(block, lane)).take(count as usize).collect()
        };
        let value = finish(whole[at].map(|[value]| value));
        let resamples = take(&drawn, plan.resamples);
        match plan.method {
            Method::Percentile => Estimate::percentile(value, resamples),
            Method::Bca => Estimate::corrected(value, resamples, &take(&left_out, groups)),
        }
    };
    (0..measures.len()).into_par_iter().map(of_measure).collect()
}
