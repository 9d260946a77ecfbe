//! The training loop, for every task.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::optim::ModuleOptimizer;
use rarebit_models::Values;
use rarebit_models::lora::Adaptable;

use crate::arguments::TrainingArguments;
use crate::batch::{by_length, epoch_batches};
use crate::checkpoint::{Checkpoints, RunState};
use crate::error::TrainError;
use crate::event::{Event, Outcome};
use crate::run_log::RunLog;
use crate::schedule::{LrSchedulerType, Schedule};
use crate::step::{Learner, StepReport};
use crate::stop::Stop;
use crate::task::{Sample, Task};

/// Everything that a run of the loop needs besides the model.
pub(crate) struct Plan<'a, T: Task> {
    pub(crate) output_dir: &'a Path,
    pub(crate) arguments: &'a TrainingArguments,
    pub(crate) task: T,
    pub(crate) train: Vec<T::Item<'a>>,
    pub(crate) eval: Vec<T::Item<'a>>,
    /// A hash of everything that the results depend on.
    pub(crate) fingerprint: String,
    /// The segment of the learning rate schedule that the run covers.
    pub(crate) segment: Segment,
    /// The initial optimizer; by default a new one.
    pub(crate) optimizer: Option<ModuleOptimizer>,
    /// Asked before every step.
    pub(crate) stop: Stop,
}

/// One of several equally long segments of a learning rate schedule.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) index: u64,
    pub(crate) of: u64,
}

impl Segment {
    /// The whole schedule.
    pub(crate) const WHOLE: Self = Self { index: 0, of: 1 };
}

/// Checks settings and data before anything is computed.
pub(crate) fn check(
    arguments: &TrainingArguments,
    train: usize,
    eval: usize,
) -> Result<(), TrainError> {
    arguments.validate()?;
    if train == 0 {
        return Err(TrainError::NoExamples);
    }
    let evaluates_on_the_way = eval > 0 && arguments.eval_steps > 0;
    let needs = |key, value: String, reason| Err(TrainError::Setting { key, value, reason });
    if arguments.early_stopping_patience > 0 && !evaluates_on_the_way {
        return needs(
            "early_stopping_patience",
            arguments.early_stopping_patience.to_string(),
            "early stopping needs evaluation data and eval_steps",
        );
    }
    if arguments.lr_scheduler_type == LrSchedulerType::ReduceLrOnPlateau && !evaluates_on_the_way {
        return needs(
            "lr_scheduler_type",
            arguments.lr_scheduler_type.to_string(),
            "it needs evaluation data and eval_steps",
        );
    }
    if arguments.load_best_model_at_end && eval == 0 {
        return needs(
            "load_best_model_at_end",
            "true".to_owned(),
            "it needs evaluation data",
        );
    }
    Ok(())
}

/// Trains, resuming from the run folder's last checkpoint if there is one.
pub(crate) fn run<T: Task>(
    model: T::Model,
    plan: Plan<'_, T>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome<T::Model>, TrainError> {
    let output_dir = plan.output_dir;
    std::fs::create_dir_all(output_dir).map_err(TrainError::write(output_dir))?;
    let mut trainer = Trainer::start(model, plan, on_event)?;
    while trainer.state.step < trainer.total && !trainer.is_out_of_patience() {
        if trainer.stop.is_asked() {
            return Err(trainer.stop_here(on_event));
        }
        trainer.advance(on_event)?;
    }
    trainer.finish(on_event)
}

/// Batches of indices as batches of items.
fn batches<I: Copy>(items: &[I], indices: &[Vec<usize>]) -> Vec<Vec<I>> {
    let batch = |indices: &Vec<usize>| indices.iter().map(|&i| items[i]).collect();
    indices.iter().map(batch).collect()
}

/// A run in progress.
struct Trainer<'a, T: Task> {
    arguments: &'a TrainingArguments,
    train: Vec<T::Item<'a>>,
    eval: Vec<T::Item<'a>>,
    learner: Learner<T>,
    schedule: Schedule,
    /// Steps of the schedule before this run.
    steps_before: u64,
    total: u64,
    state: RunState,
    checkpoints: Checkpoints,
    log: RunLog,
    /// The current epoch and its batches.
    epoch: Option<(u64, Vec<Vec<usize>>)>,
    since_log: (Instant, u64),
    last_loss: Option<f64>,
    /// Step of the last checkpoint.
    saved: Option<u64>,
    evaluated: Option<u64>,
    stop: Stop,
}

