//! What is asked for the next response, given the ones that are there.

use rarebit_data::{Message, Text};
use serde::Serialize;

use super::Answer;
use super::journal::{Answered, Entry, Written};
use super::prompts::Prompt;
use super::verbalized;
use crate::error::{Result, bail};

/// How responses to one prompt are made to differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By sampling alone.
    Independent,
    /// By asking for each further one with the earlier ones shown: the paper's "-iter" systems.
    Iterative,
    /// By several in one answer, with their probabilities.
    Verbalized {
        /// How many are asked for at once.
        at_once: usize,
        /// Ask for responses that are less probable than this.
        below: Option<f64>,
    },
}

/// What is asked for behind the responses so far.
const FURTHER: &str = "Write one more response to the same request. Let it be as far as it can be from every one above: \
    in plot (who does what, where, and how it ends) and in style (form, voice, tone). Answer with the new response alone.";
/// How often in a row an answer that is no list of responses is borne with.
const MOST_UNREAD: u32 = 3;

/// Questions that have to be asked one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// Every response to a prompt.
    Prompt(usize),
    /// One response.
    Sample(usize, usize),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) prompt: usize,
    pub(super) sample: usize,
    /// How many responses are asked for.
    pub(super) count: usize,
    pub(super) messages: Vec<Message>,
}

/// A job: prompts and how they are asked.
#[derive(Debug, Clone, Copy)]
pub struct Questions<'a> {
    /// What is to be answered.
    pub prompts: &'a [Prompt],
    /// Responses to each.
    pub samples: usize,
    /// How responses to one prompt are made to differ.
    pub strategy: Strategy,
    /// A system prompt before each.
    pub system: Option<&'a str>,
}

impl Questions<'_> {
    /// Whether more is asked than the prompts themselves.
    pub(super) fn is_asked(&self) -> bool {
        self.strategy != Strategy::Independent || self.system.is_some()
    }

    /// Everything there is to do, done or not. Chains may go side by side.
    pub(super) fn chains(&self) -> Vec<Chain> {
        let prompts = 0..self.prompts.len();
        match self.strategy {
            Strategy::Independent => prompts
                .flat_map(|prompt| {
                    (0..self.samples).map(move |sample| Chain::Sample(prompt, sample))
                })
                .collect(),
            Strategy::Iterative | Strategy::Verbalized { .. } => {
                prompts.map(Chain::Prompt).collect()
            }
        }
    }

    /// The next question of a chain; none when it is at its end.
    pub(super) fn next(&self, chain: Chain, answered: &Answered) -> Option<Question> {
        let open = |prompt: usize, sample: usize| answered.rows[prompt][sample].is_none();
        let (prompt, sample) = match chain {
            Chain::Sample(prompt, sample) => (prompt, open(prompt, sample).then_some(sample)?),
            Chain::Prompt(prompt) => (
                prompt,
                (0..self.samples).find(|&sample| open(prompt, sample))?,
            ),
        };
        let (count, messages) = match self.strategy {
            Strategy::Independent => (1, self.turns(prompt)),
            Strategy::Iterative => (1, self.further(prompt, sample, answered)),
            Strategy::Verbalized { at_once, below } => {
                if answered.unread[prompt] >= MOST_UNREAD {
                    return None;
                }
                let count = at_once.min(self.samples - sample);
                (count, self.verbalized(prompt, count, below))
            }
        };
        Some(Question {
            prompt,
            sample,
            count,
            messages,
        })
    }

    /// What an answer to a question says.
    pub(super) fn entry(&self, question: &Question, answer: Answer) -> Entry {
        let verbalized = match self.strategy {
            Strategy::Independent | Strategy::Iterative => None,
            Strategy::Verbalized { .. } => Some(verbalized::parse(&answer.text)),
        };
        let mut entry = Entry {
            prompt: question.prompt,
            sample: question.sample,
            ..Entry::of(answer)
        };
        if let Some(found) = verbalized {
            let written = found.into_iter().take(question.count).map(|it| Written {
                response: it.text,
                probability: it.probability,
            });
            entry.responses = written.collect();
        }
        entry
    }

    /// What a prompt is asked as.
    pub(super) fn turns(&self, prompt: usize) -> Vec<Message> {
        let system = self.system.map(|text| Message::new("system", text));
        let own = self.prompts[prompt].text.clone().into_turns("user");
        system.into_iter().chain(own).collect()
    }

    /// The conversation so far, and what is wanted next.
    fn further(&self, prompt: usize, sample: usize, answered: &Answered) -> Vec<Message> {
        let mut turns = self.turns(prompt);
        // The beginning of the assistant's turn is that of every response.
        let begun = turns.pop_if(|last| last.role == "assistant");
        let earlier = answered.rows[prompt][..sample].iter().flatten();
        for row in earlier {
            // Nothing can be far from nothing, and some providers refuse empty turns.
            if !row.written.response.trim().is_empty() {
                let begun = begun.as_ref().map_or("", |begun| &begun.content);
                let response = [begun, &row.written.response].concat();
                turns.push(Message::new("assistant", response));
                turns.push(Message::new("user", FURTHER));
            }
        }
        turns.extend(begun);
        turns
    }

    fn verbalized(&self, prompt: usize, count: usize, below: Option<f64>) -> Vec<Message> {
        let mut turns = self.turns(prompt);
        let request = verbalized::request(count, below);
        match turns.last_mut().filter(|last| last.role == "user") {
            Some(last) => {
                last.content.push_str("\n\n");
                last.content.push_str(&request);
            }
            None => turns.push(Message::new("user", request)),
        }
        turns
    }
}

