//! From systems to a page and from judgements to rates; the statistics against their packages.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::{Bootstrap, EvalError, SampleRow, SystemSamples};

const BOOTSTRAP: Bootstrap = Bootstrap {
    resamples: 300,
    confidence: 0.95,
    seed: 1,
};

/// `prompts` prompts with five responses each, one of them blank, that name neither system.
fn system(name: &str, prompts: usize, word: &str) -> SystemSamples {
    let rows = (0..prompts).flat_map(|prompt| {
        (0..5).map(move |sample| SampleRow {
            prompt_id: format!("id-{prompt}"),
            prompt: format!("Write {prompt}."),
            sample,
            response: match sample {
                2 => "  \n".to_owned(),
                _ => format!("{word} {prompt} {sample}"),
            },
            score: None,
        })
    });
    SystemSamples::from_rows(name, &format!("{name}.jsonl"), rows).unwrap()
}

fn systems() -> [SystemSamples; 3] {
    [
        system("base", 9, "rain"),
        system("dpo", 7, "snow"),
        system("ddpo", 8, "sun"),
    ]
}

fn options(seed: u64) -> SelectionOptions {
    SelectionOptions {
        prompts: 6,
        responses: 3,
        seed,
        ..SelectionOptions::default()
    }
}

fn study(seed: u64) -> Study {
    let systems = systems();
    let selection = Selection::draw(&systems, &options(seed)).unwrap();
    selection.study(None).unwrap()
}

#[test]
fn every_system_stands_beside_the_baseline_first_as_often_as_second() {
    let systems = systems();
    let selection = Selection::draw(&systems, &options(1)).unwrap();
    assert_eq!((selection.available, selection.prompts()), (7, 6));
    let study = selection.study(None).unwrap();
    assert_eq!((study.items.len(), study.key.items.len()), (12, 12));
    for other in ["dpo", "ddpo"] {
        let of_other = |side: usize| {
            let sides = study.key.items.iter().map(|item| &item.sets[side].system);
            sides.filter(|system| *system == other).count()
        };
        assert_eq!((of_other(0), of_other(1)), (3, 3), "{other}");
    }
    let ids: BTreeSet<&str> = study.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids.len(), 12);
}

#[test]
fn the_key_finds_every_text_of_the_page_again() {
    let systems = systems();
    let study = study(3);
    for (item, key) in study.items.iter().zip(&study.key.items) {
        assert_eq!(item.id, key.id);
        for (texts, set) in item.sets.iter().zip(&key.sets) {
            let system = systems.iter().find(|it| it.name == set.system).unwrap();
            let of_prompt = system
                .prompts
                .iter()
                .find(|it| it.prompt_id == key.prompt_id);
            let of_prompt = of_prompt.unwrap();
            assert_eq!(item.prompt, of_prompt.prompt);
            assert_eq!(texts.len(), 3);
            for (text, &at) in texts.iter().zip(&set.responses) {
                assert_eq!(text.text, of_prompt.responses[at].text);
                assert!(!text.text.trim().is_empty());
            }
        }
    }
}

#[test]
fn the_baseline_shows_the_same_texts_in_every_comparison() {
    let study = study(5);
    let mut shown: HashMap<&str, &[usize]> = HashMap::new();
    for item in &study.key.items {
        for set in item.sets.iter().filter(|set| set.system == "base") {
            let before = shown.insert(&item.prompt_id, &set.responses);
            assert!(before.is_none_or(|before| before == set.responses));
        }
    }
    assert_eq!(shown.len(), 6);
}

#[test]
fn one_seed_one_study() {
    assert_eq!(study(1), study(1));
    assert_ne!(study(1).study, study(2).study);
    let other_baseline = SelectionOptions {
        baseline: Some("ddpo".to_owned()),
        ..options(1)
    };
    let systems = systems();
    let selection = Selection::draw(&systems, &other_baseline).unwrap();
    assert_eq!(selection.study(None).unwrap().key.baseline, "ddpo");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let message = |systems: &[SystemSamples], options: &SelectionOptions| {
        Selection::draw(systems, options).unwrap_err().to_string()
    };
    let systems = systems();
    assert!(message(&systems[..1], &options(1)).contains("at least two"));
    assert!(message(&[], &options(1)).contains("no system"));
    let many = SelectionOptions {
        responses: 5,
        ..options(1)
    };
    assert!(
        message(&systems, &many).contains("no prompt has 5 non-blank responses of every system")
    );
    let none = SelectionOptions {
        responses: 0,
        ..options(1)
    };
    assert!(message(&systems, &none).contains("at least one"));
    let unknown = SelectionOptions {
        baseline: Some("sft".to_owned()),
        ..options(1)
    };
    assert!(message(&systems, &unknown).contains("no system named `sft`"));
}

