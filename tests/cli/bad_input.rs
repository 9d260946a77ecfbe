//! Input that cannot be used: the error names file, place and remedy, the exit code tells, and
//! whatever was on disk is there as before, with nothing beside it.

use std::fs;

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds, fails, policy};

const LEXICAL: &str = "--semantic builtin:lexical";

/// Prepares a file of this name and content, which is refused.
fn prepare(name: &str, content: &[u8], flags: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write(name, content);
    let arguments = format!("prepare {name} --output out {LEXICAL} {flags}");
    let error = sandbox.refused(1, &arguments);
    assert_holds(&error, &[name]);
    error
}

#[test]
fn missing_files_are_named_by_every_command() {
    let sandbox = Sandbox::new();
    let policy = policy();
    for arguments in [
        format!("prepare absent.jsonl {LEXICAL}"),
        format!("deviation absent.jsonl {LEXICAL} --output out.parquet"),
        format!(
            "train --objective dpo --model-name-or-path {policy} --output-dir run --train-file absent.jsonl"
        ),
        format!("generate {policy} --prompts-file absent.jsonl --output out.jsonl"),
        format!("evaluate absent.jsonl {LEXICAL}"),
        "report absent.jsonl".to_owned(),
    ] {
        let error = sandbox.refused(1, &arguments);
        assert_holds(&error, &["absent.jsonl"]);
    }
    let error = sandbox.refused(1, "train --config absent.toml");
    assert_holds(&error, &["cannot read the configuration absent.toml"]);
    let error = sandbox.refused(
        1,
        &format!(
            "train --objective dpo --model-name-or-path {policy} --output-dir run --dataset-name absent"
        ),
    );
    assert_holds(&error, &["pairs.parquet"]);
}

#[test]
fn empty_files_are_called_empty() {
    for content in [&b""[..], b"\n\n", b"\xef\xbb\xbf"] {
        assert_holds(&prepare("empty.jsonl", content, ""), &["is empty"]);
    }
    let sandbox = Sandbox::new();
    sandbox.write("empty.json", "");
    let error = sandbox.refused(1, "report empty.json");
    assert_holds(&error, &["empty.json is empty", "rarebit evaluate"]);
    sandbox.write("empty.jsonl", "");
    let error = sandbox.refused(1, &format!("evaluate empty.jsonl {LEXICAL}"));
    assert_holds(&error, &["empty.jsonl is empty"]);
    let error = sandbox.refused(
        1,
        &format!("generate {} --prompts-file empty.jsonl", policy()),
    );
    assert_holds(&error, &["empty.jsonl is empty"]);
}

