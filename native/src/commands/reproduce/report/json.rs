//! The results as JSON.

use std::collections::BTreeMap;

use rarebit_eval::evaluation::Interval;
use serde_json::{Value, json};

use super::{Found, Judged, Told};

impl Told<'_> {
    /// Numbers and verdicts.
    pub(crate) fn json(&self, found: &Found) -> Value {
        let claims = |judged: &[Judged]| -> Vec<Value> {
            judged
                .iter()
                .map(|judged| {
                    json!({
                        "statement": judged.claim.statement,
                        "criterion": judged.claim.criterion,
                        "verdict": judged.verdict,
                        "findings": judged.findings,
                    })
                })
                .collect()
        };
        let mut systems: BTreeMap<&str, BTreeMap<&str, &Interval>> = BTreeMap::new();
        for ((system, metric), interval) in &found.intervals {
            systems.entry(system).or_default().insert(metric, interval);
        }
        let correlations = found.correlations.iter().map(
            |(x, y, correlation)| json!({"measure": x, "truth": y, "correlation": correlation}),
        );
        json!({
            "rarebit": env!("CARGO_PKG_VERSION"),
            "settings": self.settings,
            "claims": claims(&found.claims),
            "controls": claims(&found.controls),
            "weights_of_1_are_dpo": self.ones_are_dpo().map(|(equal, seeds)| json!({"seeds": seeds, "equal": equal})),
            "systems": systems,
            "correlations": correlations.collect::<Vec<_>>(),
        })
    }
}
