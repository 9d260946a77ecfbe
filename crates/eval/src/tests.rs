//! Whole evaluations on small samples.

use rarebit_deviation::{EmbedError, Embedder, embed};

use crate::evaluation::Evaluation;
use crate::{
    EvalError, EvalOptions, Progress, SampleRow, Stage, SystemSamples, Thresholds, evaluate,
    evaluation_csv,
};

/// Three letters say where a text stands: "xyz" counts of x, y and z.
struct Letters;

impl Embedder for Letters {
    fn id(&self) -> &str {
        "letters"
    }

    fn dims(&self) -> usize {
        3
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let count = |text: &str, letter| text.matches(letter).count() as f32;
        Ok(texts
            .iter()
            .map(|text| ['x', 'y', 'z'].map(|letter| count(text, letter)).to_vec())
            .collect())
    }
}

/// An embedder that gives what it is told to.
struct Broken(Result<Vec<Vec<f32>>, &'static str>);

impl Embedder for Broken {
    fn id(&self) -> &str {
        "broken"
    }

    fn dims(&self) -> usize {
        1
    }

    fn embed(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.0.clone().map_err(EmbedError::from)
    }
}

fn system(name: &str, responses: &[(&str, &str, Option<f64>)]) -> SystemSamples {
    let rows = responses.iter().map(|(prompt, response, score)| SampleRow {
        prompt_id: (*prompt).to_owned(),
        prompt: format!("Tell {prompt}."),
        sample: 0,
        response: (*response).to_owned(),
        score: *score,
    });
    SystemSamples::from_rows(name, &format!("{name}.jsonl"), rows).unwrap()
}

fn alike() -> SystemSamples {
    let rows = [
        ("p", "x x", Some(1.0)),
        ("p", "x x", Some(3.0)),
        ("q", "y", Some(2.0)),
        ("q", "y", None),
    ];
    system("alike", &rows)
}

fn varied() -> SystemSamples {
    let rows = [
        ("q", "y", Some(2.0)),
        ("q", "z", Some(4.0)),
        ("p", "x", None),
        ("p", "y z", Some(2.0)),
    ];
    system("varied", &rows)
}

fn run(systems: &[SystemSamples], options: &EvalOptions) -> Result<Evaluation, EvalError> {
    evaluate(systems, &Letters, &Letters, options, &mut |_| {})
}

fn quick() -> EvalOptions {
    EvalOptions {
        resamples: 200,
        ..EvalOptions::default()
    }
}

#[test]
fn two_systems_side_by_side() {
    let found = run(&[alike(), varied()], &quick()).unwrap();
    assert_eq!(found.embedders["semantic"], "letters");
    let [alike, varied] = &found.systems[..] else {
        panic!("two systems");
    };
    assert_eq!(
        (alike.prompts, alike.responses, alike.alone, alike.empty),
        (2, 4, 0, 0)
    );
    assert_eq!(alike.metrics["semantic_diversity"].mean, 0.0);
    assert_eq!(varied.metrics["semantic_diversity"].mean, 1.0);
    assert_eq!(alike.metrics["quality"].mean, 2.0);
    assert_eq!(alike.metrics["duplicates"].mean, 0.5);
    assert_eq!(varied.metrics["duplicates"].mean, 0.0);
    let both = |metric: &str| [alike, varied].map(|system| system.metrics[metric].mean);
    assert_eq!(both("distinct_k"), [1.0, 2.0]);
    assert_eq!(both("semantic_nearest"), [0.0, 1.0]);
    let vendi = both("semantic_vendi");
    assert!((vendi[0] - 1.0).abs() < 1e-9 && (vendi[1] - 2.0).abs() < 1e-9);
    let prompts: Vec<&str> = found.prompts.iter().map(|p| p.prompt_id.as_str()).collect();
    assert_eq!(prompts, ["p", "q"]);
    assert_eq!(found.prompts[1].systems["varied"].metrics["quality"], 3.0);
    let distances = found.prompts[1].systems["varied"]
        .distances
        .as_ref()
        .unwrap();
    assert_eq!(distances.semantic, [[0.0, 1.0], [1.0, 0.0]]);
}

#[test]
fn differences_are_paired_by_prompt_and_signed_by_the_baseline() {
    let mean = |baseline: Option<&str>| {
        let options = EvalOptions {
            baseline: baseline.map(str::to_owned),
            ..quick()
        };
        let found = run(&[alike(), varied()], &options).unwrap();
        let difference = found
            .differences
            .iter()
            .find(|d| d.metric == "semantic_diversity");
        let difference = difference.unwrap().clone();
        assert_eq!(difference.prompts, 2);
        (difference.system, difference.mean)
    };
    assert_eq!(mean(None), ("varied".to_owned(), 1.0));
    assert_eq!(mean(Some("varied")), ("alike".to_owned(), -1.0));
}

#[test]
fn missing_prompts_are_listed_and_left_out_of_differences() {
    let other = system(
        "other",
        &[
            ("r", "x", None),
            ("r", "y", None),
            ("q", "x", None),
            ("q", "z", None),
        ],
    );
    let found = run(&[alike(), other], &quick()).unwrap();
    assert_eq!(found.systems[0].missing, ["r"]);
    assert_eq!(found.systems[1].missing, ["p"]);
    assert!(
        found
            .differences
            .iter()
            .all(|d| d.prompts == 1 && d.p == 1.0)
    );
    assert!(found.differences.iter().all(|d| d.metric != "quality"));
    assert_eq!(found.prompts.len(), 3);
    assert_eq!(found.prompts[0].systems.len(), 1);
}

#[test]
fn what_was_left_out_stands_beside_the_numbers() {
    let mut failing = varied();
    failing.unanswered = [("content_filter".to_owned(), 3), ("empty".to_owned(), 1)].into();
    let found = run(&[alike(), failing], &quick()).unwrap();
    assert_eq!(found.systems[0].left_out(), None);
    let note = "4 of 8 responses left out, which are not answers: 3 content filter, 1 empty";
    assert_eq!(found.systems[1].left_out().as_deref(), Some(note));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["systems"][1]["unanswered"]["content_filter"], 3);
    assert!(json["systems"][0].get("unanswered").is_none());
    let report = crate::report::Report {
        title: "Left out".to_owned(),
        evaluation: &found,
        baseline: None,
        runs: Vec::new(),
        extra_sections: Vec::new(),
        reproduce: Vec::new(),
        about: Vec::new(),
    };
    let page = crate::report::render(&report);
    // In the head, and beside the table.
    assert_eq!(page.matches(note).count(), 2);
}