#[test]
fn truncated_archives_are_called_damaged() {
    let remedy = "download or compress it again";
    // A gzip header and a stored block that promises 100 bytes and holds fewer.
    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x64\0\x9b\xff".to_vec();
    gzip.extend(br#"{"prompt": "p", "response": "#);
    let error = prepare("rows.jsonl.gz", &gzip, "");
    assert_holds(&error, &["damaged or truncated gzip", remedy]);
    // A Zstandard frame of 100 bytes in one raw block, cut off likewise.
    let mut zstd = b"\x28\xb5\x2f\xfd\x20\x64\x21\x03\0".to_vec();
    zstd.extend(br#"{"prompt": "p", "response": "#);
    let error = prepare("rows.jsonl.zst", &zstd, "");
    assert_holds(&error, &["damaged or truncated zstd", remedy]);

    let sandbox = Sandbox::new();
    sandbox.write_groups("groups.jsonl");
    sandbox.succeeds(&format!("prepare groups.jsonl --output whole {LEXICAL}"));
    let whole = fs::read(sandbox.path("whole/train/groups.parquet")).expect("a table");
    for length in [5, 300, whole.len() / 2, whole.len() - 1] {
        let error = prepare("rows.parquet", &whole[..length], "");
        assert_holds(&error, &["damaged or truncated Parquet"]);
    }
    // The header's pages are gone, the footer is there.
    let mut hollow = whole.clone();
    hollow[4..whole.len() / 3].fill(0xff);
    prepare("rows.parquet", &hollow, "");
}

#[test]
fn wrong_columns_are_named_beside_the_right_ones() {
    let row = br#"{"prompt": "p", "responses": [{"text": "a", "score": 1}]}"#;
    let error = prepare("rows.jsonl", row, "--prompt-column question");
    assert_holds(
        &error,
        &["no column \"question\"", "\"prompt\", \"responses\""],
    );
    let error = prepare("rows.jsonl", br#"{"foo": 1, "bar": 2}"#, "");
    assert_holds(
        &error,
        &["\"foo\" (number), \"bar\" (number)", "--prompt-column"],
    );
    let error = prepare("rows.csv", b"foo,bar\n1,2\n", "");
    assert_holds(
        &error,
        &["\"foo\" (text), \"bar\" (text)", "--prompt-column"],
    );
}

#[test]
fn bad_rows_are_named_by_line_and_field() {
    let remedy = "--skip-bad";
    for (name, rows, parts) in [
        (
            "rows.jsonl",
            &b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":1}\n{\"prompt\":\"p\",\"response\":\"b\",\"score\":\"high\"}\n"[..],
            &["line 2, field \"score\"", "\"high\"", remedy][..],
        ),
        (
            "rows.csv",
            b"prompt,response,score\np,a,1\np,b,high\n",
            &["line 3, field \"score\"", "\"high\"", remedy],
        ),
        (
            "rows.jsonl",
            b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":NaN}\n",
            &["line 1, field \"score\"", "NaN", remedy],
        ),
        (
            "rows.jsonl",
            b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":1e999}\n",
            &["line 1", remedy],
        ),
        (
            "rows.csv",
            b"prompt,response,score\np,a,inf\n",
            &["line 2, field \"score\"", remedy],
        ),
        (
            "rows.csv",
            b"prompt,response,score\np,a\n",
            &["line 2", "2 fields where the header has 3", remedy],
        ),
        (
            "rows.jsonl",
            b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":1}\n{\"prompt\":\"p\",\"response\":\"b\xff\",\"score\":2}\n",
            &["line 2", "not UTF-8", remedy],
        ),
        (
            "rows.csv",
            b"prompt,response,score\np,a\xff,1\n",
            &["line 2", "not UTF-8", remedy],
        ),
        (
            "rows.jsonl",
            b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":1}\n{\"prompt\":\"p\",\"respo",
            &["line 2", remedy],
        ),
        (
            "rows.jsonl",
            b"{\"prompt\":\"p\",\"responses\":[{\"text\":7,\"score\":1}]}\n",
            &["line 1, field \"text\"", "not 7", remedy],
        ),
    ] {
        assert_holds(&prepare(name, rows, ""), parts);
    }
}

#[test]
fn a_line_of_a_megabyte_is_a_line() {
    let sandbox = Sandbox::new();
    let rows: Vec<String> = (0..3)
        .map(|i| {
            let response = "word ".repeat(210_000 + i);
            format!(
                r#"{{"prompt": "p", "response": "{response}", "score": {}}}"#,
                10 * i
            )
        })
        .collect();
    let rows = rows.join("\n");
    sandbox.write("rows.jsonl", &rows);
    sandbox.succeeds(&format!(
        "prepare rows.jsonl --output out --test-size 0 {LEXICAL}"
    ));
    let summary: serde_json::Value =
        serde_json::from_str(&sandbox.read("out/summary.json")).expect("JSON");
    assert_eq!(summary["source"]["responses"], 3);

    let error = prepare("rows.jsonl", rows.as_bytes(), "--max-line-bytes 1000");
    assert_holds(&error, &["line 1", "1000 bytes", "--max-line-bytes"]);
}

#[test]
fn skipped_rows_are_counted_by_reason() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "rows.jsonl",
        b"{\"prompt\":\"p\",\"response\":\"a\",\"score\":1}\n\
          {\"prompt\":\"p\",\"response\":\"b\",\"score\":\"high\"}\n\
          {\"prompt\":\"p\",\"response\":\"c\xff\",\"score\":1}\n\
          {\"prompt\":\"p\",\"response\":\"d\",\"score\":\"low\"}\n\
          {\"prompt\":\"p\",\"respo\n\
          {\"prompt\":\"p\",\"response\":\"e\",\"score\":9}\n",
    );
    let arguments = format!("prepare rows.jsonl --output out --test-size 0 --skip-bad {LEXICAL}");
    sandbox.succeeds(&arguments);
    let summary: serde_json::Value =
        serde_json::from_str(&sandbox.read("out/summary.json")).expect("JSON");
    let skipped = &summary["source"]["skipped_rows"];
    assert_eq!(summary["source"]["responses"], 2);
    for (reason, count) in [
        ("not_a_number", 2),
        ("invalid_utf8", 1),
        ("malformed_json", 1),
    ] {
        assert_eq!(skipped[reason]["count"], count, "{skipped}");
    }
    assert_eq!(skipped["not_a_number"]["first"], 2, "{skipped}");
}

#[test]
fn spoilt_model_folders_are_refused_by_training_and_generation() {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 4, 1);
    let edit = |folder: &str, file: &str, from: &str, to: &str| {
        sandbox.copy_policy(folder);
        let text = sandbox.read(&format!("{folder}/{file}"));
        assert!(text.contains(from), "{file} holds {from}");
        sandbox.write(&format!("{folder}/{file}"), text.replacen(from, to, 1));
    };
    let remove = |folder: &str, file: &str| {
        sandbox.copy_policy(folder);
        fs::remove_file(sandbox.path(&format!("{folder}/{file}"))).expect("a file");
    };
    remove("no-config", "config.json");
    remove("no-tokenizer", "tokenizer.json");
    remove("no-weights", "model.safetensors");
    sandbox.copy_policy("cut-weights");
    let weights = fs::read(sandbox.path("cut-weights/model.safetensors")).expect("weights");
    sandbox.write(
        "cut-weights/model.safetensors",
        &weights[..weights.len() / 3],
    );
    sandbox.copy_policy("cut-header");
    sandbox.write("cut-header/model.safetensors", &weights[..100]);
    sandbox.copy_policy("cut-config");
    sandbox.write("cut-config/config.json", "{\"model_type\": ");
    edit(
        "other-shape",
        "config.json",
        "\"hidden_size\": 16",
        "\"hidden_size\": 32",
    );
    edit(
        "other-architecture",
        "config.json",
        "\"llama\"",
        "\"mamba\"",
    );
    edit(
        "other-vocabulary",
        "config.json",
        "\"vocab_size\": 300",
        "\"vocab_size\": 299",
    );

    for (folder, parts) in [
        ("no-config", &["no config.json in no-config"][..]),
        ("no-tokenizer", &["no tokenizer.json in no-tokenizer"]),
        ("no-weights", &["model.safetensors", "no-weights"]),
        (
            "cut-weights",
            &["cut-weights/model.safetensors is not a whole safetensors file"],
        ),
        (
            "cut-header",
            &["cut-header/model.safetensors is not a whole safetensors file"],
        ),
        ("cut-config", &["cut-config/config.json", "line 1"]),
        ("other-shape", &["has shape", "other-shape"]),
        (
            "other-architecture",
            &["other-architecture/config.json", "`mamba`", "not supported"],
        ),
        ("other-vocabulary", &["shape", "other-vocabulary"]),
        ("./absent", &["./absent"]),
    ] {
        for arguments in [
            format!(
                "train --objective ddpo --train-file pairs.jsonl --output-dir run --model-name-or-path {folder}"
            ),
            format!("generate {folder} --prompt p --output out.jsonl"),
        ] {
            assert_holds(&sandbox.refused(1, &arguments), parts);
        }
    }
}

