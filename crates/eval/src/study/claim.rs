//! Claims about systems, and whether a study bears them out.

use serde::{Deserialize, Serialize};

use super::seeds::{Study, StudyDifference};
use crate::bootstrap::Bootstrap;

/// Where a difference must lie for a claim to hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Above 0.
    Above,
    /// Below 0.
    Below,
    /// A drop of less than this share of the baseline's mean.
    FallsLessThan(f64),
}

/// One comparison of a claim: `system - baseline` in `metric` lies within `bound`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The system.
    pub system: &'a str,
    /// The system it is compared with.
    pub baseline: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// Where the claim places the difference.
    pub bound: Bound,
}

/// A claim as a set of comparisons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim<'a> {
    /// What is claimed.
    pub statement: &'a str,
    /// What must be observed for it to hold, in words.
    pub criterion: &'a str,
    /// The comparisons; it holds when all of them are established.
    pub evidence: &'a [Evidence<'a>],
}

/// Whether a claim is borne out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval lies where the claim places it.
    Holds,
    /// Of several comparisons, some hold and none is contradicted.
    InPart,
    /// The interval contains the bound.
    NotEstablished,
    /// The whole interval of at least one comparison lies on the other side of the bound.
    Contradicted,
}

/// What was found about one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The system.
    pub system: String,
    /// The system it was compared with.
    pub baseline: String,
    /// The metric.
    pub metric: String,
    /// The difference.
    pub difference: StudyDifference,
    /// The bound it must be above, or below for [`Bound::Below`], in the metric's unit.
    pub bound: f64,
    /// Whether the claim places it below the bound.
    pub below: bool,
    /// Whether it does.
    pub verdict: Verdict,
}

impl Verdict {
    /// The verdict in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "holds in part",
            Self::NotEstablished => "not established",
            Self::Contradicted => "does not hold",
        }
    }
}

impl Evidence<'_> {
    /// `None` where the metric was not measured for both systems.
    fn judge(&self, study: &Study, bootstrap: &Bootstrap) -> Option<Finding> {
        let difference = study.difference(self.system, self.baseline, self.metric, bootstrap)?;
        let bound = match self.bound {
            Bound::Above | Bound::Below => 0.0,
            Bound::FallsLessThan(share) => {
                let baseline = study.interval(self.baseline, self.metric, bootstrap)?;
                -share * baseline.mean.abs()
            }
        };
        let below = self.bound == Bound::Below;
        let interval = difference.interval;
        let (is_above, is_below) = (interval.low > bound, interval.high < bound);
        let verdict = match (is_above, is_below) {
            (false, false) => Verdict::NotEstablished,
            (above, _) if above != below => Verdict::Holds,
            _ => Verdict::Contradicted,
        };
        Some(Finding {
            system: self.system.to_owned(),
            baseline: self.baseline.to_owned(),
            metric: self.metric.to_owned(),
            difference,
            bound,
            below,
            verdict,
        })
    }
}

impl Claim<'_> {
    /// The verdict, with the finding of each comparison that could be made; `None` if none could.
    #[must_use]
    pub fn judge(&self, study: &Study, bootstrap: &Bootstrap) -> Option<(Verdict, Vec<Finding>)> {
        let findings: Vec<Finding> = self
            .evidence
            .iter()
            .filter_map(|evidence| evidence.judge(study, bootstrap))
            .collect();
        Some((verdict(&findings)?, findings))
    }
}

fn verdict(findings: &[Finding]) -> Option<Verdict> {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let others = any(Verdict::NotEstablished);
    match (any(Verdict::Holds), any(Verdict::Contradicted)) {
        (_, true) => Some(Verdict::Contradicted),
        (true, false) if others => Some(Verdict::InPart),
        (true, false) => Some(Verdict::Holds),
        (false, false) => others.then_some(Verdict::NotEstablished),
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::tests::{BOOTSTRAP, system};
    use super::*;

    fn study() -> Study {
        Study {
            systems: vec![system("a", 1.0), system("b", 1.25), system("c", 0.9)],
        }
    }

    fn evidence(system: &'static str, bound: Bound) -> Evidence<'static> {
        Evidence {
            system,
            baseline: "a",
            metric: "quality",
            bound,
        }
    }

    fn judged(evidence: &[Evidence<'_>]) -> Option<Verdict> {
        let claim = Claim {
            statement: "",
            criterion: "",
            evidence,
        };
        claim
            .judge(&study(), &BOOTSTRAP)
            .map(|(verdict, _)| verdict)
    }

    #[test]
    fn one_comparison_is_where_it_is_said_to_be_or_not() {
        use Bound::{Above, Below, FallsLessThan};
        use Verdict::{Contradicted, Holds, NotEstablished};
        // a's mean is 3.5: c, 0.1 below, falls by less than a tenth of it and by more than a hundredth.
        for (name, bound, expected) in [
            ("b", Above, Holds),
            ("b", Below, Contradicted),
            ("c", Above, Contradicted),
            ("c", Below, Holds),
            ("c", FallsLessThan(0.1), Holds),
            ("c", FallsLessThan(0.01), Contradicted),
            ("a", Above, NotEstablished),
            ("a", Below, NotEstablished),
        ] {
            assert_eq!(
                judged(&[evidence(name, bound)]),
                Some(expected),
                "{name} {bound:?}"
            );
        }
    }

    #[test]
    fn a_claim_holds_when_all_of_it_does() {
        let [yes, no, open] = [
            ("b", Bound::Above),
            ("c", Bound::Above),
            ("a", Bound::Above),
        ]
        .map(|(name, bound)| evidence(name, bound));
        assert_eq!(judged(&[yes, yes]), Some(Verdict::Holds));
        assert_eq!(judged(&[yes, open]), Some(Verdict::InPart));
        assert_eq!(judged(&[yes, no]), Some(Verdict::Contradicted));
        assert_eq!(judged(&[open]), Some(Verdict::NotEstablished));
        assert_eq!(judged(&[]), None);
        let absent = evidence("absent", Bound::Above);
        assert_eq!(judged(&[absent, yes]), Some(Verdict::Holds));
    }
}
