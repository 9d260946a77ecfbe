//! A study as a table.

use std::fmt::Write as _;

use super::{Study, mean};
use crate::csv::quoted;

/// One row per system, seed and metric: the mean over the run's prompts.
///
/// What was not measured has no row. Fields are quoted as in RFC 4180 where they must be.
#[must_use]
pub fn study_csv(study: &Study, metrics: &[&str]) -> String {
    let mut csv = String::from("system,seed,metric,mean,prompts\n");
    for system in &study.systems {
        for (seed, values) in &system.runs {
            for metric in metrics {
                let Some(mean) = mean(values, metric) else {
                    continue;
                };
                let prompts = values.values().filter(|it| it.contains_key(*metric));
                // Writing to a String cannot fail.
                let _ = writeln!(
                    csv,
                    "{},{seed},{},{mean},{}",
                    quoted(&system.name),
                    quoted(metric),
                    prompts.count()
                );
            }
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::tests::system;
    use super::*;

    #[test]
    fn a_row_for_each_run_and_metric_that_was_measured() {
        let study = Study {
            systems: vec![system("a,b", 0.5)],
        };
        assert_eq!(
            study_csv(&study, &["quality", "absent"]),
            "system,seed,metric,mean,prompts\n\"a,b\",1,quality,2.5,3\n\"a,b\",2,quality,3.5,3\n"
        );
    }
}