#[test]
fn training_data_without_what_training_needs_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("groups.jsonl");
    let pair = |rest: &str| format!("{{\"prompt\": \"p\", \"chosen\": \"a\"{rest}}}\n");
    for (content, flags, parts) in [
        (
            pair(", \"rejected\": \"b\""),
            "",
            &["no `weight`", "rarebit prepare"][..],
        ),
        (
            pair(", \"rejected\": \"b\", \"weight\": \"high\""),
            "",
            &["line 1, field \"weight\"", "not \"high\""],
        ),
        (
            pair(", \"rejected\": \"b\", \"weight\": -3"),
            "",
            &["line 1, field \"weight\"", "0 or more, not -3"],
        ),
        (pair(""), "", &["\"prompt\" (text), \"chosen\" (text)"]),
        (
            pair(", \"rejected\": \"b\", \"weight\": 1"),
            "--max-length 4",
            &["no example that could be trained on", "`max_length`"],
        ),
        (
            pair(", \"rejected\": \"b\", \"weight\": 1"),
            "--floor 0.1",
            &["groups.parquet", "`weight` column"],
        ),
        (
            sandbox.read("groups.jsonl"),
            "",
            &["responses, not pairs", "rarebit prepare"],
        ),
    ] {
        sandbox.write("data.jsonl", content);
        let arguments = format!(
            "train --objective ddpo --model-name-or-path {} --train-file data.jsonl --output-dir run {flags}",
            policy()
        );
        let error = sandbox.refused(1, &arguments);
        assert_holds(&error, &["data.jsonl"]);
        assert_holds(&error, parts);
    }
}

