//! ROUGE-L homogenisation: the share of each response's wording found in the others.

use std::collections::HashMap;

use crate::evaluation::Mode;

/// The mean ROUGE-L F1 over all ordered pairs of responses; `None` for fewer than two.
///
/// ```text
/// F1 = 2 * LCS(a, b) / (|a| + |b|)        LCS: longest common subsequence, in words
/// ```
///
/// ("Does Writing with Language Models Reduce Content Diversity?", Padmakumar and He, arXiv
/// 2309.05196, section 3; ROUGE-L by Lin, 2004.) Higher is less diverse. Words are runs of letters
/// and digits, lower-cased, without stemming. Equal texts have F1 1, even without words.
///
/// # Departures
/// The reference (PyPI `rouge-score`) knows only the letters a to z; accented ones separate words,
/// and a text in another script has no words at all. The reference code's homogenisation (PyPI
/// `diversity` 0.2.0) omits the last text's score from the sum while dividing by the number of texts,
/// treats equal neighbours as one text, and rounds to three decimals. [`Mode::ReferenceCompat`] does
/// the same except for the rounding.
#[must_use]
pub fn homogenisation(texts: &[&str], mode: Mode) -> Option<f64> {
    let n = texts.len();
    if n < 2 {
        return None;
    }
    let f1 = pairwise_f1(texts, mode);
    Some(match mode {
        Mode::Correct => f1.iter().sum::<f64>() / (n * (n - 1)) as f64,
        Mode::ReferenceCompat => reference_mean(texts, &f1),
    })
}

/// F1 of each pair, row-major `[n, n]`, 0 on the diagonal.
pub(crate) fn pairwise_f1(texts: &[&str], mode: Mode) -> Vec<f64> {
    let n = texts.len();
    let words: Vec<Vec<String>> = texts.iter().map(|text| words(text, mode)).collect();
    let mut f1 = vec![0.0; n * n];
    for i in 0..n {
        let positions = Positions::new(&words[i]);
        for j in i + 1..n {
            let length = (words[i].len() + words[j].len()) as f64;
            let value = if texts[i] == texts[j] {
                1.0
            } else if length > 0.0 {
                2.0 * positions.common_subsequence(&words[j]) as f64 / length
            } else {
                0.0
            };
            f1[i * n + j] = value;
            f1[j * n + i] = value;
        }
    }
    f1
}

fn words(text: &str, mode: Mode) -> Vec<String> {
    let separates = |c: char| match mode {
        Mode::Correct => !c.is_alphanumeric(),
        Mode::ReferenceCompat => !c.is_ascii_alphanumeric(),
    };
    let lower = text.to_lowercase();
    let words = lower.split(separates).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The mean as `diversity` 0.2.0 computes it: a text's sum is added when the next text begins, which
/// never happens for the last one.
fn reference_mean(texts: &[&str], f1: &[f64]) -> f64 {
    let n = texts.len();
    let (mut total, mut sum) = (0.0, 0.0);
    for i in 0..n {
        if i > 0 && texts[i] != texts[i - 1] {
            total += sum / (n - 1) as f64;
            sum = 0.0;
        }
        sum += f1[i * n..(i + 1) * n].iter().sum::<f64>();
    }
    // The total is 0 only if all texts are equal or none share a word.
    if total == 0.0 {
        total = sum;
    }
    total / n as f64
}

/// The positions of each word of a text, one bit per position, in blocks of 64.
struct Positions<'a> {
    /// The blocks that contain a word, in order: a text of many different words has few for each.
    bits: HashMap<&'a str, Vec<(usize, u64)>>,
    length: usize,
}

impl<'a> Positions<'a> {
    fn new(words: &'a [String]) -> Self {
        let mut bits: HashMap<&str, Vec<(usize, u64)>> = HashMap::new();
        for (at, word) in words.iter().enumerate() {
            let (block, bit) = (at / 64, 1 << (at % 64));
            let blocks = bits.entry(word).or_default();
            match blocks.last_mut() {
                Some((last, held)) if *last == block => *held |= bit,
                _ => blocks.push((block, bit)),
            }
        }
        Self {
            bits,
            length: words.len(),
        }
    }

    /// Length of the longest common subsequence with another text.
    ///
    /// The bit-parallel recurrence of Hyyrö, "Bit-Parallel LCS-length Computation Revisited"
    /// (2004): 64 cells of the usual table per step. A zero bit of `row` is a step of the row.
    /// Blocks without the word change only while a carry propagates through them.
    fn common_subsequence(&self, other: &[String]) -> usize {
        let mut row = vec![u64::MAX; self.length.div_ceil(64)];
        for word in other {
            let Some(blocks) = self.bits.get(word.as_str()) else {
                continue;
            };
            let (mut carry, mut next) = (false, 0);
            for &(at, matched) in blocks {
                run_carry(&mut row[next..at], &mut carry);
                let block = &mut row[at];
                let (sum, first) = block.overflowing_add(*block & matched);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                *block = sum | (*block & !matched);
                next = at + 1;
            }
            run_carry(&mut row[next..], &mut carry);
        }
        row.iter().map(|block| block.count_zeros() as usize).sum()
    }
}

/// The recurrence in blocks without a match, up to where the carry ends.
fn run_carry(blocks: &mut [u64], carry: &mut bool) {
    for block in blocks {
        if !*carry {
            return;
        }
        let sum;
        (sum, *carry) = block.overflowing_add(1);
        *block |= sum;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook table.
    fn table(a: &[String], b: &[String]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y {
                    diagonal + 1
                } else {
                    above.max(row[j])
                };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-d]", 0..200)
    }

    proptest! {
        #[test]
        fn bits_count_what_the_table_counts(a in texts(), b in texts()) {
            prop_assert_eq!(Positions::new(&a).common_subsequence(&b), table(&a, &b));
        }
    }

    #[test]
    fn words_in_common_order_count() {
        // LCS of (the fox ran home) and (the old fox went home) is 3: 2 * 3 / 9.
        let found = homogenisation(
            &["The fox ran home.", "The old fox went home!"],
            Mode::Correct,
        );
        assert!((found.unwrap() - 6.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn equal_texts_are_wholly_alike() {
        for texts in [["a b", "a b"], ["", ""], ["狐狸", "狐狸"]] {
            assert_eq!(homogenisation(&texts, Mode::Correct), Some(1.0));
        }
        assert_eq!(homogenisation(&["", "a"], Mode::Correct), Some(0.0));
        assert_eq!(homogenisation(&["a"], Mode::Correct), None);
    }

    #[test]
    fn letters_of_every_script_are_letters() {
        let texts = ["Élan vital", "élan"];
        assert!((homogenisation(&texts, Mode::Correct).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        // The reference reads "lan vital" and "lan".
        assert_eq!(words("Élan", Mode::ReferenceCompat), ["lan"]);
    }
}
