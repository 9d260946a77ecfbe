//! The oracle: the plot, voice and quality of a text.
//!
//! The oracle knows the tables but does not match templates: it counts cues, so that a text that mixes, bends or
//! breaks the templates still gets the reading that a patient human would give it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::craft::Craft;
use crate::cues::CUES;
use crate::manner;
use crate::plot::Plot;
use crate::voice::Voice;
use crate::words::{CHARACTERS, OBJECTS, words};

/// Below this many words, quality is reduced in proportion. The shortest tale of the world has more.
const FEWEST_WORDS: f32 = 25.0;
/// Below this share of different words, the text loops and quality is reduced in proportion.
const FEWEST_DISTINCT: f32 = 0.5;
/// The number of different cues that a plot needs.
const FEWEST_CUES: usize = 3;
/// The share of all plot cues that a plot needs; with less, the text mixes plots.
const PLOT_SHARE: f32 = 0.6;

/// What the oracle recovers from a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// What happens; `None` with too few cues or too many plots.
    pub plot: Option<Plot>,
    /// Who tells it; `None` if no voice fits or two do.
    pub voice: Option<Voice>,
    /// From 0 to 1: the mean of the four features of [`Craft`], times 1/2 if no plot can be read, times 1/2 if off
    /// topic, times 3/4 if cut off, and less in proportion for texts of under 25 words or of which under half the
    /// words differ. For a tale of the world it is exactly its quality over 4.
    pub quality: f32,
    /// Whether the prompt's character and object are both mentioned.
    pub on_topic: bool,
    /// Whether the text ends where a sentence ends.
    pub complete: bool,
    /// The features of craft by themselves.
    pub craft: Craft,
}

/// Reads a text as an answer to a prompt.
///
/// The prompt's character and object are found by their words, whatever surrounds them. Where the prompt names none
/// (for example, an empty prompt), any character or object of the world counts.
pub fn read(prompt: &str, text: &str) -> Reading {
    let found = words(text);
    let asked = words(prompt);
    let character = topic(&CHARACTERS.map(|(character, _)| character), &asked, &found);
    let object = topic(&OBJECTS, &asked, &found);
    let mentions = |word: Option<&str>| word.is_some_and(|word| found.iter().any(|w| w == word));
    let on_topic = mentions(character) && mentions(object);
    let complete = ends_a_sentence(text);
    let craft = Craft::read(text, object);
    let plot = plot(&found);
    let mut quality = f32::from(craft.grade()) / 4.0 * substance(&found);
    if plot.is_none() {
        quality *= 0.5;
    }
    if !on_topic {
        quality *= 0.5;
    }
    if !complete {
        quality *= 0.75;
    }
    Reading {
        plot,
        voice: manner::voice(text, &found),
        quality,
        on_topic,
        complete,
        craft,
    }
}

/// The first word of the table in the prompt, else the first in the text.
fn topic(table: &[&'static str], asked: &[String], found: &[String]) -> Option<&'static str> {
    asked
        .iter()
        .chain(found)
        .find_map(|word| table.iter().find(|entry| *entry == word).copied())
}

fn ends_a_sentence(text: &str) -> bool {
    text.trim_end()
        .trim_end_matches(['"', '\''])
        .ends_with(['.', '!', '?'])
}

/// The completeness of a text, from 0 to 1: 1 if it is long enough and does not loop.
fn substance(found: &[String]) -> f32 {
    if found.is_empty() {
        return 0.0;
    }
    let distinct = found.iter().collect::<HashSet<_>>().len();
    let length = found.len() as f32 / FEWEST_WORDS;
    let variety = distinct as f32 / found.len() as f32 / FEWEST_DISTINCT;
    length.min(1.0) * variety.min(1.0)
}

fn plot(found: &[String]) -> Option<Plot> {
    let cues: HashSet<&String> = found
        .iter()
        .filter(|word| CUES.plots.contains_key(word.as_str()))
        .collect();
    let count = |plot| {
        cues.iter()
            .filter(|word| CUES.plots.get(word.as_str()) == Some(&plot))
            .count()
    };
    let (best, count) = Plot::ALL
        .map(|plot| (plot, count(plot)))
        .into_iter()
        .max_by_key(|(_, count)| *count)?;
    (count >= FEWEST_CUES && count as f32 >= PLOT_SHARE * cues.len() as f32).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_of_plots_has_none() {
        let mixed = "The baker climbed the summit on a quest with the owl. Then a witch sprouted wings and paws.";
        assert_eq!(read("", mixed).plot, None);
        let mostly = "The baker climbed to the summit on a quest for the key, past a giant and a riddle, with a witch.";
        assert_eq!(read("", mostly).plot, Some(Plot::Quest));
    }

    #[test]
    fn garbage_is_poor_and_does_not_panic() {
        let loops = "but ".repeat(500);
        for text in [
            "",
            " ",
            ".",
            "\"",
            "\u{0}",
            "été \u{1F600} 雪 ß\u{301}",
            "a",
            &loops,
            "????!!!..",
            "the the",
        ] {
            let reading = read(
                "Write a short tale about a baker and a key in the swamp.",
                text,
            );
            assert_eq!((reading.plot, reading.on_topic), (None, false), "{text}");
            assert!(reading.quality <= 0.1, "{text} {}", reading.quality);
        }
        assert_eq!(read("", "").voice, None);
    }

    #[test]
    fn cut_and_off_topic_texts_lose_quality() {
        let text = "At dawn the baker lost a silver key in the swamp. The air smelled of salt and smoke. Soon she \
                    searched every corner and looked under the floor. But it was gone and her heart ached. She never \
                    saw the key again and mourned it for years.";
        let prompt = "Write a short tale about a baker and a key in the swamp.";
        let whole = read(prompt, text);
        assert_eq!(
            (whole.plot, whole.voice),
            (Some(Plot::Loss), Some(Voice::Plain))
        );
        assert_eq!(whole.quality, 1.0);
        assert_eq!(read("", text).quality, 1.0);
        assert_eq!(read(prompt, &text[..text.len() - 1]).quality, 0.75);
        // The prompt does not ask for the key, so it is neither the topic nor an echo.
        let off_topic = read("Write a tale of a monk and a bell.", text);
        assert_eq!((off_topic.on_topic, off_topic.quality), (false, 0.375));
    }
}
