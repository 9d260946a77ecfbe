//! An evaluation as a table.

use std::fmt::Write as _;

use crate::Evaluation;

/// One row per system and metric: the mean with its interval and, for every system but the
/// baseline, the paired difference to the baseline with its own.
///
/// Cells that do not exist are empty. Fields are quoted as in RFC 4180 where they must be.
#[must_use]
pub fn evaluation_csv(evaluation: &Evaluation) -> String {
    let mut csv = String::from(
        "system,metric,mean,low,high,prompts,\
         baseline,difference,difference_low,difference_high,p\n",
    );
    for system in &evaluation.systems {
        for metric in &evaluation.metrics {
            let Some(value) = system.metrics.get(&metric.name) else {
                continue;
            };
            let found = evaluation.differences.iter().find(|difference| {
                difference.system == system.name && difference.metric == metric.name
            });
            let difference = found.map_or_else(
                || ",,,,".to_owned(),
                |d| {
                    format!(
                        "{},{},{},{},{}",
                        quoted(&d.baseline),
                        d.mean,
                        d.low,
                        d.high,
                        d.p
                    )
                },
            );
            // Writing to a String cannot fail.
            let _ = writeln!(
                csv,
                "{},{},{},{},{},{},{difference}",
                quoted(&system.name),
                quoted(&metric.name),
                value.mean,
                value.low,
                value.high,
                value.prompts,
            );
        }
    }
    csv
}

/// One row per level of quality at which two models are compared; `level` is empty for their mean.
#[must_use]
pub fn equal_quality_csv(evaluation: &Evaluation) -> String {
    let mut csv = String::from(
        "model,baseline,metric,level,quality,diversity,baseline_diversity,\
         difference,difference_low,difference_high,p\n",
    );
    for it in &evaluation.equal_quality {
        // Writing to a String cannot fail.
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{},{}",
            quoted(&it.family),
            quoted(&it.baseline),
            quoted(&it.metric),
            it.level.map_or_else(String::new, |level| level.to_string()),
            it.quality.mean,
            it.diversity.mean,
            it.baseline_diversity.mean,
            it.difference.mean,
            it.difference.low,
            it.difference.high,
            it.p,
        );
    }
    csv
}

pub(crate) fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_awkward_fields_are_quoted() {
        assert_eq!(quoted("dpo"), "dpo");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
