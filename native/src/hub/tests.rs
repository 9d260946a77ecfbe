//! The hub is played by a server of a few lines: what is asked for and what is kept is checked, the
//! real hub is never called.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

const COMMIT: &str = "c0ffee";
const SECRET: &str = "hf_secret";

/// Serves one repository with one commit and writes down the requests.
struct Fake {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn serving(files: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), files, &written);
            }
        });
        Self { endpoint, requests }
    }

    /// The paths asked for since the last call, without repetitions.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.requests.lock().unwrap());
        asked.dedup();
        asked
    }
}

fn answer(mut stream: TcpStream, files: &[(&str, &str)], requests: &Mutex<Vec<String>>) {
    let head: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = head[0].split(' ').nth(1).unwrap().to_owned();
    let header = |name: &str| {
        let of = |line: &String| line.to_lowercase().starts_with(&format!("{name}:"));
        head.iter()
            .find(|line| of(line))
            .map(|line| line[name.len() + 1..].trim().to_owned())
    };
    assert_eq!(header("authorization"), Some(format!("Bearer {SECRET}")));
    let file = path.strip_prefix(&format!("/org/name/resolve/{COMMIT}/"));
    let found = files.iter().find(|(name, _)| Some(*name) == file);
    let reply = if path == "/api/models/org/name/revision/main" {
        let files = files
            .iter()
            .map(|(name, _)| serde_json::json!({ "rfilename": name }));
        let info = serde_json::json!({"sha": COMMIT, "siblings": files.collect::<Vec<_>>()});
        let info = info.to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{info}",
            info.len()
        )
    } else if let Some((name, content)) = found {
        let range = header("range").unwrap();
        let (from, to) = range
            .strip_prefix("bytes=")
            .unwrap()
            .split_once('-')
            .unwrap();
        let from: usize = from.parse().unwrap();
        let to = to.parse().map_or(content.len(), |last: usize| last + 1);
        let part = &content[from..to];
        format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes \
             {from}-{}/{}\r\nETag: \"{}\"\r\nX-Repo-Commit: {COMMIT}\r\n\r\n{part}",
            part.len(),
            to - 1,
            content.len(),
            name.replace('/', "-"),
        )
    } else {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
    };
    requests.lock().unwrap().push(path);
    let reply = reply.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(reply.as_bytes()).unwrap();
}

fn hub(endpoint: &str, cache: &Path) -> Hub {
    Hub {
        endpoint: endpoint.to_owned(),
        cache: Cache::new(cache.to_owned()),
        token: Some(SECRET.to_owned()),
        offline: false,
    }
}

