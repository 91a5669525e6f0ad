//! Several measures of some models over the same counts: what they share is
//! worked out once.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::confusion::{Confusion, goes_by_alarms};
use super::ranked::Walked;
use super::{Answers, Measure, Metric, Model, Predictions, Ready};

/// Measures of `M` models, prepared to be asked for many resamples.
#[derive(Debug)]
pub struct Panel<'a, const M: usize> {
    /// Of each measure and model, where its value comes from.
    parts: Vec<[Part<'a>; M]>,
    /// The losses of the rows, of metrics that are a mean of these; two side by side.
    losses: Vec<Vec<[f64; 2]>>,
    /// Of each model whose rows are walked along by their scores.
    walks: [Option<Walk<'a>>; M],
}

#[derive(Debug)]
enum Part<'a> {
    Alone(Ready<'a>),
    /// Of the losses at this place; its root where told.
    Mean(usize, bool),
    /// Of the model's walk.
    OfWalk(Metric),
}

#[derive(Debug, Clone, Copy)]
struct Walk<'a> {
    predictions: &'a Predictions,
    /// Rows with an alarm, which come first.
    alarms: usize,
}

impl Walk<'_> {
    fn tells<const N: usize>(&self, metric: Metric, walked: &Walked<N>) -> [f64; N] {
        if metric == Metric::RocAuc {
            return walked.area;
        }
        let [[hits, false_alarms], [positives, negatives]] = [walked.first, walked.all];
        let confusions = std::array::from_fn(|lane| {
            let of_alarms = [hits[lane], false_alarms[lane]];
            Confusion::of(of_alarms, [positives[lane], negatives[lane]])
        });
        self.predictions.metric_of(metric, &confusions)
    }
}

/// See `Counting` of [`Ready`].
struct Counting<'a, 'b, const M: usize, const N: usize> {
    panel: &'a Panel<'b, M>,
    counts: &'a [[u8; N]],
}

impl<const M: usize, const N: usize> NullaryFnOnce for Counting<'_, '_, M, N> {
    type Output = Vec<[[f64; N]; M]>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.panel.counted_here(self.counts)
    }
}

