//! Texts embedded side by side on the cores of a CPU.

use rarebit_deviation::{EmbedError, Embedder};
use rarebit_train::lanes::{lanes, side_by_side};

/// Texts that one core embeds at a time: enough to fill a batch of short ones.
const TEXTS_PER_PART: usize = 32;

/// An embedder that computes on one core for the most part, on all of them.
///
/// How texts are put together depends on nothing but the texts, so that their vectors do not.
pub(super) struct OnCores<E>(pub(super) E);

impl<E: Embedder + Sync> Embedder for OnCores<E> {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn dims(&self) -> usize {
        self.0.dims()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        // Texts of a length share a part, or what is padded in one lane keeps the others waiting.
        let mut places: Vec<usize> = (0..texts.len()).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(texts[place].len()));
        let parts: Vec<&[usize]> = places.chunks(TEXTS_PER_PART).collect();
        let workers = vec![&self.0; lanes(parts.len())];
        let embed = |embedder: &&E, part: &[usize]| {
            let texts: Vec<&str> = part.iter().map(|&place| texts[place]).collect();
            embedder.embed(&texts)
        };
        let mut rows = Vec::with_capacity(texts.len());
        side_by_side(workers, parts, embed, |part| rows.extend(part))?;
        if rows.len() != texts.len() {
            let (rows, texts) = (rows.len(), texts.len());
            return Err(format!("{} gave {rows} rows for {texts} texts", self.id()).into());
        }
        let mut in_order = vec![Vec::new(); texts.len()];
        for (place, row) in places.into_iter().zip(rows) {
            in_order[place] = row;
        }
        Ok(in_order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives each text its length and its first letter.
    struct Letters;

    impl Embedder for Letters {
        fn id(&self) -> &str {
            "letters"
        }

        fn dims(&self) -> usize {
            2
        }

        fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
            assert!(texts.len() <= TEXTS_PER_PART);
            let letter = |text: &str| text.bytes().next().map_or(0.0, f32::from);
            texts
                .iter()
                .map(|text| match *text {
                    "unreadable" => Err("no".into()),
                    text => Ok(vec![text.len() as f32, letter(text)]),
                })
                .collect()
        }
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let texts: Vec<String> = (0..100)
            .map(|i| "abcdefg"[i % 7..].repeat(i * 13 % 5))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected: Vec<Vec<f32>> = texts
            .chunks(TEXTS_PER_PART)
            .flat_map(|texts| Letters.embed(texts).unwrap())
            .collect();
        assert_eq!(OnCores(Letters).embed(&texts).unwrap(), expected);
        assert!(OnCores(Letters).embed(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_failure_is_told() {
        let mut texts = vec!["text"; 200];
        texts[150] = "unreadable";
        let error = OnCores(Letters).embed(&texts).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
