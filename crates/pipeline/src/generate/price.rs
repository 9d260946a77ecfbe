//! What answers cost.

use super::Usage;

/// Dollars per million tokens; unknown where a provider's prices were not given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Price {
    /// Of questions.
    pub input: Option<f64>,
    /// Of answers.
    pub output: Option<f64>,
}

impl Price {
    /// Dollars spent, where a price is known.
    pub(super) fn of(self, usage: Usage) -> Option<f64> {
        let cost = |tokens: u64, price: Option<f64>| price.map(|price| tokens as f64 * price / 1e6);
        let parts = [
            cost(usage.input_tokens, self.input),
            cost(usage.output_tokens, self.output),
        ];
        parts
            .iter()
            .any(Option::is_some)
            .then(|| parts.into_iter().flatten().sum())
    }

    /// Tokens and spend in a few words.
    pub(super) fn told(self, usage: Usage) -> String {
        let tokens = format!(
            "{} tokens in, {} out",
            grouped(usage.input_tokens),
            grouped(usage.output_tokens)
        );
        match self.of(usage) {
            Some(dollars) => format!("{tokens}, ${dollars:.4}"),
            None => tokens,
        }
    }
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_price() {
        let usage = Usage {
            input_tokens: 1_500_000,
            output_tokens: 2_000,
        };
        let price = Price {
            input: Some(2.5),
            output: Some(10.0),
        };
        assert!((price.of(usage).unwrap() - 3.77).abs() < 1e-12);
        assert_eq!(price.told(usage), "1,500,000 tokens in, 2,000 out, $3.7700");
        assert_eq!(Price::default().of(usage), None);
        assert!(!Price::default().told(usage).contains('$'));
        let half = Price {
            output: None,
            ..price
        };
        assert_eq!(half.of(usage), Some(3.75));
    }
}
