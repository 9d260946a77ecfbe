//! `builtin:style`: a profile of how a text is written.

use unicode_segmentation::UnicodeSegmentation;

use super::embedder::{EmbedError, Embedder, unit};
use super::function_words::*;

/// Features are clamped to this many spreads.
const LOUDEST: f64 = 2.5;

/// A profile of voice, centred on common English prose: a stand-in for a style embedder.
///
/// The features are rates of function words by class, person, tense, punctuation, sentence length
/// and its variation, speech in quotes, and the shape of words and lines. Raw profiles are made of
/// shares and all point the same way (cosines above 0.9 between any two texts), so each feature is
/// read as its difference from a fixed baseline in units of a fixed spread, at most 2.5 spreads
/// either way, and the row is scaled to length 1. Two texts that depart from common prose in the
/// same way are near; departures of opposite kind are more than 1 apart.
///
/// Baselines and spreads are rounded judgements about short English fiction, not estimates from a
/// corpus; what matters is that they are the same for every text.
///
/// White space alone gives the zero vector.
///
/// # What it cannot see
/// Register, irony, imagery, rhythm: anything that is not counted above. Rates are noisy in texts of
/// fewer than about fifty words. In languages other than English it sees punctuation, lengths and
/// shapes only. A change of subject moves it a little, since subjects differ in grammatical person
/// and word length.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style;

impl Embedder for Style {
    fn id(&self) -> &str {
        // The number is raised with every change to the vectors.
        "builtin:style@1"
    }

    fn dims(&self) -> usize {
        profile("").len()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| embed(text)).collect())
    }
}

fn embed(text: &str) -> Vec<f32> {
    let profile = profile(text);
    if text.trim().is_empty() {
        return vec![0.0; profile.len()];
    }
    let centred: Vec<f64> = profile
        .iter()
        .map(|feature| {
            ((feature.value - feature.baseline) / feature.spread).clamp(-LOUDEST, LOUDEST)
        })
        .collect();
    unit(&centred)
}

/// A number about a text, with its usual value and its usual spread.
struct Feature {
    value: f64,
    baseline: f64,
    spread: f64,
}

fn feature(value: f64, baseline: f64, spread: f64) -> Feature {
    Feature {
        value,
        baseline,
        spread,
    }
}

fn profile(text: &str) -> Vec<Feature> {
    let lower = text.to_lowercase().replace('’', "'");
    let words: Vec<&str> = lower.unicode_words().collect();
    let mut features = Vec::new();
    features.extend(function_words(&words));
    features.extend(person(&words));
    features.extend(tense(&words));
    features.extend(punctuation(text, words.len()));
    features.extend(sentences(text));
    features.extend(shape(text));
    features
}

/// `part / whole`, 0 for an empty whole.
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// The share of the words that are in a class.
fn rate(words: &[&str], class: &[&str]) -> f64 {
    share(
        words.iter().filter(|word| class.contains(word)).count(),
        words.len(),
    )
}

fn function_words(words: &[&str]) -> Vec<Feature> {
    let contractions = words.iter().filter(|word| word.contains('\'')).count();
    vec![
        feature(rate(words, ARTICLES), 0.08, 0.03),
        feature(rate(words, PREPOSITIONS), 0.12, 0.035),
        feature(rate(words, COORDINATORS), 0.045, 0.02),
        feature(rate(words, SUBORDINATORS), 0.035, 0.02),
        feature(rate(words, DEMONSTRATIVES), 0.02, 0.015),
        feature(rate(words, QUANTIFIERS), 0.02, 0.015),
        feature(rate(words, INTENSIFIERS), 0.03, 0.025),
        feature(rate(words, NEGATIONS), 0.01, 0.01),
        feature(rate(words, MODALS), 0.012, 0.012),
        feature(share(contractions, words.len()), 0.015, 0.02),
    ]
}

fn person(words: &[&str]) -> Vec<Feature> {
    vec![
        feature(rate(words, FIRST_SINGULAR), 0.035, 0.035),
        feature(rate(words, FIRST_PLURAL), 0.008, 0.015),
        feature(rate(words, SECOND), 0.012, 0.02),
        feature(rate(words, THIRD_SINGULAR), 0.05, 0.04),
        feature(rate(words, THIRD_OTHER), 0.025, 0.02),
    ]
}

