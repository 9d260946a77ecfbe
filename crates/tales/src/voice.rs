//! Who tells it: six voices, each with its own way to put the same beats into sentences.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::grammar::{Person, Scene, Speech, Tense, clip, fragments, render, sentence};

/// How a tale is told. The order is the world's: the first voice is heard most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voice {
    /// Third person, past tense, no ornament.
    Plain,
    /// A folk teller with an audience and a refrain.
    Teller,
    /// First person, present tense.
    Witness,
    /// A letter to a friend.
    Letter,
    /// Fragments in the present tense.
    Terse,
    /// An interrogation: second person, questions and answers.
    Dialogue,
}

impl Voice {
    /// All voices, most frequent first.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Teller,
        Self::Witness,
        Self::Letter,
        Self::Terse,
        Self::Dialogue,
    ];

    /// The voice's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Teller => "teller",
            Self::Witness => "witness",
            Self::Letter => "letter",
            Self::Terse => "terse",
            Self::Dialogue => "dialogue",
        }
    }

    pub(crate) fn speech(self) -> Speech {
        let (person, tense) = match self {
            Self::Plain | Self::Teller => (Person::Third, Tense::Past),
            Self::Witness => (Person::First, Tense::Present),
            Self::Letter => (Person::First, Tense::Past),
            Self::Terse => (Person::Third, Tense::Present),
            Self::Dialogue => (Person::Second, Tense::Past),
        };
        Speech { person, tense }
    }

    /// What this voice says besides the beats.
    pub(crate) fn phrases(self) -> Vec<&'static str> {
        match self {
            Self::Plain => Vec::new(),
            Self::Teller => [&CALLS[..], &REFRAINS, &SAYINGS].concat(),
            Self::Witness => INTRODUCTIONS.to_vec(),
            Self::Letter => [&GREETINGS[..], &SIGNATURES].concat(),
            Self::Terse => HEADINGS.to_vec(),
            Self::Dialogue => [&CHALLENGES[..], &ANSWERS].concat(),
        }
    }

    /// Tells a draft in this voice.
    pub(crate) fn tell(self, draft: &Draft, scene: &Scene, rng: &mut impl Rng) -> String {
        let beats = Beats::render(draft, self.speech(), scene);
        let mut phrase = |table: &[&'static str]| match table.len() {
            0 => String::new(),
            n => render(table[rng.random_range(0..n)], self.speech(), scene),
        };
        match self {
            Self::Plain => beats.sentences().join(" "),
            Self::Teller => {
                let [opening, detail, event, turn, _] = beats.sentences();
                let last = sentence(&format!("{} {}", phrase(&SAYINGS), beats.ending), '.');
                [
                    phrase(&CALLS),
                    opening,
                    detail,
                    event,
                    phrase(&REFRAINS),
                    turn,
                    last,
                ]
                .join(" ")
            }
            Self::Witness => format!("{} {}", phrase(&INTRODUCTIONS), beats.sentences().join(" ")),
            Self::Letter => [
                phrase(&GREETINGS),
                beats.sentences().join(" "),
                phrase(&SIGNATURES),
            ]
            .join(" "),
            Self::Terse => {
                let subject = scene.pronouns.subject;
                let cut = |lead: &str, beat: &str| fragments(lead, beat, subject);
                [
                    phrase(&HEADINGS),
                    cut("", &beats.opening),
                    cut("", &beats.detail),
                    cut(beats.link, &beats.event),
                    cut(beats.pivot, &beats.turn),
                    sentence(clip(&beats.ending, subject), '.'),
                ]
                .join(" ")
            }
            Self::Dialogue => {
                let questions = beats.questions();
                let [opening, detail, event, turn, ending] = &questions;
                [
                    phrase(&CHALLENGES),
                    format!("\"{opening}\" \"{} {detail}\"", phrase(&ANSWERS)),
                    format!("\"{event}\" \"{}\"", phrase(&ANSWERS)),
                    format!("\"{turn}\" \"{}\"", phrase(&ANSWERS)),
                    format!("\"{ending}\""),
                ]
                .join(" ")
            }
        }
    }
}

/// The templates chosen for one tale, before a voice renders them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) opening: &'static str,
    pub(crate) detail: &'static str,
    pub(crate) link: &'static str,
    pub(crate) event: &'static str,
    pub(crate) pivot: &'static str,
    pub(crate) turn: &'static str,
    pub(crate) ending: &'static str,
}

/// A draft conjugated for one voice.
struct Beats {
    opening: String,
    detail: String,
    event: String,
    turn: String,
    ending: String,
    link: &'static str,
    pivot: &'static str,
}

