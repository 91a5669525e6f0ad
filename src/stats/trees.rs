//! Gradient-boosted regression trees (Friedman 2001) on histograms, grown leaf
//! by leaf: small, deterministic, and good enough to ask whether something can
//! be told from a row.

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The mean.
    Squares,
    /// The log odds of a label of 0 or 1.
    Logistic,
}

/// How much is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    pub trees: usize,
    pub leaves: usize,
    /// Rows that a leaf has at least.
    pub least: usize,
    pub rate: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { trees: 100, leaves: 31, least: 20, rate: 0.1 }
    }
}

/// Bins of a column; one more is for what is missing.
const BINS: usize = 254;
const MISSING: u8 = 255;

/// A node, or a leaf where there is no split.
#[derive(Debug, Clone)]
struct Node {
    value: f64,
    split: Option<Split>,
}

#[derive(Debug, Clone, Copy)]
struct Split {
    column: usize,
    /// Bins up to this one go left.
    bin: u8,
    missing_left: bool,
    gain: f64,
    children: [usize; 2],
}

impl Split {
    fn goes_left(&self, bin: u8) -> bool {
        if bin == MISSING { self.missing_left } else { bin <= self.bin }
    }
}

/// A fitted model.
#[derive(Debug, Clone)]
pub struct Forest {
    edges: Vec<Vec<f64>>,
    base: f64,
    trees: Vec<Vec<Node>>,
}

/// Sums over rows: of gradients, of their second derivatives, and of ones.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    /// Of gradients.
    squares: f64,
    rows: usize,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.gradient += other.gradient;
        self.curvature += other.curvature;
        self.squares += other.squares;
        self.rows += other.rows;
    }

    fn without(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
            squares: self.squares - other.squares,
            rows: self.rows - other.rows,
        }
    }

    fn score(self) -> f64 {
        if self.curvature > 0.0 { self.gradient * self.gradient / self.curvature } else { 0.0 }
    }
}

/// A leaf that may still grow.
struct Leaf {
    node: usize,
    rows: Vec<u32>,
    best: Option<Split>,
}

impl Forest {
    /// Fits to columns of one length; NaN stands for what is missing. Columns
    /// are cut at quantiles of their values.
    pub fn fit(columns: &[Vec<f64>], target: &[f64], loss: Loss, growth: Growth) -> Self {
        let edges: Vec<Vec<f64>> = columns.iter().map(|column| edges(column)).collect();
        let binned: Vec<Vec<u8>> = columns
            .iter()
            .zip(&edges)
            .map(|(column, edges)| column.iter().map(|value| bin(edges, *value)).collect())
            .collect();
        let mean = super::mean(target);
        let base = match loss {
            Loss::Squares => mean,
            Loss::Logistic => (mean / (1.0 - mean)).ln().clamp(-30.0, 30.0),
        };
        let mut forest = Self { edges, base, trees: Vec::with_capacity(growth.trees) };
        let mut fitted = vec![base; target.len()];
        for _ in 0..growth.trees {
            let slopes: Vec<[f64; 2]> = fitted
                .iter()
                .zip(target)
                .map(|(fitted, target)| match loss {
                    Loss::Squares => [target - fitted, 1.0],
                    Loss::Logistic => {
                        let p = 1.0 / (1.0 + (-fitted).exp());
                        [target - p, p * (1.0 - p)]
                    }
                })
                .collect();
            let tree = grow(&binned, &slopes, growth, &mut fitted);
            if tree.len() == 1 {
                break;
            }
            forest.trees.push(tree);
        }
        forest
    }