impl<'a, T: Task> Trainer<'a, T> {
    fn start(
        mut model: T::Model,
        plan: Plan<'a, T>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, TrainError> {
        let Plan {
            output_dir,
            arguments,
            task,
            train,
            eval,
            fingerprint,
            segment,
            optimizer,
            stop,
        } = plan;
        let checkpoints = Checkpoints::new(output_dir);
        let resumed = checkpoints.newest(&mut |path, reason| {
            on_event(Event::DamagedCheckpoint { path, reason });
        })?;
        let last = resumed.as_ref().map(|state| state.step);
        let state = match resumed {
            Some(state) => {
                model = checkpoints.load_model(state.step, model)?;
                state
            }
            None => RunState {
                fingerprint,
                step: 0,
                pending_steps: 0,
                pending: BTreeMap::new(),
                num_tokens: 0,
                best: None,
                evaluations_since_best: 0,
                plateau: arguments.plateau(),
                files: BTreeMap::new(),
            },
        };
        let mut learner = Learner::new(model, task, arguments.adam(), arguments.clip());
        if let Some(optimizer) = optimizer {
            learner.optimizer = optimizer;
        }
        if let Some(step) = last {
            learner.optimizer = checkpoints.load_optimizer(step, learner.optimizer)?;
            on_event(Event::Resumed {
                step,
                is_verified: !state.files.is_empty(),
            });
        }
        let total = arguments.total_steps(train.len());
        let log = RunLog::open(output_dir, state.step)?;
        let since_log = (Instant::now(), state.num_tokens);
        let schedule = arguments.schedule(total.saturating_mul(segment.of));
        Ok(Self {
            arguments,
            train,
            eval,
            learner,
            schedule,
            steps_before: total.saturating_mul(segment.index),
            total,
            state,
            checkpoints,
            log,
            epoch: None,
            since_log,
            last_loss: None,
            saved: last,
            evaluated: None,
            stop,
        })
    }

    /// One step and whatever is due after it: logging, evaluation, a checkpoint.
    fn advance(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        let micro_batches = self.micro_batches();
        let learning_rate = match &self.state.plateau {
            Some(plateau) => plateau.learning_rate,
            None => self.schedule.lr(self.steps_before + self.state.step),
        };
        // Dropout draws from the device's generator. With a seed per step, a resumed run draws the
        // same.
        self.learner
            .device()
            .seed(self.arguments.seed.wrapping_add(self.state.step));
        let items = batches(&self.train, &micro_batches);
        let report = self.learner.step(&items, learning_rate)?;
        self.state.step += 1;
        if !(report.loss.is_finite() && report.grad_norm.is_finite()) {
            return Err(self.not_finite(&report, &micro_batches));
        }
        self.last_loss = Some(report.loss);
        self.state.num_tokens += report.tokens as u64;
        self.collect(&report, learning_rate);
        let seconds = self.since_log.0.elapsed().as_secs_f64().max(1e-9);
        on_event(Event::Step {
            step: self.state.step,
            total: self.total,
            report: &report,
            tokens_per_second: (self.state.num_tokens - self.since_log.1) as f64 / seconds,
        });

        let due = |every: u64| every > 0 && self.state.step.is_multiple_of(every);
        let arguments = self.arguments;
        let (log, evaluate, save) = (
            due(arguments.logging_steps),
            due(arguments.eval_steps),
            // The final checkpoint is written after the final evaluation, so that it implies both.
            due(arguments.save_steps) && self.state.step < self.total,
        );
        if log || self.state.step == self.total {
            self.write_log()?;
        }
        if evaluate {
            self.evaluate(on_event)?;
        }
        if save {
            self.save(on_event)?;
        }
        Ok(())
    }

