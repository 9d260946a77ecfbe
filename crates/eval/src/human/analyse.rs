//! Analysis of the annotators' answers, by system.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::agreement::krippendorff_alpha;
use super::judgements::{Answer, Choice, Judgements, Question};
use super::sign_test::sign_test;
use super::study::{Key, KeyItem, VERSION};
use crate::bootstrap::Bootstrap;
use crate::error::EvalError;
use crate::evaluation::Interval;

/// The results of [`analyse`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HumanEvaluation {
    /// The format version, [`VERSION`].
    pub version: u32,
    /// The study.
    pub study: String,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// The annotators, in the order of their files.
    pub annotators: Vec<Annotator>,
    /// Each system against the baseline, by question.
    pub comparisons: Vec<Comparison>,
}

/// One annotator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotator {
    /// The name they gave.
    pub name: String,
    /// Items with an answer.
    pub items: usize,
    /// The share of the left set among their choices of a set. Far from one half, they chose by side.
    pub left: Option<f64>,
    /// Median time per item.
    pub seconds: Option<f64>,
}

/// One system against the baseline in one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The question.
    pub question: Question,
    /// The system.
    pub system: String,
    /// The system it is compared with.
    pub baseline: String,
    /// Over all annotators and prompts.
    pub judgements: Counts,
    /// The share of annotators who chose the system, averaged over prompts.
    pub wins: Option<Interval>,
    /// The share who saw no difference.
    pub ties: Option<Interval>,
    /// The share who chose the baseline.
    pub losses: Option<Interval>,
    /// By prompt, which of the two a majority of annotators chose; equal numbers are a tie.
    pub prompts: Counts,
    /// Two-sided p of the sign test over prompts.
    pub p: f64,
    /// Krippendorff's alpha of the annotators, with wins, ties and losses as nominal values. `None` if
    /// no prompt has two annotators, or all answers are the same.
    pub alpha: Option<Interval>,
}

/// The counts of wins, ties and losses of the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// For the system.
    pub wins: usize,
    /// For neither.
    pub ties: usize,
    /// For the baseline.
    pub losses: usize,
}

impl Counts {
    fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        outcomes
            .into_iter()
            .fold(Self::default(), |mut counts, outcome| {
                match outcome {
                    Outcome::Win => counts.wins += 1,
                    Outcome::Tie => counts.ties += 1,
                    Outcome::Loss => counts.losses += 1,
                }
                counts
            })
    }
}

/// How a system fared against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Win,
    Tie,
    Loss,
}

/// Win rates with intervals, sign tests and agreement.
///
/// Judgements of one prompt by several annotators are not independent: intervals resample prompts
/// together with all their answers, and the sign test counts each prompt once, by the majority of its
/// annotators.
///
/// # Errors
/// When there are no answers, a file belongs to another study or format version, an annotator occurs
/// twice, or an answer refers to no item of the study or to one that is answered already.
pub fn analyse(
    key: &Key,
    files: &[Judgements],
    bootstrap: &Bootstrap,
) -> Result<HumanEvaluation, EvalError> {
    let items: HashMap<&str, &KeyItem> = key.items.iter().map(|it| (it.id.as_str(), it)).collect();
    check(key, &items, files)?;
    // The outcomes of each item by system and question.
    let mut said: BTreeMap<(&str, Question), BTreeMap<&str, Vec<Outcome>>> = BTreeMap::new();
    for answer in files.iter().flat_map(|file| &file.answers) {
        let item = items[answer.item.as_str()];
        for question in Question::ALL {
            let Some(choice) = answer.to(question) else {
                continue;
            };
            let (system, outcome) = outcome(item, choice, &key.baseline);
            let of_system = said.entry((system, question)).or_default();
            of_system.entry(&item.id).or_default().push(outcome);
        }
    }
    let mut comparisons = Vec::new();
    for question in Question::ALL {
        for system in systems(key) {
            let units: Vec<Vec<Outcome>> = said
                .remove(&(system, question))
                .map(|items| items.into_values().collect())
                .unwrap_or_default();
            comparisons.push(compare(question, system, &key.baseline, &units, bootstrap));
        }
    }
    Ok(HumanEvaluation {
        version: VERSION,
        study: key.study.clone(),
        resamples: bootstrap.resamples,
        seed: bootstrap.seed,
        annotators: files.iter().map(annotator).collect(),
        comparisons,
    })
}