#[test]
fn an_adapter_needs_its_base() {
    let sandbox = Sandbox::new();
    let settings = r#""peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]"#;
    sandbox.write("alone/adapter_config.json", format!("{{{settings}}}"));
    let error = sandbox.refused(1, "generate alone --prompt p");
    assert_holds(
        &error,
        &["alone/adapter_config.json", "base_model_name_or_path"],
    );
    sandbox.write(
        "lost/adapter_config.json",
        format!("{{{settings}, \"base_model_name_or_path\": \"./moved\"}}"),
    );
    let error = sandbox.refused(1, "generate lost --prompt p");
    assert_holds(&error, &["the base model of the adapter lost", "./moved"]);
    sandbox.copy_policy("base");
    for dropout in ["1.0", "1.5", "-0.1"] {
        let settings = format!(
            "{{{settings}, \"lora_dropout\": {dropout}, \"base_model_name_or_path\": \"base\"}}"
        );
        sandbox.write("wet/adapter_config.json", settings);
        let error = sandbox.refused(1, "generate wet --prompt p");
        assert_holds(
            &error,
            &["`lora_dropout` in wet/adapter_config.json", "below 1"],
        );
    }
}

#[test]
fn settings_out_of_range_are_named_with_what_they_should_be() {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 4, 1);
    let least = format!(
        "model_name_or_path = '{}'\noutput_dir = 'run'\ntrain_file = 'pairs.jsonl'\n",
        policy()
    );
    for (settings, flags, parts) in [
        (
            "objective = 'ddpo'\nbeta = -1.0",
            "",
            &["`beta` is -1: it must be above 0", "run.toml"][..],
        ),
        (
            "objective = 'ddpo'",
            "--beta -1",
            &["`beta` is -1: it must be above 0"],
        ),
        (
            "objective = 'ddpo'\nbeta = 'x'",
            "",
            &["`beta`", "run.toml"],
        ),
        (
            "objective = 'ddpo'\nbta = 0.1",
            "",
            &["unknown key `bta`: did you mean `beta`?", "run.toml"],
        ),
        (
            "objective = 'ddpo'\nlearning_rat = 1.0",
            "",
            &["unknown key `learning_rat`: did you mean `learning_rate`?"],
        ),
        ("objective = 'ppo'", "", &["`ppo`", "`ddpo`"]),
        (
            "objective = ",
            "",
            &["line 4", "run.toml is not a valid configuration"],
        ),
        (
            "objective = 'dpo'",
            "--learning-rate -1",
            &["`learning_rate` is -1: it must be above 0"],
        ),
        (
            "objective = 'sft'",
            "--beta 0.1",
            &["`beta` does not apply to the objective"],
        ),
        (
            "objective = 'dpo'\nper_device_train_batch_size = 0",
            "",
            &["`per_device_train_batch_size` is 0"],
        ),
        ("beta = 0.1", "", &["`objective` is missing", "--objective"]),
        (
            "objective = 'dpo'\ndataset_name = 'd'",
            "",
            &["`dataset_name` and `train_file`"],
        ),
        (
            "objective = 'dpo'",
            "--lora-alpha 0",
            &["`lora_alpha` is 0: it must be above 0"],
        ),
        (
            "objective = 'kto'",
            "--desirable-weight 0 --undesirable-weight 0",
            &["`desirable_weight` and `undesirable_weight` are both 0"],
        ),
        (
            "objective = 'dpo'",
            "--num-train-epochs 1e300",
            &["`num_train_epochs` is 1000000", "at most 1000000"],
        ),
        (
            "objective = 'dpo'",
            "--lora_r 2 --lora_target_modules query,key",
            &["no layer matches `query`, `key`", "q_proj"],
        ),
    ] {
        sandbox.write("run.toml", format!("{least}{settings}\n"));
        let error = sandbox.refused(1, &format!("train --config run.toml {flags}"));
        assert_holds(&error, parts);
    }
    let error = sandbox.refused(
        1,
        "prepare pairs.jsonl --semantic builtin:tale --output out",
    );
    assert_holds(&error, &["builtin:tale", "builtin:lexical"]);
    let error = sandbox.refused(1, &format!("prepare pairs.jsonl {LEXICAL} --test-size 2"));
    assert_holds(&error, &["test-size = 2", "from 0 to 1"]);
}

