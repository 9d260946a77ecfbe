//! From responses to a report, with every objective, and what each command promises on the way.

use serde_json::Value;

use super::sandbox::{Sandbox, assert_holds, policy, rows};

const LEXICAL: &str = "--semantic builtin:lexical";

/// Toy responses, prepared.
fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    sandbox.succeeds(&format!(
        "prepare rows.jsonl --output prepared --test-size 0.25 {LEXICAL}"
    ));
    sandbox
}

fn train(objective: &str, extra: &str) -> String {
    format!(
        "train --objective {objective} --model-name-or-path {} --dataset-name prepared \
         --output-dir runs/{objective} --max-steps 4 --logging-steps 2 --learning-rate 1e-3 {extra}",
        policy()
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[test]
fn every_objective_goes_from_responses_to_a_report() {
    let sandbox = prepared();
    let common = [
        "loss",
        "grad_norm",
        "learning_rate",
        "epoch",
        "tokens_per_second",
        "num_tokens",
    ];
    let preference = [
        "rewards/chosen",
        "rewards/rejected",
        "rewards/margins",
        "rewards/accuracies",
        "logps/chosen",
        "logps/rejected",
    ];
    let odds = ["nll_loss", "log_odds_ratio", "log_odds_chosen"];
    let mut systems = String::new();
    let mut runs = String::new();
    for (objective, names) in [
        ("sft", vec![]),
        ("dpo", preference.to_vec()),
        ("ddpo", preference.to_vec()),
        ("orpo", [&preference[..], &odds].concat()),
        ("dorpo", [&preference[..], &odds].concat()),
    ] {
        let model = sandbox.succeeds(&train(objective, ""));
        assert_eq!(model.trim(), format!("runs/{objective}/model"));
        let log = sandbox.rows(&format!("runs/{objective}/metrics.jsonl"));
        let steps: Vec<_> = log.iter().filter_map(|row| row["step"].as_u64()).collect();
        assert_eq!(steps, [2, 4, 4], "{objective}");
        for name in common.iter().chain(&names) {
            assert!(
                log[0][name].is_f64(),
                "{objective}: no {name} in {}",
                log[0]
            );
        }
        assert!(log[2]["eval_loss"].is_f64(), "{objective}: {}", log[2]);
        for name in &names {
            let name = format!("eval_{name}");
            assert!(
                log[2][&name].is_f64(),
                "{objective}: no {name} in {}",
                log[2]
            );
        }
        let files = sandbox.tree(&format!("runs/{objective}"));
        let has = |name: &str| {
            files
                .keys()
                .any(|path| path.to_string_lossy().starts_with(name))
        };
        for name in [
            "config.toml",
            "events.out.tfevents.",
            "checkpoints/step-00000004/state.json",
        ] {
            assert!(has(name), "{objective}: no {name} in {:?}", files.keys());
        }
        for name in [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        ] {
            assert!(has(&format!("model/{name}")), "{objective}: no {name}");
        }

        let samples = format!("{objective}.jsonl");
        sandbox.succeeds(&format!(
            "generate runs/{objective}/model --prompts-file prepared/test/groups.parquet --limit 3 -n 3 \
             --max-new-tokens 20 --output {samples}"
        ));
        let samples_rows = sandbox.rows(&samples);
        assert_eq!(samples_rows.len(), 9, "{objective}");
        for key in [
            "prompt_id",
            "prompt",
            "sample",
            "response",
            "tokens",
            "finish_reason",
        ] {
            assert!(samples_rows[0].get(key).is_some(), "{objective}: no {key}");
        }
        systems += &format!("{objective}={samples} ");
        runs += &format!("--run runs/{objective} ");
    }

    let table = sandbox.succeeds(&format!(
        "evaluate {systems} --baseline dpo --resamples 200 --csv table.csv {LEXICAL}"
    ));
    assert_holds(&table, &["sft", "dorpo"]);
    let evaluation = json(&sandbox.read("evaluation.json"));
    assert_eq!(evaluation["systems"].as_array().map(Vec::len), Some(5));
    assert_holds(&sandbox.read("table.csv"), &["sft", "dorpo"]);

    sandbox.succeeds(&format!("report evaluation.json {runs} --title Toys"));
    let page = sandbox.read("report.html");
    assert_holds(&page, &["<title>Toys", "dorpo", "Reward margin"]);
    for external in [
        "src=\"http",
        "src=http",
        "@import",
        "url(http",
        "url(\"http",
        "<link",
    ] {
        assert!(!page.contains(external), "{external} in the report");
    }
}

#[test]
fn settings_come_from_a_file_and_flags_go_over_it() {
    let sandbox = prepared();
    sandbox.write(
        "run.toml",
        format!(
            "model_name_or_path = '{}'\nobjective = 'ddpo'\ndataset_name = 'prepared'\n\
             output_dir = 'run'\nbeta = 0.2\nmax_steps = 3\nlearning_rate = 1e-4\n",
            policy()
        ),
    );
    // Flags with underscores, as in TRL, apart from their values or not.
    sandbox.succeeds("train --config run.toml --learning_rate 2e-4 --save_steps=2 --floor 0.1");
    let config = sandbox.read("run/config.toml");
    assert_holds(
        &config,
        &[
            "beta = 0.2\n",
            "learning_rate = 0.0002\n",
            "save_steps = 2\n",
            "floor = 0.1\n",
            "max_steps = 3\n",
        ],
    );
    // So is what nothing was said about.
    assert_holds(&config, &["adam_beta2 = 0.999\n", "seed = 42\n"]);
    assert!(!config.contains("lambda"), "{config}");
    // Resolved, a configuration gives itself.
    sandbox.succeeds("train --config run/config.toml --output_dir again");
    assert_eq!(
        sandbox.read("again/config.toml"),
        config.replace("output_dir = \"run\"", "output_dir = \"again\"")
    );
    assert!(sandbox.tree("again/model") == sandbox.tree("run/model"));
}

#[test]
fn an_adapter_is_trained_further_and_written_with() {
    let sandbox = prepared();
    sandbox.succeeds(&train(
        "dpo",
        "--use-peft --lora-r 4 --lora-target-modules q_proj,v_proj",
    ));
    assert!(
        sandbox
            .path("runs/dpo/model/adapter_model.safetensors")
            .exists()
    );
    let adapter = json(&sandbox.read("runs/dpo/model/adapter_config.json"));
    assert_eq!(
        (&adapter["r"], &adapter["peft_type"]),
        (&4.into(), &"LORA".into())
    );
    assert_holds(
        &sandbox.read("runs/dpo/config.toml"),
        &[
            "beta = 0.1\n",
            "use_peft = true\n",
            "lora_alpha = 32.0\n",
            "lora_dropout = 0.0\n",
        ],
    );
    let further = train("ddpo", "").replace(&policy(), "runs/dpo/model");
    sandbox.succeeds(&further);
    let told =
        sandbox.succeeds("generate runs/ddpo/model --prompt Tale -n 2 --max-new-tokens 5 --json");
    assert_eq!(rows(&told).len(), 2);

    // Folded into its base, it says the same.
    sandbox.succeeds("export runs/ddpo/model --merge --output merged");
    let greedy = |model: &str| {
        sandbox.succeeds(&format!(
            "generate {model} --prompt Tale -n 1 --max-new-tokens 20 --greedy"
        ))
    };
    assert_eq!(greedy("merged"), greedy("runs/ddpo/model"));
    let error = sandbox.refused(1, "export runs/ddpo/model --output other");
    assert_holds(&error, &["runs/ddpo/model is an adapter", "--merge"]);
    let error = sandbox.refused(1, "export merged --merge --output other");
    assert_holds(&error, &["merged is a whole model"]);
}

#[test]
fn the_same_seed_prepares_the_same_bytes() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    let prepare = |folder: &str, seed: u64| {
        sandbox.succeeds(&format!(
            "prepare rows.jsonl --output {folder} --jsonl --seed {seed} --test-size 0.5 {LEXICAL}"
        ));
        sandbox.tree(folder)
    };
    let first = prepare("first", 1);
    assert_eq!(
        first.values().filter(|content| !content.is_empty()).count(),
        9
    );
    assert!(prepare("second", 1) == first);
    assert!(prepare("third", 2) != first);
}

#[test]
fn deviation_prints_tables_rows_and_files() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    let table = sandbox.succeeds(&format!("deviation rows.jsonl --limit 2 {LEXICAL}"));
    assert_holds(
        &table,
        &["weight", "semantic", "style", "score", "response"],
    );
    // Each prompt has its own line, a head, six responses and a gap.
    assert_eq!(table.lines().count(), 2 * 9, "{table}");

    let printed = sandbox.succeeds(&format!("deviation rows.jsonl --json {LEXICAL}"));
    let printed = rows(&printed);
    assert_eq!(printed.len(), 72);
    for prompt in printed.chunks(6) {
        let weights = prompt
            .iter()
            .map(|row| row["weight"].as_f64().expect("a weight"));
        assert!((weights.sum::<f64>() / 6.0 - 1.0).abs() < 1e-9);
    }
    sandbox.succeeds(&format!(
        "deviation rows.jsonl --output rows-weighed.jsonl {LEXICAL}"
    ));
    assert_eq!(sandbox.rows("rows-weighed.jsonl"), printed);
    sandbox.succeeds(&format!(
        "deviation rows.jsonl --output weighed.parquet {LEXICAL}"
    ));
    // What is written can be read.
    let again = sandbox.succeeds(&format!("deviation weighed.parquet --json {LEXICAL}"));
    let weight = |row: &Value| row["weight"].clone();
    assert_eq!(
        rows(&again).iter().map(weight).collect::<Vec<_>>(),
        printed.iter().map(weight).collect::<Vec<_>>()
    );
}

