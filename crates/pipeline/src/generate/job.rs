//! A job of questions: asked side by side, written down as they are answered, gone on with when
//! it was killed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rarebit_data::output::check_place;
use rarebit_train::Stop;
use serde_json::{Value, json};

use super::answer::{Answer, ChatService, Usage};
use super::journal::{Answered, Entry, Journal, Row};
use super::price::Price;
use super::prompts::Prompt;
use super::questions::{Chain, Question, Questions, Strategy};
use super::samples::{Layout, Sample, write_samples};
use super::writer::{Writer, conversations};
use crate::error::{Context as _, PipelineError, Result};
use crate::event::{Events, Progress, Stage};
use crate::output;
use crate::session::Session;

/// Who answers.
pub enum Respondent<'a> {
    /// A model behind an API.
    Service {
        /// The API.
        service: &'a dyn ChatService,
        /// Questions that are asked at a time.
        threads: usize,
    },
    /// A model on this machine.
    Local(&'a Writer<'a>),
}

/// Where responses go.
pub enum Sink<'a> {
    /// A file, which is written when all responses are there.
    File {
        /// The file.
        path: &'a Path,
        /// How it is laid out.
        layout: Layout,
        /// What the model is called in a layout that names it.
        model: &'a str,
    },
    /// A function that is called with each response as it comes; nothing is kept.
    Each(&'a (dyn Fn(&Sample) -> io::Result<()> + Sync)),
}

/// Questions, and where the answers go.
pub struct Job<'a> {
    /// What is asked.
    pub questions: Questions<'a>,
    /// What answers cost.
    pub price: Price,
    /// Where responses go.
    pub sink: Sink<'a>,
    /// Told how far it is.
    pub events: &'a Events,
    /// Asked before every batch or question.
    pub stop: &'a Stop,
}

/// How long it takes at most until questions hear that they are to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// What threads share.
struct Shared<'a> {
    journal: Journal,
    work: &'a Progress<'a>,
    /// On this machine: when this process began, and the tokens that were there then.
    started: Option<(Instant, u64)>,
}

impl<'a> Job<'a> {
    /// `samples` responses to each prompt, drawn independently, as rows of a JSONL file.
    pub fn to_file(
        prompts: &'a [Prompt],
        samples: usize,
        path: &'a Path,
        session: &'a Session,
    ) -> Self {
        Self {
            questions: Questions {
                prompts,
                samples,
                strategy: Strategy::Independent,
                system: None,
            },
            price: Price::default(),
            sink: Sink::File {
                path,
                layout: Layout::Rows,
                model: "",
            },
            events: &session.events,
            stop: &session.stop,
        }
    }
}

