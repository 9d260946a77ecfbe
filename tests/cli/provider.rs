//! Models behind an API: a server that misbehaves in every way, and a client that loses nothing,
//! asks nothing twice and tells nobody its key.

mod server;

use std::collections::HashSet;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use serde_json::{Value, json};

use self::server::{Question, Reply, Server, openai};
#[cfg(unix)]
use super::resume::signal;
use super::sandbox::{Sandbox, assert_holds, fails, rows};

const KEY: &str = "sk-very-secret-0123";

/// Two prompts, and as many more as are asked for.
fn sandbox(prompts: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let row = |i| {
        format!(
            "{}\n",
            json!({"id": format!("p{i}"), "prompt": format!("Tell {i}.")})
        )
    };
    let text: String = (0..prompts).map(row).collect();
    sandbox.write("prompts.jsonl", text);
    sandbox
}

fn arguments(server: &Server, flags: &str) -> String {
    format!(
        "generate --provider openai --model tiny --base-url {} --prompts-file prompts.jsonl \
         --output out.jsonl --retry-delay 0.001 {flags}",
        server.url
    )
}

/// The program with a key in its environment, and nothing between it and the server.
fn keyed(sandbox: &Sandbox, arguments: &str) -> Command {
    let mut command = sandbox.process(arguments);
    with_key(&mut command);
    Command::from_std(command)
}

fn with_key(command: &mut std::process::Command) {
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
        .env("OPENAI_API_KEY", KEY)
        .env("ANTHROPIC_API_KEY", KEY)
        // Whatever is logged is logged.
        .env("RUST_LOG", "trace");
}

/// Whether a text has the key or a piece of it: a dump of bytes breaks it into lines.
fn tells_the_key(text: &str) -> bool {
    let piece = |bytes: &[u8]| text.contains(std::str::from_utf8(bytes).expect("ASCII"));
    KEY.as_bytes().windows(8).any(piece)
}

/// Standard output and standard error of a command that succeeds and does not tell its key.
fn succeeds(sandbox: &Sandbox, arguments: &str) -> (String, String) {
    let output = keyed(sandbox, arguments)
        .output()
        .expect("the program runs");
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    assert!(output.status.success(), "{arguments}\n{err}");
    assert!(!tells_the_key(&err) && !tells_the_key(&out), "{err}");
    (out, err)
}

/// Standard error of a command that fails and does not tell its key.
fn refused(sandbox: &Sandbox, arguments: &str) -> String {
    let error = fails(&mut keyed(sandbox, arguments), 1, arguments);
    assert!(!tells_the_key(&error), "{error}");
    error
}

fn no_file_tells_the_key(sandbox: &Sandbox) {
    for (path, content) in sandbox.tree(".") {
        let text = String::from_utf8_lossy(&content);
        assert!(!tells_the_key(&text), "{}", path.display());
    }
}

