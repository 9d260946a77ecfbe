//! The words that prompts combine, and those that vary between tales without affecting the truth.

use rand::{Rng, RngExt};

/// How a character is referred to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pronouns {
    pub(crate) subject: &'static str,
    pub(crate) object: &'static str,
    pub(crate) possessive: &'static str,
}

impl Pronouns {
    pub(crate) const FIRST: Self = Self {
        subject: "I",
        object: "me",
        possessive: "my",
    };
    pub(crate) const SECOND: Self = Self {
        subject: "you",
        object: "you",
        possessive: "your",
    };
    pub(crate) const SHE: Self = Self {
        subject: "she",
        object: "her",
        possessive: "her",
    };
    pub(crate) const HE: Self = Self {
        subject: "he",
        object: "him",
        possessive: "his",
    };
}

/// Every noun in these tables takes "a", never "an", and occurs nowhere else in the world.
pub(crate) const CHARACTERS: [(&str, Pronouns); 24] = [
    ("baker", Pronouns::SHE),
    ("sailor", Pronouns::HE),
    ("widow", Pronouns::SHE),
    ("shepherd", Pronouns::HE),
    ("weaver", Pronouns::SHE),
    ("blacksmith", Pronouns::HE),
    ("gardener", Pronouns::SHE),
    ("hunter", Pronouns::HE),
    ("piper", Pronouns::SHE),
    ("soldier", Pronouns::HE),
    ("potter", Pronouns::SHE),
    ("monk", Pronouns::HE),
    ("painter", Pronouns::SHE),
    ("tailor", Pronouns::HE),
    ("queen", Pronouns::SHE),
    ("prince", Pronouns::HE),
    ("doctor", Pronouns::SHE),
    ("clown", Pronouns::HE),
    ("teacher", Pronouns::SHE),
    ("farmer", Pronouns::HE),
    ("singer", Pronouns::SHE),
    ("barber", Pronouns::HE),
    ("nurse", Pronouns::SHE),
    ("carpenter", Pronouns::HE),
];

pub(crate) const OBJECTS: [&str; 24] = [
    "lantern", "key", "coin", "mirror", "drum", "ring", "map", "violin", "clock", "compass", "cup",
    "feather", "shell", "candle", "crown", "bell", "kite", "needle", "pearl", "mask", "flute",
    "spoon", "doll", "basket",
];

pub(crate) const PLACES: [&str; 16] = [
    "forest", "harbor", "valley", "market", "castle", "village", "desert", "swamp", "library",
    "garden", "tower", "canyon", "tavern", "chapel", "orchard", "meadow",
];

pub(crate) const ADJECTIVES: [&str; 8] = [
    "silver", "little", "golden", "wooden", "painted", "crooked", "simple", "carved",
];

/// Times that fit both tenses.
pub(crate) const TIMES: [&str; 8] = [
    "at dawn",
    "at noon",
    "at dusk",
    "at midnight",
    "in spring",
    "in winter",
    "in autumn",
    "on Sunday",
];

pub(crate) const FRIENDS: [&str; 6] = ["Anna", "Tom", "Clara", "Hugo", "Mina", "Peter"];

/// The ways in which a prompt may ask; `{n}`, `{o}` and `{l}` as in the grammar.
pub(crate) const PHRASINGS: [&str; 4] = [
    "Write a short tale about a {n} and a {o} in the {l}.",
    "Tell me a tale of a {n}, a {o} and the {l}.",
    "In the {l} there is a {n} with a {o}. What happens?",
    "A {n}, a {o}, the {l}: write the tale.",
];

/// One entry of a table.
pub(crate) fn pick<const N: usize>(table: &[&'static str; N], rng: &mut impl Rng) -> &'static str {
    table[rng.random_range(0..N)]
}

/// The words of a text, in lower case and without punctuation.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