#[test]
fn bad_flags_are_refused_with_exit_code_2() {
    let sandbox = Sandbox::new();
    for (arguments, parts) in [
        (
            "--device tpu",
            &["`tpu` is no device", "auto, gpu, gpu:N or cpu"][..],
        ),
        ("--objective ppo", &["'ppo'", "possible values", "ddpo"]),
        ("--max-steps many", &["'many'", "--max-steps"]),
        ("--maximal-steps 3", &["--maximal-steps"]),
    ] {
        let arguments = format!("train {arguments}");
        assert_holds(&sandbox.refused(2, &arguments), parts);
    }
    for (arguments, parts) in [
        (
            "train --seed 9223372036854775808",
            ["--seed", "0..=9223372036854775807"],
        ),
        (
            "generate m --prompt p --batch-size 0",
            ["--batch-size", "1.."],
        ),
        (
            "sweep m --tales --prompts-file p --batch-size 0",
            ["--batch-size", "1.."],
        ),
        (
            "evaluate rows --resamples 999999999999",
            ["--resamples", "1..=1000000"],
        ),
        (
            "evaluate rows --resamples 0",
            ["--resamples", "1..=1000000"],
        ),
        (
            "reward evaluate m rows --resamples 99999999",
            ["--resamples", "1..=1000000"],
        ),
        (
            "human analyse a --resamples 99999999",
            ["--resamples", "1..=1000000"],
        ),
        (
            "prepare rows --mix diversity=1e308,novelty=1e308",
            ["--mix", "add up to more"],
        ),
    ] {
        assert_holds(&sandbox.refused(2, arguments), &parts);
    }
}

#[test]
fn generation_needs_prompts_and_sane_sampling() {
    let sandbox = Sandbox::new();
    let policy = policy();
    for (flags, parts) in [
        (
            "",
            &["there is no prompt", "--prompt", "--prompts-file"][..],
        ),
        ("--prompt p --temperature 0", &["temperature is 0"]),
        (
            "--prompt p --temperature 1e-38",
            &["temperature is", "from 1e-15"],
        ),
        (
            "--prompt p --temperature 1e-60",
            &["temperature is 0", "from 1e-15"],
        ),
        (
            "--prompt p --repetition-penalty 1e-38",
            &["repetition_penalty is"],
        ),
        ("--prompt p --top-p 2", &["top_p is 2"]),
        ("--prompt p -n 0", &["--num-return-sequences is 0"]),
    ] {
        let error = sandbox.refused(1, &format!("generate {policy} {flags} --output out.jsonl"));
        assert_holds(&error, parts);
    }
    sandbox.write("prompts.jsonl", "{\"prompt\": \"p\"}\n{\"prompt\": 7}\n");
    let arguments = format!("generate {policy} --prompts-file prompts.jsonl --output out.jsonl");
    let long = "word ".repeat(200);
    let good = "{\"prompt\": \"p\", \"id\": \"short\"}\n";
    let rows = format!("{good}{{\"prompt\": \"{long}\", \"id\": \"long\"}}\n");
    sandbox.write("long.jsonl", rows);
    let too_long = arguments.replace("prompts.jsonl", "long.jsonl");
    let error = sandbox.refused(1, &too_long);
    assert_holds(
        &error,
        &["the prompt long has", "the model reads 128", "shorten it"],
    );
    assert_holds(
        &sandbox.refused(1, &arguments),
        &["prompts.jsonl, line 2, field \"prompt\"", "not 7"],
    );
}

#[test]
fn what_would_do_nothing_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    let error = sandbox.refused(
        1,
        &format!("evaluate rows.jsonl --responses 1000 {LEXICAL}"),
    );
    assert_holds(
        &error,
        &[
            "--responses 1000: no prompt of rows has so many",
            "6 is the most",
        ],
    );
    sandbox.succeeds(&format!("evaluate rows.jsonl --resamples 10 {LEXICAL}"));
    let mut evaluation: Value =
        serde_json::from_str(&sandbox.read("evaluation.json")).expect("JSON");
    evaluation["prompts"] = json!([]);
    sandbox.write("evaluation.json", evaluation.to_string());
    let error = sandbox.refused(1, "report evaluation.json");
    assert_holds(&error, &["evaluation.json measures no prompt"]);
    sandbox.write_pairs("pairs.jsonl", 4, 1);
    let rows = sandbox.rows("pairs.jsonl").into_iter().map(|mut row| {
        row["weight"] = 0.into();
        format!("{row}\n")
    });
    sandbox.write("weightless.jsonl", rows.collect::<String>());
    let train = |objective: &str| {
        format!(
            "train --objective {objective} --model-name-or-path {} --train-file weightless.jsonl \
             --output-dir run --max-steps 1",
            policy()
        )
    };
    let error = sandbox.refused(1, &train("ddpo"));
    assert_holds(&error, &["all weights of the training examples are 0"]);
    sandbox.succeeds(&train("dpo"));
}

