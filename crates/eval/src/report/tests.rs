//! The whole page, on evaluations as odd as they come.

use serde_json::{Value, json};

use super::{Block, Report, RunCurve, Section, render};
use crate::Evaluation;

fn evaluation(value: Value) -> Evaluation {
    serde_json::from_value(value).unwrap()
}

fn interval(mean: f64) -> Value {
    json!({"mean": mean, "low": mean - 0.02, "high": mean + 0.02})
}

fn difference(metric: &str, mean: f64, reach: f64) -> Value {
    json!({"system": "ddpo", "baseline": "dpo", "metric": metric, "mean": mean, "low": mean - reach, "high": mean + reach, "p": 0.01})
}

fn metric(name: &str, label: &str) -> Value {
    json!({"name": name, "label": label, "better": "higher", "source": "here"})
}

const HOSTILE: &str = "</script><script>alert(1)</script> \"quoted\" 'single' <!-- שלום עולם مرحبا 🦔👩‍🚀 \u{202e}\u{2028}& end";

fn two_systems() -> Value {
    let system = |name: &str, semantic: f64| {
        json!({"name": name, "file": format!("{name}.jsonl"), "prompts": 2, "responses": 3, "metrics": {
            "quality": interval(0.5), "semantic_diversity": interval(semantic), "style_diversity": interval(0.2)}})
    };
    let answers = json!({
        "metrics": {"semantic_diversity": 0.1 + 0.2, "quality": 0.5},
        "responses": [{"text": HOSTILE, "score": 0.25}, {"text": "A fox."}, {"text": ""}],
        "distances": {"semantic": [[0.0, 0.3, 0.4], [0.3, 0.0, 0.5], [0.4, 0.5, 0.0]], "style": [[0.0, 0.1, 0.1], [0.1, 0.0, 0.1], [0.1, 0.1, 0.0]]}});
    let bare = json!({"metrics": {}, "responses": [{"text": "Alone."}]});
    json!({
        "version": 1, "seed": 7, "resamples": 1000,
        "embedders": {"semantic": "builtin:lexical@1", "style": "builtin:style@1"},
        "metrics": [metric("quality", "Quality"), metric("semantic_diversity", "Semantic diversity"), metric("style_diversity", "Style diversity")],
        "systems": [system("dpo", 0.4), system("ddpo", 0.5)],
        "differences": [difference("quality", -0.01, 0.03), difference("semantic_diversity", 0.1, 0.02), difference("style_diversity", 0.0, 0.02)],
        "prompts": [
            {"prompt_id": "a", "prompt": HOSTILE, "systems": {"dpo": answers, "ddpo": answers}},
            {"prompt_id": "b", "prompt": "Two", "systems": {"dpo": bare}}]
    })
}

fn report(evaluation: &Evaluation) -> Report<'_> {
    Report {
        title: "Tales".to_owned(),
        evaluation,
        baseline: None,
        runs: Vec::new(),
        extra_sections: Vec::new(),
        reproduce: vec!["rarebit demo".to_owned()],
        about: vec![("device".to_owned(), "CPU".to_owned())],
    }
}

/// The page without its own style and script: what the data made.
fn body(page: &str) -> &str {
    &page[page.find("<body>").unwrap()..]
}

#[test]
fn the_page_fetches_nothing_and_has_no_inline_handlers() {
    let evaluation = evaluation(two_systems());
    let page = render(&report(&evaluation));
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    for outside in [
        "src=",
        "http://",
        "https://",
        "@import",
        "url(",
        " style=\"",
        " onclick",
        " onload",
        "javascript:",
    ] {
        assert!(
            !page
                .replace("http://www.w3.org/2000/svg", "")
                .contains(outside),
            "{outside}"
        );
    }
}

#[test]
fn histograms_are_drawn_where_there_are_any() {
    let mut value = two_systems();
    let bins =
        json!([{"mean": 0.25, "low": 0.2, "high": 0.3}, {"mean": 0.75, "low": 0.7, "high": 0.8}]);
    value["systems"][0]["histograms"] = json!({"semantic": {"width": 0.05, "bins": bins}});
    let page = render(&report(&evaluation(value.clone())));
    assert!(page.contains("dpo: most pairs, 75\u{202f}%, between 0.05 and 0.10"));
    assert_eq!(page.matches("class=\"band\"").count(), 1);
    // What no histogram can hold is not drawn; nor is a section without any.
    for broken in [
        json!({"width": 0.0, "bins": bins}),
        json!({"width": 0.05, "bins": [{"mean": 1e9, "low": 0.2, "high": 0.3}]}),
        json!({"width": 0.05, "bins": []}),
    ] {
        value["systems"][0]["histograms"] = json!({"semantic": broken});
        let page = render(&report(&evaluation(value.clone())));
        assert!(!page.contains("Distribution of distances"));
    }
}

#[test]
fn hostile_text_stays_text() {
    let evaluation = evaluation(two_systems());
    let page = render(&Report {
        title: HOSTILE.to_owned(),
        reproduce: vec![HOSTILE.to_owned()],
        ..report(&evaluation)
    });
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("<!-- "));
    // One script of ours, one block of data, each closed once.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    let start = page.find("id=\"samples-data\">").unwrap() + "id=\"samples-data\">".len();
    let data: Value =
        serde_json::from_str(&page[start..start + page[start..].find("</script>").unwrap()])
            .unwrap();
    assert_eq!(data["prompts"][0]["text"], HOSTILE);
    assert_eq!(
        data["prompts"][0]["systems"][1]["responses"][0]["text"],
        HOSTILE
    );
    assert_eq!(
        data["prompts"][0]["systems"][0]["semantic"],
        json!([300, 400, 500])
    );
    assert_eq!(data["prompts"][1]["systems"][0]["semantic"], Value::Null);
}

