//! The demo, made small: everything it promises is there, and a second run has nothing to do.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn demo(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rarebit"))
        .args([
            "demo",
            "--device",
            "cpu",
            "--train-prompts",
            "24",
            "--test-prompts",
            "6",
        ])
        .args(["--samples", "4", "--steps", "6", "--output"])
        .arg(folder.join("demo"))
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).expect("a path in UTF-8")
}

#[test]
fn the_demo_goes_the_whole_way_and_a_second_time_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = demo(folder.path());
    let home = folder.path().join("demo");
    assert_eq!(Path::new(printed.trim()), home.join("report.html"));
    for system in ["gold", "sft", "dpo", "ddpo"] {
        let judged = fs::read_to_string(home.join(format!("judged/{system}.jsonl")))
            .expect("judged samples");
        assert_eq!(judged.lines().count(), 24, "{system}");
    }
    for stage in ["sft", "dpo", "ddpo"] {
        assert!(
            home.join(stage).join("model/model.safetensors").is_file(),
            "{stage}"
        );
        assert!(home.join(stage).join("metrics.jsonl").is_file(), "{stage}");
    }
    let evaluation = fs::read(home.join("evaluation.json")).expect("an evaluation");
    let parsed: Value = serde_json::from_slice(&evaluation).expect("JSON");
    assert_eq!(parsed["systems"].as_array().map(Vec::len), Some(4));
    let report = fs::read_to_string(home.join("report.html")).expect("a report");
    for part in ["What was really told", "ddpo", "rarebit demo --seed 42"] {
        assert!(report.contains(part), "{part}");
    }

    let model = fs::read(home.join("ddpo/model/model.safetensors")).expect("weights");
    demo(folder.path());
    assert_eq!(
        model,
        fs::read(home.join("ddpo/model/model.safetensors")).expect("weights")
    );
    assert_eq!(
        evaluation,
        fs::read(home.join("evaluation.json")).expect("an evaluation")
    );
}

#[test]
fn dpo_and_ddpo_learn_from_the_same_pairs_with_the_same_settings() {
    let recipe = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recipes/demo-{name}.toml"));
        let text = fs::read_to_string(path).expect("a recipe");
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.retain(|line| !line.starts_with("objective") && !line.starts_with("output_dir"));
        lines
    };
    assert_eq!(recipe("dpo"), recipe("ddpo"));
}