#[test]
fn summaries_are_asked_for_once_and_must_be_whole() {
    let systems = systems();
    let selection = Selection::draw(&systems, &options(1)).unwrap();
    let prompts = selection.summary_prompts(100);
    assert_eq!(prompts.len(), 3 * 6 * 3);
    assert!(prompts[0].prompt.contains("100 words"));
    let mut summaries: HashMap<String, String> = prompts
        .iter()
        .map(|prompt| {
            (
                prompt.prompt_id.clone(),
                format!("About {}", prompt.prompt_id),
            )
        })
        .collect();
    let study = selection.study(Some(&summaries)).unwrap();
    for text in study
        .items
        .iter()
        .flat_map(|item| item.sets.iter().flatten())
    {
        let summary = text.summary.as_deref().unwrap();
        assert_eq!(summary, format!("About {}", summary_id(&text.text)));
    }
    assert!(page(&study, "Tales").contains("the summaries of 3 texts each"));
    summaries.insert(prompts[4].prompt_id.clone(), " ".to_owned());
    let error = selection.study(Some(&summaries)).unwrap_err();
    assert!(
        matches!(error, EvalError::Summaries { missing: 1, first } if first == prompts[4].prompt_id)
    );
}

#[test]
fn the_page_names_no_system_fetches_nothing_and_keeps_text_as_text() {
    const HOSTILE: &str = "</script><script>alert(1)</script> <!-- & \"quoted\" \u{2028}";
    let rows = |word: &str| {
        let row = |sample| SampleRow {
            prompt_id: "secret-id".to_owned(),
            prompt: HOSTILE.to_owned(),
            sample,
            response: format!("{word} {sample} {HOSTILE}"),
            score: Some(0.123),
        };
        [row(0), row(1)]
    };
    let systems = ["systemone", "systemtwo"]
        .map(|name| SystemSamples::from_rows(name, "secret.jsonl", rows(&name[6..])).unwrap());
    let options = SelectionOptions {
        responses: 2,
        ..options(1)
    };
    let selection = Selection::draw(&systems, &options).unwrap();
    let study = selection.study(None).unwrap();
    let page = page(&study, HOSTILE);
    for secret in ["system", "secret", "0.123"] {
        let body = &page[page.find("<body>").unwrap()..];
        assert!(!body.contains(secret), "{secret}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    for outside in [
        "src=",
        "http://",
        "https://",
        "@import",
        "url(",
        " style=\"",
        " onclick",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains("<script>alert") && !page.contains("<!-- "));
    assert_eq!(page.matches("</script").count(), 2);
    let start = page.find("id=\"study-data\">").unwrap() + "id=\"study-data\">".len();
    let end = start + page[start..].find("</script>").unwrap();
    let data: Value = serde_json::from_str(&page[start..end]).unwrap();
    assert_eq!(data["study"], study.study);
    assert_eq!(data["items"][0]["prompt"], HOSTILE);
}

/// An annotator who prefers `favourite` in the first `sure` items of the key, and sees no
/// difference in others.
fn judge(key: &Key, annotator: &str, favourite: &str, sure: usize) -> Judgements {
    let answer = |(index, item): (usize, &KeyItem)| {
        let first = item.sets[0].system == favourite;
        let choice = match (index < sure, first) {
            (true, true) => Choice::First,
            (true, false) => Choice::Second,
            (false, _) => Choice::Tie,
        };
        Answer {
            item: item.id.clone(),
            left: Choice::First,
            diversity: Some(choice),
            quality: (index == 0).then_some(Choice::Tie),
            seconds: 10.0 + index as f64,
        }
    };
    Judgements {
        version: VERSION,
        study: key.study.clone(),
        annotator: annotator.to_owned(),
        answers: key.items.iter().enumerate().map(answer).collect(),
    }
}

/// Eight prompts, two systems.
fn pair() -> Key {
    let systems = [system("base", 8, "rain"), system("ddpo", 8, "sun")];
    let options = SelectionOptions {
        prompts: 8,
        ..options(2)
    };
    let selection = Selection::draw(&systems, &options).unwrap();
    selection.study(None).unwrap().key
}

#[test]
fn rates_majorities_and_agreement() {
    let key = pair();
    let files = [
        judge(&key, "Ann", "ddpo", 8),
        judge(&key, "Bo", "ddpo", 6),
        judge(&key, "Cy", "base", 1),
    ];
    let found = analyse(&key, &files, &BOOTSTRAP).unwrap();
    let [diversity, quality] = &found.comparisons[..] else {
        panic!("one system, two questions");
    };
    let counts = |wins, ties, losses| Counts { wins, ties, losses };
    assert_eq!(diversity.question, Question::Diversity);
    assert_eq!(
        (diversity.system.as_str(), diversity.baseline.as_str()),
        ("ddpo", "base")
    );
    assert_eq!(diversity.judgements, counts(14, 9, 1));
    // Item 1: two against one. Items 7 and 8: one against none.
    assert_eq!(diversity.prompts, counts(8, 0, 0));
    assert!((diversity.p - 2.0 / 256.0).abs() < 1e-15);
    let wins = diversity.wins.unwrap();
    assert!((wins.mean - 14.0 / 24.0).abs() < 1e-12);
    assert!(wins.low < wins.mean && wins.mean < wins.high && wins.prompts == 8);
    let rates = [diversity.wins, diversity.ties, diversity.losses];
    let sum: f64 = rates.iter().flatten().map(|rate| rate.mean).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    let alpha = diversity.alpha.unwrap();
    assert!(
        alpha.low <= alpha.mean && alpha.mean <= alpha.high && alpha.mean < 0.0,
        "{alpha:?}"
    );

    assert_eq!(quality.judgements, counts(0, 3, 0));
    assert_eq!((quality.p, quality.alpha), (1.0, None));
    assert_eq!(found.annotators[0].items, 8);
    assert_eq!(found.annotators[0].left, Some(0.5));
    assert_eq!(
        found.annotators[2]
            .left
            .map(|left| left == 0.0 || left == 1.0),
        Some(true)
    );
    assert_eq!(found.annotators[0].seconds, Some(14.0));
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(
        serde_json::from_str::<HumanEvaluation>(&json).unwrap(),
        found
    );
}

#[test]
fn an_unanswered_question_is_no_judgement() {
    let key = pair();
    let mut file = judge(&key, "Ann", "ddpo", 3);
    file.answers.truncate(3);
    for answer in &mut file.answers {
        answer.quality = None;
    }
    file.answers[1].diversity = None;
    let found = analyse(&key, &[file], &BOOTSTRAP).unwrap();
    assert_eq!(found.annotators[0].items, 2);
    assert_eq!(found.comparisons[0].judgements.wins, 2);
    assert_eq!(found.comparisons[0].alpha, None);
    let quality = &found.comparisons[1];
    assert_eq!(
        (quality.judgements, quality.wins),
        (Counts::default(), None)
    );
}

#[test]
fn wrong_files_are_named() {
    let key = pair();
    let message = |spoil: fn(&mut Judgements)| {
        let mut file = judge(&key, "Ann", "ddpo", 3);
        spoil(&mut file);
        let files = [judge(&key, "Bo", "ddpo", 3), file];
        analyse(&key, &files, &BOOTSTRAP).unwrap_err().to_string()
    };
    assert!(message(|file| file.version = 9).contains("`Ann` have format version 9"));
    assert!(message(|file| file.study = "x".to_owned()).contains("to study x, the key to study"));
    assert!(
        message(|file| file.annotator = "Bo".to_owned())
            .contains("two files have the annotator `Bo`")
    );
    assert!(message(|file| file.answers[2].item = "99".to_owned()).contains("item 99"));
    let twice = message(|file| file.answers[2].item = file.answers[1].item.clone());
    assert!(twice.contains("is answered already"));
    let none = analyse(&key, &[], &BOOTSTRAP).unwrap_err();
    assert!(matches!(none, EvalError::NoAnswers));
}

/// `tests/parity/human.py` writes it.
#[derive(Deserialize)]
struct Statistics {
    alpha: Vec<Alpha>,
    sign: Vec<Sign>,
}

#[derive(Deserialize)]
struct Alpha {
    /// A row per annotator.
    ratings: Vec<Vec<Option<u8>>>,
    alpha: f64,
}

#[derive(Deserialize)]
struct Sign {
    wins: usize,
    losses: usize,
    p: f64,
}

fn statistics() -> Statistics {
    let json = include_str!("../../../../tests/fixtures/human/statistics.json");
    serde_json::from_str(json).unwrap()
}

#[test]
fn alpha_is_that_of_the_krippendorff_package() {
    for case in statistics().alpha {
        let units: Vec<Vec<u8>> = (0..case.ratings[0].len())
            .map(|unit| case.ratings.iter().filter_map(|row| row[unit]).collect())
            .collect();
        let found = krippendorff_alpha(&units).unwrap();
        assert!(
            (found - case.alpha).abs() < 1e-12,
            "{found} is not {}",
            case.alpha
        );
    }
}

#[test]
fn the_sign_test_is_scipys() {
    for Sign { wins, losses, p } in statistics().sign {
        let found = sign_test(wins, losses);
        assert!(
            (found - p).abs() <= 1e-10 * p,
            "{found} is not {p}: {wins} {losses}"
        );
    }
}
