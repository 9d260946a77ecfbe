//! Systems side by side: settings of one model at equal quality, people, other tasks' prompts.

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds, policy};

/// The fixture's reward model.
fn judge() -> String {
    policy().replace("losses/policy", "reward")
}

#[test]
fn a_sweep_compares_models_at_equal_quality_and_writes_nothing_twice() {
    let sandbox = Sandbox::new();
    let prompts: String = (0..4)
        .map(|i| {
            format!(
                "{}\n",
                json!({"id": i, "prompt": format!("Tell of the sea {i}.")})
            )
        })
        .collect();
    sandbox.write("prompts.jsonl", prompts);
    let reference = policy().replace("policy", "reference");
    let sweep = format!(
        "sweep a={} b={reference} --prompts-file prompts.jsonl -n 3 --max-new-tokens 8 \
         --temperatures 0.5,2 --min-ps 0,0.2 --semantic builtin:lexical --resamples 100 --baseline b",
        policy()
    );
    let judged = format!("{sweep} --reward-model {}", judge());
    let table = sandbox.succeeds(&judged);
    assert_holds(
        &table,
        &[
            "a@t0.5-p0.2",
            "b@t2",
            "Semantic diversity of a at b's quality: ",
            "sweep/report.html",
        ],
    );
    let evaluation: Value = serde_json::from_str(&sandbox.read("sweep/evaluation.json")).unwrap();
    assert_eq!(evaluation["systems"].as_array().map(Vec::len), Some(8));
    assert_eq!(evaluation["frontiers"].as_array().map(Vec::len), Some(4));
    // Five qualities and their mean, for two kinds of diversity.
    assert_eq!(
        evaluation["equal_quality"].as_array().map(Vec::len),
        Some(12)
    );
    assert_eq!(evaluation["equal_quality"][0]["baseline"], "b");
    assert_eq!(sandbox.read("sweep/equal-quality.csv").lines().count(), 13);
    assert_holds(
        &sandbox.read("sweep/report.html"),
        &["At equal quality", "class=\"best s0\"", "rarebit sweep"],
    );

    let written = sandbox.tree("sweep/responses");
    assert_eq!(written.len(), 8);
    let again = sandbox.rarebit(&judged).output().expect("the program runs");
    assert!(again.status.success());
    let told = String::from_utf8_lossy(&again.stderr);
    assert_eq!(told.matches("is there already").count(), 8, "{told}");
    assert!(sandbox.tree("sweep/responses") == written);

    for (arguments, told) in [
        (sweep.clone(), "quality is not judged"),
        (
            format!("{sweep} --tales").replace("-n 3", "-n 1"),
            "diversity needs two or more",
        ),
        (
            format!("{sweep} --tales").replace("--baseline b", "--baseline c"),
            "no model is called c",
        ),
        (
            format!("{sweep} --tales").replace("b=", "a="),
            "two models are called a",
        ),
        (
            format!("{sweep} --tales").replace("0.5,2", "0.5,-2"),
            "temperature",
        ),
    ] {
        assert_holds(&sandbox.refused(1, &arguments), &[told]);
    }
}

#[test]
fn people_are_a_system_and_as_many_of_their_responses_are_measured() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    sandbox.succeeds(
        "prepare rows.jsonl --output prepared --test-size 0.5 --semantic builtin:lexical",
    );
    sandbox.succeeds(&format!(
        "generate {} --prompts-file prepared/test/groups.parquet -n 2 --max-new-tokens 6 --output policy.jsonl",
        policy()
    ));
    let evaluate = "evaluate gold=prepared/test/groups.parquet policy=policy.jsonl --semantic builtin:lexical \
                    --resamples 50 --json";
    let found: Value = serde_json::from_str(&sandbox.succeeds(evaluate)).unwrap();
    let gold = &found["systems"][0];
    assert_eq!(
        gold["responses"].as_u64(),
        gold["prompts"].as_u64().map(|it| 6 * it)
    );
    assert!(
        gold["metrics"]["quality"]["mean"]
            .as_f64()
            .is_some_and(|votes| votes > 1.0)
    );
    // The same prompts, so that differences are paired.
    assert_eq!(found["systems"][1]["missing"], json!([]));
    assert!(found["systems"][1]["metrics"].get("quality").is_none());

    let drawn: Value =
        serde_json::from_str(&sandbox.succeeds(&format!("{evaluate} --responses 2"))).unwrap();
    for system in drawn["systems"].as_array().unwrap() {
        assert_eq!(
            system["responses"].as_u64(),
            system["prompts"].as_u64().map(|it| 2 * it)
        );
    }
    let judged: Value =
        serde_json::from_str(&sandbox.succeeds(&format!("{evaluate} --reward-model {}", judge())))
            .unwrap();
    for system in judged["systems"].as_array().unwrap() {
        assert!(system["metrics"]["quality"]["mean"].is_f64());
    }
}

