//! A folder of its own for each test, and the program in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The program.
pub(super) const RAREBIT: &str = env!("CARGO_BIN_EXE_rarebit");

/// What a machine without a graphics driver looks like: what is said to run on the CPU runs there.
const NO_DRIVER: [&str; 3] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "__EGL_VENDOR_LIBRARY_FILENAMES",
];

/// A folder that the program runs in; gone when dropped.
pub(super) struct Sandbox {
    folder: TempDir,
}

/// Every file of a folder by its path in it.
pub(super) type Tree = BTreeMap<PathBuf, Vec<u8>>;

impl Sandbox {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder in the sandbox");
        fs::write(path, content).expect("a file in the sandbox");
    }

    pub(super) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The rows of a file with one JSON object per line.
    pub(super) fn rows(&self, name: &str) -> Vec<Value> {
        rows(&self.read(name))
    }

    /// The program with this command line, on the CPU unless it names a device, with a cache in the
    /// sandbox.
    pub(super) fn rarebit(&self, arguments: &str) -> Command {
        Command::from_std(self.process(arguments))
    }

    /// The same as a process that can be killed.
    pub(super) fn process(&self, arguments: &str) -> std::process::Command {
        let mut command = std::process::Command::new(RAREBIT);
        self.prepare(&mut command);
        command.args(with_defaults(arguments));
        command
    }

    /// The same in a shell that lets no file grow beyond `blocks` (of 512 or 1,024 bytes).
    pub(super) fn limited(&self, blocks: u32, arguments: &str) -> Command {
        let mut command = std::process::Command::new("sh");
        self.prepare(&mut command);
        // Ignored, the signal of the limit becomes an error of `write`, as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", script.as_str(), RAREBIT]);
        command.args(with_defaults(arguments));
        Command::from_std(command)
    }

    fn prepare(&self, command: &mut std::process::Command) {
        command
            .current_dir(self.folder.path())
            .env("RUST_BACKTRACE", "0")
            .env("COLUMNS", "100")
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("RUST_LOG");
        for name in NO_DRIVER {
            command.env(name, self.path("no-such-driver.json"));
        }
    }

    /// Standard output of a command that succeeds.
    pub(super) fn succeeds(&self, arguments: &str) -> String {
        let output = self.rarebit(arguments).output().expect("the program runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rarebit {arguments}\n{err}");
        // A driver that is asked for nothing says nothing.
        assert!(!err.contains("XDG_RUNTIME_DIR"), "{err}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Standard error of a command that is refused with this exit code, after a look that neither a
    /// file was changed nor one left behind.
    pub(super) fn refused(&self, code: i32, arguments: &str) -> String {
        self.refused_by(self.rarebit(arguments), code, arguments)
    }

    /// [`Self::refused`] for a command that is there already.
    pub(super) fn refused_by(&self, mut command: Command, code: i32, arguments: &str) -> String {
        let before = self.tree(".");
        let error = fails(&mut command, code, arguments);
        let after = self.tree(".");
        let strangers: Vec<_> = after
            .keys()
            .filter(|path| !before.contains_key(*path))
            .collect();
        assert!(
            strangers.is_empty(),
            "rarebit {arguments} left {strangers:?}\n{error}"
        );
        assert!(
            before == after,
            "rarebit {arguments} changed a file\n{error}"
        );
        error
    }

    /// All files of a folder in the sandbox but the cache.
    pub(super) fn tree(&self, folder: &str) -> Tree {
        let mut tree = Tree::new();
        let root = self.path(folder);
        collect(&root, &root, &mut tree);
        tree
    }

    /// Grouped responses: twelve prompts, six responses each, scores from 1 to 60.
    pub(super) fn write_groups(&self, name: &str) {
        let mut words = Words(7);
        let mut text = String::new();
        for prompt in 0..12 {
            let responses: Vec<Value> = (0..6)
                .map(|_| json!({"text": words.sentence(4, 12), "score": words.below(60) + 1}))
                .collect();
            let row = json!({
                "prompt": format!("Write about {} {prompt}", words.sentence(2, 3)),
                "responses": responses,
            });
            writeln!(text, "{row}").expect("text");
        }
        self.write(name, text);
    }

    /// Preference pairs with weights.
    pub(super) fn write_pairs(&self, name: &str, pairs: usize, seed: u64) {
        let mut words = Words(seed);
        let mut text = String::new();
        for pair in 0..pairs {
            let row = json!({
                "prompt_id": format!("prompt-{pair}"),
                "prompt": words.sentence(2, 4),
                "chosen": words.sentence(4, 16),
                "rejected": words.sentence(4, 16),
                "weight": words.below(200) as f64 / 100.0,
            });
            writeln!(text, "{row}").expect("text");
        }
        self.write(name, text);
    }

    /// A copy of the tiny policy, to be spoilt.
    pub(super) fn copy_policy(&self, name: &str) {
        for entry in fs::read_dir(policy()).expect("the fixture").flatten() {
            let content = fs::read(entry.path()).expect("a file of the fixture");
            self.write(
                &format!("{name}/{}", entry.file_name().to_string_lossy()),
                content,
            );
        }
    }
}

fn with_defaults(arguments: &str) -> impl Iterator<Item = &str> {
    let device = match arguments.contains("--device") {
        true => "",
        false => "--device cpu",
    };
    let words = arguments.split_whitespace();
    words
        .chain(device.split_whitespace())
        .chain(["--cache-dir", "cache"])
}

/// Standard error of a command that fails in the proper way.
pub(super) fn fails(command: &mut Command, code: i32, arguments: &str) -> String {
    let output = command.output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "rarebit {arguments}\n{error}"
    );
    assert!(error.contains("error: "), "rarebit {arguments}\n{error}");
    assert!(!error.contains("panicked"), "rarebit {arguments}\n{error}");
    error
}

/// Asserts that a text holds all of these.
#[track_caller]
pub(super) fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        let beginning: String = text.chars().take(2_000).collect();
        assert!(text.contains(part), "{part:?} is not in\n{beginning}");
    }
}

/// The tiny LLaMA with its tokenizer.
pub(super) fn policy() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/losses/policy");
    path.canonicalize()
        .expect("the fixture")
        .display()
        .to_string()
}

pub(super) fn rows(text: &str) -> Vec<Value> {
    let row = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    text.lines().map(row).collect()
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).expect("a path below").to_owned();
        if path.is_dir() {
            if name != Path::new("cache") {
                // An empty folder is something left behind, too.
                tree.insert(name.join(""), Vec::new());
                collect(root, &path, tree);
            }
        } else {
            tree.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

/// Texts from a seed.
struct Words(u64);

impl Words {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn sentence(&mut self, least: u64, most: u64) -> String {
        const WORDS: [&str; 16] = [
            "the", "fox", "hen", "lamp", "sea", "house", "story", "went", "lit", "was", "old",
            "red", "cold", "bright", "slow", "there",
        ];
        let count = least + self.below(most - least + 1);
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.below(16) as usize]).collect();
        words.join(" ") + "."
    }
}
