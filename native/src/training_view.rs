//! What a training run shows while it goes on.

use rarebit_train::Event;

use crate::progress::{self, Progress};

/// The bar of the stage that a run is in.
#[derive(Default)]
pub(crate) struct View {
    stage: Option<(Stage, Progress)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Reference,
    Training,
    Evaluating,
}

impl View {
    /// Shows what has happened.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Reference { done, total } => {
                let (done, total) = (*done as u64, *total as u64);
                self.bar(Stage::Reference, done, total, "reference log-probs");
            }
            Event::Resumed { step } => {
                progress::note(&format!("going on from the checkpoint of step {step}"))
            }
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
                self.bar(Stage::Training, *step, *total, "training")
                    .set_message(details);
            }
            Event::Evaluating { done, total } => {
                let (done, total) = (*done as u64, *total as u64);
                self.bar(Stage::Evaluating, done, total, "evaluating");
            }
            Event::Evaluated { step, report } => {
                self.stage = None;
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

    /// The stage's bar, at `done`.
    fn bar(&mut self, stage: Stage, done: u64, total: u64, what: &str) -> &Progress {
        let is_new = self
            .stage
            .as_ref()
            .is_none_or(|(current, _)| *current != stage);
        if is_new {
            // The old bar goes before the new one comes.
            self.stage = None;
        }
        let (_, bar) = self.stage.get_or_insert_with(|| {
            let bar = progress::bar(total, what);
            bar.start_at(done.saturating_sub(1));
            (stage, bar)
        });
        bar.set_position(done);
        bar
    }
}
