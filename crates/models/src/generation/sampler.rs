use super::logits::softmax;

/// Samples a token by inverse transform of `uniform`, a number in `[0, 1)`.
pub(super) fn draw(logits: &[f32], uniform: f32) -> u32 {
    let mut below = 0.0;
    let mut last = 0;
    for (token, probability) in softmax(logits).into_iter().enumerate() {
        if probability > 0.0 {
            below += probability;
            last = token;
            if uniform < below {
                break;
            }
        }
    }
    last as u32
}

/// The token with the largest logit; the first one if there are ties.
pub(super) fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_distribution_and_never_an_excluded_token() {
        let logits = [0.0, f32::NEG_INFINITY, 3f32.ln(), f32::NEG_INFINITY];
        let draws: Vec<u32> = (0..1000)
            .map(|i| draw(&logits, i as f32 / 1000.0))
            .collect();
        assert_eq!(draws.iter().filter(|&&token| token == 0).count(), 250);
        assert_eq!(draws.iter().filter(|&&token| token == 2).count(), 750);
        assert_eq!(draw(&logits, 0.999_999_94), 2);
    }

    #[test]
    fn the_likeliest_is_the_first_of_equals() {
        assert_eq!(likeliest(&[0.5, 2.0, 2.0]), 1);
    }
}