#[test]
fn texts_do_not_depend_on_the_batch_size_but_on_the_seed() {
    let sandbox = Sandbox::new();
    let prompts: Vec<String> = ["a", "a longer one", "there was an old fox by the sea", "b"]
        .iter()
        .map(|prompt| format!("{{\"prompt\": \"{prompt}\"}}\n"))
        .collect();
    sandbox.write("prompts.jsonl", prompts.concat());
    let generate = |flags: &str| {
        let arguments = format!(
            "generate {} --prompts-file prompts.jsonl -n 3 --json {flags}",
            policy()
        );
        sandbox.succeeds(&arguments)
    };
    let all_at_once = generate("--max-new-tokens 40 --batch-size 64");
    assert_eq!(generate("--max-new-tokens 40 --batch-size 1"), all_at_once);
    assert_eq!(generate("--max-new-tokens 40 --batch-size 7"), all_at_once);
    // Up to the model's whole length, whatever stands beside them.
    let long = |batch: u32| generate(&format!("--max-new-tokens 500 --batch-size {batch}"));
    assert_eq!(long(1), long(64));
    assert_ne!(generate("--max-new-tokens 40 --seed 43"), all_at_once);
    let greedy: Vec<Value> = rows(&generate("--max-new-tokens 40 --greedy"));
    for samples in greedy.chunks(3) {
        assert_eq!(samples[0]["response"], samples[2]["response"]);
    }
}

