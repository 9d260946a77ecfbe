//! A job of questions: asked side by side, written down as they are answered, gone on with when
//! it was killed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow};
use rarebit_data::output::check_place;
use serde_json::{Value, json};

use super::journal::{Answered, Entry, Journal, Row};
use super::local::Writer;
use super::output::{Layout, Sample, write_samples};
use super::price::Price;
use super::prompts::Prompt;
use super::questions::{Chain, Question, Questions};
use crate::provider::Client;
use crate::{output, progress};

/// Who answers.
pub(super) enum Asked<'a> {
    Provider { client: &'a Client, threads: usize },
    Local(&'a Writer<'a>),
}

/// Where responses go.
pub(super) enum Sink<'a> {
    File {
        path: &'a Path,
        layout: Layout,
        /// What the model is called in a layout that names it.
        model: &'a str,
    },
    Rows,
    Text,
}

/// A job, but for who answers.
pub(super) struct Asking<'a> {
    pub(super) questions: Questions<'a>,
    pub(super) price: Price,
    pub(super) sink: Sink<'a>,
}

/// What threads share.
struct Shared<'a> {
    journal: Journal,
    bar: &'a progress::Progress,
}

impl Asking<'_> {
    /// Asks what is not answered yet, and brings the responses to their place.
    pub(super) fn run(&self, asked: &Asked<'_>) -> anyhow::Result<()> {
        let about = self.describe(asked);
        let fingerprint = fingerprint(&about, self.questions.prompts);
        if let Sink::File { path, .. } = self.sink {
            check_place(path).with_context(|| format!("cannot write {}", path.display()))?;
            if path.exists() && recorded(&record_path(path)).as_deref() == Some(&*fingerprint) {
                progress::note(&format!(
                    "{} has these responses already: nothing is asked; remove it to ask again",
                    path.display()
                ));
                return Ok(());
            }
        }
        let partial = match self.sink {
            Sink::File { path, .. } => Some(path.with_extension(format!("{fingerprint}.partial"))),
            Sink::Rows | Sink::Text => None,
        };
        let journal = Journal::open(
            partial,
            self.questions.prompts.len(),
            self.questions.samples,
        )?;
        let total = self.questions.prompts.len() * self.questions.samples;
        let there = journal.answered.responses();
        if there > 0 {
            progress::note(&format!(
                "{there} of {total} responses are there already: going on"
            ));
        }
        let bar = progress::bar(total as u64, "generating");
        bar.start_at(there as u64);
        let shared = Mutex::new(Shared { journal, bar: &bar });
        let ended = match *asked {
            Asked::Provider { client, threads } => self.ask_provider(client, threads, &shared),
            Asked::Local(writer) => self.ask_local(writer, &shared),
        };
        let journal = shared
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .journal;
        ended.map_err(|error| with_kept(error, &journal, total))?;
        self.finish(journal, &about, &fingerprint, &bar)
    }

    fn ask_provider(
        &self,
        client: &Client,
        threads: usize,
        shared: &Mutex<Shared<'_>>,
    ) -> anyhow::Result<()> {
        let chains = self.questions.chains();
        let next = AtomicUsize::new(0);
        let work = || -> anyhow::Result<()> {
            while let Some(&chain) = chains.get(next.fetch_add(1, Ordering::Relaxed)) {
                while let Some(question) = self.question(chain, shared) {
                    let Some(answer) = client.ask(&question.messages, question.sample)? else {
                        return Ok(());
                    };
                    self.record(self.questions.entry(&question, answer), shared)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.min(chains.len()))
                .map(|_| {
                    scope.spawn(|| {
                        let worked = work();
                        if worked.is_err() {
                            // What is on its way is still waited for: it is paid for.
                            client.stop();
                        }
                        worked
                    })
                })
                .collect();
            let mut ended = Ok(());
            for worker in workers {
                let worked = worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                ended = ended.and(worked);
            }
            ended
        })
    }

    /// Round by round, so that many prompts are written to side by side.
    fn ask_local(&self, writer: &Writer<'_>, shared: &Mutex<Shared<'_>>) -> anyhow::Result<()> {
        let chains = self.questions.chains();
        loop {
            let open: Vec<Question> = chains
                .iter()
                .filter_map(|&chain| self.question(chain, shared))
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            for side_by_side in writer.batches(&open) {
                for (question, answer) in side_by_side.iter().zip(writer.answer(&side_by_side)?) {
                    self.record(self.questions.entry(question, answer), shared)?;
                }
            }
        }
    }

    fn question(&self, chain: Chain, shared: &Mutex<Shared<'_>>) -> Option<Question> {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.questions.next(chain, &shared.journal.answered)
    }

    fn record(&self, entry: Entry, shared: &Mutex<Shared<'_>>) -> anyhow::Result<()> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (prompt, samples) = (
            entry.prompt,
            entry.sample..entry.sample + entry.responses.len(),
        );
        shared.journal.record(entry)?;
        let answered = &shared.journal.answered;
        shared.bar.set_message(self.price.told(answered.usage));
        shared.bar.set_position(answered.responses() as u64);
        for sample in samples {
            if let Some(row) = answered.rows[prompt].get(sample).and_then(Option::as_ref) {
                self.show(prompt, sample, row)?;
            }
        }
        Ok(())
    }

    /// Shows a response at once where there is no file.
    fn show(&self, prompt: usize, sample: usize, row: &Row) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let prompt = &self.questions.prompts[prompt];
        match self.sink {
            Sink::File { .. } => return Ok(()),
            Sink::Rows => writeln!(
                out,
                "{}",
                serde_json::to_string(&self.sample(prompt, sample, row))?
            )?,
            Sink::Text => {
                if self.questions.prompts.len() * self.questions.samples > 1 {
                    writeln!(out, "── {} [{}]", prompt.text, sample + 1)?;
                }
                writeln!(out, "{}", row.written.response)?;
            }
        }
        out.flush()?;
        Ok(())
    }

    fn sample(&self, prompt: &Prompt, sample: usize, row: &Row) -> Sample {
        Sample {
            prompt_id: prompt.id.clone(),
            prompt: prompt.text.clone(),
            sample,
            response: row.written.response.clone(),
            probability: row.written.probability,
            tokens: row.tokens,
            finish_reason: row.finish_reason.clone(),
        }
    }

    /// Brings the rows to their place, and the record beside them.
    fn finish(
        &self,
        journal: Journal,
        about: &Value,
        fingerprint: &str,
        bar: &progress::Progress,
    ) -> anyhow::Result<()> {
        let answered = &journal.answered;
        let samples: Vec<Sample> = (self.questions.prompts.iter().zip(&answered.rows))
            .flat_map(|(prompt, rows)| {
                let rows = rows.iter().enumerate();
                rows.filter_map(move |(at, row)| Some(self.sample(prompt, at, row.as_ref()?)))
            })
            .collect();
        let lacks = |rows: &&Vec<Option<Row>>| rows.iter().any(Option::is_none);
        let lacking = answered.rows.iter().filter(lacks).count();
        let mut told = format!("{} responses", samples.len());
        for (count, what) in [
            (count(&samples, |it| it.response.trim().is_empty()), "empty"),
            (
                count(&samples, |it| it.finish_reason == "length"),
                "cut off by --max-new-tokens",
            ),
            (
                count(&samples, |it| {
                    matches!(&*it.finish_reason, "refusal" | "content_filter")
                }),
                "refused",
            ),
        ] {
            if count > 0 {
                told += &format!(", {count} {what}");
            }
        }
        if lacking > 0 {
            told += &format!(
                ", {lacking} of {} prompts with fewer than asked for, because answers held no list of responses",
                self.questions.prompts.len()
            );
        }
        told += &format!("; {}", self.price.told(answered.usage));
        if let Sink::File {
            path,
            layout,
            model,
        } = self.sink
        {
            write_samples(&samples, layout, model, path)?;
            let record = self.record_of(answered, about, fingerprint);
            output::write_atomically(&record_path(path), |file| {
                serde_json::to_writer_pretty(&mut *file, &record)?;
                Ok(file.write_all(b"\n")?)
            })?;
            told = format!("{}: {told}", path.display());
        }
        journal.remove()?;
        bar.finish(&told);
        Ok(())
    }

    /// What decides the responses.
    fn describe(&self, asked: &Asked<'_>) -> Value {
        let who = match asked {
            Asked::Provider { client, .. } => client.describe(),
            Asked::Local(writer) => writer.describe(),
        };
        json!({
            "asked": who,
            "system_prompt": self.questions.system,
            "strategy": self.questions.strategy,
            "num_return_sequences": self.questions.samples,
            "layout": match self.sink {
                Sink::File { layout, .. } => layout,
                Sink::Rows | Sink::Text => Layout::Rows,
            },
        })
    }

    /// What is kept beside the responses: who answered, and what it took.
    fn record_of(&self, answered: &Answered, about: &Value, fingerprint: &str) -> Value {
        json!({
            "rarebit": env!("CARGO_PKG_VERSION"),
            "fingerprint": fingerprint,
            "job": about,
            "answered_by": answered.models,
            "prompts": self.questions.prompts.len(),
            "answers": answered.answers,
            "input_tokens": answered.usage.input_tokens,
            "output_tokens": answered.usage.output_tokens,
            "spend_usd": self.price.of(answered.usage),
        })
    }
}

fn count(samples: &[Sample], is: impl Fn(&&Sample) -> bool) -> usize {
    samples.iter().filter(is).count()
}

/// Behind an error: what is not lost.
fn with_kept(error: anyhow::Error, journal: &Journal, total: usize) -> anyhow::Error {
    match journal.place() {
        Some(place) => anyhow!(
            "{error:#}; {} keeps {} of {total} responses, and the same command goes on from there",
            place.display(),
            journal.answered.responses()
        ),
        None => error,
    }
}

/// What must be equal for a job to go on.
fn fingerprint(about: &Value, prompts: &[Prompt]) -> String {
    let all = format!("{about} {prompts:?}");
    blake3::hash(all.as_bytes()).to_hex()[..12].to_owned()
}

fn record_path(output: &Path) -> PathBuf {
    output.with_extension("run.json")
}

/// The fingerprint of the job whose record this is.
fn recorded(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    record["fingerprint"].as_str().map(str::to_owned)
}
