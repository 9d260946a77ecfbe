//! Prompts: every combination of a character, an object and a place.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::grammar::{Person, Scene, Speech, Tense, render};
use crate::words::{ADJECTIVES, CHARACTERS, FRIENDS, OBJECTS, PHRASINGS, PLACES, TIMES, pick};

/// The number of prompts of a world.
pub(crate) const COMBINATIONS: usize = CHARACTERS.len() * OBJECTS.len() * PLACES.len();

/// A split of the prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Prompts to train on.
    Train,
    /// New combinations of the same words.
    HeldOut,
}

/// A request for a tale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// Its three words, as in `baker-lantern-forest`; unique in the world.
    pub id: String,
    /// The request itself.
    pub text: String,
    /// Who the tale is about.
    pub character: &'static str,
    /// What the tale is about.
    pub object: &'static str,
    /// Where it happens.
    pub place: &'static str,
    /// Its number among all combinations.
    #[serde(skip)]
    pub(crate) combination: usize,
}

impl Prompt {
    pub(crate) fn new(combination: usize, seed: u64) -> Self {
        let scene = scene(combination);
        // Streams below COMBINATIONS belong to the tales, so no tale reuses the draw of its prompt's phrasing.
        let mut rng = stream(seed, (COMBINATIONS + combination) as u64);
        let speech = Speech {
            person: Person::Third,
            tense: Tense::Past,
        };
        Self {
            id: format!("{}-{}-{}", scene.character, scene.object, scene.place),
            text: render(pick(&PHRASINGS, &mut rng), speech, &scene),
            character: scene.character,
            object: scene.object,
            place: scene.place,
            combination,
        }
    }

    /// Index of the object, then of the place.
    pub(crate) fn leanings(&self) -> (usize, usize) {
        (
            self.combination / PLACES.len() % OBJECTS.len(),
            self.combination % PLACES.len(),
        )
    }
}

/// The scene of a combination, with the first of the words that vary between tales.
pub(crate) fn scene(combination: usize) -> Scene {
    let (rest, place) = (combination / PLACES.len(), combination % PLACES.len());
    let (character, object) = (
        rest / OBJECTS.len() % CHARACTERS.len(),
        rest % OBJECTS.len(),
    );
    let (character, pronouns) = CHARACTERS[character];
    Scene {
        character,
        pronouns,
        object: OBJECTS[object],
        place: PLACES[place],
        adjective: ADJECTIVES[0],
        time: TIMES[0],
        friend: FRIENDS[0],
    }
}

/// One of the independent random streams of a seed.
pub(crate) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_numbered_without_gaps() {
        let ids: std::collections::HashSet<String> =
            (0..COMBINATIONS).map(|n| Prompt::new(n, 0).id).collect();
        assert_eq!(ids.len(), COMBINATIONS);
    }
}