#[test]
fn answers_become_rows_with_their_price_and_are_never_asked_for_again() {
    let server = Server::start(|number, _| openai(&format!("Märchen № {number} 🦊")));
    let sandbox = sandbox(3);
    let arguments = arguments(
        &server,
        "-n 2 --temperature 0.7 --seed 5 --system-prompt Kurz. --price-input 1000 --price-output 10000",
    );
    let (out, err) = succeeds(&sandbox, &arguments);
    assert_eq!(out, "out.jsonl\n");
    assert_holds(&err, &["6 responses; 60 tokens in, 120 out, $1.2600"]);
    let rows = sandbox.rows("out.jsonl");
    let places: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["prompt_id"].as_str().unwrap(),
                row["sample"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("p0", 0),
            ("p0", 1),
            ("p1", 0),
            ("p1", 1),
            ("p2", 0),
            ("p2", 1)
        ]
    );
    let texts: HashSet<&str> = rows
        .iter()
        .map(|row| row["response"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 6);
    assert!(texts.contains("Märchen № 0 🦊"), "{texts:?}");
    assert_eq!(
        (&rows[0]["tokens"], &rows[0]["finish_reason"]),
        (&json!(20), &json!("stop"))
    );

    let asked = server.asked();
    for question in &asked {
        assert_eq!(question.path, "/v1/chat/completions");
        assert_eq!(
            question.header("authorization"),
            Some(&*format!("Bearer {KEY}"))
        );
        assert_eq!(
            question.body["messages"][0],
            json!({"role": "system", "content": "Kurz."})
        );
        // What was not asked for is the provider's.
        let names: Vec<&String> = question.body.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["model", "max_tokens", "temperature", "seed", "messages"]
        );
    }
    let seeds: HashSet<u64> = asked
        .iter()
        .filter_map(|it| it.body["seed"].as_u64())
        .collect();
    assert_eq!(seeds, [5, 6].into());

    let record: Value = serde_json::from_str(&sandbox.read("out.run.json")).unwrap();
    assert_eq!(
        (
            &record["answers"],
            &record["output_tokens"],
            &record["answered_by"]
        ),
        (&json!(6), &json!(120), &json!(["tiny-2026"]))
    );
    no_file_tells_the_key(&sandbox);
    assert_eq!(
        sandbox.tree(".").len(),
        3,
        "nothing but prompts, responses and record"
    );

    // The same again costs nothing; another temperature does.
    let (_, err) = succeeds(&sandbox, &arguments);
    assert_holds(&err, &["nothing is asked"]);
    assert_eq!(server.count(), 6);
    succeeds(&sandbox, &arguments.replace("0.7", "0.8"));
    assert_eq!(server.count(), 12);

    sandbox.succeeds("evaluate out.jsonl --semantic builtin:lexical --resamples 50");
    succeeds(&sandbox, &format!("{arguments} --layout noveltybench"));
    let groups = sandbox.rows("out.jsonl");
    assert_eq!(
        (groups.len(), &groups[0]["id"], &groups[0]["model"]),
        (3, &json!("p0"), &json!("tiny"))
    );
    assert_eq!(groups[0]["generations"].as_array().map(Vec::len), Some(2));
    sandbox.succeeds("evaluate out.jsonl --semantic builtin:lexical --resamples 50");
}

#[test]
fn no_log_tells_a_key_however_it_is_asked() {
    let server = Server::start(|_, _| openai("A tale."));
    for (api, variable) in [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
    ] {
        for log in [
            "trace",
            "debug",
            "ureq=trace",
            "ureq_proto=trace",
            "ureq_proto::util=trace",
            "off,ureq_proto::util=trace,ureq::run=debug",
        ] {
            let sandbox = sandbox(1);
            let arguments = arguments(&server, "-n 1 --max-retries 0");
            let arguments = arguments.replace("--provider openai", &format!("--provider {api}"));
            let mut command = sandbox.process(&arguments);
            with_key(&mut command);
            let output = command
                .env("RUST_LOG", log)
                .output()
                .expect("the program runs");
            let asked = server.asked();
            let headers = &asked.last().expect("a question").headers;
            let is_sent = headers.iter().any(|(_, value)| value.ends_with(KEY));
            assert!(is_sent, "{variable} is not sent");
            for told in [output.stdout, output.stderr] {
                let told = String::from_utf8_lossy(&told);
                assert!(!tells_the_key(&told), "RUST_LOG={log}\n{told}");
            }
            no_file_tells_the_key(&sandbox);
        }
    }
}

#[test]
fn no_log_tells_the_token_of_the_hub() {
    let server = Server::start(|_, _| Reply::Http(404, "", "{}".to_owned()));
    for log in ["trace", "ureq=trace", "hf_hub=trace"] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.process("export org/name --output model");
        with_key(&mut command);
        command
            .env("RUST_LOG", log)
            .env("HF_HUB_OFFLINE", "0")
            .env_remove("HF_HUB_CACHE")
            .env("HF_HOME", sandbox.path("hub"))
            .env("HF_ENDPOINT", server.url.trim_end_matches("/v1"))
            .env("HF_TOKEN", KEY);
        let error = fails(&mut Command::from_std(command), 1, "export org/name");
        assert!(!tells_the_key(&error), "RUST_LOG={log}\n{error}");
        let asked = server.asked();
        let sent = asked.last().expect("a question").header("authorization");
        assert_eq!(sent, Some(&*format!("Bearer {KEY}")));
    }
}

