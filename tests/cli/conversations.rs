//! Conversations from a file of rows to a trained model and its answers, and chat templates of all
//! kinds.

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds, policy};

fn turn(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// A prompt of four turns.
fn prompt(i: usize) -> Vec<Value> {
    vec![
        turn("system", "You tell of the sea."),
        turn("user", &format!("Story {i}?")),
        turn("assistant", "Of the fox?"),
        turn("user", "Of the fox 🦊."),
    ]
}

fn write_rows(sandbox: &Sandbox, name: &str, row: impl Fn(usize) -> Value) {
    let rows: Vec<String> = (0..12).map(|i| row(i).to_string()).collect();
    sandbox.write(name, rows.join("\n"));
}

/// Pairs of conversations, weighted.
fn write_pairs(sandbox: &Sandbox, name: &str) {
    write_rows(sandbox, name, |i| {
        json!({"prompt": prompt(i), "chosen": [turn("assistant", &"The fox went. ".repeat(i % 3 + 1))],
               "rejected": [turn("assistant", "The hen.")], "weight": 1.0})
    });
}

fn write_messages(sandbox: &Sandbox, name: &str) {
    write_rows(sandbox, name, |i| {
        let mut turns = prompt(i);
        turns.push(turn("assistant", "The fox went to the sea."));
        json!({ "messages": turns })
    });
}

fn train(model: &str, objective: &str, run: &str, extra: &str) -> String {
    format!(
        "train --objective {objective} --model-name-or-path {model} --output-dir {run} --max-steps 2 \
         --logging-steps 1 --learning-rate 1e-3 {extra}"
    )
}

#[test]
fn conversations_are_prepared_trained_on_and_answered() {
    let sandbox = Sandbox::new();
    write_pairs(&sandbox, "rows.jsonl");
    sandbox.succeeds(&format!(
        "prepare rows.jsonl --output prepared --test-size 0.25 --semantic builtin:lexical --jsonl --tokenizer {}",
        policy()
    ));
    let rows = sandbox.rows("prepared/train/pairs.jsonl");
    assert_eq!(rows[0]["prompt"].as_array().map(Vec::len), Some(4));
    assert_eq!(rows[0]["rejected"], json!([turn("assistant", "The hen.")]));

    for objective in ["sft", "ddpo", "dorpo"] {
        let run = format!("runs/{objective}");
        sandbox.succeeds(&train(
            &policy(),
            objective,
            &run,
            "--dataset-name prepared",
        ));
        // A template's marks and turns are among the tokens: far more than those of the last turn.
        let tokens = sandbox.rows(&format!("{run}/metrics.jsonl"))[0]["num_tokens"].clone();
        assert!(
            tokens.as_f64().is_some_and(|tokens| tokens > 200.0),
            "{objective}: {tokens}"
        );
    }

    write_rows(
        &sandbox,
        "prompts.jsonl",
        |i| json!({"prompt_id": i, "prompt": prompt(i)}),
    );
    for (file, out) in [
        ("prompts.jsonl", "a.jsonl"),
        ("prepared/test/groups.parquet", "b.jsonl"),
        ("rows.jsonl", "c.jsonl"),
    ] {
        sandbox.succeeds(&format!(
            "generate runs/ddpo/model --prompts-file {file} --limit 2 -n 2 --max-new-tokens 8 --output {out}"
        ));
        let rows = sandbox.rows(out);
        assert_eq!(rows.len(), 4, "{file}");
        assert_eq!(
            rows[0]["prompt"][0],
            turn("system", "You tell of the sea."),
            "{file}"
        );
    }
    sandbox.succeeds("evaluate a=a.jsonl b=a.jsonl --resamples 50 --semantic builtin:lexical");
    assert_holds(
        &sandbox.succeeds("deviation c.jsonl --semantic builtin:lexical"),
        &["user: Story 0?"],
    );
}

#[test]
fn supervised_fine_tuning_learns_the_tokens_that_it_is_told_to() {
    let sandbox = Sandbox::new();
    write_messages(&sandbox, "messages.jsonl");
    write_rows(
        &sandbox,
        "completions.jsonl",
        |i| json!({"prompt": prompt(i), "completion": [turn("assistant", "The fox went to the sea.")]}),
    );
    let loss = |file: &str, extra: &str| {
        let run = format!("runs/{file}{}", extra.replace(' ', ""));
        let more = format!("--train-file {file} {extra}");
        sandbox.succeeds(&train(&policy(), "sft", &run, &more));
        let log = sandbox.rows(&format!("{run}/metrics.jsonl"));
        log[0]["loss"].as_f64().expect("a number")
    };
    // TRL's defaults: all of a conversation, the completion of a row that has one.
    let whole = loss("messages.jsonl", "");
    let completion = loss("completions.jsonl", "");
    assert_ne!(whole, completion);
    assert_eq!(
        whole,
        loss("completions.jsonl", "--completion-only-loss false")
    );
    let assistant = loss("messages.jsonl", "--assistant-only-loss");
    assert!(assistant != whole && assistant != completion);
    assert_eq!(
        assistant,
        loss(
            "completions.jsonl",
            "--assistant-only-loss --completion-only-loss false"
        )
    );
    assert_ne!(
        assistant,
        loss("completions.jsonl", "--assistant-only-loss")
    );

    let error = sandbox.refused(
        1,
        &train(
            &policy(),
            "sft",
            "no",
            "--train-file messages.jsonl --completion-only-loss",
        ),
    );
    assert_holds(&error, &["messages.jsonl", "assistant_only_loss"]);
    let error = sandbox.refused(
        1,
        &train(
            &policy(),
            "dpo",
            "no",
            "--train-file messages.jsonl --assistant-only-loss",
        ),
    );
    assert_holds(&error, &["assistant_only_loss", "sft"]);
}

/// What is cut off entirely is dropped and counted, as TRL drops it.
#[test]
fn completions_that_truncation_leaves_nothing_of_are_dropped_and_counted() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "pairs.jsonl",
        [
            json!({"prompt": "Story?", "chosen": "The fox.", "rejected": "The hen."}),
            json!({"prompt": "the sea ".repeat(30), "chosen": "The fox.", "rejected": "The hen."}),
        ]
        .map(|row| row.to_string())
        .join("\n"),
    );
    let run = |mode: &str| {
        let more = format!("--train-file pairs.jsonl --max-length 40 --truncation-mode {mode}");
        let output = sandbox
            .rarebit(&train(&policy(), "dpo", mode, &more))
            .output()
            .expect("the program runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_holds(
        &run("keep_start"),
        &["1 examples", "1 dropped: nothing of their completion"],
    );
    let kept = run("keep_end");
    assert_holds(&kept, &["2 examples", "1 reach max_length"]);
    assert!(!kept.contains("dropped"), "{kept}");
}

