//! Self-BLEU: the overlap of each response's n-grams with those of the others.

use std::collections::HashMap;

/// The longest n-gram that counts.
const LONGEST: usize = 4;

/// The mean BLEU of each response with all others as its references, from 0 to 1; `None` for fewer
/// than two responses.
///
/// ("Texygen", Zhu et al., arXiv 1802.01886; BLEU by Papineni et al., 2002.) Higher is less
/// diverse. BLEU is sacrebleu's for single sentences, `sentence_bleu(response, others) / 100`: its
/// case-sensitive `13a` tokens, n-grams up to four, the closest reference's length, `exp` smoothing
/// and effective order, so that short texts have a value. A response without words has BLEU 0.
///
/// More responses mean more references: compare only equal numbers.
#[must_use]
pub fn self_bleu(texts: &[&str]) -> Option<f64> {
    if texts.len() < 2 {
        return None;
    }
    let tokens: Vec<Vec<String>> = texts.iter().map(|text| tokens_13a(text)).collect();
    let counts: Vec<Counts<'_>> = tokens.iter().map(|tokens| count(tokens)).collect();
    let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
    let most = most_among_texts(&counts);
    let total: f64 = counts
        .iter()
        .enumerate()
        .map(|(text, counts)| {
            let (correct, all) = matches(text, counts, &most);
            bleu(&correct, &all, lengths[text], closest(&lengths, text))
        })
        .sum();
    Some(total / texts.len() as f64)
}

/// The count of each n-gram of one text.
type Counts<'a> = HashMap<&'a [String], u32>;

fn count(tokens: &[String]) -> Counts<'_> {
    let mut counts = HashMap::new();
    for ngram in (1..=LONGEST).flat_map(|n| tokens.windows(n)) {
        *counts.entry(ngram).or_insert(0) += 1;
    }
    counts
}

/// The highest count of an n-gram in any text, that text, and the highest count in any other.
#[derive(Clone, Copy, Default)]
struct Most {
    count: u32,
    text: usize,
    elsewhere: u32,
}

impl Most {
    /// Its highest count in the other texts.
    fn outside(&self, text: usize) -> u32 {
        if self.text == text {
            self.elsewhere
        } else {
            self.count
        }
    }
}

/// The two highest counts of each n-gram yield the clipped counts of every text at once.
fn most_among_texts<'a>(counts: &[Counts<'a>]) -> HashMap<&'a [String], Most> {
    let mut most: HashMap<&[String], Most> = HashMap::new();
    for (text, counts) in counts.iter().enumerate() {
        for (&ngram, &count) in counts {
            let found = most.entry(ngram).or_default();
            if count > found.count {
                *found = Most {
                    count,
                    text,
                    elsewhere: found.count,
                };
            } else {
                found.elsewhere = found.elsewhere.max(count);
            }
        }
    }
    most
}

/// The n-grams of a text that match its references, and all of them, by length.
fn matches(
    text: usize,
    counts: &Counts<'_>,
    most: &HashMap<&[String], Most>,
) -> ([u32; LONGEST], [u32; LONGEST]) {
    let (mut correct, mut all) = ([0; LONGEST], [0; LONGEST]);
    for (ngram, &count) in counts {
        let order = ngram.len() - 1;
        all[order] += count;
        correct[order] += count.min(most[ngram].outside(text));
    }
    (correct, all)
}

/// The length of the other text that is closest to this one's; of two, the shorter.
fn closest(lengths: &[usize], text: usize) -> usize {
    let own = lengths[text];
    let others = lengths
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != text);
    others
        .map(|(_, &length)| length)
        .min_by_key(|&length| (length.abs_diff(own), length))
        .unwrap_or(own)
}