#[test]
fn whatever_passes_is_waited_out() {
    let server = Server::start(|number, _| match number {
        0 => Reply::Http(
            429,
            "retry-after: 1",
            r#"{"error": {"message": "slow down"}}"#.into(),
        ),
        1 => Reply::Http(500, "", "<html>oops</html>".into()),
        2 => Reply::Cut,
        3 => Reply::Http(200, "", "{\"choices\": [".into()),
        4 => Reply::Silence(Duration::from_secs(3)),
        5 => Reply::Http(200, "", "{\"choices\": []}".into()),
        6 => Reply::Http(
            503,
            "retry-after: Sun, 06 Nov 1994 08:49:37 GMT",
            String::new(),
        ),
        number => openai(&format!("Tale {number}.")),
    });
    let sandbox = sandbox(2);
    let started = Instant::now();
    let (_, err) = succeeds(
        &sandbox,
        &arguments(
            &server,
            "-n 1 --concurrency 1 --timeout 0.3 --max-retries 7",
        ),
    );
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "Retry-After was not heeded"
    );
    assert_eq!(server.count(), 9);
    assert_holds(
        &err,
        &[
            "status 429: slow down; retrying in 1.0 s (1 of 7)",
            "status 500: <html>oops</html>",
            "no response in time",
            "it is not JSON",
            "`choices[0].message` is missing",
            "status 503; retrying in 0.",
        ],
    );
    let responses: Vec<Value> = sandbox
        .rows("out.jsonl")
        .iter()
        .map(|row| row["response"].clone())
        .collect();
    assert_eq!(responses, ["Tale 7.", "Tale 8."]);
}

#[test]
fn a_wrong_key_stops_at_once_and_is_not_repeated() {
    let server = Server::start(|_, question| {
        let said = format!(
            "Incorrect key: {}",
            question.header("authorization").unwrap()
        );
        Reply::Http(401, "", json!({"error": {"message": said}}).to_string())
    });
    let sandbox = sandbox(5);
    let before = sandbox.tree(".");
    let error = refused(&sandbox, &arguments(&server, "--concurrency 1"));
    assert_holds(
        &error,
        &[
            "rejects the key in OPENAI_API_KEY (status 401): Incorrect key: Bearer [key]",
            "--api-key-env",
        ],
    );
    assert_eq!(server.count(), 1);
    assert!(sandbox.tree(".") == before, "something was left behind");
}