#[test]
fn a_model_is_fetched_once_and_without_pickles() {
    let fake = Fake::serving(&[
        ("config.json", "{}"),
        ("modules.json", "[]"),
        ("1_Pooling/config.json", "{ }"),
        ("tokenizer.json", "{\"a\": 1}"),
        ("model.safetensors", "weights, as far as the hub knows"),
        ("pytorch_model.bin", "a pickle"),
        ("onnx/model.onnx", "another program's"),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let id = HubId::parse("org/name").unwrap();
    let folder = hub(&fake.endpoint, cache.path()).folder(&id).unwrap();
    let info = "/api/models/org/name/revision/main".to_owned();
    let file = |name: &str| format!("/org/name/resolve/{COMMIT}/{name}");
    let mut expected = vec![info.clone()];
    expected.extend(
        [
            "config.json",
            "modules.json",
            "1_Pooling/config.json",
            "tokenizer.json",
        ]
        .map(file),
    );
    expected.push(file("model.safetensors"));
    assert_eq!(fake.asked(), expected);
    let content = std::fs::read_to_string(folder.join("model.safetensors")).unwrap();
    assert_eq!(content, "weights, as far as the hub knows");
    assert!(folder.join("1_Pooling/config.json").is_file());

    assert_eq!(
        hub(&fake.endpoint, cache.path()).folder(&id).unwrap(),
        folder
    );
    assert_eq!(
        fake.asked(),
        [info],
        "what is in the cache is not fetched again"
    );

    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let without_hub = hub(&format!("http://{gone}"), cache.path()).folder(&id);
    assert_eq!(
        without_hub.unwrap(),
        folder,
        "the cache serves when the hub does not"
    );
}

#[test]
fn what_the_hub_refuses_is_told_without_the_token() {
    let fake = Fake::serving(&[("config.json", "{}"), ("pytorch_model.bin", "a pickle")]);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&fake.endpoint, cache.path());
    let error = |name: &str| {
        let error = hub.folder(&HubId::parse(name).unwrap()).unwrap_err();
        let all = format!("{error:#} {error:?}");
        assert!(!all.contains(SECRET), "{all}");
        all
    };
    assert!(error("org/other").contains("no such model or revision"));
    assert!(error("org/name").contains("has no safetensors"));
}

#[test]
fn ids_are_told_from_paths() {
    let parsed = |text| HubId::parse(text).map(|id| (id.model, id.revision));
    let of = |model: &str, revision: &str| Some((model.to_owned(), revision.to_owned()));
    assert_eq!(
        parsed("org/all-MiniLM_L6.v2"),
        of("org/all-MiniLM_L6.v2", "main")
    );
    assert_eq!(parsed("org/name@refs/pr/2"), of("org/name", "refs/pr/2"));
    for text in [
        "name",
        "/org/name",
        "./name",
        "../name",
        "a/b/c",
        "a/..",
        "~/name",
        "org/",
        "org/na me",
        "org/name@",
        "org/name@../x",
        "C:\\models",
        "",
    ] {
        assert_eq!(parsed(text), None, "{text}");
    }
}

#[test]
fn only_what_a_model_is_read_from_is_fetched() {
    let files = [
        "README.md",
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "tokenizer.json",
        "onnx/model.onnx",
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapter_model.bin",
        "checkpoint-10/adapter_model.safetensors",
        "1_Pooling/config.json",
        "2_Dense/model.safetensors",
        "text_matching/adapter_config.json",
        "text_matching/adapter_model.safetensors",
        "text_matching/config.json",
        "checkpoint-9/adapter_model.safetensors",
        "additional_chat_templates/tool_use.jinja",
        "additional_chat_templates/../config.jinja",
        "additional_chat_templates/notes.md",
        "modules.json",
        "data_config.json",
        "sentence_bert_config.json",
        "../config.json",
        "1_../config.json",
        "rust_model.ot",
        "openvino/config.json",
        "model-00001-of-00002.safetensors",
        "2_x/../../config.json",
        "model.safetensors.index.json",
        "training_args.bin",
        "/config.json",
    ];
    assert_eq!(
        wanted(files.into_iter()),
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "adapter_config.json",
            "adapter_model.safetensors",
            "1_Pooling/config.json",
            "2_Dense/model.safetensors",
            "text_matching/adapter_config.json",
            "text_matching/adapter_model.safetensors",
            "additional_chat_templates/tool_use.jinja",
            "modules.json",
            "sentence_bert_config.json",
        ]
    );
    let shards = [
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
    ];
    assert_eq!(wanted(shards.into_iter()), shards);
    assert!(!is_shard("model-a-of-2.safetensors") && !is_shard("model-1-of-.safetensors"));
}

#[test]
fn offline_takes_a_whole_snapshot_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let id = HubId::parse("org/name").unwrap();
    let hub = Hub {
        endpoint: "https://unused.invalid".to_owned(),
        cache: Cache::new(folder.path().to_owned()),
        token: None,
        offline: true,
    };
    let error = hub.folder(&id).unwrap_err().to_string();
    assert!(
        error.contains("HF_HUB_OFFLINE is set and org/name is not whole"),
        "{error}"
    );

    let repo = hub.cache.repo(id.at("main"));
    repo.create_ref("abc").unwrap();
    let snapshot = repo.pointer_path("abc");
    std::fs::create_dir_all(snapshot.join("1_Pooling")).unwrap();
    for file in [
        "config.json",
        "modules.json",
        "tokenizer.json",
        "1_Pooling/config.json",
    ] {
        assert!(hub.folder(&id).is_err(), "{file} is missing");
        std::fs::write(snapshot.join(file), "{}").unwrap();
    }
    let index = r#"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#;
    std::fs::write(snapshot.join("model.safetensors.index.json"), index).unwrap();
    assert!(hub.folder(&id).is_err(), "a shard is missing");
    std::fs::write(snapshot.join("model-00001-of-00001.safetensors"), "").unwrap();
    assert_eq!(hub.folder(&id).unwrap(), snapshot);
    assert_eq!(
        hub.folder(&HubId::parse("org/name@abc").unwrap()).unwrap(),
        snapshot
    );
}

#[test]
fn offline_takes_an_adapter_without_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let id = HubId::parse("org/name").unwrap();
    let hub = Hub {
        endpoint: "https://unused.invalid".to_owned(),
        cache: Cache::new(folder.path().to_owned()),
        token: None,
        offline: true,
    };
    let repo = hub.cache.repo(id.at("main"));
    repo.create_ref("abc").unwrap();
    let snapshot = repo.pointer_path("abc");
    std::fs::create_dir_all(&snapshot).unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        assert!(hub.folder(&id).is_err(), "{file} is missing");
        std::fs::write(snapshot.join(file), "{}").unwrap();
    }
    assert_eq!(hub.folder(&id).unwrap(), snapshot);
}

#[test]
fn names_that_are_nothing_are_told() {
    let error = resolve_model("./no/such/folder").unwrap_err().to_string();
    assert!(error.contains("neither a folder nor an id"), "{error}");
}