impl Beats {
    fn render(draft: &Draft, speech: Speech, scene: &Scene) -> Self {
        let render = |template| render(template, speech, scene);
        Self {
            opening: render(draft.opening),
            detail: render(draft.detail),
            event: render(draft.event),
            turn: render(draft.turn),
            ending: render(draft.ending),
            link: draft.link,
            pivot: draft.pivot,
        }
    }

    fn told(&self, end: char) -> [String; 5] {
        [
            sentence(&self.opening, end),
            sentence(&self.detail, '.'),
            sentence(&format!("{} {}", self.link, self.event), end),
            sentence(&format!("{} {}", self.pivot, self.turn), end),
            sentence(&self.ending, end),
        ]
    }

    fn sentences(&self) -> [String; 5] {
        self.told('.')
    }

    fn questions(&self) -> [String; 5] {
        self.told('?')
    }
}

const CALLS: [&str; 4] = [
    "Listen, children.",
    "Gather near, children.",
    "Hear an old tale.",
    "Long ago it was.",
];

const REFRAINS: [&str; 4] = [
    "Hey ho, sing low.",
    "Fa la, fa lay.",
    "Ding dong, sing along.",
    "Oh hey, oh lo.",
];

const SAYINGS: [&str; 4] = [
    "so folk say,",
    "so the song goes,",
    "and so, they say,",
    "now hear this:",
];

const INTRODUCTIONS: [&str; 4] = [
    "I am the {n}.",
    "I am only a {n}.",
    "They call me the {n}.",
    "Here I stand, a {n}.",
];

const GREETINGS: [&str; 5] = [
    "Dear {f}, I hope you are well.",
    "Dear {f}, many thanks for writing.",
    "Dear {f}, here is my news.",
    "Dear {f}, I write in haste.",
    "Dear {f}, please believe this.",
];

const SIGNATURES: [&str; 4] = [
    "Yours, the {n}.",
    "Always yours, the {n}.",
    "With love, your {n}.",
    "Write back. Yours, the {n}.",
];

const HEADINGS: [&str; 5] = [
    "No stars. No sound.",
    "A gray sky.",
    "One lamp. No talk.",
    "A bad day.",
    "All quiet. Nobody near.",
];

const CHALLENGES: [&str; 4] = [
    "\"Are you the {n}?\" \"I am.\"",
    "\"You are the {n}, right?\" \"Yes, sir.\"",
    "\"Is this the {n}?\" \"It is, sir.\"",
    "\"Who are you, the {n}?\" \"Yes.\"",
];

const ANSWERS: [&str; 5] = ["Yes.", "True.", "Just so.", "Right, sir.", "Indeed."];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Pronouns;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const SCENE: Scene = Scene {
        character: "monk",
        pronouns: Pronouns::HE,
        object: "bell",
        place: "valley",
        adjective: "little",
        time: "at noon",
        friend: "Mina",
    };

    const DRAFT: Draft = Draft {
        opening: "{t} {c} [lose|loses|lost] a {a} {o} / in the {l}",
        detail: "the air <smells|smelled> of salt",
        link: "soon",
        event: "{s} [search|searches|searched] / and [dig|digs|dug]",
        pivot: "but",
        turn: "it <is|was> gone / and {s} [weep|weeps|wept]",
        ending: "{s} never [see|sees|saw] the {o} again",
    };

    fn tell(voice: Voice) -> String {
        voice.tell(&DRAFT, &SCENE, &mut ChaCha8Rng::seed_from_u64(5))
    }

    #[test]
    fn plain_is_only_the_beats() {
        assert_eq!(
            tell(Voice::Plain),
            "At noon the monk lost a little bell in the valley. The air smelled of salt. Soon he searched and dug. \
             But it was gone and he wept. He never saw the bell again."
        );
    }

    #[test]
    fn terse_cuts_and_drops_the_subject() {
        let text = tell(Voice::Terse);
        assert!(
            text.ends_with("In the valley. Air smells of salt. Soon searches. Digs. But it is gone. Weeps. Never sees the bell again."),
            "{text}"
        );
    }

    #[test]
    fn letters_greet_and_sign_and_dialogues_ask() {
        let letter = tell(Voice::Letter);
        assert!(
            letter.starts_with("Dear Mina, ") && letter.ends_with("monk."),
            "{letter}"
        );
        let dialogue = tell(Voice::Dialogue);
        assert!(
            dialogue.ends_with("\"You never saw the bell again?\""),
            "{dialogue}"
        );
        assert!(
            dialogue.contains("\"Soon you searched and dug?\""),
            "{dialogue}"
        );
    }
}