#[test]
fn what_does_not_pass_keeps_what_was_answered() {
    let server = Server::start(|number, _| match number {
        0 | 1 => openai("A tale."),
        2..=4 => Reply::Http(500, "", String::new()),
        5 => Reply::Http(429, "retry-after: 7200", String::new()),
        6 => Reply::Http(400, "", r#"{"error": {"message": "no top_k here"}}"#.into()),
        _ => openai("Another tale."),
    });
    let sandbox = sandbox(2);
    let arguments = arguments(&server, "-n 2 --concurrency 1 --max-retries 2 --top-k 9");
    for (told, asked) in [
        (
            &[
                "status 500, 3 times in a row",
                "has 2 of 4 responses, and the same command resumes",
            ][..],
            5,
        ),
        (&["asks to wait 120 minutes"], 6),
        (&["rejects the request (status 400): no top_k here"], 7),
    ] {
        let error = refused(&sandbox, &arguments);
        assert_holds(&error, told);
        assert_eq!(server.count(), asked);
        assert!(!sandbox.path("out.jsonl").exists());
    }
    let (_, err) = succeeds(&sandbox, &arguments);
    assert_holds(
        &err,
        &[
            "2 of 4 responses are there already: going on",
            "4 responses; 40 tokens in",
        ],
    );
    assert_eq!(server.count(), 9);
}

#[test]
fn refusals_and_empty_answers_are_responses_too_and_are_told() {
    let server = Server::start(|number, _| {
        match number {
        0 => Reply::Http(
            200,
            "",
            json!({"choices": [{"message": {"content": null, "refusal": "I will not."}, "finish_reason": "stop"}]}).to_string(),
        ),
        1 => Reply::Http(
            200,
            "",
            json!({"choices": [{"message": {"content": null}, "finish_reason": "length"}]}).to_string(),
        ),
        2 => Reply::Http(400, "", r#"{"error": {"code": "content_filter", "message": "no"}}"#.into()),
        _ => openai("A tale."),
    }
    });
    let sandbox = sandbox(1);
    let (_, err) = succeeds(&sandbox, &arguments(&server, "-n 4 --concurrency 1"));
    assert_holds(
        &err,
        &["4 responses, 2 empty, 1 cut off by --max-new-tokens, 2 refused"],
    );
    let rows = sandbox.rows("out.jsonl");
    let of = |name: &str| {
        rows.iter()
            .map(|row| row[name].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("response"), ["I will not.", "", "", "A tale."]);
    assert_eq!(
        of("finish_reason"),
        ["refusal", "length", "content_filter", "stop"]
    );
}

#[test]
fn a_server_that_wants_the_newer_name_of_the_limit_gets_it() {
    let server = Server::start(|_, question| match &question.body["max_tokens"] {
        Value::Null => openai("I should be brief.\n</think>\n\nA tale."),
        _ => {
            let said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                        'max_completion_tokens' instead.";
            let error = json!({"code": "unsupported_parameter", "message": said});
            Reply::Http(400, "", json!({"error": error}).to_string())
        }
    });
    let sandbox = sandbox(2);
    let flags = "-n 2 --concurrency 1 --max-retries 0 --max-new-tokens 9";
    let (_, err) = succeeds(&sandbox, &arguments(&server, flags));
    assert_holds(&err, &["4 responses; 40 tokens in"]);
    // The first question tells for all.
    let asked = server.asked();
    assert_eq!(asked.len(), 5);
    assert_eq!(asked[0].body["max_tokens"], 9);
    assert!(
        asked[1..]
            .iter()
            .all(|it| it.body["max_completion_tokens"] == 9)
    );
    // What stands before a lone </think> is thought.
    let rows = sandbox.rows("out.jsonl");
    assert!(rows.iter().all(|row| row["response"] == "A tale."));

    // A server that is not content with that either is not asked for ever.
    let said = r#"{"error": {"message": "max_completion_tokens must be at least 16"}}"#;
    let server = Server::start(move |_, _| Reply::Http(400, "", said.to_owned()));
    let error = refused(&sandbox, &arguments(&server, "-n 3 --concurrency 1"));
    assert_holds(&error, &["must be at least 16"]);
    assert_eq!(server.count(), 2);
}

#[test]
fn an_answer_that_ended_in_an_error_is_asked_for_again() {
    let server = Server::start(|number, _| match number {
        0 => {
            let choice = json!({
                "message": {"content": "A ta"}, "finish_reason": "error",
                "error": {"code": 502, "message": "the provider is gone"},
            });
            Reply::Http(200, "", json!({"choices": [choice]}).to_string())
        }
        _ => openai("A tale."),
    });
    let sandbox = sandbox(1);
    let (_, err) = succeeds(&sandbox, &arguments(&server, "-n 1"));
    assert_holds(
        &err,
        &[
            "its `finish_reason` is `error`",
            "the provider is gone; retrying",
        ],
    );
    assert_eq!(sandbox.rows("out.jsonl")[0]["response"], "A tale.");
    assert_eq!(server.count(), 2);
}

#[test]
fn killed_at_any_instant_it_asks_only_for_what_is_missing() {
    let server = Server::start(|number, _| {
        sleep(Duration::from_millis(5));
        openai(&format!("Tale {number}."))
    });
    let sandbox = sandbox(6);
    // Iterative, so that every question of the job is another one.
    let arguments = arguments(&server, "-n 5 --iterative --concurrency 3");
    let mut kills = 0;
    let mut written: Vec<String> = Vec::new();
    for answers in [4, 11, 12, 19] {
        let mut command = sandbox.process(&arguments);
        with_key(&mut command);
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let patience = Instant::now() + Duration::from_secs(60);
        while server.count() < answers && process.try_wait().expect("a process").is_none() {
            assert!(Instant::now() < patience);
            sleep(Duration::from_millis(1));
        }
        process.kill().expect("a process of ours");
        kills += usize::from(!process.wait().expect("a process").success());
        let tree = sandbox.tree(".");
        let partial = tree
            .iter()
            .find(|(path, _)| path.to_string_lossy().ends_with(".partial"));
        let text =
            String::from_utf8_lossy(partial.map_or(&[], |(_, content)| content)).into_owned();
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let whole = lines
            .iter()
            .filter(|line| line.ends_with('\n'))
            .cloned()
            .collect::<Vec<_>>();
        assert!(whole.starts_with(&written), "an answer was lost");
        written = whole;
    }
    assert_eq!(kills, 4);
    assert!(written.len() > 4, "{written:?}");
    succeeds(&sandbox, &arguments);

    let rows = sandbox.rows("out.jsonl");
    assert_eq!(rows.len(), 30);
    let kept: HashSet<&str> = rows
        .iter()
        .map(|row| row["response"].as_str().unwrap())
        .collect();
    assert_eq!(kept.len(), 30);
    for line in &written {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(kept.contains(line["responses"][0]["response"].as_str().unwrap()));
    }
    // What was on its way when the program was killed is asked again, and nothing else.
    let asked = server.asked();
    let different: HashSet<String> = asked.iter().map(|it| it.body.to_string()).collect();
    assert!(
        asked.len() <= 30 + 4 * 3,
        "{} questions for 30 responses",
        asked.len()
    );
    assert!(different.len() >= 30);
    let turns = |question: &Question| question.body["messages"].as_array().unwrap().len();
    assert_eq!(asked.iter().map(turns).max(), Some(9));
}

#[cfg(unix)]
#[test]
fn a_signal_waits_for_what_is_paid_for_and_a_second_one_for_nothing() {
    let server = Server::start(|number, _| match number {
        0 | 1 => openai("A tale."),
        // Asked again only after a minute.
        2 => Reply::Http(429, "retry-after: 60", "{}".to_owned()),
        _ => Reply::Silence(Duration::from_secs(30)),
    });
    let sandbox = sandbox(4);
    let arguments = arguments(&server, "-n 1 --concurrency 1");
    let process = || {
        let mut command = sandbox.process(&arguments);
        with_key(&mut command);
        command
    };
    let started = Instant::now();
    let (ended, told) = signal(process(), &["INT"], || server.count() == 3);
    assert_eq!(ended, Some(130), "{told}");
    assert_holds(&told, &["has 2 of 4 responses", "the same command resumes"]);
    let (ended, _) = signal(process(), &["TERM", "TERM"], || server.count() == 4);
    assert_eq!(ended, Some(143));
    assert!(started.elapsed() < Duration::from_secs(25), "{told}");
}

#[test]
fn anthropics_messages_and_verbalized_sampling() {
    let server = Server::start(|number, _| {
        let text = match number {
            0 => {
                "<response><text>Ein Fuchs.</text><probability>0.25</probability></response>\n\
                  <response><text>A bear.</text><probability>5%</probability></response>"
            }
            1 => "I would rather not.",
            _ => r#"{"responses": [{"text": "A hen.", "probability": 0.1}]}"#,
        };
        let body = json!({
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 7, "output_tokens": 9},
        });
        Reply::Http(200, "", body.to_string())
    });
    let sandbox = sandbox(1);
    let flags = "-n 3 --verbalized=2 --verbalized-below 0.3 --system-prompt Kurz. --concurrency 1";
    let arguments = arguments(&server, flags).replace("openai", "anthropic");
    let (_, err) = succeeds(&sandbox, &arguments);
    assert_holds(&err, &["3 responses; 21 tokens in, 27 out"]);
    let rows = sandbox.rows("out.jsonl");
    let found: Vec<_> = rows
        .iter()
        .map(|row| (&row["response"], &row["probability"]))
        .collect();
    assert_eq!(
        found,
        [
            (&json!("Ein Fuchs."), &json!(0.25)),
            (&json!("A bear."), &json!(0.05)),
            (&json!("A hen."), &json!(0.1)),
        ]
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].path, "/v1/messages");
    assert_eq!(asked[0].header("x-api-key"), Some(KEY));
    assert!(asked[0].header("anthropic-version").is_some());
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].body["system"], "Kurz.");
    assert_holds(
        asked[0].last(),
        &["Tell 0.", "Give 2 different", "below 0.3"],
    );
    assert_holds(asked[2].last(), &["Give 1 different"]);

    // Answers that are never a list end, and say so.
    let server = Server::start(|_, _| openai("A tale."));
    let sandbox = self::sandbox(1);
    let (_, err) = succeeds(&sandbox, &self::arguments(&server, "-n 2 --verbalized"));
    assert_holds(
        &err,
        &["0 responses, 1 of 1 prompts with fewer than asked for"],
    );
    assert_eq!(server.count(), 3);
}