impl Job<'_> {
    /// Asks what is not answered yet, and brings the responses to their place.
    ///
    /// # Errors
    /// When a question cannot be asked or answered, the responses cannot be written, or the job is
    /// stopped; what was answered is kept beside the file, and the same job goes on from there.
    pub fn run(&self, respondent: &Respondent<'_>) -> Result<()> {
        let about = self.describe(respondent);
        let fingerprint = fingerprint(&about, self.questions.prompts);
        if let Respondent::Local(writer) = respondent {
            // A prompt that is too long is told now, not when its turn comes.
            writer.encode(conversations(&self.questions))?;
        }
        if let Sink::File { path, .. } = self.sink {
            check_place(path).with_context(|| format!("cannot write {}", path.display()))?;
            if path.exists() && recorded(&record_path(path)).as_deref() == Some(&*fingerprint) {
                self.events.note(&format!(
                    "{} has these responses already: nothing is asked; remove it to ask again",
                    path.display()
                ));
                return Ok(());
            }
        }
        let partial = match self.sink {
            Sink::File { path, .. } => Some(path.with_extension(format!("{fingerprint}.partial"))),
            Sink::Each(_) => None,
        };
        let journal = Journal::open(
            partial,
            self.questions.prompts.len(),
            self.questions.samples,
        )?;
        let total = self.questions.prompts.len() * self.questions.samples;
        let there = journal.answered.responses();
        if there > 0 {
            self.events.note(&format!(
                "{there} of {total} responses are there already: going on"
            ));
        }
        let work = self
            .events
            .resume(Stage::Generating, Some(total as u64), there as u64);
        let started = match respondent {
            Respondent::Local(_) => Some((Instant::now(), journal.answered.usage.output_tokens)),
            Respondent::Service { .. } => None,
        };
        let shared = Mutex::new(Shared {
            journal,
            work: &work,
            started,
        });
        let ended = match *respondent {
            Respondent::Service { service, threads } => self.ask(service, threads, &shared),
            Respondent::Local(writer) => match self.questions.strategy {
                Strategy::Independent => self.write(writer, &shared),
                _ => self.write_rounds(writer, &shared),
            },
        };
        let journal = shared
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .journal;
        ended.map_err(|error| with_kept(error, &journal, total))?;
        let is_local = started.is_some();
        self.finish(journal, &about, &fingerprint, work, is_local)
    }

    /// What must be equal for a job to go on, as a short hash.
    pub fn fingerprint(&self, respondent: &Respondent<'_>) -> String {
        fingerprint(&self.describe(respondent), self.questions.prompts)
    }

    fn ask(
        &self,
        service: &dyn ChatService,
        threads: usize,
        shared: &Mutex<Shared<'_>>,
    ) -> Result<()> {
        let chains = self.questions.chains();
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(&chain) = chains.get(next.fetch_add(1, Ordering::Relaxed)) {
                while let Some(question) = self.question(chain, shared) {
                    self.go_on()?;
                    let Some(answer) = service.ask(&question.messages, question.sample)? else {
                        return self.go_on();
                    };
                    self.record(vec![self.questions.entry(&question, answer)], shared)?;
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
                            service.stop();
                        }
                        worked
                    })
                })
                .collect();
            // A question may be waiting for its next try.
            while !workers.iter().all(|worker| worker.is_finished()) {
                if self.stop.is_asked() {
                    service.stop();
                    break;
                }
                std::thread::sleep(STOP_INTERVAL);
            }
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

    /// Stretch by stretch of the prompts. A stretch that an earlier run has not finished is written
    /// again as a whole, so that each response is sampled in the batch that it would have been in.
    fn write(&self, writer: &Writer<'_>, shared: &Mutex<Shared<'_>>) -> Result<()> {
        let samples = self.questions.samples;
        let places: Vec<usize> = (0..self.questions.prompts.len()).collect();
        for stretch in places.chunks(writer.prompts_per_batch(samples)) {
            let is_done = |shared: &Shared<'_>| {
                let rows = &shared.journal.answered.rows;
                stretch
                    .iter()
                    .all(|&prompt| rows[prompt].iter().all(Option::is_some))
            };
            let (Some(&first), false) = (stretch.first(), is_done(&lock(shared))) else {
                continue;
            };
            self.go_on()?;
            let asked = conversations(&self.questions);
            let ids = writer.encode(asked.skip(first).take(stretch.len()))?;
            let answers = writer.write(&ids, first, samples)?;
            let entry = |(place, answer): (usize, Answer)| Entry {
                prompt: first + place / samples,
                sample: place % samples,
                ..Entry::of(answer)
            };
            self.record(answers.into_iter().enumerate().map(entry).collect(), shared)?;
        }
        Ok(())
    }

    /// Round by round, so that many prompts are answered in one batch.
    fn write_rounds(&self, writer: &Writer<'_>, shared: &Mutex<Shared<'_>>) -> Result<()> {
        let chains = self.questions.chains();
        loop {
            let open: Vec<Question> = chains
                .iter()
                .filter_map(|&chain| self.question(chain, shared))
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            for batch in writer.batches(&open) {
                self.go_on()?;
                let answers = batch.iter().zip(writer.answer(&batch)?);
                let entries =
                    answers.map(|(question, answer)| self.questions.entry(question, answer));
                self.record(entries.collect(), shared)?;
            }
        }
    }

    /// An error if the job is to stop.
    fn go_on(&self) -> Result<()> {
        match self.stop.is_asked() {
            true => Err(PipelineError::Stopped("stopped".to_owned())),
            false => Ok(()),
        }
    }

    fn question(&self, chain: Chain, shared: &Mutex<Shared<'_>>) -> Option<Question> {
        let shared = lock(shared);
        self.questions.next(chain, &shared.journal.answered)
    }

    fn record(&self, entries: Vec<Entry>, shared: &Mutex<Shared<'_>>) -> Result<()> {
        let mut shared = lock(shared);
        let came: Vec<(usize, usize)> = entries
            .iter()
            .flat_map(|entry| {
                let samples = entry.sample..entry.sample + entry.responses.len();
                samples.map(|sample| (entry.prompt, sample))
            })
            .collect();
        shared.journal.record(entries)?;
        let answered = &shared.journal.answered;
        let details = self.details(answered.usage, shared.started);
        shared.work.set_with(answered.responses() as u64, &details);
        let Sink::Each(show) = self.sink else {
            return Ok(());
        };
        for (prompt, sample) in came {
            if let Some(row) = answered.rows[prompt].get(sample).and_then(Option::as_ref) {
                show(&self.sample(&self.questions.prompts[prompt], sample, row))?;
            }
        }
        Ok(())
    }

    /// Speed on this machine, or what answers of a service have cost.
    fn details(&self, usage: Usage, started: Option<(Instant, u64)>) -> String {
        let Some((started, before)) = started else {
            return self.price.told(usage);
        };
        let tokens = usage.output_tokens.saturating_sub(before);
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        format!("{:.0} tokens/s", tokens as f64 / seconds)
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
        work: Progress<'_>,
        is_local: bool,
    ) -> Result<()> {
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
        if !is_local {
            told += &format!("; {}", self.price.told(answered.usage));
        }
        if let Sink::File {
            path,
            layout,
            model,
        } = self.sink
        {
            write_samples(&samples, layout, model, path)?;
            // Plain samples of a model on this machine need no record: they cost nothing, and the model is
            // known.
            if !is_local || self.questions.is_asked() {
                let record = self.record_of(answered, about, fingerprint);
                output::write_atomically(&record_path(path), |file| {
                    serde_json::to_writer_pretty(&mut *file, &record)?;
                    Ok(file.write_all(b"\n")?)
                })?;
            }
            told = format!("{}: {told}", path.display());
        }
        journal.remove()?;
        work.finish(&told);
        Ok(())
    }

    /// What decides the responses.
    fn describe(&self, respondent: &Respondent<'_>) -> Value {
        let who = match respondent {
            Respondent::Service { service, .. } => service.describe(),
            Respondent::Local(writer) => writer.describe(),
        };
        json!({
            "asked": who,
            "system_prompt": self.questions.system,
            "strategy": self.questions.strategy,
            "num_return_sequences": self.questions.samples,
            "layout": match self.sink {
                Sink::File { layout, .. } => layout,
                Sink::Each(_) => Layout::Rows,
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

fn lock<'l, 's>(shared: &'l Mutex<Shared<'s>>) -> std::sync::MutexGuard<'l, Shared<'s>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(samples: &[Sample], is: impl Fn(&&Sample) -> bool) -> usize {
    samples.iter().filter(is).count()
}

/// Behind an error: what is not lost.
fn with_kept(error: PipelineError, journal: &Journal, total: usize) -> PipelineError {
    let Some(place) = journal.place() else {
        return error;
    };
    let told = format!(
        "{}; {} keeps {} of {total} responses, and the same command goes on from there",
        error.chain(),
        place.display(),
        journal.answered.responses()
    );
    match error.is_stopped() {
        true => PipelineError::Stopped(told),
        false => PipelineError::Invalid(told),
    }
}

/// What must be equal for a job to go on.
fn fingerprint(about: &Value, prompts: &[Prompt]) -> String {
    let all = format!("{about} {prompts:?}");
    blake3::hash(all.as_bytes()).to_hex()[..12].to_owned()
}

/// Removes the journals beside a file whose responses are all there.
pub(crate) fn remove_partial(output: &Path) -> Result<()> {
    let folder = output.parent().unwrap_or(Path::new("."));
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&format!("{stem}.")) && name.ends_with(".partial") {
            std::fs::remove_file(folder.join(&*name))?;
        }
    }
    Ok(())
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