/// The tiny policy with another chat template.
fn with_template(sandbox: &Sandbox, template: &str) {
    sandbox.copy_policy("model");
    sandbox.write("model/chat_template.jinja", template);
}

const DATED: &str = "{{ strftime_now('%Y-%m-%d %H:%M:%S') }}\
                     {% for m in messages %}{{ m.role }}: {{ m.content }}<|eos|>{% endfor %}\
                     {% if add_generation_prompt %}assistant: {% endif %}";

/// A template that writes the time is told that of the run's beginning, also when the run goes on.
#[test]
fn a_run_keeps_the_date_it_began_with() {
    let sandbox = Sandbox::new();
    with_template(&sandbox, DATED);
    write_pairs(&sandbox, "pairs.jsonl");
    let run = |extra: &str| {
        train(
            "model",
            "dpo",
            "run",
            &format!("--train-file pairs.jsonl {extra}"),
        )
    };
    sandbox.succeeds(&run(""));
    let config = sandbox.read("run/config.toml");
    let date = config
        .lines()
        .find_map(|line| line.strip_prefix("chat_template_date = "))
        .expect("a recorded date")
        .trim_matches('"')
        .to_owned();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    sandbox.succeeds(&run(""));
    assert_eq!(sandbox.read("run/config.toml"), config);
    sandbox.succeeds(&run(&format!("--chat-template-date {date}")));
    let error = sandbox.refused(1, &run("--chat-template-date 2001-02-03T04:05:06"));
    assert_holds(&error, &["made with other settings"]);

    let answer = |extra: &str| {
        sandbox.succeeds(&format!(
            "generate model --prompt Hello -n 1 --max-new-tokens 6 --json {extra}"
        ))
    };
    let then = answer("--chat-template-date 2001-02-03T04:05:06");
    assert_eq!(then, answer("--chat-template-date 2001-02-03T04:05:06"));
    assert_ne!(then, answer("--chat-template-date 2001-02-03T04:05:07"));
    let error = sandbox.refused(
        2,
        "generate model --prompt Hello --chat-template-date today",
    );
    assert_holds(&error, &["2026-11-24T01:30:57"]);

    // Without a template that asks, no date is recorded.
    sandbox.succeeds(&train(
        &policy(),
        "dpo",
        "undated",
        "--train-file pairs.jsonl",
    ));
    assert!(
        !sandbox
            .read("undated/config.toml")
            .contains("template_date")
    );
}