#[test]
fn outputs_replace_only_what_is_of_their_kind() {
    let sandbox = Sandbox::new();
    let policy = policy();
    sandbox.write_groups("rows.jsonl");
    sandbox.write("mine/letter.txt", "dear");
    sandbox.write("mine/config.json", "{}");
    for folder in ["mine", "mine/."] {
        let error = sandbox.refused(1, &format!("export {policy} --output {folder}"));
        assert_holds(
            &error,
            &["mine", "contains letter.txt", "give another folder"],
        );
    }
    let error = sandbox.refused(1, &format!("export {policy} --output .."));
    assert_holds(&error, &["name a new one"]);
    sandbox.succeeds(&format!("export {policy} --output model --dtype bfloat16"));
    sandbox.succeeds(&format!("export {policy} --output model/"));
    sandbox.succeeds("generate model --prompt p --max-new-tokens 2");
    let error = sandbox.refused(1, "export model --output model/");
    assert_holds(&error, &["model/ is, or holds, what is being exported"]);

    for arguments in [
        format!("prepare rows.jsonl {LEXICAL} --output"),
        format!("deviation rows.jsonl {LEXICAL} --output"),
        format!("evaluate rows.jsonl --resamples 20 {LEXICAL} --output"),
        format!("generate {policy} --prompt p --max-new-tokens 2 --output"),
    ] {
        for place in ["rows.jsonl/x.jsonl", "mine"] {
            if arguments.starts_with("prepare") && place == "mine" {
                continue;
            }
            let error = sandbox.refused(1, &format!("{arguments} {place}"));
            assert_holds(&error, &[place.split('/').next().unwrap_or(place)]);
        }
    }
}

