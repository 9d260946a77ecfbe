//! The example of the crate's page, run on tales from the demo's base model.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use rarebit_tales::{Split, World};
use serde_json::json;

/// The program that the page shows.
mod ddpo {
    include!("example/ddpo.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_example_prepares_trains_generates_and_evaluates() {
    let folder = tempfile::tempdir().unwrap();
    // This binary holds one test that works in a folder, so nothing else sees the change.
    std::env::set_current_dir(folder.path()).unwrap();
    copy_base(Path::new("base"));
    write_stories(Path::new("stories.jsonl"));
    ddpo::run().unwrap();
    let metrics = fs::read_to_string("ddpo/metrics.jsonl").unwrap();
    assert!(metrics.lines().count() > 1, "{metrics}");
    assert!(Path::new("ddpo/model/adapter_model.safetensors").is_file());
    let samples = fs::read_to_string("samples.jsonl").unwrap();
    let prompts = samples.lines().count() / 4;
    assert!(prompts > 0 && samples.lines().count() == prompts * 4);
}

#[test]
fn the_page_shows_the_example_as_it_is_run() {
    let page = fs::read_to_string(Path::new(HERE).join("README.md")).unwrap();
    let example = include_str!("example/ddpo.rs");
    assert!(example.lines().count() < 40);
    assert!(
        page.contains(example),
        "copy tests/example/ddpo.rs into README.md"
    );
}

fn copy_base(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for file in fs::read_dir(Path::new(HERE).join("../../native/demo")).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
}

fn write_stories(path: &Path) {
    let world = World::seeded(42);
    let mut file = File::create(path).unwrap();
    for prompt in &world.prompts(Split::Train)[..20] {
        let tales = world.responses(prompt, 4, &mut world.rng(prompt));
        let tales = tales
            .iter()
            .map(|tale| json!({"text": tale.text, "score": tale.votes}));
        let row = json!({"prompt": prompt.text, "responses": tales.collect::<Vec<_>>()});
        writeln!(file, "{row}").unwrap();
    }
}