#[test]
fn without_a_file_answers_go_to_the_terminal() {
    let server = Server::start(|_, _| openai("Ein Märchen."));
    let sandbox = sandbox(1);
    let arguments = arguments(&server, "-n 2 --concurrency 1").replace("--output out.jsonl", "");
    let (out, _) = succeeds(&sandbox, &arguments);
    assert_eq!(
        out,
        "── Tell 0. [1]\nEin Märchen.\n── Tell 0. [2]\nEin Märchen.\n"
    );
    let (out, _) = succeeds(&sandbox, &format!("{arguments} --json"));
    assert_eq!(rows(&out)[1]["response"], "Ein Märchen.");
}

#[test]
fn what_cannot_be_asked_is_told_before_anything_is() {
    let sandbox = sandbox(1);
    let common = "generate --provider openai tiny --prompts-file prompts.jsonl";
    for (arguments, told) in [
        (
            format!("{common} --api-key-env ABSENT_KEY"),
            "set the environment variable ABSENT_KEY",
        ),
        (
            format!("{common} --base-url http://models.example.org/v1"),
            "is not encrypted, so the key in OPENAI_API_KEY is not sent",
        ),
        (
            format!("{common} --base-url localhost"),
            "--base-url is not an http or https URL",
        ),
        (
            format!("{common} --base-url https://me:pw@models.example.org"),
            "contains a user name, a password or a query",
        ),
        (format!("{common} --temperature -1"), "temperature"),
        (
            format!("{} --min-p 0.1", common.replace("openai", "anthropic")),
            "--min-p is not supported by the provider anthropic",
        ),
        (
            format!("{common} --chat-template rag"),
            "remove --chat-template",
        ),
        (
            format!("{common} --system-prompt-file absent.txt"),
            "cannot read the system prompt in absent.txt",
        ),
    ] {
        assert_holds(&refused(&sandbox, &arguments), &[told]);
    }
    sandbox.write(
        "chat.jsonl",
        r#"{"prompt": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]}"#,
    );
    let arguments = format!(
        "{} --system-prompt z",
        common.replace("prompts.jsonl", "chat.jsonl")
    );
    assert_holds(
        &refused(&sandbox, &arguments),
        &["has a system message of its own"],
    );
    for flags in [
        "--batch-size 3",
        "--model other",
        "--concurrency 0",
        "--timeout -1",
        "--iterative --verbalized",
    ] {
        sandbox.refused(2, &format!("{common} {flags}"));
    }
    sandbox.refused(2, "generate --prompts-file prompts.jsonl");
    // What is for a provider means nothing to a model on this machine.
    for flag in [
        "--base-url https://x",
        "--api-key-env KEY",
        "--concurrency 2",
        "--max-retries 3",
        "--retry-delay 1",
        "--timeout 5",
        "--price-input 1",
        "--price-output 2",
    ] {
        let arguments = format!("generate model --prompts-file prompts.jsonl {flag}");
        assert_holds(&sandbox.refused(2, &arguments), &["--provider <API>"]);
    }
}

