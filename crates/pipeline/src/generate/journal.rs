//! What was answered, written down answer by answer, so that nothing is asked twice.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Answer, Usage};
use crate::error::{Context as _, Result};

/// One answer: a line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The prompt's place in the job.
    pub(super) prompt: usize,
    /// The number of its first response.
    pub(super) sample: usize,
    /// None when nothing could be made of the answer.
    pub(super) responses: Vec<Written>,
    pub(super) finish_reason: String,
    #[serde(flatten)]
    pub(super) usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
}

impl Entry {
    /// An answer that is one response, to the first question of the first prompt.
    pub(super) fn of(answer: Answer) -> Self {
        Self {
            prompt: 0,
            sample: 0,
            responses: vec![Written {
                response: answer.text,
                probability: None,
            }],
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            model: answer.model,
        }
    }
}

/// A response in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) response: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) probability: Option<f64>,
}

/// A response with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) written: Written,
    pub(super) finish_reason: String,
    /// Unknown where several responses came in one answer.
    pub(super) tokens: Option<u64>,
}

/// The state of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    /// By prompt and sample.
    pub(super) rows: Vec<Vec<Option<Row>>>,
    /// By prompt, the answers in a row that nothing could be made of.
    pub(super) unread: Vec<u32>,
    pub(super) usage: Usage,
    pub(super) answers: usize,
    /// Which models say that they answered.
    pub(super) models: BTreeSet<String>,
}

impl Answered {
    fn new(prompts: usize, samples: usize) -> Self {
        Self {
            rows: vec![vec![None; samples]; prompts],
            unread: vec![0; prompts],
            ..Self::default()
        }
    }

    /// Responses that are there.
    pub(super) fn responses(&self) -> usize {
        self.rows.iter().flatten().flatten().count()
    }

    fn take(&mut self, entry: Entry) {
        self.usage += entry.usage;
        self.answers += 1;
        self.models.extend(entry.model);
        let (Some(rows), Some(unread)) = (
            self.rows.get_mut(entry.prompt),
            self.unread.get_mut(entry.prompt),
        ) else {
            return;
        };
        *unread = match entry.responses.is_empty() {
            true => *unread + 1,
            false => 0,
        };
        let alone = entry.responses.len() == 1;
        for (row, written) in rows.iter_mut().skip(entry.sample).zip(entry.responses) {
            *row = Some(Row {
                written,
                finish_reason: entry.finish_reason.clone(),
                tokens: alone.then_some(entry.usage.output_tokens),
            });
        }
    }
}

/// A job's answers, in memory and, where it has an output, on disk.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) answered: Answered,
    path: Option<PathBuf>,
    /// Made with the first answer.
    file: Option<File>,
}

impl Journal {
    /// Reads what a killed job has left; the last line may be cut off.
    pub(super) fn open(path: Option<PathBuf>, prompts: usize, samples: usize) -> Result<Self> {
        let mut journal = Self {
            answered: Answered::new(prompts, samples),
            path,
            file: None,
        };
        let Some(path) = &journal.path else {
            return Ok(journal);
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(journal),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &bytes[..whole.map_or(0, |last| last + 1)];
        for (number, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let entry = serde_json::from_slice(line).with_context(|| {
                format!(
                    "{}, line {}, is not an answer; remove that line, or the file to request everything again",
                    path.display(),
                    number + 1
                )
            })?;
            journal.answered.take(entry);
        }
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|file| file.set_len(whole.len() as u64).map(|()| file))
            .with_context(|| format!("cannot write {}", path.display()))?;
        journal.file = Some(file);
        Ok(journal)
    }

    /// Takes answers; they are on disk when this returns.
    pub(super) fn record(&mut self, entries: Vec<Entry>) -> Result<()> {
        if let Some(path) = &self.path {
            let context = || format!("cannot write {}", path.display());
            let mut lines = String::new();
            for entry in &entries {
                lines += &serde_json::to_string(entry)?;
                lines.push('\n');
            }
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(create(path).with_context(context)?),
            };
            file.write_all(lines.as_bytes())
                .and_then(|()| file.sync_data())
                .with_context(context)?;
        }
        for entry in entries {
            self.answered.take(entry);
        }
        Ok(())
    }

    /// Where it is, if there is anything in it.
    pub(super) fn place(&self) -> Option<&Path> {
        let place = self.path.as_deref();
        place.filter(|_| self.file.is_some())
    }

    /// Takes the file away, once its answers stand elsewhere.
    pub(super) fn remove(self) -> Result<()> {
        drop(self.file);
        match &self.path {
            Some(path) if path.exists() => std::fs::remove_file(path)
                .with_context(|| format!("cannot remove {}", path.display())),
            _ => Ok(()),
        }
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(prompt: usize, sample: usize, responses: &[&str]) -> Entry {
        Entry {
            prompt,
            sample,
            responses: responses
                .iter()
                .map(|text| Written {
                    response: (*text).to_owned(),
                    probability: None,
                })
                .collect(),
            finish_reason: "stop".to_owned(),
            usage: Usage {
                input_tokens: 5,
                output_tokens: 7,
            },
            model: Some("m-1".to_owned()),
        }
    }

    #[test]
    fn what_was_written_is_read_and_a_torn_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal");
        let open = || Journal::open(Some(path.clone()), 2, 3).unwrap();
        let mut journal = open();
        assert_eq!(journal.place(), None);
        journal.record(vec![entry(0, 1, &["zwei ✓"])]).unwrap();
        journal.record(vec![entry(1, 0, &["a", "b"])]).unwrap();
        journal.record(vec![entry(0, 0, &[])]).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.clone() + "{\"prompt\": 1, \"sam").unwrap();

        let mut journal = open();
        let answered = &journal.answered;
        assert_eq!((answered.answers, answered.responses()), (3, 3));
        assert_eq!(answered.usage.output_tokens, 21);
        assert_eq!(answered.unread, [1, 0]);
        let row = answered.rows[0][1].as_ref().unwrap();
        assert_eq!((&*row.written.response, row.tokens), ("zwei ✓", Some(7)));
        assert_eq!(answered.rows[1][1].as_ref().unwrap().tokens, None);
        journal.record(vec![entry(1, 2, &["c"])]).unwrap();
        drop(journal);
        let after = std::fs::read_to_string(&path).unwrap();
        assert!(
            after.starts_with(&text) && after.lines().count() == 4,
            "{after}"
        );
        let journal = open();
        assert_eq!(journal.answered.responses(), 4);
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, "{}\n").unwrap();
        let error = Journal::open(Some(path), 1, 1).unwrap_err().to_string();
        assert!(error.contains("line 1, is not an answer"), "{error}");
    }
}
