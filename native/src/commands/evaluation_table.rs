//! An evaluation as a table on the terminal.

use std::io::{self, Write};

use rarebit_eval::Evaluation;
use rarebit_eval::evaluation::{Histogram, Interval};

/// Systems as columns, metrics as rows.
pub(crate) fn table(evaluation: &Evaluation, out: &mut impl Write) -> io::Result<()> {
    let label_width = evaluation
        .metrics
        .iter()
        .map(|metric| metric.label.chars().count())
        .max()
        .unwrap_or(0);
    write!(out, "{:label_width$}", "")?;
    for system in &evaluation.systems {
        write!(out, "  {:>24}", system.name)?;
    }
    writeln!(out)?;
    for metric in &evaluation.metrics {
        write!(out, "{:label_width$}", metric.label)?;
        for system in &evaluation.systems {
            let cell = system
                .metrics
                .get(&metric.name)
                .map_or_else(String::new, |interval| {
                    format!(
                        "{:.3} [{:.3}, {:.3}]",
                        interval.mean, interval.low, interval.high
                    )
                });
            write!(out, "  {cell:>24}")?;
        }
        writeln!(out)?;
    }
    for (kind, label) in [
        ("semantic", "Semantic distances"),
        ("style", "Style distances"),
    ] {
        let systems = &evaluation.systems;
        let histograms = systems.iter().map(|system| system.histograms.get(kind));
        let bins = histograms.clone().flatten().map(|it| it.bins.len()).max();
        // The last bin that any system has says how far the scale goes.
        let Some(bins) = bins.filter(|bins| *bins > 0) else {
            continue;
        };
        write!(out, "{label:label_width$}")?;
        for histogram in histograms {
            let cell = histogram.map_or_else(String::new, |it| bars(it, bins));
            write!(out, "  {cell:>24}")?;
        }
        writeln!(out)?;
    }
    for it in &evaluation.equal_quality {
        // The mean over all levels; the levels are in the file and the report.
        if it.level.is_none() {
            let metric = evaluation.metrics.iter().find(|one| one.name == it.metric);
            writeln!(
                out,
                "{} of {} at {}'s quality: {:+.3} [{:+.3}, {:+.3}], p {:.3}",
                metric.map_or(&*it.metric, |metric| &*metric.label),
                it.family,
                it.baseline,
                it.difference.mean,
                it.difference.low,
                it.difference.high,
                it.p
            )?;
        }
    }
    Ok(())
}

/// A histogram in a line, from distance 0 to the end of bin `bins`: `0 ▁▃█▂ 0.4`.
fn bars(histogram: &Histogram, bins: usize) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    /// As many as stand in a cell of the table beside the ends of the scale.
    const COLUMNS: usize = 18;
    let each = bins.div_ceil(COLUMNS);
    let share = |column: &[Interval]| column.iter().map(|bin| bin.mean).sum::<f64>();
    let shares: Vec<f64> = histogram.bins.chunks(each).map(share).collect();
    let highest = shares.iter().copied().fold(0.0, f64::max);
    let bar = |share: &f64| match highest > 0.0 {
        // Whatever is there is seen.
        true => BARS[(share / highest * 8.0).ceil() as usize],
        false => ' ',
    };
    let drawn: String = shares.iter().map(bar).collect();
    let columns = bins.div_ceil(each);
    let end = bins as f64 * histogram.width;
    format!("0 {drawn:columns$} {end:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_fits_into_a_cell() {
        let bin = |mean| Interval {
            mean,
            low: mean,
            high: mean,
            prompts: 1,
        };
        let histogram = |shares: &[f64]| Histogram {
            width: 0.05,
            bins: shares.iter().map(|share| bin(*share)).collect(),
        };
        assert_eq!(bars(&histogram(&[0.5, 0.25, 0.0, 0.01]), 6), "0 █▄ ▁   0.3");
        let wide = bars(&histogram(&[0.025; 36]), 36);
        assert_eq!(wide, "0 ██████████████████ 1.8");
        assert_eq!(bars(&histogram(&[]), 2), "0    0.1");
    }
}