/// sacrebleu's `compute_bleu` with `exp` smoothing and effective order, from 0 to 1.
fn bleu(
    correct: &[u32; LONGEST],
    all: &[u32; LONGEST],
    length: usize,
    reference_length: usize,
) -> f64 {
    if correct.iter().all(|&count| count == 0) {
        return 0.0;
    }
    let mut smoothing = 1.0;
    let (mut logs, mut orders) = (0.0, 0.0);
    for (&correct, &all) in correct.iter().zip(all).take_while(|(_, all)| **all > 0) {
        let precision = if correct == 0 {
            smoothing *= 2.0;
            1.0 / (smoothing * f64::from(all))
        } else {
            f64::from(correct) / f64::from(all)
        };
        logs += precision.ln();
        orders += 1.0;
    }
    let brevity = if length < reference_length {
        (1.0 - reference_length as f64 / length as f64).exp()
    } else {
        1.0
    };
    brevity * (logs / orders).exp()
}

/// The tokens of mteval-v13a as in sacrebleu: punctuation is separated, except periods and commas
/// between digits and hyphens that do not follow a digit.
fn tokens_13a(text: &str) -> Vec<String> {
    let line = text
        .trim_end()
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let mut spaced = Vec::with_capacity(line.len() + line.len() / 4);
    spaced.push(' ');
    for character in line.chars() {
        match character {
            '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/' => {
                spaced.extend([' ', character, ' ']);
            }
            other => spaced.push(other),
        }
    }
    spaced.push(' ');
    let is_point = |c: char| matches!(c, '.' | ',');
    let spaced = pairs(&spaced, |a, b| {
        (!a.is_ascii_digit() && is_point(b)).then_some([Some(a), Some(' '), Some(b), Some(' ')])
    });
    let spaced = pairs(&spaced, |a, b| {
        (is_point(a) && !b.is_ascii_digit()).then_some([Some(' '), Some(a), Some(' '), Some(b)])
    });
    let spaced = pairs(&spaced, |a, b| {
        (a.is_ascii_digit() && b == '-').then_some([Some(a), Some(' '), Some(b), Some(' ')])
    });
    let spaced: String = spaced.into_iter().collect();
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Replaces pairs of neighbours from left to right like a regular expression of two characters: no
/// character belongs to two pairs.
fn pairs(
    text: &[char],
    replacement: impl Fn(char, char) -> Option<[Option<char>; 4]>,
) -> Vec<char> {
    let mut replaced = Vec::with_capacity(text.len() + text.len() / 8);
    let mut at = 0;
    while at < text.len() {
        let next = text.get(at + 1);
        match next.and_then(|&next| replacement(text[at], next)) {
            Some(found) => {
                replaced.extend(found.into_iter().flatten());
                at += 2;
            }
            None => {
                replaced.push(text[at]);
                at += 1;
            }
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_wholly_alike() {
        let text = "The keeper lit the lamp.";
        let found = self_bleu(&[text, text, text]).unwrap();
        assert!((found - 1.0).abs() < 1e-12, "{found}");
    }

    #[test]
    fn texts_without_common_words_have_nothing() {
        assert_eq!(self_bleu(&["one two", "three four"]), Some(0.0));
        assert_eq!(self_bleu(&["", ""]), Some(0.0));
        assert_eq!(self_bleu(&["alone"]), None);
    }

    #[test]
    fn by_hand() {
        // Precisions 1, 1/2 and, smoothed, 1/2 of one 3-gram, each way; lengths are equal.
        let expected = (1.0_f64 * 0.5 * 0.5).powf(1.0 / 3.0);
        let found = self_bleu(&["a b c", "c a b"]).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn tokens_are_those_of_the_mteval_script() {
        let tokens = |text| tokens_13a(text).join(" ");
        assert_eq!(tokens("Don't stop, 3.14-ish!"), "Don't stop , 3.14 - ish !");
        assert_eq!(
            tokens("Well...yes, 1,000 (ok)"),
            "Well . . . yes , 1,000 ( ok )"
        );
        assert_eq!(tokens("well-\nknown &amp; x"), "wellknown & x");
        assert_eq!(tokens("„Ach“, sagte sie."), "„Ach“ , sagte sie .");
    }
}