    fn micro_batches(&mut self) -> Vec<Vec<usize>> {
        let arguments = self.arguments;
        let per_epoch = arguments.steps_per_epoch(self.train.len());
        let (epoch, place) = (
            self.state.step / per_epoch,
            (self.state.step % per_epoch) as usize,
        );
        if self.epoch.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let lengths: Vec<usize> = self.train.iter().map(Sample::length).collect();
            let batches = epoch_batches(
                &lengths,
                arguments.per_device_train_batch_size,
                arguments.seed,
                epoch,
            );
            self.epoch = Some((epoch, batches));
        }
        let batches = self.epoch.as_ref().map_or(&[][..], |(_, batches)| batches);
        let accumulation = arguments.gradient_accumulation_steps;
        batches
            .chunks(accumulation)
            .nth(place)
            .map(<[_]>::to_vec)
            .unwrap_or_default()
    }

    fn not_finite(&self, report: &StepReport, micro_batches: &[Vec<usize>]) -> TrainError {
        TrainError::NotFinite {
            step: self.state.step,
            loss: report.loss,
            grad_norm: report.grad_norm,
            ids: micro_batches
                .iter()
                .flatten()
                .map(|&i| self.train[i].id().to_owned())
                .collect(),
            last_good: self.last_good(),
        }
    }

    fn last_good(&self) -> String {
        match self.saved {
            Some(step) => format!(
                "the last good checkpoint is {}",
                self.checkpoints.path(step).display()
            ),
            None => "there is no checkpoint before it".to_owned(),
        }
    }

    fn collect(&mut self, report: &StepReport, learning_rate: f64) {
        let mut add = |name: &str, value: f64| {
            *self.state.pending.entry(name.to_owned()).or_default() += value
        };
        add("loss", report.loss);
        add("grad_norm", report.grad_norm);
        add("learning_rate", learning_rate);
        for (name, value) in &report.metrics {
            add(name, *value);
        }
        self.state.pending_steps += 1;
    }

    fn epochs(&self) -> f64 {
        self.state.step as f64 / self.arguments.steps_per_epoch(self.train.len()) as f64
    }

    fn write_log(&mut self) -> Result<(), TrainError> {
        if self.state.pending_steps == 0 {
            return Ok(());
        }
        let steps = self.state.pending_steps as f64;
        let mut values = std::mem::take(&mut self.state.pending);
        values.values_mut().for_each(|sum| *sum /= steps);
        self.learner.task.finish_metrics(&mut values);
        self.state.pending_steps = 0;
        let seconds = self.since_log.0.elapsed().as_secs_f64().max(1e-9);
        values.insert(
            "tokens_per_second".to_owned(),
            (self.state.num_tokens - self.since_log.1) as f64 / seconds,
        );
        values.insert("num_tokens".to_owned(), self.state.num_tokens as f64);
        values.insert("epoch".to_owned(), self.epochs());
        self.since_log = (Instant::now(), self.state.num_tokens);
        self.log.write(self.state.step, &values)
    }

    fn evaluate(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        if self.eval.is_empty() || self.evaluated == Some(self.state.step) {
            return Ok(());
        }
        let started = Instant::now();
        let lengths: Vec<usize> = self.eval.iter().map(Sample::length).collect();
        let indices = by_length(&lengths, self.arguments.per_device_eval_batch_size);
        let items = batches(&self.eval, &indices);
        let mut done = 0;
        let report = self.learner.evaluate(&items, |count| {
            done += count;
            on_event(Event::Evaluating {
                done,
                total: lengths.len(),
            });
        })?;
        if !report.loss.is_finite() {
            return Err(TrainError::Diverged {
                step: self.state.step,
                last_good: self.last_good(),
            });
        }
        self.evaluated = Some(self.state.step);
        let mut values = BTreeMap::from([
            ("eval_loss".to_owned(), report.loss),
            ("eval_runtime".to_owned(), started.elapsed().as_secs_f64()),
            ("epoch".to_owned(), self.epochs()),
        ]);
        let metrics = report.metrics.iter();
        let mut metrics = metrics
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        self.learner.task.finish_metrics(&mut metrics);
        values.extend(
            metrics
                .into_iter()
                .map(|(name, value)| (format!("eval_{name}"), value)),
        );
        self.log.write(self.state.step, &values)?;
        on_event(Event::Evaluated {
            step: self.state.step,
            report: &report,
        });
        // The time spent on evaluation does not count towards tokens per second.
        self.since_log.0 += started.elapsed();
        if let Some(plateau) = &mut self.state.plateau {
            plateau.step(report.loss, &self.arguments.lr_scheduler_kwargs);
        }
        if self.state.best.is_none_or(|(_, best)| report.loss < best) {
            self.state.best = Some((self.state.step, report.loss));
            self.state.evaluations_since_best = 0;
            self.save(on_event)?;
        } else {
            self.state.evaluations_since_best += 1;
        }
        Ok(())
    }

    /// Whether early stopping's patience is exhausted.
    fn is_out_of_patience(&self) -> bool {
        let patience = self.arguments.early_stopping_patience;
        patience > 0 && self.state.evaluations_since_best >= patience
    }

    fn save(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        if self.saved == Some(self.state.step) {
            return Ok(());
        }
        let parameters = self.learner.model.trained_values();
        // A step's loss is computed before its update: a broken update shows here first.
        let finite = |values: &Values| values.read().as_slice().is_ok_and(all_finite);
        if !parameters.iter().all(|(_, values)| finite(values)) {
            return Err(TrainError::Diverged {
                step: self.state.step,
                last_good: self.last_good(),
            });
        }
        let path = self
            .checkpoints
            .save(&self.state, &parameters, &self.learner.optimizer)?;
        self.saved = Some(self.state.step);
        self.checkpoints.prune(
            self.state.step,
            self.arguments.save_total_limit,
            self.state.best.map(|(step, _)| step),
        )?;
        on_event(Event::Saved { path: &path });
        Ok(())
    }

    /// Keeps what has been done, and says how to go on.
    fn stop_here(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> TrainError {
        if self.state.step > 0
            && let Err(error) = self.save(on_event)
        {
            return error;
        }
        TrainError::Stopped {
            step: self.state.step,
            checkpoint: self.saved.map(|step| self.checkpoints.path(step)),
        }
    }

    fn finish(
        mut self,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome<T::Model>, TrainError> {
        if self.last_loss.is_some() {
            self.write_log()?;
            self.evaluate(on_event)?;
        }
        self.save(on_event)?;
        let best = self
            .state
            .best
            .filter(|(step, _)| self.arguments.load_best_model_at_end && *step != self.state.step);
        let model = match best {
            Some((step, _)) => {
                self.checkpoints.verified_best(step)?;
                self.checkpoints.load_model(step, self.learner.model)?
            }
            None => self.learner.model,
        };
        Ok(Outcome {
            model,
            optimizer: self.learner.optimizer,
            steps: self.state.step,
            stopped_early: self.state.step < self.total,
            best: self.state.best,
            last_loss: self.last_loss,
        })
    }
}

fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}