fn tense(words: &[&str]) -> Vec<Feature> {
    let past = words.iter().filter(|word| is_past(word)).count();
    let present = words
        .iter()
        .filter(|word| PRESENT_AUXILIARIES.contains(word))
        .count()
        + words
            .windows(2)
            .filter(|pair| is_present_verb(pair[0], pair[1]))
            .count();
    let progressive = words
        .iter()
        .filter(|word| word.len() > 4 && word.ends_with("ing"))
        .count();
    // Half past, half present where there is no cue at all.
    let past_share = (past as f64 + 0.5) / ((past + present) as f64 + 1.0);
    vec![
        feature(past_share, 0.65, 0.25),
        feature(share(past, words.len()), 0.09, 0.045),
        feature(share(present, words.len()), 0.035, 0.03),
        feature(rate(words, FUTURE), 0.004, 0.008),
        feature(share(progressive, words.len()), 0.025, 0.018),
    ]
}

fn is_past(word: &str) -> bool {
    PAST_AUXILIARIES.contains(&word)
        || IRREGULAR_PASTS.contains(&word)
        || (word.len() > 3 && word.ends_with("ed") && !word.ends_with("eed"))
}

/// "she runs", "who knows": a third person followed by a word in -s.
fn is_present_verb(subject: &str, verb: &str) -> bool {
    matches!(subject, "he" | "she" | "it" | "who" | "that" | "one")
        && verb.len() > 3
        && verb.ends_with('s')
        && !verb.ends_with("ss")
        && !is_function_word(verb)
}

fn punctuation(text: &str, words: usize) -> Vec<Feature> {
    let count = |marks: &[char]| text.chars().filter(|c| marks.contains(c)).count();
    let ellipses = count(&['…']) + text.matches("...").count();
    let dashes = count(&['—', '–']) + text.matches("--").count() + text.matches(" - ").count();
    vec![
        feature(share(count(&[',', '，', '、', '،']), words), 0.07, 0.035),
        feature(share(count(&[';', ':', '；', '：']), words), 0.004, 0.008),
        feature(share(dashes, words), 0.006, 0.012),
        feature(share(ellipses, words), 0.002, 0.008),
        feature(
            share(count(&['(', ')', '[', ']', '*', '_']), words),
            0.002,
            0.012,
        ),
        feature(quoted_share(text), 0.12, 0.2),
        feature(
            share(text.lines().count().saturating_sub(1), words),
            0.015,
            0.025,
        ),
    ]
}

/// The share of the text that stands between double quotes.
fn quoted_share(text: &str) -> f64 {
    let (mut inside, mut quoted, mut all) = (false, 0, 0);
    for c in text.chars() {
        match c {
            '"' => inside = !inside,
            '“' | '„' | '«' | '「' => inside = true,
            '”' | '»' | '」' => inside = false,
            // A quote that is never closed ends with its paragraph.
            '\n' => inside = false,
            _ => {
                all += 1;
                quoted += usize::from(inside);
            }
        }
    }
    share(quoted, all)
}

fn sentences(text: &str) -> Vec<Feature> {
    let sentences: Vec<&str> = text.unicode_sentences().collect();
    let n = sentences.len();
    let ending_in = |marks: &[char]| {
        let ends = |s: &&&str| {
            s.trim_end_matches(|c: char| c.is_whitespace() || "\"”’')».".contains(c))
                .ends_with(marks)
        };
        share(sentences.iter().filter(ends).count(), n)
    };
    let lower_start = sentences
        .iter()
        .filter(|s| {
            s.chars()
                .find(|c| c.is_alphabetic())
                .is_some_and(char::is_lowercase)
        })
        .count();
    let lengths: Vec<f64> = sentences
        .iter()
        .map(|s| s.unicode_words().count() as f64)
        .collect();
    let mean = lengths.iter().sum::<f64>() / n.max(1) as f64;
    let variance = lengths.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n.max(1) as f64;
    let variation = if mean > 0.0 {
        variance.sqrt() / mean
    } else {
        0.0
    };
    vec![
        feature(mean.max(1.0).ln(), 2.5, 0.45),
        feature(variation, 0.5, 0.25),
        feature(ending_in(&['!', '！']), 0.05, 0.12),
        feature(ending_in(&['?', '？', '؟']), 0.06, 0.12),
        feature(share(lower_start, n), 0.02, 0.15),
    ]
}

