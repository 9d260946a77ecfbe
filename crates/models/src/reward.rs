//! The input of a reward model.

/// A prompt and a response as the paper's reward model reads them (arXiv 2503.17126).
pub fn pair_text(prompt: &str, response: &str) -> String {
    format!("<prompt>{prompt}</prompt><response>{response}</response>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_stands_between_tags() {
        assert_eq!(
            pair_text("Why?", "So."),
            "<prompt>Why?</prompt><response>So.</response>"
        );
    }
}
