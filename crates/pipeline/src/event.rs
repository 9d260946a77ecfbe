//! What a run tells its caller while it goes on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Work that takes long enough to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Training examples are read and tokenised.
    TrainingData,
    /// Evaluation examples are read and tokenised.
    EvaluationData,
    /// Scores that a reward model learns from or is measured by are read.
    Scores,
    /// Texts are embedded.
    Embedding,
    /// A language model's perplexity of each response is computed.
    Surprise,
    /// Log-probabilities under the reference policy are computed.
    ReferenceLogps,
    /// Log-probabilities under the policy are computed.
    Logps,
    /// A model writes responses.
    Generating,
    /// A reward model scores responses.
    Judging,
}

impl Stage {
    /// A label for a progress bar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrainingData => "reading training data",
            Self::EvaluationData => "reading evaluation data",
            Self::Scores => "reading scores",
            Self::Embedding => "embed",
            Self::Surprise => "perplexity",
            Self::ReferenceLogps => "reference log-probs",
            Self::Logps => "log-probs",
            Self::Generating => "generating",
            Self::Judging => "judging",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage of work begins.
    Started {
        /// What is being done.
        stage: Stage,
        /// How many items there are, if that is known.
        total: Option<u64>,
        /// How many of them an earlier run has done.
        done: u64,
    },
    /// A stage has come further.
    Advanced {
        /// What is being done.
        stage: Stage,
        /// Items done so far.
        done: u64,
        /// Details for people, such as a speed; none leaves the last ones standing.
        details: Option<&'a str>,
    },
    /// A stage has ended.
    Ended {
        /// What was done.
        stage: Stage,
        /// What came of it; none if it was interrupted by an error.
        summary: Option<&'a str>,
    },
    /// Training has come further.
    Training(&'a rarebit_train::Event<'a>),
    /// Preparing data has come further.
    Preparing(rarebit_data::Progress),
    /// Preparing data has ended.
    Prepared,
    /// Something that a person should know, in one line.
    Note(&'a str),
}

/// Where a run's events go.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(&Event<'_>) + Send + Sync>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl Default for Events {
    /// Nowhere.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl Events {
    /// Calls `listener` for each event, on the thread where it happens.
    pub fn new(listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Sends an event.
    pub fn send(&self, event: &Event<'_>) {
        (self.0)(event);
    }

    /// Sends a line that a person should read.
    pub fn note(&self, line: &str) {
        self.send(&Event::Note(line));
    }

    /// Begins a stage of work.
    pub(crate) fn begin(&self, stage: Stage, total: Option<u64>) -> Progress<'_> {
        self.resume(stage, total, 0)
    }

    /// Begins a stage of which an earlier run has done `done` items.
    pub(crate) fn resume(&self, stage: Stage, total: Option<u64>, done: u64) -> Progress<'_> {
        self.send(&Event::Started { stage, total, done });
        Progress {
            events: self,
            stage,
            done: AtomicU64::new(done),
            has_ended: false,
        }
    }
}

/// A stage of work that is going on; dropped before [`Progress::finish`], it counts as interrupted.
pub(crate) struct Progress<'e> {
    events: &'e Events,
    stage: Stage,
    done: AtomicU64,
    has_ended: bool,
}

impl Progress<'_> {
    /// `delta` more items are done.
    pub(crate) fn add(&self, delta: u64) {
        let done = self.done.fetch_add(delta, Ordering::Relaxed) + delta;
        self.send(done, None);
    }

    /// So many items are done by now.
    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.send(done, None);
    }

    /// The same, with details for people.
    pub(crate) fn set_with(&self, done: u64, details: &str) {
        self.done.store(done, Ordering::Relaxed);
        self.send(done, Some(details));
    }

    /// The work is done, and this came of it.
    pub(crate) fn finish(mut self, summary: &str) {
        self.has_ended = true;
        self.events.send(&Event::Ended {
            stage: self.stage,
            summary: Some(summary),
        });
    }

    fn send(&self, done: u64, details: Option<&str>) {
        self.events.send(&Event::Advanced {
            stage: self.stage,
            done,
            details,
        });
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.events.send(&Event::Ended {
                stage: self.stage,
                summary: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_stage_begins_advances_and_ends_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let events = Events::new(move |event| heard.lock().unwrap().push(format!("{event:?}")));
        let work = events.resume(Stage::Judging, Some(9), 2);
        work.add(3);
        work.set_with(7, "fast");
        work.finish("all judged");
        drop(events.begin(Stage::Scores, None));
        let told = told.lock().unwrap().join("\n");
        let expected = "Started { stage: Judging, total: Some(9), done: 2 }\n\
             Advanced { stage: Judging, done: 5, details: None }\n\
             Advanced { stage: Judging, done: 7, details: Some(\"fast\") }\n\
             Ended { stage: Judging, summary: Some(\"all judged\") }\n\
             Started { stage: Scores, total: None, done: 0 }\n\
             Ended { stage: Scores, summary: None }";
        assert_eq!(told, expected);
    }
}
