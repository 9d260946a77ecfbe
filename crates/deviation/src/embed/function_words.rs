//! English function words by class: the words that a writer does not choose.
//!
//! They carry voice and little content, so the style embedder counts them and the lexical one
//! plays them down.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Articles.
pub(super) const ARTICLES: &[&str] = &["a", "an", "the"];

/// First person singular.
pub(super) const FIRST_SINGULAR: &[&str] = &[
    "i", "me", "my", "mine", "myself", "i'm", "i've", "i'd", "i'll",
];

/// First person plural.
pub(super) const FIRST_PLURAL: &[&str] = &[
    "we",
    "us",
    "our",
    "ours",
    "ourselves",
    "we're",
    "we've",
    "we'd",
    "we'll",
];

/// Second person.
pub(super) const SECOND: &[&str] = &[
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
    "you're",
    "you've",
    "you'd",
    "you'll",
    "thou",
    "thee",
    "thy",
];

/// Third person singular, people.
pub(super) const THIRD_SINGULAR: &[&str] = &[
    "he", "him", "his", "himself", "she", "her", "hers", "herself", "he's", "he'd", "he'll",
    "she's", "she'd", "she'll",
];

/// Third person, things and groups.
pub(super) const THIRD_OTHER: &[&str] = &[
    "it",
    "its",
    "itself",
    "it's",
    "it'd",
    "it'll",
    "they",
    "them",
    "their",
    "theirs",
    "themselves",
    "they're",
    "they've",
    "they'd",
    "they'll",
    "one",
    "oneself",
];

/// Prepositions.
pub(super) const PREPOSITIONS: &[&str] = &[
    "about", "above", "across", "after", "against", "along", "among", "around", "at", "before",
    "behind", "below", "beneath", "beside", "between", "beyond", "by", "down", "during", "for",
    "from", "in", "inside", "into", "near", "of", "off", "on", "onto", "out", "outside", "over",
    "past", "through", "to", "toward", "towards", "under", "until", "up", "upon", "with", "within",
    "without",
];

/// Words that join equals.
pub(super) const COORDINATORS: &[&str] = &["and", "but", "or", "nor", "yet", "so"];

/// Words that open a subordinate clause.
pub(super) const SUBORDINATORS: &[&str] = &[
    "although", "as", "because", "if", "since", "than", "though", "unless", "whereas", "whether",
    "while", "when", "where", "who", "whom", "whose", "which", "what", "why", "how",
];

/// Words that point.
pub(super) const DEMONSTRATIVES: &[&str] = &[
    "this", "that", "these", "those", "here", "there", "such", "that's", "there's", "here's",
];

/// Words that measure and select.
pub(super) const QUANTIFIERS: &[&str] = &[
    "all", "any", "both", "each", "either", "enough", "every", "few", "less", "many", "more",
    "most", "much", "neither", "no", "none", "other", "another", "same", "several", "some",
];

/// Words that strengthen, weaken or fill.
pub(super) const INTENSIFIERS: &[&str] = &[
    "actually", "almost", "already", "also", "always", "anyway", "even", "ever", "just", "kinda",
    "like", "maybe", "never", "only", "perhaps", "pretty", "quite", "rather", "really", "still",
    "then", "too", "totally", "very", "well", "yeah", "oh", "okay", "ok",
];

/// Negations.
pub(super) const NEGATIONS: &[&str] = &["not", "cannot", "nothing", "nobody", "nowhere"];

/// Modal verbs of the present.
pub(super) const MODALS: &[&str] = &["can", "may", "must", "might", "should", "could", "would"];

/// Marks of the future.
pub(super) const FUTURE: &[&str] = &["will", "shall", "won't", "gonna"];

/// Auxiliaries of the past.
pub(super) const PAST_AUXILIARIES: &[&str] = &[
    "was", "were", "had", "did", "been", "wasn't", "weren't", "hadn't", "didn't",
];

/// Auxiliaries of the present.
pub(super) const PRESENT_AUXILIARIES: &[&str] = &[
    "am", "is", "are", "be", "being", "has", "have", "having", "do", "does", "isn't", "aren't",
    "hasn't", "haven't", "don't", "doesn't", "i'm", "it's", "you're", "we're", "they're", "he's",
    "she's", "that's", "there's",
];

/// Frequent verbs whose past does not end in -ed. Not function words; a cue of tense.
pub(super) const IRREGULAR_PASTS: &[&str] = &[
    "began", "bought", "broke", "brought", "built", "came", "caught", "chose", "drank", "drew",
    "drove", "fell", "felt", "flew", "forgot", "found", "fought", "gave", "got", "grew", "heard",
    "held", "kept", "knew", "laid", "lay", "led", "left", "lost", "made", "meant", "met", "paid",
    "ran", "rose", "said", "sang", "sat", "saw", "sent", "shook", "slept", "sold", "spent",
    "spoke", "stood", "stole", "swam", "taught", "thought", "threw", "told", "took", "went",
    "woke", "won", "wore", "wrote",
];

/// The classes that together are the function words.
const CLASSES: &[&[&str]] = &[
    ARTICLES,
    FIRST_SINGULAR,
    FIRST_PLURAL,
    SECOND,
    THIRD_SINGULAR,
    THIRD_OTHER,
    PREPOSITIONS,
    COORDINATORS,
    SUBORDINATORS,
    DEMONSTRATIVES,
    QUANTIFIERS,
    INTENSIFIERS,
    NEGATIONS,
    MODALS,
    FUTURE,
    PAST_AUXILIARIES,
    PRESENT_AUXILIARIES,
];

/// Whether a lower-case English word, with the straight apostrophe, is a function word.
#[must_use]
pub fn is_function_word(word: &str) -> bool {
    // Asked for every word, pair and n-gram of a text: a search through some 250 words each time
    // took most of the time of embedding.
    static WORDS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| CLASSES.iter().copied().flatten().copied().collect());
    WORDS.contains(word)
}
