//! A study as CSV.

use super::seeds::{Study, mean};
use crate::csv::Rows;

/// One row per system, seed and metric: the mean over the run's prompts.
///
/// What was not measured has no row. Fields are written as in
/// [`evaluation_csv`](crate::evaluation_csv).
#[must_use]
pub fn study_csv(study: &Study, metrics: &[&str]) -> String {
    let mut rows = Rows::new(&["system", "seed", "metric", "mean", "prompts"]);
    for system in &study.systems {
        for (seed, values) in &system.runs {
            for metric in metrics {
                let Some(mean) = mean(values, metric) else {
                    continue;
                };
                let prompts = values.values().filter(|it| it.contains_key(*metric));
                rows.push([
                    system.name.clone(),
                    seed.to_string(),
                    (*metric).to_owned(),
                    mean.to_string(),
                    prompts.count().to_string(),
                ]);
            }
        }
    }
    rows.finish()
}

#[cfg(test)]
mod tests {
    use super::super::seeds::tests::system;
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