#[test]
fn one_text_is_streamed_as_it_is_written() {
    let sandbox = Sandbox::new();
    let arguments = format!(
        "generate {} --prompt Tale -n 1 --max-new-tokens 30",
        policy()
    );
    let streamed = sandbox.succeeds(&arguments);
    let whole = rows(&sandbox.succeeds(&format!("{arguments} --json")));
    assert_eq!(
        streamed.trim_end_matches('\n'),
        whole[0]["response"]
            .as_str()
            .expect("text")
            .trim_end_matches('\n')
    );
}

#[cfg(unix)]
#[test]
fn whoever_has_read_enough_ends_the_program_quietly() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    for arguments in [
        format!("deviation rows.jsonl --limit 0 {LEXICAL}"),
        format!("deviation rows.jsonl --json {LEXICAL}"),
        format!(
            "generate {} --prompt Tale -n 9 --max-new-tokens 20 --batch-size 1 --json",
            policy()
        ),
    ] {
        // The end that would be read is closed before anything is written.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut process = sandbox.process(&arguments);
        let output = process.stdout(writer).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}\n{error}");
        assert!(!error.contains("error"), "{arguments}\n{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_driver_auto_takes_the_cpu_and_a_gpu_is_refused() {
    let sandbox = Sandbox::new();
    let generate = format!(
        "generate {} --prompt Tale -n 1 --max-new-tokens 2 --device",
        policy()
    );
    let auto = sandbox
        .rarebit(&format!("{generate} auto"))
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&auto.stderr);
    assert!(auto.status.success(), "{told}");
    assert_holds(&told, &["device: CPU: wgpu finds no"]);
    for device in ["gpu", "gpu:99"] {
        let error = sandbox.refused(1, &format!("{generate} {device}"));
        assert_holds(&error, &["rarebit devices", "--device cpu"]);
    }
}

#[test]
fn devices_are_listed_with_the_one_that_auto_takes() {
    let sandbox = Sandbox::new();
    let list = sandbox.succeeds("devices");
    assert_holds(&list, &["cpu", "auto"]);
    let list = json(&sandbox.succeeds("devices --json"));
    assert!(list.is_object() || list.is_array(), "{list}");
}