#[test]
fn a_single_response_has_no_diversity() {
    let found = run(
        &[system("one", &[("p", "x y", None), ("q", "", None)])],
        &quick(),
    )
    .unwrap();
    let one = &found.systems[0];
    assert_eq!((one.alone, one.empty), (2, 1));
    assert!(one.histograms.is_empty());
    for metric in [
        "semantic_diversity",
        "style_diversity",
        "rouge_l",
        "duplicates",
        "quality",
        "semantic_vendi",
        "distinct_k",
        "self_bleu",
    ] {
        assert!(!one.metrics.contains_key(metric), "{metric}");
    }
    assert_eq!(one.metrics["length"].mean, 1.0);
    assert_eq!(one.metrics["compression_ratio"].prompts, 1);
}

#[test]
fn a_system_without_prompts_has_no_metrics() {
    let found = run(&[system("none", &[])], &quick()).unwrap();
    assert!(found.systems[0].metrics.is_empty());
    assert!(found.metrics.is_empty() && found.systems[0].histograms.is_empty());
    assert!(found.prompts.is_empty());
}

#[test]
fn same_seed_same_bytes_and_back_from_them() {
    let json = || serde_json::to_string(&run(&[alike(), varied()], &quick()).unwrap()).unwrap();
    assert_eq!(json(), json());
    let read: Evaluation = serde_json::from_str(&json()).unwrap();
    assert_eq!(read, run(&[alike(), varied()], &quick()).unwrap());
}

#[test]
fn distances_are_kept_for_the_first_prompts_only() {
    let options = EvalOptions {
        distances_for: 1,
        ..quick()
    };
    let found = run(&[alike()], &options).unwrap();
    let kept = |i: usize| found.prompts[i].systems["alike"].distances.is_some();
    assert!(kept(0) && !kept(1));
}

#[test]
fn distances_are_spread_over_bins_with_intervals() {
    let found = run(&[alike(), varied()], &quick()).unwrap();
    let [alike, varied] = [0, 1].map(|i| &found.systems[i].histograms["semantic"]);
    // Repeats only; right angles only.
    assert_eq!((alike.bins.len(), alike.bins[0].mean), (1, 1.0));
    assert_eq!((varied.bins.len(), varied.bins[20].mean), (21, 1.0));
    assert_eq!(varied.width * 20.0, 1.0);
    assert_eq!((varied.bins[3].low, varied.bins[3].high), (0.0, 0.0));
}

#[test]
fn good_is_what_reaches_the_baselines_median_unless_said_otherwise() {
    // The scores of `alike` are 1, 2 and 3; both samples of `varied` to q have one.
    let at = |quality: Option<f64>, baseline: &str| {
        let options = EvalOptions {
            thresholds: Thresholds {
                quality,
                ..Thresholds::default()
            },
            baseline: Some(baseline.to_owned()),
            ..quick()
        };
        let found = run(&[alike(), varied()], &options).unwrap();
        let of_q = found.prompts[1].systems["varied"].metrics.clone();
        (
            found.thresholds.quality,
            of_q["good_share"],
            of_q["effective_semantic_diversity"],
        )
    };
    assert_eq!(at(None, "alike"), (Some(2.0), 1.0, 1.0));
    assert_eq!(at(Some(3.0), "alike"), (Some(3.0), 0.5, 0.0));
    assert_eq!(at(None, "varied"), (Some(2.0), 1.0, 1.0));
}

