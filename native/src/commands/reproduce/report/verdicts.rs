//! The verdicts on the claims, in words.

use rarebit_eval::report::ClaimShown;
use rarebit_eval::study::{Finding, Verdict};

use super::super::diagnostics::signed;
use super::{Found, Judged, label};

impl Found {
    /// The number of claims that hold, and which.
    pub(super) fn finding(&self) -> Vec<String> {
        let named = |verdict: Verdict| -> Vec<String> {
            self.claims
                .iter()
                .filter(|judged| judged.verdict == verdict)
                .map(|judged| format!("“{}”", judged.claim.statement))
                .collect()
        };
        let (holds, part, open, fails) = (
            named(Verdict::Holds),
            named(Verdict::InPart),
            named(Verdict::NotEstablished),
            named(Verdict::Contradicted),
        );
        let verb = |claims: &[String], one: &'static str, more| match claims.len() {
            1 => one,
            _ => more,
        };
        let mut sentences = vec![format!(
            "Of {} claims {} {} here, {} in part, {} {} not established, {} {} not hold.",
            self.claims.len(),
            holds.len(),
            verb(&holds, "holds", "hold"),
            part.len(),
            open.len(),
            verb(&open, "is", "are"),
            fails.len(),
            verb(&fails, "does", "do"),
        )];
        for (what, names) in [
            ("Holds", holds),
            ("Holds in part", part),
            ("Not established", open),
            ("Does not hold", fails),
        ] {
            if !names.is_empty() {
                sentences.push(format!("{what}: {}.", names.join(", ")));
            }
        }
        sentences
    }
}

/// The claims as shown on the page.
pub(super) fn shown(judged: &[Judged]) -> Vec<ClaimShown> {
    judged
        .iter()
        .map(|judged| ClaimShown {
            statement: judged.claim.statement.to_owned(),
            verdict: judged.verdict,
            criterion: judged.claim.criterion.to_owned(),
            findings: judged.findings.iter().map(row).collect(),
        })
        .collect()
}

/// The cells of a comparison: systems, metric, difference, and whether it is as claimed.
fn row(finding: &Finding) -> [String; 4] {
    let interval = finding.difference.interval;
    let as_claimed = match finding.verdict {
        Verdict::Holds => "yes",
        Verdict::Contradicted => "no, the opposite",
        Verdict::InPart | Verdict::NotEstablished => "not established",
    };
    let limit = match (finding.below, finding.bound) {
        (true, _) => "below 0".to_owned(),
        (false, 0.0) => "above 0".to_owned(),
        (false, bound) => format!("above {}", signed(bound)),
    };
    [
        format!("{} - {}", finding.system, finding.baseline),
        label(&finding.metric).to_owned(),
        format!(
            "{} [{}, {}]",
            signed(interval.mean),
            signed(interval.low),
            signed(interval.high)
        ),
        format!("{as_claimed} ({limit})"),
    ]
}
