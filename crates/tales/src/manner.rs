//! Recognition of the voice: the weighted evidence for each.

use std::collections::HashSet;

use crate::cues::CUES;
use crate::voice::Voice;

/// The share of its evidence that a voice needs.
const VOICE_SHARE: f32 = 0.7;
/// The margin that it needs over the next voice.
const VOICE_LEAD: f32 = 0.1;
/// Fewer words per sentence than this are terse; other tales have more.
const TERSE: f32 = 6.9;

/// The voice with the best evidence; `None` if none fits well or two fit equally well.
pub(crate) fn voice(text: &str, found: &[String]) -> Option<Voice> {
    let manner = Manner::of(text, found);
    let mut shares = Voice::ALL.map(|voice| (manner.fits(voice), voice));
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [(best, voice), (next, _), ..] = shares;
    (!found.is_empty() && best >= VOICE_SHARE && best - next >= VOICE_LEAD).then_some(voice)
}

/// The features of a text that distinguish the voices.
struct Manner {
    narrator: Narrator,
    present: usize,
    past: usize,
    quotes: usize,
    questions: usize,
    words_per_sentence: f32,
    letter_marks: usize,
    teller_marks: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Narrator {
    I,
    You,
    Nobody,
}

impl Manner {
    fn of(text: &str, found: &[String]) -> Self {
        let count = |set: &HashSet<&str>| {
            found
                .iter()
                .filter(|word| set.contains(word.as_str()))
                .count()
        };
        let distinct =
            |marks: &HashSet<String>| marks.iter().filter(|mark| found.contains(mark)).count();
        let any_of = |list: &[&str]| {
            found
                .iter()
                .filter(|word| list.contains(&word.as_str()))
                .count()
        };
        let (first, second) = (any_of(&["i", "me", "my"]), any_of(&["you", "your"]));
        let third = any_of(&["she", "he", "her", "him", "his"]);
        let sentences = text
            .split(['.', '!', '?'])
            .filter(|s| s.contains(char::is_alphanumeric))
            .count();
        Self {
            narrator: if first > second.max(third) {
                Narrator::I
            } else if second > first.max(third) {
                Narrator::You
            } else {
                Narrator::Nobody
            },
            present: count(&CUES.present),
            past: count(&CUES.past),
            quotes: text.matches('"').count(),
            questions: text.matches('?').count(),
            words_per_sentence: found.len() as f32 / sentences.max(1) as f32,
            letter_marks: distinct(&CUES.letter),
            teller_marks: distinct(&CUES.teller),
        }
    }

    /// The weighted share of a voice's evidence that is present.
    fn fits(&self, voice: Voice) -> f32 {
        let past = self.past > self.present;
        let present = self.present > self.past;
        let unquoted = self.quotes < 2;
        let unmarked = self.letter_marks < 2 && self.teller_marks < 2;
        let terse = self.words_per_sentence < TERSE;
        let evidence: &[(bool, f32)] = match voice {
            Voice::Plain => &[
                (self.narrator == Narrator::Nobody, 2.0),
                (past, 1.0),
                (unquoted, 3.0),
                (!terse, 1.0),
                (unmarked, 3.0),
            ],
            Voice::Teller => &[
                (self.teller_marks >= 2, 4.0),
                (self.narrator == Narrator::Nobody, 1.0),
                (past, 1.0),
                (unquoted, 1.0),
            ],
            Voice::Witness => &[
                (self.narrator == Narrator::I, 2.0),
                (present, 2.0),
                (self.letter_marks < 2, 1.0),
                (unquoted, 1.0),
                (!terse, 1.0),
            ],
            Voice::Letter => &[
                (self.letter_marks >= 2, 4.0),
                (self.narrator == Narrator::I, 1.0),
                (past, 1.0),
                (unquoted, 1.0),
            ],
            Voice::Terse => &[
                (terse, 3.0),
                (present, 2.0),
                (unmarked, 1.0),
                (self.narrator == Narrator::Nobody, 1.0),
                (unquoted, 2.0),
            ],
            Voice::Dialogue => &[
                (self.quotes >= 4, 3.0),
                (self.questions >= 2, 2.0),
                (self.narrator == Narrator::You, 1.0),
                (past, 1.0),
            ],
        };
        let total: f32 = evidence.iter().map(|(_, weight)| weight).sum();
        evidence
            .iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, weight)| weight)
            .sum::<f32>()
            / total
    }
}