    /// The fitted value of each row; log odds for [`Loss::Logistic`].
    pub fn predict(&self, columns: &[Vec<f64>]) -> Vec<f64> {
        let rows = columns.first().map_or(0, Vec::len);
        let binned: Vec<Vec<u8>> = columns
            .iter()
            .zip(&self.edges)
            .map(|(column, edges)| column.iter().map(|value| bin(edges, *value)).collect())
            .collect();
        (0..rows)
            .map(|row| {
                let trees = self.trees.iter().map(|tree| {
                    let mut node = &tree[0];
                    while let Some(split) = &node.split {
                        let left = split.goes_left(binned[split.column][row]);
                        node = &tree[split.children[usize::from(!left)]];
                    }
                    node.value
                });
                self.base + trees.sum::<f64>()
            })
            .collect()
    }
}

/// Rising bounds of bins of about equal mass.
fn edges(column: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = Vec::new();
    if sorted.is_empty() {
        return edges;
    }
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() <= BINS {
        distinct.pop();
        return distinct;
    }
    edges.extend((1..BINS).map(|at| sorted[at * (sorted.len() - 1) / BINS]));
    edges.dedup();
    edges
}

fn bin(edges: &[f64], value: f64) -> u8 {
    if value.is_nan() {
        return MISSING;
    }
    u8::try_from(edges.partition_point(|edge| *edge < value)).unwrap_or(MISSING - 1)
}

fn grow(binned: &[Vec<u8>], slopes: &[[f64; 2]], growth: Growth, fitted: &mut [f64]) -> Vec<Node> {
    let all: Vec<u32> = (0..u32::try_from(slopes.len()).unwrap_or(u32::MAX)).collect();
    let mut tree = vec![Node { value: 0.0, split: None }];
    let mut leaves = vec![leaf(binned, slopes, growth, 0, all)];
    while leaves.len() < growth.leaves {
        // The first of equals: the order of leaves is that of their making.
        let gain = |leaf: &Leaf| leaf.best.map_or(0.0, |split| split.gain);
        let Some(at) = (0..leaves.len())
            .filter(|at| leaves[*at].best.is_some())
            .reduce(|best, at| if gain(&leaves[at]) > gain(&leaves[best]) { at } else { best })
        else {
            break;
        };
        let parent = leaves.swap_remove(at);
        let Some(mut split) = parent.best else { break };
        let column = &binned[split.column];
        let (left, right): (Vec<u32>, Vec<u32>) =
            parent.rows.iter().partition(|row| split.goes_left(column[**row as usize]));
        split.children = [tree.len(), tree.len() + 1];
        tree[parent.node].split = Some(split);
        for rows in [left, right] {
            leaves.push(leaf(binned, slopes, growth, tree.len(), rows));
            tree.push(Node { value: 0.0, split: None });
        }
    }
    for leaf in &leaves {
        let sums = sums(slopes, &leaf.rows);
        let value = if sums.curvature > 0.0 { sums.gradient / sums.curvature } else { 0.0 };
        tree[leaf.node].value = value * growth.rate;
        for row in &leaf.rows {
            fitted[*row as usize] += value * growth.rate;
        }
    }
    tree
}

fn sums(slopes: &[[f64; 2]], rows: &[u32]) -> Sums {
    rows.iter().fold(Sums::default(), |mut sums, row| {
        let [gradient, curvature] = slopes[*row as usize];
        sums.add(Sums { gradient, curvature, squares: gradient * gradient, rows: 1 });
        sums
    })
}

fn leaf(
    binned: &[Vec<u8>],
    slopes: &[[f64; 2]],
    growth: Growth,
    node: usize,
    rows: Vec<u32>,
) -> Leaf {
    let total = sums(slopes, &rows);
    let mut best: Option<Split> = None;
    if rows.len() >= 2 * growth.least {
        for (number, column) in binned.iter().enumerate() {
            let mut histogram = [Sums::default(); 256];
            for row in &rows {
                let [gradient, curvature] = slopes[*row as usize];
                histogram[usize::from(column[*row as usize])].add(Sums {
                    gradient,
                    curvature,
                    squares: 0.0,
                    rows: 1,
                });
            }
            if let Some(split) = best_split(&histogram, total, growth.least)
                && best.is_none_or(|best| split.gain > best.gain)
            {
                best = Some(Split { column: number, ..split });
            }
        }
    }
    Leaf { node, rows, best }
}

