//! Cue words, which identify a plot or a voice.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::craft::Wording;
use crate::grammar::{literals, verbs};
use crate::plot::Plot;
use crate::voice::Voice;
use crate::words::{ADJECTIVES, TIMES};

/// The words that identify a plot or a voice, all taken from the tables.
pub(crate) struct Cues {
    /// Words of four letters or more that one plot uses and nothing else in the world.
    pub(crate) plots: HashMap<&'static str, Plot>,
    pub(crate) present: HashSet<&'static str>,
    pub(crate) past: HashSet<&'static str>,
    pub(crate) letter: HashSet<String>,
    pub(crate) teller: HashSet<String>,
}

pub(crate) static CUES: LazyLock<Cues> = LazyLock::new(|| {
    let mut plots: HashMap<&str, Option<Plot>> = HashMap::new();
    for plot in Plot::ALL {
        for word in plot
            .beats()
            .templates()
            .flat_map(literals)
            .filter(|word| word.len() >= 4)
        {
            plots
                .entry(word)
                .and_modify(|owner| *owner = owner.filter(|o| *o == plot))
                .or_insert(Some(plot));
        }
    }
    let spoken = Voice::ALL.into_iter().flat_map(Voice::phrases);
    let shared: HashSet<String> = Wording::all()
        .chain(spoken)
        .chain(ADJECTIVES)
        .chain(TIMES)
        .flat_map(literals)
        .map(str::to_lowercase)
        .collect();
    let plots = plots
        .into_iter()
        .filter(|(word, _)| !shared.contains(*word))
        .filter_map(|(word, owner)| Some((word, owner?)))
        .collect();

    let templates = Plot::ALL
        .iter()
        .flat_map(|plot| plot.beats().templates())
        .chain(Wording::all());
    let (present, past): (Vec<_>, Vec<_>) = templates.map(verbs).unzip();
    let present: HashSet<&str> = present.into_iter().flatten().collect();
    let past: HashSet<&str> = past.into_iter().flatten().collect();
    Cues {
        plots,
        letter: marks(Voice::Letter),
        teller: marks(Voice::Teller),
        present: present.difference(&past).copied().collect(),
        past: past.difference(&present).copied().collect(),
    }
});

/// Words that only one voice uses.
fn marks(voice: Voice) -> HashSet<String> {
    let others = Voice::ALL
        .into_iter()
        .filter(|other| *other != voice)
        .flat_map(Voice::phrases);
    let beats = Plot::ALL
        .into_iter()
        .flat_map(|plot| plot.beats().templates().collect::<Vec<_>>());
    let elsewhere: HashSet<String> = others
        .chain(beats)
        .chain(Wording::all())
        .chain(ADJECTIVES)
        .chain(TIMES)
        .flat_map(literals)
        .map(str::to_lowercase)
        .collect();
    voice
        .phrases()
        .into_iter()
        .flat_map(literals)
        .map(str::to_lowercase)
        .filter(|word| !elsewhere.contains(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{CHARACTERS, FRIENDS, OBJECTS, PLACES};

    #[test]
    fn prompt_words_are_no_cues() {
        let nouns = CHARACTERS.map(|(character, _)| character);
        for word in nouns.iter().chain(&OBJECTS).chain(&PLACES).chain(&FRIENDS) {
            let word = word.to_lowercase();
            assert!(!CUES.plots.contains_key(word.as_str()), "{word}");
            assert!(
                !CUES.letter.contains(&word) && !CUES.teller.contains(&word),
                "{word}"
            );
        }
    }

    #[test]
    fn every_plot_has_a_vocabulary_of_its_own() {
        for plot in Plot::ALL {
            let own = CUES.plots.values().filter(|owner| **owner == plot).count();
            assert!(own >= 20, "{plot:?} has {own} cues");
        }
    }
}
