//! Axes: a range with round ticks, and the position of a value on it.

use super::format;

/// A linear axis whose ends enclose the data.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// The axis that shows `values` with some padding at both ends and about `wanted` ticks.
    ///
    /// Non-finite values are skipped; `None` if none is left.
    pub(super) fn covering(values: impl IntoIterator<Item = f64>, wanted: usize) -> Option<Self> {
        let (low, high) = values.into_iter().filter(|value| value.is_finite()).fold(
            None,
            |range: Option<(f64, f64)>, value| {
                Some(range.map_or((value, value), |(low, high)| {
                    (low.min(value), high.max(value))
                }))
            },
        )?;
        // A single value still needs a range around it.
        let padding = if high > low {
            (high - low) * 0.06
        } else {
            (low.abs() * 0.1).max(1e-3)
        };
        Some(Self::between(low - padding, high + padding, wanted))
    }

    /// The axis from exactly `low` to `high`.
    pub(super) fn between(low: f64, high: f64, wanted: usize) -> Self {
        let step = round_step((high - low) / wanted.max(1) as f64);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        // The range is a few steps wide by construction; the bound only guards against overflow.
        let ticks = (first..=last).take(64).map(|k| k as f64 * step).collect();
        let decimals = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
        Self {
            low,
            high,
            ticks,
            decimals,
        }
    }

    /// The position of `value` between `start` and `end` in the drawing.
    pub(super) fn place(&self, value: f64, start: f64, end: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        start + share.clamp(0.0, 1.0) * (end - start)
    }

    /// A tick's label.
    pub(super) fn label(&self, tick: f64) -> String {
        if self.decimals > 4 || tick.abs() >= 1e5 {
            format::significant(tick)
        } else {
            format::fixed(tick, self.decimals)
        }
    }
}

/// The multiple of 1, 2 or 5 of a power of ten that is nearest to `step`.
fn round_step(step: f64) -> f64 {
    if !step.is_finite() || step <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let factor = step / power;
    let round = if factor < 1.5 {
        1.0
    } else if factor < 3.5 {
        2.0
    } else if factor < 7.5 {
        5.0
    } else {
        10.0
    };
    round * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::covering([0.21, 0.47], 5).unwrap();
        assert!(axis.low < 0.21 && axis.high > 0.47);
        assert!(axis.ticks.iter().all(|&t| t >= axis.low && t <= axis.high));
        assert_eq!(axis.label(axis.ticks[0]), "0.20");
    }

    #[test]
    fn one_value_and_no_value() {
        let axis = Axis::covering([0.0], 4).unwrap();
        assert!((axis.place(0.0, 0.0, 100.0) - 50.0).abs() < 1e-9);
        assert!(Axis::covering([f64::NAN], 4).is_none());
        assert!(
            !Axis::covering([3.0, f64::INFINITY], 4)
                .unwrap()
                .ticks
                .is_empty()
        );
    }

    #[test]
    fn small_learning_rates_have_readable_ticks() {
        let axis = Axis::covering([0.0, 5e-6], 3).unwrap();
        assert!(axis.label(2e-6).contains("10⁻⁶"));
    }
}
