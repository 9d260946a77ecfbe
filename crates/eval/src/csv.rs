//! An evaluation as CSV.

use std::borrow::Cow;

use crate::evaluation::{Difference, Evaluation};

/// One row per system and metric: the mean with its interval and, for every system but the
/// baseline, the paired difference to the baseline with its interval.
///
/// Cells without a value are empty. Fields are quoted as in RFC 4180 where necessary. A name that a
/// spreadsheet would take for a formula has an apostrophe before it.
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

/// Rows of CSV under a header, in memory, for people to open in a spreadsheet: see [`inert`].
pub(crate) struct Rows(csv::Writer<Vec<u8>>);

impl Rows {
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut rows = Self(csv::Writer::from_writer(Vec::new()));
        rows.push(header);
        rows
    }

    /// Adds a row with as many fields as the header.
    pub(crate) fn push(&mut self, fields: impl IntoIterator<Item: AsRef<str>>) {
        let fields = fields.into_iter();
        self.0
            .write_record(fields.map(|field| inert(field.as_ref()).into_owned()))
            .expect("memory takes every byte, and callers give one field per column");
    }

    pub(crate) fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes every byte");
        String::from_utf8(bytes).expect("fields are strings")
    }
}

/// A field as text where a spreadsheet would run it as a formula, which names of systems and models
/// from others must not do: with an apostrophe before it, as OWASP says ("CSV Injection"). Numbers
/// stay numbers.
fn inert(field: &str) -> Cow<'_, str> {
    let begins_a_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    match begins_a_formula && field.parse::<f64>().is_err() {
        true => Cow::Owned(format!("'{field}")),
        false => Cow::Borrowed(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_and_numbers_stay_numbers() {
        for (field, expected) in [
            (
                "=HYPERLINK(\"http://host\")",
                "'=HYPERLINK(\"http://host\")",
            ),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("-0.5", "-0.5"),
            ("-1e-7", "-1e-7"),
            ("dpo=1", "dpo=1"),
            ("", ""),
        ] {
            assert_eq!(inert(field), expected, "{field:?}");
        }
        let mut rows = Rows::new(&["name", "value"]);
        rows.push(["=1", "-1"]);
        assert_eq!(rows.finish(), "name,value\n'=1,-1\n");
    }

    #[test]
    fn only_fields_that_need_quotes_have_them() {
        let mut rows = Rows::new(&["name", "value"]);
        rows.push(["dpo", ""]);
        rows.push(["a, \"b\"\n", "0.5"]);
        assert_eq!(rows.finish(), "name,value\ndpo,\n\"a, \"\"b\"\"\n\",0.5\n");
    }
}