#[cfg(unix)]
#[test]
fn no_command_writes_over_what_it_reads_or_one_result_over_another() {
    let sandbox = Sandbox::new();
    let policy = policy();
    sandbox.write_groups("rows.jsonl");
    for name in [
        "other.jsonl",
        "dir/rows.jsonl",
        "out/train/groups.parquet",
        "run/metrics.jsonl",
    ] {
        sandbox.write(name, sandbox.read("rows.jsonl"));
    }
    let human = "human prepare rows.jsonl other.jsonl";
    for (arguments, parts) in [
        (
            format!("{human} --output s.html --key s.html"),
            ["--output s.html is also where --key goes", "another path"],
        ),
        (
            format!("{human} --key other.jsonl"),
            ["--key other.jsonl", "the input other.jsonl"],
        ),
        (
            format!("{human} --summary-prompts rows.jsonl"),
            ["--summary-prompts rows.jsonl", "the input rows.jsonl"],
        ),
        (
            "human analyse rows.jsonl --key other.jsonl --output other.jsonl".to_owned(),
            ["--output other.jsonl", "the input other.jsonl"],
        ),
        (
            format!("generate {policy} --prompts-file rows.jsonl --output rows.jsonl"),
            ["--output rows.jsonl", "the input rows.jsonl"],
        ),
        (
            format!("evaluate a=rows.jsonl --output dir/../rows.jsonl {LEXICAL}"),
            ["--output dir/../rows.jsonl", "the input rows.jsonl"],
        ),
        (
            format!("evaluate a=rows.jsonl --csv rows.jsonl {LEXICAL}"),
            ["--csv rows.jsonl", "the input rows.jsonl"],
        ),
        (
            format!("evaluate a=rows.jsonl --output x --csv ./x {LEXICAL}"),
            ["--csv ./x", "where --output goes"],
        ),
        (
            "evaluate rows.jsonl --semantic vectors:other.jsonl --output other.jsonl".to_owned(),
            ["--output other.jsonl", "the input other.jsonl"],
        ),
        (
            "report rows.jsonl --output rows.jsonl".to_owned(),
            ["--output rows.jsonl", "the input rows.jsonl"],
        ),
        (
            "report rows.jsonl --run run --output run/metrics.jsonl".to_owned(),
            ["--output run/metrics.jsonl", "the input run/metrics.jsonl"],
        ),
        (
            format!("prepare out/train/groups.parquet --output out {LEXICAL}"),
            ["--output out/train/groups.parquet", "the input out/train"],
        ),
        (
            format!("deviation rows.jsonl --output rows.jsonl {LEXICAL}"),
            ["--output rows.jsonl", "the input rows.jsonl"],
        ),
        (
            format!("reward score {policy} dir/rows.jsonl --output dir"),
            ["--output dir/rows.jsonl", "the input dir/rows.jsonl"],
        ),
        (
            format!("reward evaluate {policy} rows.jsonl --html rows.jsonl"),
            ["--html rows.jsonl", "the input rows.jsonl"],
        ),
        (
            "tales judge rows.jsonl --output rows.jsonl".to_owned(),
            ["--output rows.jsonl", "the input rows.jsonl"],
        ),
        (
            format!("sweep {policy} --tales --prompts-file dir/evaluation.csv --output dir"),
            ["--output dir/evaluation.csv", "the input dir/evaluation"],
        ),
        (
            format!(
                "train --objective dpo --model-name-or-path {policy} --train-file run/metrics.jsonl \
                 --output-dir run"
            ),
            ["--output-dir run/metrics.jsonl", "the input run/metrics"],
        ),
    ] {
        assert_holds(&sandbox.refused(1, &arguments), &parts);
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_the_input_is_the_input() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    std::os::unix::fs::symlink("rows.jsonl", sandbox.path("link.jsonl")).expect("a link");
    let arguments = format!("evaluate link.jsonl --output rows.jsonl {LEXICAL}");
    let error = sandbox.refused(1, &arguments);
    assert_holds(
        &error,
        &["--output rows.jsonl is also the input link.jsonl"],
    );
}

#[test]
fn a_model_is_not_exported_over_the_folder_that_holds_it() {
    let sandbox = Sandbox::new();
    sandbox.copy_policy("model");
    sandbox.copy_policy("model/inner");
    let error = sandbox.refused(1, "export model/inner --output model");
    assert_holds(&error, &["holds, what is being exported"]);
}

// Elsewhere, no file is a device.
#[cfg(unix)]
#[test]
fn a_device_is_not_replaced_by_a_result() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    // A link to the device and not the device itself, in case it goes wrong.
    std::os::unix::fs::symlink("/dev/null", sandbox.path("null")).expect("a link");
    for arguments in [
        format!("evaluate rows.jsonl --resamples 20 {LEXICAL} --output null"),
        format!(
            "generate {} --prompt p --max-new-tokens 2 --output null",
            policy()
        ),
    ] {
        let error = fails(&mut sandbox.rarebit(&arguments), 1, &arguments);
        assert_holds(&error, &["cannot write null", "give another name"]);
        assert!(sandbox.path("null").is_symlink(), "{error}");
    }
}

