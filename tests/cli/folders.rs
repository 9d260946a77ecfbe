//! Model folders as they are on the hub, and not quite as the documentation has them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds};

/// Rewrites a JSON file of a folder.
fn edit(sandbox: &Sandbox, file: &str, change: impl Fn(&mut Value)) {
    let mut value = serde_json::from_str(&sandbox.read(file)).expect("JSON");
    change(&mut value);
    sandbox.write(file, value.to_string());
}

/// Gives a model's tokenizer tokens beyond its 300 embeddings.
fn add_tokens(sandbox: &Sandbox, folder: &str, tokens: &[&str]) {
    edit(sandbox, &format!("{folder}/tokenizer.json"), |tokenizer| {
        let added = tokenizer["added_tokens"].as_array_mut().expect("a list");
        added.extend(tokens.iter().enumerate().map(|(i, token)| {
            json!({"id": 300 + i, "content": token, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        }));
    });
}

/// Gemma 3 has one token more than embeddings, Code Llama four.
#[test]
fn tokens_without_an_embedding_matter_only_to_a_text_that_has_them() {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 4, 1);
    for folder in ["plain", "gemma", "code"] {
        sandbox.copy_policy(folder);
    }
    add_tokens(&sandbox, "gemma", &["<image_soft_token>"]);
    let four = ["▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"];
    add_tokens(&sandbox, "code", &four);
    edit(&sandbox, "code/tokenizer_config.json", |settings| {
        settings["pad_token"] = json!("▁<PRE>");
        settings["eos_token"] = json!("▁<EOT>");
    });
    let generate = |folder: &str, prompts: &str| {
        format!("generate {folder} {prompts} --max-new-tokens 6 --output {folder}.jsonl")
    };
    // Unlike lengths, so that there is padding.
    sandbox.write("prompts.txt", "A fox\nA hen and a lamp in the house\n");
    for folder in ["plain", "gemma", "code"] {
        sandbox.succeeds(&generate(folder, "--prompts-file prompts.txt"));
        assert_eq!(
            sandbox.read(&format!("{folder}.jsonl")),
            sandbox.read("plain.jsonl")
        );
        sandbox.succeeds(&format!(
            "train --objective ddpo --model-name-or-path {folder} --train-file pairs.jsonl \
             --output-dir {folder}-run --max-steps 1"
        ));
    }
    for (folder, token) in [("gemma", "<image_soft_token>"), ("code", "▁<MID>")] {
        sandbox.write("token.txt", format!("A fox{token}\n"));
        let error = sandbox.refused(
            1,
            &generate(folder, "--prompts-file token.txt")
                .replace(&format!("{folder}.jsonl"), "out.jsonl"),
        );
        assert_holds(
            &error,
            &[token, "beyond the 300 token embeddings", "tokenizer.json"],
        );
    }
}

/// As peft does, also without `ensure_weight_tying`.
#[test]
fn an_adapter_with_the_embedding_and_head_of_a_tied_model_is_trained_used_and_merged() {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 4, 1);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/llama");
    for file in [
        "tokenizer.json",
        "tokenizer_config.json",
        "tied/config.json",
        "tied/model.safetensors",
    ] {
        let name = file.trim_start_matches("tied/");
        let content = fs::read(fixture.join(file)).expect("the fixture");
        sandbox.write(&format!("tied/{name}"), content);
    }
    let train = |model: &str, run: &str, flags: &str| {
        sandbox.succeeds(&format!(
            "train --objective ddpo --model-name-or-path {model} --train-file pairs.jsonl \
             --output-dir {run} --max-steps 2 --learning-rate 0.01 {flags}"
        ));
    };
    let generate = |model: &str| {
        sandbox.succeeds(&format!(
            "generate {model} --prompt A --max-new-tokens 8 --output out.jsonl"
        ));
        sandbox.read("out.jsonl")
    };
    train(
        "tied",
        "first",
        "--lora-r 2 --lora-modules-to-save embed_tokens,lm_head",
    );
    train("first/model", "second", "");
    let written = generate("second/model");
    assert_ne!(written, generate("first/model"));
    assert_ne!(written, generate("tied"));
    sandbox.succeeds("export second/model --output merged --merge");
    assert_eq!(written, generate("merged"));
    let config: Value = serde_json::from_str(&sandbox.read("merged/config.json")).expect("JSON");
    assert_eq!(config["tie_word_embeddings"], false);

    // One weight for both, as peft saves it.
    fs::create_dir(sandbox.path("kept")).expect("a folder");
    for (name, _) in sandbox.tree("first/model") {
        let content = fs::read(sandbox.path("first/model").join(&name)).expect("a file");
        sandbox.write(&format!("kept/{}", name.display()), content);
    }
    edit(&sandbox, "kept/adapter_config.json", |settings| {
        settings["ensure_weight_tying"] = json!(true);
    });
    let error = sandbox.refused(1, "generate kept --prompt A --output x.jsonl");
    assert_holds(
        &error,
        &["lm_head.weight", "differs from", "ensure_weight_tying"],
    );
}
