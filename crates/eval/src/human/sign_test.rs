//! The sign test.

/// The two-sided p of the sign test: the probability that wins and losses are at least this uneven
/// if both are equally likely. Ties are left out.
///
/// ```text
/// p = 2 sum_{i <= min(wins, losses)} C(n, i) / 2^n, at most 1,    n = wins + losses
/// ```
///
/// (Dixon and Mood, "The Statistical Sign Test", 1946.) Without wins and losses it is 1.
#[must_use]
pub fn sign_test(wins: usize, losses: usize) -> f64 {
    let n = (wins + losses) as f64;
    // As logarithms, because 2^-n soon underflows.
    let mut term = -n * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for i in 0..=wins.min(losses) {
        tail += term.exp();
        let i = i as f64;
        term += ((n - i) / (i + 1.0)).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_coins_by_hand() {
        assert_eq!(sign_test(0, 0), 1.0);
        assert_eq!(sign_test(4, 4), 1.0);
        assert!((sign_test(5, 0) - 2.0 / 32.0).abs() < 1e-15);
        assert!((sign_test(1, 7) - 2.0 * 9.0 / 256.0).abs() < 1e-15);
        assert_eq!(sign_test(2, 9), sign_test(9, 2));
    }

    #[test]
    fn thousands_neither_overflow_nor_panic() {
        assert_eq!(sign_test(100_000, 0), 0.0);
        assert!((0.9..=1.0).contains(&sign_test(50_000, 50_010)));
    }
}