#[test]
fn what_was_there_before_bad_input_is_there_after_it() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    let prepare = format!("prepare rows.jsonl --output out --jsonl {LEXICAL}");
    let deviation = format!("deviation rows.jsonl --output deviation.parquet {LEXICAL}");
    let evaluate = format!(
        "evaluate rows.jsonl --output evaluation.json --csv table.csv --resamples 50 {LEXICAL}"
    );
    let all = [prepare, deviation, evaluate];
    for command in &all {
        sandbox.succeeds(command);
    }
    // The fault comes after rows that are good.
    let mut rows = fs::read(sandbox.path("rows.jsonl")).expect("rows");
    rows.extend(b"{\"prompt\": \"p\", \"responses\": [{\"text\": \"a\", \"score\": \"high\"}]}\n");
    sandbox.write("rows.jsonl", rows);
    for command in &all {
        assert_holds(&sandbox.refused(1, command), &["rows.jsonl, line 13"]);
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_damages_no_result() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    let flat = sandbox
        .read("rows.jsonl")
        .lines()
        .enumerate()
        .map(|(score, row)| {
            let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
            format!(
                "{{\"prompt\": \"p\", \"response\": {}, \"score\": {score}}}\n",
                row["responses"][0]["text"]
            )
        })
        .collect::<String>();
    sandbox.write("flat.jsonl", flat);
    let all = [
        (format!("prepare rows.jsonl --output out {LEXICAL}"), "out/"),
        (
            format!("prepare flat.jsonl --output flat {LEXICAL}"),
            "flat",
        ),
        (
            format!("deviation rows.jsonl --output deviation.jsonl {LEXICAL}"),
            "deviation.jsonl",
        ),
        (
            format!("evaluate rows.jsonl --output evaluation.json --resamples 50 {LEXICAL}"),
            "evaluation.json",
        ),
        (
            "report evaluation.json --output report.html".to_owned(),
            "report.html",
        ),
    ];
    for (arguments, output) in &all {
        sandbox.succeeds(arguments);
        let error = sandbox.refused_by(sandbox.limited(1, arguments), 1, arguments);
        assert_holds(&error, &["cannot write", output]);
    }
    // New files, and the folders on their way, do not appear by halves either.
    for (arguments, output) in &all {
        let arguments = arguments.replace("--output ", "--output new/");
        let error = sandbox.refused_by(sandbox.limited(1, &arguments), 1, &arguments);
        assert_holds(&error, &["cannot write", output]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    // The name under which the table is begun leads to a device that is always full.
    fs::create_dir_all(sandbox.path("out/train")).expect("a folder");
    std::os::unix::fs::symlink(
        "/dev/full",
        sandbox.path("out/train/.pairs.parquet.partial"),
    )
    .expect("a link");
    let arguments = format!("prepare rows.jsonl --output out {LEXICAL}");
    let error = fails(&mut sandbox.rarebit(&arguments), 1, &arguments);
    assert_holds(
        &error,
        &["cannot write out/train/pairs.parquet", "No space left"],
    );
    assert!(
        sandbox.tree("out").values().all(Vec::is_empty),
        "only folders"
    );

    for arguments in [
        format!("deviation rows.jsonl --json {LEXICAL}"),
        format!("generate {} --prompt p --max-new-tokens 3 --json", policy()),
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let mut process = sandbox.process(&arguments);
        let output = process.stdout(full).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_holds(&error, &["No space left"]);
        assert!(!error.contains("panicked"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn training_on_a_full_disk_goes_on_once_there_is_space() {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 6, 1);
    let arguments = format!(
        "train --objective ddpo --model-name-or-path {} --train-file pairs.jsonl --output-dir run \
         --max-steps 4 --save-steps 2",
        policy()
    );
    let error = fails(&mut sandbox.limited(20, &arguments), 1, &arguments);
    assert_holds(&error, &["cannot write run/checkpoints"]);
    let left = sandbox.tree("run");
    assert!(
        !left
            .keys()
            .any(|path| path.to_string_lossy().contains("partial")),
        "{:?}",
        left.keys()
    );
    sandbox.succeeds(&arguments);
    let trained = sandbox.tree("run/model");

    // The trained model is written last: a full disk then leaves the old one.
    let error = fails(&mut sandbox.limited(20, &arguments), 1, &arguments);
    assert_holds(&error, &["cannot write run/", "model.safetensors"]);
    assert!(sandbox.tree("run/model") == trained);
    let run: Vec<_> = sandbox.tree("run").into_keys().collect();
    assert!(
        !run.iter()
            .any(|path| path.to_string_lossy().contains("partial")),
        "{run:?}"
    );
}

#[cfg(unix)]
#[test]
fn generation_on_a_full_disk_keeps_what_is_done() {
    let sandbox = Sandbox::new();
    let prompts: Vec<String> = (0..12)
        .map(|i| format!("{{\"prompt\": \"Tale {i}\"}}\n"))
        .collect();
    sandbox.write("prompts.jsonl", prompts.concat());
    let arguments = format!(
        "generate {} --prompts-file prompts.jsonl -n 2 --max-new-tokens 12 --batch-size 2 --output ",
        policy()
    );
    sandbox.succeeds(&format!("{arguments} whole.jsonl"));
    sandbox.write("late.jsonl", "old\n");
    let late = format!("{arguments} late.jsonl");
    let error = fails(&mut sandbox.limited(2, &late), 1, &late);
    assert_holds(&error, &["cannot write late.", "the same command resumes"]);
    assert_eq!(sandbox.read("late.jsonl"), "old\n");
    sandbox.succeeds(&late);
    assert_eq!(sandbox.read("late.jsonl"), sandbox.read("whole.jsonl"));
    let left: Vec<_> = sandbox.tree(".").into_keys().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}
