//! Kitagawa decomposition: whether two means differ because of the composition of a mixture or
//! because of the means within its classes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A difference between two means, decomposed by class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// What would be left of the difference if each class had the same mean in both: the effect of
    /// more or less frequent classes.
    pub composition: f64,
    /// What would be left of it if each class were equally frequent in both: the effect of better or
    /// worse classes.
    pub within: f64,
    /// Each class, in the order of its name.
    pub classes: Vec<Class>,
}

/// A class in two mixtures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its share of the first and of the second mixture.
    pub shares: [f64; 2],
    /// Its mean in each; `None` where it has no member.
    pub means: [Option<f64>; 2],
}

/// Decomposes `mean(second) - mean(first)` into the effects of different shares and different means
/// (Kitagawa, "Components of a Difference Between Two Rates", 1955):
///
/// ```text
/// composition = Σ_c (q_c - p_c) (y_c + x_c) / 2
/// within      = Σ_c (y_c - x_c) (q_c + p_c) / 2
/// ```
///
/// with shares p, q and means x, y of class c in the first and in the second. A class that is
/// absent from one has the same mean there as in the other. `None` when either is empty.
#[must_use]
pub fn mixture<'a>(
    first: impl IntoIterator<Item = (&'a str, f64)>,
    second: impl IntoIterator<Item = (&'a str, f64)>,
) -> Option<Mixture> {
    /// Sum and count in each of the two.
    type Sums = [(f64, f64); 2];
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    let mut totals = [0.0; 2];
    let mut add = |side: usize, (name, value): (&'a str, f64)| {
        let (sum, count) = &mut sums.entry(name).or_default()[side];
        *sum += value;
        *count += 1.0;
        totals[side] += 1.0;
    };
    first.into_iter().for_each(|member| add(0, member));
    second.into_iter().for_each(|member| add(1, member));
    if totals.contains(&0.0) {
        return None;
    }
    let (mut composition, mut within) = (0.0, 0.0);
    let mut classes = Vec::new();
    for (name, sides) in sums {
        let shares = [0, 1].map(|side| sides[side].1 / totals[side]);
        let means = sides.map(|(sum, count)| (count > 0.0).then(|| sum / count));
        let [x, y] = [means[0].or(means[1]), means[1].or(means[0])].map(Option::unwrap_or_default);
        composition += (shares[1] - shares[0]) * f64::midpoint(x, y);
        within += (y - x) * f64::midpoint(shares[0], shares[1]);
        classes.push(Class {
            name: name.to_owned(),
            shares,
            means,
        });
    }
    Some(Mixture {
        composition,
        within,
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        let first = [("a", 0.9), ("a", 0.7), ("a", 0.8), ("b", 0.2)];
        let second = [("a", 0.6), ("b", 0.3), ("b", 0.1), ("c", 0.5)];
        let found = mixture(first, second).unwrap();
        let mean = |members: &[(&str, f64)]| members.iter().map(|it| it.1).sum::<f64>() / 4.0;
        let difference = mean(&second) - mean(&first);
        assert!((found.composition + found.within - difference).abs() < 1e-12);
        assert_eq!(found.classes[2].shares, [0.0, 0.25]);
        assert_eq!(found.classes[2].means, [None, Some(0.5)]);
    }

    #[test]
    fn other_shares_alone_are_composition_and_other_means_alone_are_not() {
        let shares = mixture([("a", 1.0), ("b", 0.0)], [("a", 1.0), ("a", 1.0)]).unwrap();
        assert_eq!((shares.composition, shares.within), (0.5, 0.0));
        let means = mixture([("a", 1.0), ("b", 0.5)], [("a", 0.5), ("b", 0.5)]).unwrap();
        assert_eq!((means.composition, means.within), (0.0, -0.25));
        assert_eq!(mixture([], [("a", 1.0)]), None);
    }
}