fn check(
    key: &Key,
    items: &HashMap<&str, &KeyItem>,
    files: &[Judgements],
) -> Result<(), EvalError> {
    let mut names = HashSet::new();
    for file in files {
        let annotator = || file.annotator.clone();
        if file.version != VERSION {
            return Err(EvalError::JudgementsVersion {
                annotator: annotator(),
                version: file.version,
            });
        }
        if file.study != key.study {
            return Err(EvalError::OtherStudy {
                annotator: annotator(),
                found: file.study.clone(),
                expected: key.study.clone(),
            });
        }
        if !names.insert(&file.annotator) {
            return Err(EvalError::RepeatedAnnotator(annotator()));
        }
        let mut answered = HashSet::new();
        for answer in &file.answers {
            let item = answer.item.as_str();
            if !items.contains_key(item) || !answered.insert(item) {
                return Err(EvalError::Answer {
                    annotator: annotator(),
                    item: item.to_owned(),
                });
            }
        }
    }
    let answers = files.iter().flat_map(|file| &file.answers);
    if answers.filter(|answer| is_answered(answer)).count() == 0 {
        return Err(EvalError::NoAnswers);
    }
    Ok(())
}

fn is_answered(answer: &Answer) -> bool {
    Question::ALL
        .iter()
        .any(|&question| answer.to(question).is_some())
}

/// The systems that are compared with the baseline, ordered by name.
fn systems(key: &Key) -> Vec<&str> {
    let sets = key.items.iter().flat_map(|item| &item.sets);
    let mut systems: Vec<&str> = sets
        .map(|set| set.system.as_str())
        .filter(|system| *system != key.baseline)
        .collect();
    systems.sort_unstable();
    systems.dedup();
    systems
}

/// The item's system that is not the baseline, and how it fared.
fn outcome<'a>(item: &'a KeyItem, choice: Choice, baseline: &str) -> (&'a str, Outcome) {
    let [first, second] = &item.sets;
    let is_first = first.system != baseline;
    let system = if is_first { first } else { second };
    let outcome = match (choice, is_first) {
        (Choice::Tie, _) => Outcome::Tie,
        (Choice::First, true) | (Choice::Second, false) => Outcome::Win,
        (Choice::First, false) | (Choice::Second, true) => Outcome::Loss,
    };
    (&system.system, outcome)
}

fn compare(
    question: Question,
    system: &str,
    baseline: &str,
    units: &[Vec<Outcome>],
    bootstrap: &Bootstrap,
) -> Comparison {
    let share = |outcome: Outcome| {
        let of_prompt = |unit: &Vec<Outcome>| {
            let with = unit.iter().filter(|found| **found == outcome).count();
            with as f64 / unit.len() as f64
        };
        let shares: Vec<f64> = units.iter().map(of_prompt).collect();
        bootstrap.interval(&shares)
    };
    let prompts = Counts::of(units.iter().map(|unit| majority(unit)));
    let alpha = |indices: &[usize]| krippendorff_alpha(indices.iter().map(|&index| &units[index]));
    Comparison {
        question,
        system: system.to_owned(),
        baseline: baseline.to_owned(),
        judgements: Counts::of(units.iter().flatten().copied()),
        wins: share(Outcome::Win),
        ties: share(Outcome::Tie),
        losses: share(Outcome::Loss),
        prompts,
        p: sign_test(prompts.wins, prompts.losses),
        alpha: bootstrap.interval_of(units.len(), alpha),
    }
}

/// The choice of the majority.
fn majority(unit: &[Outcome]) -> Outcome {
    let counts = Counts::of(unit.iter().copied());
    match counts.wins.cmp(&counts.losses) {
        std::cmp::Ordering::Greater => Outcome::Win,
        std::cmp::Ordering::Equal => Outcome::Tie,
        std::cmp::Ordering::Less => Outcome::Loss,
    }
}

fn annotator(file: &Judgements) -> Annotator {
    let answered: Vec<&Answer> = file.answers.iter().filter(|it| is_answered(it)).collect();
    let chosen: Vec<bool> = answered
        .iter()
        .flat_map(|answer| {
            let choices = Question::ALL.map(|question| answer.to(question));
            let sets = choices
                .into_iter()
                .flatten()
                .filter(|it| *it != Choice::Tie);
            sets.map(|choice| choice == answer.left)
        })
        .collect();
    let left = chosen.iter().filter(|is_left| **is_left).count();
    let mut seconds: Vec<f64> = answered.iter().map(|answer| answer.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    Annotator {
        name: file.annotator.clone(),
        items: answered.len(),
        left: (!chosen.is_empty()).then(|| left as f64 / chosen.len() as f64),
        seconds: seconds.get(seconds.len() / 2).copied(),
    }
}