/// Where a column is cut best, with what is missing on either side.
fn best_split(histogram: &[Sums; 256], total: Sums, least: usize) -> Option<Split> {
    /// What a split must gain of all there is to gain: less is rounding.
    const WORTH: f64 = 1e-12;
    let worth = WORTH * total.squares;
    let missing = histogram[usize::from(MISSING)];
    let mut best: Option<Split> = None;
    let mut left = Sums::default();
    for (bin, sums) in histogram.iter().enumerate().take(BINS) {
        left.add(*sums);
        if sums.rows == 0 {
            continue;
        }
        for missing_left in [false, true] {
            let mut on_left = left;
            if missing_left {
                on_left.add(missing);
            }
            let on_right = total.without(on_left);
            if on_left.rows < least || on_right.rows < least {
                continue;
            }
            let gain = on_left.score() + on_right.score() - total.score();
            if gain > worth && best.is_none_or(|best| gain > best.gain) {
                let bin = u8::try_from(bin).unwrap_or(MISSING - 1);
                best = Some(Split { column: 0, bin, missing_left, gain, children: [0; 2] });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(rows: usize, seed: f64) -> Vec<f64> {
        (0..rows).map(|row| ((row as f64 + 1.0) * 0.618_033_988_749_894_9 + seed).fract()).collect()
    }

    #[test]
    fn a_step_and_a_slope_are_learnt() {
        let (x, z) = (uniform(3000, 0.1), uniform(3000, 0.7));
        let target: Vec<f64> =
            x.iter().zip(&z).map(|(x, z)| if *x > 0.5 { 3.0 } else { 0.0 } + 2.0 * z).collect();
        let columns = [x, z];
        let forest = Forest::fit(&columns, &target, Loss::Squares, Growth::default());
        let error: f64 = forest
            .predict(&columns)
            .iter()
            .zip(&target)
            .map(|(fitted, target)| (fitted - target).abs())
            .sum::<f64>()
            / 3000.0;
        assert!(error < 0.02, "{error}");
    }

    #[test]
    fn the_unit_of_the_target_does_not_matter() {
        let x = uniform(1000, 0.1);
        let fitted = |unit: f64| {
            let target: Vec<f64> = x.iter().map(|x| unit * x).collect();
            let forest =
                Forest::fit(std::slice::from_ref(&x), &target, Loss::Squares, Growth::default());
            forest.predict(&[vec![0.9]])[0] / unit
        };
        assert!((fitted(1e-9) - fitted(1.0)).abs() < 1e-6, "{}", fitted(1e-9));
    }

    #[test]
    fn what_is_missing_can_tell() {
        let mut x = uniform(1000, 0.3);
        let label: Vec<f64> = (0..1000).map(|row| f64::from(u8::from(row % 3 == 0))).collect();
        for row in (0..1000).step_by(3) {
            x[row] = f64::NAN;
        }
        let forest = Forest::fit(&[x.clone()], &label, Loss::Logistic, Growth::default());
        let odds = forest.predict(&[x]);
        assert!(odds.iter().zip(&label).all(|(odds, label)| (*odds > 0.0) == (*label > 0.5)));
    }

    #[test]
    fn where_there_is_nothing_to_learn_it_is_the_mean() {
        let target = vec![2.0; 100];
        let forest = Forest::fit(&[uniform(100, 0.0)], &target, Loss::Squares, Growth::default());
        assert!(forest.trees.is_empty());
        assert_eq!(forest.predict(&[vec![0.5, f64::NAN]]), [2.0, 2.0]);
        let constant = [vec![1.0; 100]];
        let target = uniform(100, 0.2);
        let forest = Forest::fit(&constant, &target, Loss::Squares, Growth::default());
        assert!((forest.predict(&constant)[0] - crate::stats::mean(&target)).abs() < 1e-12);
    }
}