fn shape(text: &str) -> Vec<Feature> {
    let words: Vec<&str> = text.unicode_words().collect();
    let n = words.len();
    let with = |holds: &dyn Fn(&str) -> bool| share(words.iter().filter(|w| holds(w)).count(), n);
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    let visible = text.chars().filter(|c| !c.is_whitespace());
    let (foreign, symbols, all) = visible.fold((0, 0, 0), |(foreign, symbols, all), c| {
        let foreign_letter = c.is_alphabetic() && c as u32 > 0x24f;
        let symbol = !c.is_alphanumeric() && c as u32 > 0x2100;
        (
            foreign + usize::from(foreign_letter),
            symbols + usize::from(symbol),
            all + 1,
        )
    });
    vec![
        feature(share(letters, n), 4.3, 0.5),
        feature(with(&|w| w.chars().count() >= 7), 0.17, 0.07),
        feature(with(&|w| w.chars().count() <= 3), 0.42, 0.08),
        feature(
            with(&|w| w.chars().next().is_some_and(char::is_uppercase)),
            0.12,
            0.05,
        ),
        feature(with(&is_all_capitals), 0.03, 0.04),
        feature(
            with(&|w| w.chars().any(|c| c.is_ascii_digit())),
            0.004,
            0.015,
        ),
        feature(share(foreign, all), 0.0, 0.2),
        feature(share(symbols, all), 0.0, 0.02),
    ]
}

fn is_all_capitals(word: &str) -> bool {
    word.chars().count() > 1
        && word.chars().all(|c| !c.is_lowercase())
        && word.chars().any(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &str, b: &str) -> f64 {
        let (a, b) = (embed(a), embed(b));
        1.0 - a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    }

    #[test]
    fn saying_it_twice_changes_little() {
        let once = "He closed the door. \"Who is there?\" she asked, and nobody answered.\n";
        assert!(distance(once, &once.repeat(2)) < 0.02);
    }

    #[test]
    fn person_and_tense_alone_move_a_text() {
        let third = "She walked to the harbour and waited. Her brother was late, and she was cold.";
        let first = "I walk to the harbour and wait. My brother is late, and I am cold.";
        let other = "He climbed to the chapel and rested. His sister was gone, and he was tired.";
        assert!(distance(third, first) > distance(third, other) + 0.3);
    }

    #[test]
    fn curly_and_straight_apostrophes_are_one() {
        assert!(distance("I don’t know, it’s late.", "I don't know, it's late.") < 1e-6);
    }

    #[test]
    fn white_space_has_no_direction() {
        assert!(embed("").iter().all(|v| *v == 0.0));
        assert!(embed(" \n").iter().all(|v| *v == 0.0));
        assert_eq!(Style.dims(), embed("").len());
    }

    #[test]
    fn rows_have_length_one_whatever_the_script() {
        for text in [
            "The fox.",
            "狐狸跑回家了。",
            "الثعلب ركض",
            "🦊🏃‍♀️🏠",
            "!?",
            "7",
        ] {
            let length: f64 = embed(text).iter().map(|v| f64::from(*v).powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-6, "{text}");
        }
    }

    #[test]
    fn speech_is_what_stands_between_quotes() {
        assert_eq!(quoted_share("\"ab\"cd"), 0.5);
        assert_eq!(quoted_share("“ab” cd "), 2.0 / 6.0);
        assert_eq!(quoted_share("\"ab\ncdef"), 2.0 / 6.0);
        assert_eq!(quoted_share(""), 0.0);
    }

    #[test]
    fn tense_has_cues() {
        assert!(is_past("walked") && is_past("went") && is_past("was"));
        assert!(!is_past("need") && !is_past("red") && !is_past("walks"));
        assert!(is_present_verb("she", "runs") && !is_present_verb("she", "was"));
        assert!(!is_present_verb("the", "dogs"));
    }
}