#[test]
fn progress_ends_with_everything_done() {
    let mut last = None;
    let mut tell = |p: Progress<'_>| last = Some((p.system.to_owned(), p.stage, p.done, p.total));
    evaluate(
        &[alike(), varied()],
        &Letters,
        &Letters,
        &quick(),
        &mut tell,
    )
    .unwrap();
    assert_eq!(last, Some(("varied".to_owned(), Stage::Resampling, 2, 2)));
}

#[test]
fn many_prompts_are_embedded_in_batches() {
    let rows: Vec<(String, &str)> = (0..300)
        .flat_map(|i| [(format!("p{i}"), "x"), (format!("p{i}"), "y")])
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, text)| (id.as_str(), *text, None))
        .collect();
    let mut steps = 0;
    let mut tell = |p: Progress<'_>| steps += usize::from(p.stage == Stage::Measuring);
    let found = evaluate(
        &[system("many", &rows)],
        &Letters,
        &Letters,
        &quick(),
        &mut tell,
    )
    .unwrap();
    assert_eq!(steps, 4);
    assert_eq!(found.systems[0].metrics["semantic_diversity"].low, 1.0);
}

#[test]
fn bad_samples_are_named() {
    let message = |systems: &[SystemSamples]| run(systems, &quick()).unwrap_err().to_string();
    assert_eq!(
        message(&[]),
        "no system to evaluate: give at least one file of samples"
    );
    assert_eq!(
        message(&[alike(), alike()]),
        "two systems are named `alike`; give each its own name"
    );
    assert_eq!(
        message(&[system(
            "dpo",
            &[("p", "x", Some(1.0)), ("p", "y", Some(f64::NAN))]
        )]),
        "system `dpo`, prompt `p`, response 1: the score is NaN; scores must be finite"
    );
    let mut twice = alike();
    twice.prompts.push(twice.prompts[0].clone());
    assert_eq!(message(&[twice]), "system `alike` has prompt `p` twice");
    let mut other = varied();
    other.prompts[0].prompt = "Tell something else.".to_owned();
    assert!(message(&[alike(), other]).starts_with("prompt `q` of system `varied` differs from"));
}

#[test]
fn bad_settings_are_named() {
    let message = |options: EvalOptions| run(&[alike()], &options).unwrap_err().to_string();
    let unknown = EvalOptions {
        baseline: Some("sft".to_owned()),
        ..quick()
    };
    assert_eq!(
        message(unknown),
        "there is no system named `sft` to compare with; the systems are alike"
    );
    let none = EvalOptions {
        resamples: 0,
        ..quick()
    };
    assert_eq!(message(none), "a bootstrap needs at least one resample");
    let certain = EvalOptions {
        confidence: 95.0,
        ..quick()
    };
    assert!(message(certain).contains("is 95;"));
    for (distinct, quality, part) in [
        (2.5, None, "distinct responses is 2.5"),
        (f64::NAN, None, "distinct responses is NaN"),
        (0.3, Some(f64::INFINITY), "quality is inf"),
    ] {
        let options = EvalOptions {
            thresholds: Thresholds { distinct, quality },
            ..quick()
        };
        let found = message(options);
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_failing_embedder_is_named() {
    let message = |broken: Result<Vec<Vec<f32>>, &'static str>| {
        let broken = Broken(broken);
        let error = evaluate(&[alike()], &broken, &Letters, &quick(), &mut |_| {}).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        message(Err("no")),
        "broken could not embed the responses of `alike`"
    );
    assert_eq!(message(Ok(vec![])), "broken returned 0 rows for 4 texts");
    assert_eq!(
        message(Ok(vec![vec![f32::NAN]; 4])),
        "broken returned unusable rows for prompt `p` of `alike`"
    );
}

#[test]
fn the_builtin_embedders_and_the_table() {
    let semantic = embed::builtin("builtin:lexical").unwrap();
    let style = embed::builtin("builtin:style").unwrap();
    let systems = [alike(), varied()];
    let found = evaluate(&systems, &*semantic, &*style, &quick(), &mut |_| {}).unwrap();
    let csv = evaluation_csv(&found);
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == 11), "{csv}");
    assert!(
        csv.contains("\nalike,duplicates,0.5,0.5,0.5,2,,,,,\n"),
        "{csv}"
    );
    assert!(
        csv.contains("\nvaried,duplicates,0,0,0,2,alike,-0.5,-0.5,-0.5,"),
        "{csv}"
    );
}