#[test]
fn the_headline_says_what_the_intervals_allow() {
    let evaluation = evaluation(two_systems());
    let page = render(&report(&evaluation));
    assert!(
        page.contains("25\u{202f}% more diverse in meaning"),
        "{}",
        headline_of(&page)
    );
    assert!(page.contains("not measurably more or less diverse in style"));
    assert!(page.contains("no difference in quality is established"));
}

#[test]
fn a_loss_of_diversity_and_quality_is_said_too() {
    let mut value = two_systems();
    value["differences"] = json!([
        difference("quality", -0.2, 0.1),
        difference("semantic_diversity", -0.1, 0.02)
    ]);
    let evaluation = evaluation(value);
    let page = render(&report(&evaluation));
    let headline = headline_of(&page);
    assert!(
        headline.contains("25\u{202f}% less diverse in meaning"),
        "{headline}"
    );
    assert!(
        headline.contains("[20\u{202f}%, 30\u{202f}%]"),
        "{headline}"
    );
    assert!(
        headline.contains("quality is worse</b> by 0.20"),
        "{headline}"
    );
}

fn headline_of(page: &str) -> &str {
    let start = page.find("<p class=\"headline\">").unwrap();
    &page[start..start + page[start..].find("</p>").unwrap()]
}

#[test]
fn one_system_needs_no_comparison() {
    let mut value = two_systems();
    value["systems"].as_array_mut().unwrap().truncate(1);
    value["differences"] = json!([]);
    let evaluation = evaluation(value);
    let page = render(&report(&evaluation));
    assert!(headline_of(&page).contains("quality 0.50"));
    assert!(!page.contains("baseline"), "no one to compare with");
}

#[test]
fn nothing_measured_is_still_a_page() {
    let evaluation = evaluation(json!({
        "version": 1, "seed": 0, "resamples": 0, "embedders": {"semantic": "", "style": ""},
        "metrics": [], "systems": [], "differences": [], "prompts": []}));
    let page = render(&report(&evaluation));
    assert!(page.contains("contains no measured system"));
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn missing_metrics_are_dashes_and_no_number_is_wild() {
    let mut value = two_systems();
    value["metrics"]
        .as_array_mut()
        .unwrap()
        .push(metric("compression_ratio", "Compression ratio"));
    value["systems"][0]["metrics"]
        .as_object_mut()
        .unwrap()
        .remove("quality");
    let mut evaluation = evaluation(value);
    for system in &mut evaluation.systems {
        if let Some(interval) = system.metrics.get_mut("style_diversity") {
            interval.low = f64::NAN;
            interval.mean = f64::NAN;
        }
    }
    let page = render(&report(&evaluation));
    let body = body(&page);
    assert!(body.contains("<td class=\"absent\">–</td>"));
    for wild in ["NaN", ">inf", "0.30000000000000004", "null%"] {
        assert!(!body.contains(wild), "{wild}");
    }
}

#[test]
fn runs_are_overlaid_and_missing_keys_tolerated() {
    let evaluation = evaluation(two_systems());
    let rows = |bias: f64| {
        (0..60)
            .map(|step| json!({"step": step, "loss": 0.69 - bias, "rewards/margins": bias}))
            .collect()
    };
    let runs = vec![
        RunCurve {
            name: "ddpo".into(),
            rows: rows(0.1),
            config: "beta = 0.1 # </pre>".into(),
        },
        RunCurve {
            name: "sft <1>".into(),
            rows: vec![json!({"step": 1, "loss": 3.0}), json!({"eval_loss": 2.5})],
            config: String::new(),
        },
        RunCurve::default(),
    ];
    let page = render(&Report {
        runs,
        ..report(&evaluation)
    });
    assert!(page.contains("Loss, language modelling") && page.contains("Loss, preferences"));
    assert!(page.contains("sft &lt;1&gt;") && page.contains("beta = 0.1 # &lt;/pre&gt;"));
    assert!(page.contains("id=\"training\""));
    assert!(!render(&report(&evaluation)).contains("id=\"training\""));
}

#[test]
fn own_sections_are_escaped() {
    let evaluation = evaluation(two_systems());
    let table = Block::Table {
        columns: vec!["System".into(), "Modes".into()],
        rows: vec![vec!["<dpo>".into(), "12".into()]],
    };
    let section = Section {
        title: "True <modes>".into(),
        blocks: vec![Block::Text("a < b".into()), table],
    };
    let page = render(&Report {
        extra_sections: vec![section],
        ..report(&evaluation)
    });
    for text in [
        "True &lt;modes&gt;",
        "a &lt; b",
        "&lt;dpo&gt;",
        "<td class=\"number\">12</td>",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn every_id_is_used_once() {
    let evaluation = evaluation(two_systems());
    let page = render(&report(&evaluation));
    let ids: Vec<&str> = body(&page)
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let unique: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
}

#[test]
fn what_weakens_the_numbers_is_said() {
    let mut evaluation = evaluation(two_systems());
    evaluation.mode = crate::evaluation::Mode::ReferenceCompat;
    evaluation.systems[0].alone = 1;
    evaluation.systems[0].missing = vec!["b".to_owned(), "c".to_owned()];
    let page = render(&report(&evaluation));
    for said in [
        "2 prompts missing; 1 prompt with a single response",
        "as the paper’s code does",
    ] {
        assert!(page.contains(said), "{said}");
    }
}