#[test]
fn a_templates_name_and_variables_reach_training_and_generation() {
    let sandbox = Sandbox::new();
    let template = |mood: &str| {
        format!(
            "{{% for m in messages %}}{{{{ m.content }}}}<|eos|>{{% endfor %}}{mood}\
             {{% if add_generation_prompt %}}assistant{{% endif %}}"
        )
    };
    with_template(
        &sandbox,
        "{% for m in messages %}{{ mood | default('') }}{{ m.content }}<|eos|>{% endfor %}",
    );
    sandbox.write(
        "model/additional_chat_templates/other.jinja",
        template("other"),
    );
    write_messages(&sandbox, "messages.jsonl");
    let loss = |run: &str, extra: &str| {
        let more = format!("--train-file messages.jsonl {extra}");
        sandbox.succeeds(&train("model", "sft", run, &more));
        sandbox.rows(&format!("{run}/metrics.jsonl"))[0]["loss"].clone()
    };
    let plain = loss("a", "");
    let moody = loss("b", r#"--chat-template-kwargs {"mood":"cold"}"#);
    let other = loss("c", "--chat-template other");
    assert!(plain != moody && moody != other && plain != other);
    // The configuration that was saved gives the same run, and the model its templates.
    assert_holds(
        &sandbox.read("b/config.toml"),
        &["[chat_template_kwargs]", "mood = \"cold\""],
    );
    sandbox.succeeds("train --config b/config.toml --output-dir d");
    assert_eq!(sandbox.rows("d/metrics.jsonl")[0]["loss"], moody);
    assert!(
        sandbox
            .path("c/model/additional_chat_templates/other.jinja")
            .is_file()
    );
    sandbox.succeeds("generate c/model --chat-template other --prompt Hi -n 1 --max-new-tokens 2");

    for (extra, needle) in [
        ("--chat-template none", "`other`"),
        (r#"--chat-template-kwargs {"messages":1}"#, "messages"),
    ] {
        let more = format!("--train-file messages.jsonl {extra}");
        assert_holds(
            &sandbox.refused(1, &train("model", "sft", "no", &more)),
            &[needle],
        );
    }
    sandbox.refused(2, "generate model --prompt Hi --chat-template-kwargs mood");
}

/// A template is an untrusted program: it terminates and reads no files.
#[test]
fn templates_that_run_wild_are_refused() {
    for (template, needle) in [
        ("{% include 'chat_template' %}", "recursion"),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "recursion",
        ),
        ("{% include '/etc/passwd' %}", "/etc/passwd"),
        ("{% import '../secret.jinja' as s %}", "../secret.jinja"),
        ("{% extends 'base' %}", "base"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
            "come to an end",
        ),
        ("{{ 'x' * 9999999999999 }}", "come to an end"),
        (
            "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}",
            "more than 8 MB",
        ),
        (
            "{% set n = namespace(x=[1]) %}{% for i in range(9999) %}{% for j in range(99) %}{% set n.x = [n.x] %}{% endfor %}{% endfor %}",
            "100 levels deep",
        ),
        ("{{ open('/etc/passwd').read() }}", "open"),
        ("{{ messages[7].content }}", "undefined"),
        ("{% if %}", "syntax error"),
    ] {
        let sandbox = Sandbox::new();
        with_template(&sandbox, template);
        let error = sandbox.refused(1, "generate model --prompt Hello --max-new-tokens 2");
        assert_holds(&error, &["chat_template.jinja", needle]);
    }
}

#[test]
fn a_prompt_that_ends_in_the_assistants_turn_is_continued() {
    let sandbox = Sandbox::new();
    let (model, plain) = (policy(), "plain");
    // Without a template, the same text can be given as it is.
    sandbox.copy_policy(plain);
    let settings = sandbox.read("plain/tokenizer_config.json");
    let mut settings: Value = serde_json::from_str(&settings).expect("JSON");
    settings
        .as_object_mut()
        .expect("settings")
        .remove("chat_template");
    sandbox.write("plain/tokenizer_config.json", settings.to_string());
    let begun = [turn("user", "A lamp."), turn("assistant", "Once upon")];
    sandbox.write("begun.jsonl", json!({ "prompt": begun }).to_string());
    // The tokenizer adds BOS to plain text.
    let text = "<|im_start|>user\nA lamp.<|im_end|>\n<|im_start|>assistant\nOnce upon";
    sandbox.write("text.jsonl", json!({ "prompt": text }).to_string());
    let generate = |model: &str, prompts: &str, flags: &str| {
        sandbox.succeeds(&format!(
            "generate {model} --prompts-file {prompts} --max-new-tokens 8 --output out-{prompts} {flags}"
        ));
        let rows = sandbox.rows(&format!("out-{prompts}"));
        rows.into_iter()
            .map(|row| row["response"].clone())
            .collect::<Vec<_>>()
    };
    let continued = generate(&model, "begun.jsonl", "");
    assert_eq!(continued, generate(plain, "text.jsonl", ""));
    assert_eq!(continued.len(), 4);

    // A template that does not write the text cannot continue it.
    sandbox.copy_policy("upper");
    settings["chat_template"] = json!("{% for m in messages %}{{ m.content | upper }}{% endfor %}");
    sandbox.write("upper/tokenizer_config.json", settings.to_string());
    let error = sandbox.refused(
        1,
        "generate upper --prompts-file begun.jsonl --output x.jsonl",
    );
    assert_holds(
        &error,
        &["upper/tokenizer_config.json", "cannot be continued"],
    );
    let error = sandbox.refused(
        1,
        &format!("generate {model} --prompts-file begun.jsonl --output x.jsonl --verbalized"),
    );
    assert_holds(
        &error,
        &[
            "the prompt 1 ends in an assistant's turn",
            "leave --verbalized out",
        ],
    );
}
