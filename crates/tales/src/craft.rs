//! How well a tale is told: four features that are independent of plot and voice.
//!
//! Every feature swaps one wording for another of similar length, alike in every voice, so that quality shows in a
//! few words and never in the shape of the tale.

use std::collections::HashSet;
use std::sync::LazyLock;

use rand::{Rng, RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::grammar::literals;
use crate::words::words;

/// Four marks of craft, each present or absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Craft {
    /// A detail for the senses instead of a vague remark: two or more sensory words.
    pub sensory: bool,
    /// The prompt's object returns in the last sentence.
    pub echo: bool,
    /// No filler ("somehow", "um", "kind of") and no stammering ("very, very", "and then, and then").
    pub clean: bool,
    /// The tale turns on a "but" or a "yet".
    pub turn: bool,
}

impl Craft {
    /// A craft with `grade` of the four features, drawn at random; all of them for a higher grade.
    pub(crate) fn with_grade(grade: u8, rng: &mut impl Rng) -> Self {
        let mut features: [bool; 4] = std::array::from_fn(|i| i < usize::from(grade));
        features.shuffle(rng);
        let [sensory, echo, clean, turn] = features;
        Self {
            sensory,
            echo,
            clean,
            turn,
        }
    }

    /// How many of the four features are present.
    pub fn grade(self) -> u8 {
        [self.sensory, self.echo, self.clean, self.turn]
            .into_iter()
            .map(u8::from)
            .sum()
    }

    /// Reads the features from any text; `object` is what should return in the last sentence.
    pub(crate) fn read(text: &str, object: Option<&str>) -> Self {
        let found = words(text);
        let sensory: HashSet<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|word| SENSORY.contains(word))
            .collect();
        Self {
            sensory: sensory.len() >= 2,
            echo: object
                .is_some_and(|object| words(last_sentence(text)).iter().any(|word| word == object)),
            clean: !found.is_empty()
                && !stammers(text)
                && !found
                    .iter()
                    .any(|word| FILLER_WORDS.contains(&word.as_str())),
            turn: found.iter().any(|word| word == "but" || word == "yet"),
        }
    }
}

/// The wordings of the features: the good one where it is present, else the poor one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wording {
    /// A sentence of its own.
    pub(crate) detail: &'static str,
    /// Precedes the event.
    pub(crate) link: &'static str,
    /// Precedes the turn.
    pub(crate) pivot: &'static str,
}

impl Wording {
    pub(crate) fn draw(craft: Craft, rng: &mut impl Rng) -> Self {
        Self {
            detail: either(craft.sensory, &DETAILS, &REMARKS, rng),
            link: either(craft.clean, &LINKS, &FILLERS, rng),
            pivot: either(craft.turn, &TURNS, &STEPS, rng),
        }
    }

    pub(crate) fn all() -> impl Iterator<Item = &'static str> {
        [&DETAILS[..], &REMARKS, &LINKS, &FILLERS, &TURNS, &STEPS]
            .concat()
            .into_iter()
    }
}

fn either<const N: usize, const M: usize>(
    good: bool,
    present: &[&'static str; N],
    absent: &[&'static str; M],
    rng: &mut impl Rng,
) -> &'static str {
    if good {
        present[rng.random_range(0..N)]
    } else {
        absent[rng.random_range(0..M)]
    }
}

const DETAILS: [&str; 10] = [
    "the air <smells|smelled> of salt and smoke",
    "cold rain <tastes|tasted> of iron",
    "a sweet smell of honey <drifts|drifted> near",
    "damp moss <feels|felt> soft underfoot",
    "crickets <hum|hummed> in the damp grass",
    "the air <tastes|tasted> of bitter ash",
    "rough wool <scratches|scratched> in the cold air",
    "warm bread <smells|smelled> sweet nearby",
    "bees <hum|hummed> over the warm honey",
    "soft ash and salt <sting|stung> the nose",
];

const REMARKS: [&str; 10] = [
    "the weather <is|was> nice and fine",
    "the people <do|did> the usual things",
    "the day <goes|went> like other days",
    "some things <happen|happened> that day",
    "the hours <go|went> by as usual",
    "the place <seems|seemed> about the same",
    "a few other people <walk|walked> around",
    "the people <mention|mentioned> many things",
    "the work <goes|went> on as usual",
    "a nice day <is|was> much the same",
];

const LINKS: [&str; 5] = [
    "soon",
    "before long,",
    "by nightfall,",
    "bit by bit,",
    "the next day,",
];
const FILLERS: [&str; 5] = [
    "and then and then",
    "somehow",
    "um, well,",
    "very, very slowly",
    "kind of quickly",
];

const TURNS: [&str; 3] = ["but", "yet", "but then"];
const STEPS: [&str; 3] = ["then", "and so", "after that"];

const FILLER_WORDS: [&str; 3] = ["somehow", "um", "kind"];

/// The words of the details that do not occur in the vague remarks, without function words.
static SENSORY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let vague: HashSet<&str> = REMARKS.iter().flat_map(|remark| literals(remark)).collect();
    DETAILS
        .iter()
        .flat_map(|detail| literals(detail))
        .filter(|word| word.len() > 2 && !vague.contains(word) && !SMALL_WORDS.contains(word))
        .collect()
});

const SMALL_WORDS: [&str; 4] = ["the", "and", "over", "nose"];

/// Whether a sentence says a word, or a pair of words, twice in a row.
fn stammers(text: &str) -> bool {
    text.split(['.', '!', '?']).map(words).any(|words| {
        words.windows(2).any(|w| w[0] == w[1]) || words.windows(4).any(|w| w[..2] == w[2..])
    })
}

/// The last sentence of five words or more: shorter ones are signatures, answers and refrains.
/// The whole text if there is no such sentence.
pub(crate) fn last_sentence(text: &str) -> &str {
    text.split(['.', '!', '?'])
        .rev()
        .find(|sentence| words(sentence).len() >= 5)
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn grades_count_features() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for grade in 0..=4 {
            assert_eq!(Craft::with_grade(grade, &mut rng).grade(), grade);
        }
        assert_eq!(Craft::with_grade(9, &mut rng).grade(), 4);
    }

    #[test]
    fn each_feature_is_read_by_its_rule() {
        let read = |text| Craft::read(text, Some("key"));
        assert!(read("The air smelled of salt. All was over.").sensory);
        assert!(!read("Salt. Salt! All was over.").sensory);
        assert!(read("A day went by. At last she kissed the key. Yours, Tom.").echo);
        assert!(!read("She kissed the key. At last a day went by.").echo);
        assert!(!read("It was very, very good.").clean);
        assert!(!read("And then, and then it rained.").clean);
        assert!(!read("Somehow it rained.").clean);
        assert!(read("It rained.").clean);
        assert!(read("Yet it rained.").turn);
        assert_eq!(read(""), Craft::default());
    }
}