#[test]
fn models_on_this_machine_are_asked_in_the_same_ways() {
    let sandbox = sandbox(3);
    // A model that reads the earlier responses, too.
    sandbox.copy_policy("model");
    let config = sandbox.read("model/config.json");
    let config = config.replace(
        r#""max_position_embeddings": 128"#,
        r#""max_position_embeddings": 1024"#,
    );
    sandbox.write("model/config.json", &config);
    assert!(config.contains("1024"), "{config}");
    let generate = |output: &str, flags: &str| {
        sandbox.succeeds(&format!(
            "generate model --prompts-file prompts.jsonl --max-new-tokens 6 -n 3 --output {output} {flags}"
        ));
        sandbox.rows(output)
    };
    let plain = generate("plain.jsonl", "");
    let briefed = generate("briefed.jsonl", "--system-prompt Kurz.");
    let iterative = generate("iterative.jsonl", "--iterative --batch-size 2");
    assert_eq!(
        generate("alone.jsonl", "--iterative --batch-size 1"),
        iterative
    );
    assert_eq!((plain.len(), briefed.len(), iterative.len()), (9, 9, 9));
    for (at, row) in plain.iter().enumerate() {
        for other in [&briefed[at], &iterative[at]] {
            assert_eq!(
                (&row["prompt_id"], &row["sample"]),
                (&other["prompt_id"], &other["sample"])
            );
        }
        // The first response has nothing before it, and its own draws.
        assert_eq!(
            row == &iterative[at],
            row["sample"] == 0,
            "{row} {}",
            iterative[at]
        );
        assert_ne!(row, &briefed[at]);
    }
    let output = sandbox
        .rarebit("generate model --prompts-file prompts.jsonl --max-new-tokens 6 -n 3 --verbalized=3 --json")
        .output()
        .expect("the program runs");
    assert!(output.status.success() && output.stdout.is_empty());
    assert_holds(
        &String::from_utf8_lossy(&output.stderr),
        &["0 responses, 3 of 3 prompts with fewer than asked for"],
    );
    let groups = generate("groups.jsonl", "--layout noveltybench");
    let texts: Vec<&Value> = plain[..3].iter().map(|row| &row["response"]).collect();
    assert_eq!(groups[0]["generations"], json!(texts));
    assert_eq!(groups.len(), 3);
}
