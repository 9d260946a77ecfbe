//! An evaluation as CSV.

use crate::evaluation::{Difference, Evaluation};

/// One row per system and metric: the mean with its interval and, for every system but the
/// baseline, the paired difference to the baseline with its interval.
///
/// Cells without a value are empty. Fields are quoted as in RFC 4180 where necessary.
#[must_use]
pub fn evaluation_csv(evaluation: &Evaluation) -> String {
    let mut rows = Rows::new(&[
        "system",
        "metric",
        "mean",
        "low",
        "high",
        "prompts",
        "baseline",
        "difference",
        "difference_low",
        "difference_high",
        "p",
    ]);
    for system in &evaluation.systems {
        for metric in &evaluation.metrics {
            let Some(value) = system.metrics.get(&metric.name) else {
                continue;
            };
            let found = evaluation.differences.iter().find(|difference| {
                difference.system == system.name && difference.metric == metric.name
            });
            let number = |pick: fn(&Difference) -> f64| {
                found.map_or_else(String::new, |difference| pick(difference).to_string())
            };
            rows.push([
                system.name.clone(),
                metric.name.clone(),
                value.mean.to_string(),
                value.low.to_string(),
                value.high.to_string(),
                value.prompts.to_string(),
                found.map_or_else(String::new, |difference| difference.baseline.clone()),
                number(|it| it.mean),
                number(|it| it.low),
                number(|it| it.high),
                number(|it| it.p),
            ]);
        }
    }
    rows.finish()
}

/// One row per quality level at which two models are compared; `level` is empty for the mean of
/// all.
#[must_use]
pub fn equal_quality_csv(evaluation: &Evaluation) -> String {
    let mut rows = Rows::new(&[
        "model",
        "baseline",
        "metric",
        "level",
        "quality",
        "diversity",
        "baseline_diversity",
        "difference",
        "difference_low",
        "difference_high",
        "p",
    ]);
    for it in &evaluation.equal_quality {
        rows.push([
            it.family.clone(),
            it.baseline.clone(),
            it.metric.clone(),
            it.level.map_or_else(String::new, |level| level.to_string()),
            it.quality.mean.to_string(),
            it.diversity.mean.to_string(),
            it.baseline_diversity.mean.to_string(),
            it.difference.mean.to_string(),
            it.difference.low.to_string(),
            it.difference.high.to_string(),
            it.p.to_string(),
        ]);
    }
    rows.finish()
}

/// Rows of CSV under a header, in memory.
pub(crate) struct Rows(csv::Writer<Vec<u8>>);

impl Rows {
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut rows = Self(csv::Writer::from_writer(Vec::new()));
        rows.push(header);
        rows
    }

    /// Adds a row with as many fields as the header.
    pub(crate) fn push(&mut self, fields: impl IntoIterator<Item: AsRef<[u8]>>) {
        self.0
            .write_record(fields)
            .expect("memory takes every byte, and callers give one field per column");
    }

    pub(crate) fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes every byte");
        String::from_utf8(bytes).expect("fields are strings")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_need_quotes_have_them() {
        let mut rows = Rows::new(&["name", "value"]);
        rows.push(["dpo", ""]);
        rows.push(["a, \"b\"\n", "0.5"]);
        assert_eq!(rows.finish(), "name,value\ndpo,\n\"a, \"\"b\"\"\n\",0.5\n");
    }
}