/// Refuses prompts that end in the assistant's turn where the last turn has to be a request.
///
/// # Errors
/// Names the first such prompt.
pub fn check_begun(strategy: Strategy, prompts: &[Prompt]) -> Result<()> {
    let is_begun = |prompt: &&Prompt| match &prompt.text {
        Text::Chat(turns) => turns.last().is_some_and(|turn| turn.role == "assistant"),
        Text::Plain(_) => false,
    };
    match (strategy, prompts.iter().find(is_begun)) {
        (Strategy::Verbalized { .. }, Some(prompt)) => bail!(
            "the prompt {} ends in an assistant's turn, which a list of responses cannot continue: \
             leave --verbalized out",
            prompt.id
        ),
        _ => Ok(()),
    }
}

/// Refuses prompts that have a system prompt of their own beside the one that is given.
///
/// # Errors
/// Names the first such prompt.
pub fn check_system(system: Option<&str>, prompts: &[Prompt]) -> Result<()> {
    let has_own = |prompt: &&Prompt| match &prompt.text {
        Text::Chat(turns) => turns.iter().any(|turn| turn.role == "system"),
        Text::Plain(_) => false,
    };
    match prompts.iter().find(has_own) {
        Some(prompt) if system.is_some() => bail!(
            "the prompt {} has a system message of its own: leave --system-prompt out",
            prompt.id
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Usage;
    use super::super::journal::Journal;
    use super::*;

    fn prompts() -> Vec<Prompt> {
        let plain = |id: &str| Prompt {
            id: id.to_owned(),
            text: format!("Tell {id}.").into(),
        };
        vec![plain("a"), plain("b")]
    }

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.to_owned(),
            finish_reason: "stop".to_owned(),
            usage: Usage::default(),
            model: None,
        }
    }

    /// Asks until nothing is left; what is asked, as roles and contents.
    fn all(questions: &Questions<'_>, reply: impl Fn(usize) -> String) -> Vec<Vec<String>> {
        let mut journal = Journal::open(None, questions.prompts.len(), questions.samples).unwrap();
        let mut asked = Vec::new();
        for chain in questions.chains() {
            while let Some(question) = questions.next(chain, &journal.answered) {
                let turns = question.messages.iter();
                asked.push(
                    turns
                        .map(|it| format!("{}: {}", it.role, it.content))
                        .collect(),
                );
                let entry = questions.entry(&question, answer(&reply(asked.len())));
                journal.record(vec![entry]).unwrap();
            }
        }
        asked
    }

    #[test]
    fn independent_questions_are_equal_and_every_sample_is_asked_once() {
        let prompts = prompts();
        let questions = Questions {
            prompts: &prompts,
            samples: 2,
            strategy: Strategy::Independent,
            system: Some("Be brief."),
        };
        let asked = all(&questions, |number| format!("{number}"));
        assert_eq!(asked.len(), 4);
        assert_eq!(asked[0], ["system: Be brief.", "user: Tell a."]);
        assert_eq!(asked[0], asked[1]);
        assert_eq!(asked[3][1], "user: Tell b.");
    }

    #[test]
    fn iterative_questions_show_what_is_there_but_for_what_is_empty() {
        let prompts = prompts();
        let questions = Questions {
            prompts: &prompts[..1],
            samples: 4,
            strategy: Strategy::Iterative,
            system: None,
        };
        let reply = |number| match number {
            2 => " ".to_owned(),
            _ => format!("tale {number}"),
        };
        let asked = all(&questions, reply);
        let further = format!("user: {FURTHER}");
        assert_eq!(asked[0], ["user: Tell a."]);
        assert_eq!(asked[1], ["user: Tell a.", "assistant: tale 1", &further]);
        assert_eq!(asked[2], asked[1]);
        assert_eq!(asked[3][3..], ["assistant: tale 3".to_owned(), further]);
        assert_eq!(asked.len(), 4);
    }

    #[test]
    fn a_begun_response_is_the_beginning_of_every_one() {
        let begun = Prompt {
            id: "c".to_owned(),
            text: Text::Chat(vec![
                Message::new("user", "Tell c."),
                Message::new("assistant", "Once"),
            ]),
        };
        let prompts = [begun];
        let questions = Questions {
            prompts: &prompts,
            samples: 2,
            strategy: Strategy::Iterative,
            system: None,
        };
        let further = format!("user: {FURTHER}");
        assert_eq!(
            all(&questions, |number| format!(" upon {number}")),
            [
                vec!["user: Tell c.", "assistant: Once"],
                vec![
                    "user: Tell c.",
                    "assistant: Once upon 1",
                    &further,
                    "assistant: Once"
                ],
            ]
        );
        let verbalized = Strategy::Verbalized {
            at_once: 2,
            below: None,
        };
        let error = check_begun(verbalized, &prompts).unwrap_err().to_string();
        assert!(error.contains("the prompt c ends in"), "{error}");
        assert!(check_begun(Strategy::Iterative, &prompts).is_ok());
        assert!(check_begun(verbalized, &self::prompts()).is_ok());
    }

    #[test]
    fn verbalized_questions_ask_for_what_is_missing_and_give_up_on_prose() {
        let prompts = prompts();
        let questions = Questions {
            prompts: &prompts[..1],
            samples: 5,
            strategy: Strategy::Verbalized {
                at_once: 3,
                below: None,
            },
            system: None,
        };
        let two = "<response><text>x</text></response><response><text>y</text></response>";
        let asked = all(&questions, |_| two.to_owned());
        let counts: Vec<bool> = [3, 3, 1]
            .iter()
            .zip(&asked)
            .map(|(count, asked)| asked[0].contains(&format!("Give {count} different")))
            .collect();
        assert_eq!((asked.len(), counts), (3, vec![true; 3]));
        assert!(asked[0][0].starts_with("user: Tell a.\n\nGive 3"));
        assert_eq!(all(&questions, |_| "No.".to_owned()).len(), 3);
    }

    #[test]
    fn two_system_prompts_are_one_too_many() {
        let own = Prompt {
            id: "c".to_owned(),
            text: Text::Chat(vec![Message::new("system", "x"), Message::new("user", "y")]),
        };
        let error = check_system(Some("z"), std::slice::from_ref(&own)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the prompt c has a system message")
        );
        assert!(check_system(None, &[own]).is_ok());
        assert!(check_system(Some("z"), &prompts()).is_ok());
    }
}
