//! The words that two texts share, and where they stand.

use std::collections::HashSet;

use rarebit_deviation::embed::is_function_word;
use unicode_segmentation::UnicodeSegmentation;

/// Words in a row that make a shared phrase.
const PHRASE: usize = 3;

/// A stretch of a text that the other text has, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Where it starts, in UTF-16 units, as JavaScript counts.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Whether it is a phrase of three words or more, or else a single word.
    pub phrase: bool,
}

/// What `text` shares with `other`, in the order of `text`.
///
/// A phrase is a run of three words or more that stands in `other` word for word, whatever the
/// case; neighbouring runs are one stretch. Outside of phrases a word counts when `other` has it
/// anywhere and it is no English function word: every two texts share those.
#[must_use]
pub fn shared(text: &str, other: &str) -> Vec<Shared> {
    let words = words(text);
    let others = self::words(other);
    let known: HashSet<&str> = others.iter().map(|word| word.lower.as_str()).collect();
    let phrases: HashSet<[&str; PHRASE]> = others.windows(PHRASE).map(lower).collect();
    let mut in_phrase = vec![false; words.len()];
    for (at, run) in words.windows(PHRASE).enumerate() {
        if phrases.contains(&lower(run)) {
            in_phrase[at..at + PHRASE].fill(true);
        }
    }
    let mut shared: Vec<Shared> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let phrase = in_phrase[at];
        if phrase && at > 0 && in_phrase[at - 1] {
            if let Some(last) = shared.last_mut() {
                last.end = word.end;
            }
        } else if phrase || known.contains(word.lower.as_str()) && !is_function_word(&word.lower) {
            shared.push(Shared {
                start: word.start,
                end: word.end,
                phrase,
            });
        }
    }
    shared
}

struct Word {
    lower: String,
    /// In UTF-16 units.
    start: u32,
    end: u32,
}

fn words(text: &str) -> Vec<Word> {
    let (mut bytes, mut units) = (0, 0);
    text.unicode_word_indices()
        .map(|(at, word)| {
            let start = units + length(&text[bytes..at]);
            bytes = at + word.len();
            units = start + length(word);
            Word {
                lower: word.to_lowercase().replace('’', "'"),
                start,
                end: units,
            }
        })
        .collect()
}

fn lower(run: &[Word]) -> [&str; PHRASE] {
    std::array::from_fn(|i| run[i].lower.as_str())
}

/// Length in UTF-16 units; texts beyond 4 Gi units do not reach a 32-bit machine.
fn length(text: &str) -> u32 {
    text.chars().map(|c| c.len_utf16() as u32).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, other: &str) -> Vec<(String, bool)> {
        let units: Vec<u16> = text.encode_utf16().collect();
        shared(text, other)
            .into_iter()
            .map(|s| {
                let piece = &units[s.start as usize..s.end as usize];
                (String::from_utf16(piece).unwrap(), s.phrase)
            })
            .collect()
    }

    fn found(pieces: &[(&str, bool)]) -> Vec<(String, bool)> {
        pieces.iter().map(|&(s, p)| (s.to_owned(), p)).collect()
    }

    #[test]
    fn phrases_and_words_are_told_apart() {
        assert_eq!(
            marked(
                "The keeper lit the lamp and slept.",
                "At dusk, the keeper lit the lamp; nobody slept in the storm"
            ),
            found(&[("The keeper lit the lamp", true), ("slept", false)])
        );
    }

    #[test]
    fn function_words_alone_are_no_mark() {
        assert_eq!(marked("the and of it", "it of and the"), []);
        assert_eq!(
            marked("it is what it is", "so it is what?"),
            found(&[("it is what", true)])
        );
    }

    #[test]
    fn places_are_counted_as_javascript_counts() {
        assert_eq!(
            marked("🦊 Füchse 🦊 schlafen", "schlafen Füchse"),
            found(&[("Füchse", false), ("schlafen", false)])
        );
    }

    #[test]
    fn curly_and_straight_apostrophes_are_one() {
        assert_eq!(
            marked("Fox’s tail", "the fox's"),
            found(&[("Fox’s", false)])
        );
    }

    #[test]
    fn nothing_shares_nothing() {
        assert_eq!(shared("", "a fox"), []);
        assert_eq!(shared("a fox", ""), []);
        assert_eq!(shared("🦊", "🦊"), []);
    }
}