impl<'a, const M: usize> Panel<'a, M> {
    pub fn new(models: &'a [Model; M], measures: &[Measure]) -> Self {
        let walks = models.each_ref().map(|model| {
            let Answers::Scores(predictions) = &model.answers else { return None };
            let alarms = predictions.alarms_lead().filter(|_| predictions.counts_whole())?;
            // Alarms alone are counted faster in the order of the rows.
            let has_area = measures.contains(&Measure::Metric(Metric::RocAuc));
            has_area.then_some(Walk { predictions, alarms })
        });
        let part = |measure: &Measure, at: usize| match (walks[at], measure) {
            (Some(_), Measure::Metric(metric))
                if *metric == Metric::RocAuc || goes_by_alarms(*metric) =>
            {
                Part::OfWalk(*metric)
            }
            _ => Part::Alone(models[at].ready(measure)),
        };
        let mut parts: Vec<[Part<'_>; M]> = measures
            .par_iter()
            .map(|measure| std::array::from_fn(|at| part(measure, at)))
            .collect();
        let mut losses = Vec::new();
        for part in parts.as_flattened_mut() {
            if let Part::Alone(Ready::Mean { values, weights: None, root }) = part {
                losses.push(std::mem::take(values));
                *part = Part::Mean(losses.len() - 1, *root);
            }
        }
        let losses = losses.chunks(2).map(side_by_side).collect();
        Self { parts, losses, walks }
    }

    /// Every measure of every model, with row `i` counted `counts[i][lane]` times, for
    /// each lane. NaN where it is not defined. With the widest instructions that the
    /// machine has; they change no bit.
    pub fn counted<const N: usize>(&self, machine: Arch, counts: &[[u8; N]]) -> Vec<[[f64; N]; M]> {
        machine.dispatch(Counting { panel: self, counts })
    }

    #[inline(always)]
    fn counted_here<const N: usize>(&self, counts: &[[u8; N]]) -> Vec<[[f64; N]; M]> {
        let mut means = Vec::with_capacity(2 * self.losses.len());
        for losses in &self.losses {
            means.extend(means_of(losses, counts));
        }
        let mut walked = [const { None }; M];
        for (walk, walked) in self.walks.iter().zip(&mut walked) {
            if let Some(Walk { predictions, alarms }) = walk {
                *walked = Some(predictions.walked(*alarms, counts));
            }
        }
        let mut all = vec![[[f64::NAN; N]; M]; self.parts.len()];
        for (of_measure, parts) in all.iter_mut().zip(&self.parts) {
            for at in 0..M {
                of_measure[at] = match &parts[at] {
                    Part::Alone(ready) => ready.counted(counts),
                    Part::Mean(place, false) => means[*place],
                    Part::Mean(place, true) => means[*place].map(f64::sqrt),
                    Part::OfWalk(metric) => match (&self.walks[at], &walked[at]) {
                        (Some(walk), Some(walked)) => walk.tells(*metric, walked),
                        _ => [f64::NAN; N],
                    },
                };
            }
        }
        all
    }
}

/// One or two values of each row.
fn side_by_side(values: &[Vec<f64>]) -> Vec<[f64; 2]> {
    let second = values.last().into_iter().flatten();
    let first = values.first().into_iter().flatten();
    first.zip(second).map(|(first, second)| [*first, *second]).collect()
}

/// The means of two values of the rows, whose counts are read once.
#[inline(always)]
fn means_of<const N: usize>(values: &[[f64; 2]], counts: &[[u8; N]]) -> [[f64; N]; 2] {
    /// So many counts stay in the nearest cache, and their sums fit into 16 bits.
    const NEAR: usize = 128;
    let (mut firsts, mut seconds, mut totals) = ([0.0; N], [0.0; N], [0_u32; N]);
    for (values, counts) in values.chunks(NEAR).zip(counts.chunks(NEAR)) {
        // In a loop with the others, these sums would be taken lane by lane.
        let mut total = [0_u16; N];
        for counts in counts {
            for lane in 0..N {
                total[lane] += u16::from(counts[lane]);
            }
        }
        for lane in 0..N {
            totals[lane] += u32::from(total[lane]);
        }
        for ([first, second], counts) in values.iter().zip(counts) {
            for lane in 0..N {
                firsts[lane] += f64::from(i32::from(counts[lane])) * first;
            }
            for lane in 0..N {
                seconds[lane] += f64::from(i32::from(counts[lane])) * second;
            }
        }
    }
    [firsts, seconds].map(|sums| std::array::from_fn(|lane| sums[lane] / f64::from(totals[lane])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problem;
    use crate::stats::lot;
    use crate::stats::metrics::Settings;

    /// With ties, with weights, with labels that are probabilities, and with alarms
    /// that do not go by the score.
    fn model(kind: u64, which: u64, rows: u64) -> Model {
        let share = |row: u64, of: u64| (lot(row, of) % 64) as f64 / 64.0;
        let label = |row| if kind == 2 { share(row, 1) } else { f64::from(share(row, 1) < 0.3) };
        let labels = (0..rows).map(label).collect();
        let scores: Vec<f64> = (0..rows).map(|row| share(row, 2 + which)).collect();
        let threshold = [0.5, 0.0, 0.3, 2.0][which as usize * 2 + rows as usize % 2];
        let settings = Settings { threshold, ..Settings::default() };
        let predictions = match kind {
            3 => {
                let alarms = (0..rows).map(|row| share(row, 9) < 0.4).collect();
                Predictions::with_alarms(labels, scores, alarms)
            }
            _ => Predictions::new(labels, scores, settings),
        };
        let weights = (kind == 1).then(|| (0..rows).map(|row| share(row, 3)).collect());
        Model::of_scores(predictions.weighing(weights))
    }

    #[test]
    fn alarms_may_part_rows_of_one_score() {
        let scores = Predictions::with_alarms(vec![1.0, 0.0], vec![0.5; 2], vec![true, false]);
        let measures = [Metric::RocAuc, Metric::F1].map(Measure::Metric);
        let models = [Model::of_scores(scores)];
        let found = Panel::new(&models, &measures).counted(Arch::new(), &[[1], [1]]);
        assert_eq!(found, [[[0.5]], [[1.0]]]);
    }

    #[test]
    fn a_panel_says_what_each_measure_says_alone() {
        for (problem, kind, rows) in [Problem::Binary, Problem::Regression]
            .into_iter()
            .flat_map(|problem| (0..4).map(move |kind| (problem, kind)))
            .flat_map(|(problem, kind)| [0, 1, 63, 700].map(|rows| (problem, kind, rows)))
        {
            let models = [0, 1].map(|which| model(kind, which, rows));
            let measures: Vec<Measure> =
                Metric::of(problem).into_iter().map(Measure::Metric).collect();
            let counts: Vec<[u8; 8]> = (0..rows)
                .map(|row| std::array::from_fn(|lane| (lot(row, 10 + lane as u64) % 4) as u8))
                .collect();
            let found = Panel::new(&models, &measures).counted(Arch::new(), &counts);
            for (measure, found) in measures.iter().zip(found) {
                for (model, found) in models.iter().zip(found) {
                    let alone = model.ready(measure).counted(&counts);
                    let bits = |values: [f64; 8]| {
                        values.map(|value| if value.is_nan() { f64::NAN } else { value }.to_bits())
                    };
                    assert_eq!(bits(found), bits(alone), "{measure} {kind} {rows}");
                }
            }
        }
    }
}
