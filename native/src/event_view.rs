//! What a run shows while it goes on: its events as bars and notes.

use std::sync::{Mutex, OnceLock, PoisonError};

use rarebit_pipeline::{Event, Events, Stage};

use crate::progress::{self, Progress};

/// Events that are shown on standard error.
pub(crate) fn events() -> Events {
    // There is one screen, so there is one view of it.
    static EVENTS: OnceLock<Events> = OnceLock::new();
    let open = || {
        let view = Mutex::new(View::default());
        Events::new(move |event| {
            let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
            view.show(event);
        })
    };
    EVENTS.get_or_init(open).clone()
}

/// The bars that are on the screen.
#[derive(Default)]
struct View {
    /// Stages of the pipeline, the innermost last.
    stages: Vec<(Stage, Progress)>,
    training: Option<(Phase, Progress)>,
    preparing: Option<(rarebit_data::Stage, Progress)>,
}

/// Whether preparing data goes on behind it.
fn is_part_of_preparing(event: &Event<'_>) -> bool {
    match event {
        Event::Preparing(_) => true,
        Event::Started { stage, .. }
        | Event::Advanced { stage, .. }
        | Event::Ended { stage, .. } => matches!(stage, Stage::Embedding | Stage::Surprise),
        _ => false,
    }
}

/// What a trainer is doing.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Reference,
    Training,
    Evaluating,
}

impl View {
    fn show(&mut self, event: &Event<'_>) {
        // A bar of one thing goes before that of another comes.
        if !matches!(event, Event::Training(_)) {
            self.training = None;
        }
        if !is_part_of_preparing(event) {
            self.preparing = None;
        }
        match event {
            Event::Started { stage, total, done } => {
                let bar = match total {
                    Some(total) => progress::bar(*total, stage.as_str()),
                    None => progress::spinner(stage.as_str()),
                };
                bar.start_at(*done);
                self.stages.push((*stage, bar));
            }
            Event::Advanced {
                stage,
                done,
                details,
            } => {
                let bar = self.stages.iter().rev().find(|(it, _)| it == stage);
                if let Some((_, bar)) = bar {
                    if let Some(details) = details {
                        bar.set_message(*details);
                    }
                    bar.set_position(*done);
                }
            }
            Event::Ended { stage, summary } => {
                let Some(place) = self.stages.iter().rposition(|(it, _)| it == stage) else {
                    return;
                };
                let (_, bar) = self.stages.remove(place);
                if let Some(summary) = summary {
                    bar.finish(summary);
                }
            }
            Event::Training(event) => self.show_training(event),
            Event::Preparing(step) => self.show_preparing(*step),
            Event::Prepared => self.preparing = None,
            Event::Note(line) => progress::note(line),
            _ => {}
        }
    }

    fn show_preparing(&mut self, step: rarebit_data::Progress) {
        if self
            .preparing
            .as_ref()
            .is_none_or(|(it, _)| *it != step.stage)
        {
            // The old bar goes before the new one comes.
            self.preparing = None;
            let bar = progress::bar(step.total, step.stage.as_str());
            self.preparing = Some((step.stage, bar));
        }
        if let Some((_, bar)) = &self.preparing {
            bar.set_position(step.done);
        }
    }

    fn show_training(&mut self, event: &rarebit_train::Event<'_>) {
        use rarebit_train::Event;
        match event {
            Event::Reference { done, total } => {
                let (done, total) = (*done as u64, *total as u64);
                self.bar(Phase::Reference, done, total, "reference log-probs");
            }
            Event::Resumed { step, is_verified } => {
                let unverified = match is_verified {
                    true => "",
                    false => "; it is of an older version, without hashes that show damage",
                };
                progress::note(&format!(
                    "resuming from the checkpoint of step {step}{unverified}"
                ));
            }
            Event::DamagedCheckpoint { path, reason } => progress::note(&format!(
                "{} is damaged ({reason}): its checkpoint is left out",
                path.display()
            )),
            Event::Step {
                step,
                total,
                report,
                tokens_per_second,
            } => {
                let metric = |name: &str| report.metrics.get(name).copied();
                let mut details = format!("loss {:.4}", report.loss);
                if let (Some(margin), Some(accuracy)) =
                    (metric("rewards/margins"), metric("rewards/accuracies"))
                {
                    details += &format!("  margin {margin:.3}  accuracy {accuracy:.2}");
                }
                details += &format!("  {tokens_per_second:.0} tokens/s");
                self.bar(Phase::Training, *step, *total, "training")
                    .set_message(details);
            }
            Event::Evaluating { done, total } => {
                let (done, total) = (*done as u64, *total as u64);
                self.bar(Phase::Evaluating, done, total, "evaluating");
            }
            Event::Evaluated { step, report } => {
                self.training = None;
                let accuracy = report.metrics.get("rewards/accuracies");
                let accuracy = accuracy.map_or(String::new(), |accuracy| {
                    format!(", accuracy {accuracy:.3}")
                });
                progress::note(&format!(
                    "step {step}: evaluation loss {:.4}{accuracy}",
                    report.loss
                ));
            }
            Event::Saved { .. } => {}
        }
    }

    /// The phase's bar, at `done`.
    fn bar(&mut self, phase: Phase, done: u64, total: u64, what: &str) -> &Progress {
        if self.training.as_ref().is_none_or(|(it, _)| *it != phase) {
            self.training = None;
        }
        let (_, bar) = self.training.get_or_insert_with(|| {
            let bar = progress::bar(total, what);
            bar.start_at(done.saturating_sub(1));
            (phase, bar)
        });
        bar.set_position(done);
        bar
    }
}