#[test]
fn prompts_of_other_tasks_come_in_their_own_files() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "poems.txt",
        "\u{feff}A poem about rain.\n\n  Ein Gedicht über Bären.  \r\n",
    );
    sandbox.write(
        "jokes.jsonl",
        "{\"id\": \"joke-1\", \"prompt\": \"Tell a joke.\", \"task\": \"jokes\"}\n{\"prompt\": \"Another.\"}\n",
    );
    sandbox.write(
        "novelty.jsonl",
        "{\"id\": \"curated-3\", \"prompt\": \"Name a city.\", \"model\": \"m\", \"generations\": [\"Rome\", \"Oslo\"], \
         \"partition\": [0, 1], \"generation_scores\": [3, 4]}\n",
    );
    for (file, prompts) in [
        (
            "poems.txt",
            &[
                ("1", "A poem about rain."),
                ("3", "Ein Gedicht über Bären."),
            ][..],
        ),
        (
            "jokes.jsonl",
            &[("joke-1", "Tell a joke."), ("2", "Another.")],
        ),
        ("novelty.jsonl", &[("curated-3", "Name a city.")]),
    ] {
        sandbox.succeeds(&format!(
            "generate {} --prompts-file {file} -n 1 --max-new-tokens 2 --output out.jsonl",
            policy()
        ));
        let rows = sandbox.rows("out.jsonl");
        let found: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row["prompt_id"].as_str().unwrap(),
                    row["prompt"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(found, prompts, "{file}");
    }
    // Ids lead from NoveltyBench's responses to ours.
    let found = sandbox.succeeds(
        "evaluate novelty.jsonl out.jsonl --semantic builtin:lexical --resamples 50 --json",
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["systems"][1]["missing"], json!([]));
}

#[test]
fn vectors_from_elsewhere_take_the_place_of_an_embedder() {
    let sandbox = Sandbox::new();
    let row = json!({"prompt_id": "a", "prompt": "p", "responses": ["x", "y", "z"]});
    sandbox.write("rows.jsonl", format!("{row}\n"));
    let vector =
        |text: &str, x: f32, y: f32| json!({"text": text, "embedding": [x, y]}).to_string() + "\n";
    sandbox.write(
        "vectors.jsonl",
        vector("x", 2.0, 0.0) + &vector("y", 0.0, 1.0) + &vector("z", -1.0, 0.0),
    );
    let evaluate = "evaluate rows.jsonl --semantic vectors:vectors.jsonl --resamples 10 --json";
    let found: Value = serde_json::from_str(&sandbox.succeeds(evaluate)).unwrap();
    let diversity = found["systems"][0]["metrics"]["semantic_diversity"]["mean"].as_f64();
    assert!(
        (diversity.unwrap() - 4.0 / 3.0).abs() < 1e-6,
        "{diversity:?}"
    );
    assert!(
        found["embedders"]["semantic"]
            .as_str()
            .unwrap()
            .starts_with("vectors:")
    );
    sandbox.write("vectors.jsonl", vector("x", 2.0, 0.0));
    let error = sandbox.refused(1, evaluate);
    assert_holds(
        &error,
        &["vectors.jsonl has no vector of the text that begins \"y\""],
    );
}
