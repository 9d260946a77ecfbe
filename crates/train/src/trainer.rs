//! The loop: one for every objective.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::TensorData;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;

use crate::batch::{by_length, epoch_batches};
use crate::checkpoint::{Checkpoints, RunState};
use crate::error::TrainError;
use crate::example::Example;
use crate::reference::{ReferenceCache, reference_logps};
use crate::run::{Event, Outcome, Run};
use crate::run_log::RunLog;
use crate::schedule::Schedule;
use crate::step::{Item, Learner, StepReport};

/// Trains, going on from the run folder's last checkpoint if there is one.
///
/// On the CPU a run that was killed and started again takes the same steps to the last bit.
///
/// # Errors
/// When settings are out of range, there is nothing to learn from, the run folder belongs to
/// another run or cannot be written, the device fails, or the loss is no number any more.
pub fn train(
    model: CausalLm,
    run: &Run<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    run.arguments.validate()?;
    if run.train.is_empty() {
        return Err(TrainError::NoExamples);
    }
    let fits = |example: &Example| example.rejected.is_some() == run.objective.is_pairwise();
    let mut examples = run.train.iter().chain(run.eval);
    if let Some(example) = examples.find(|example| !fits(example)) {
        let id = example.id.clone();
        return Err(TrainError::Unfit { id });
    }
    let evaluates = !run.eval.is_empty();
    if run.arguments.early_stopping_patience > 0 && !(evaluates && run.arguments.eval_steps > 0) {
        return Err(TrainError::Setting {
            key: "early_stopping_patience",
            value: run.arguments.early_stopping_patience.to_string(),
            reason: "stopping early needs evaluation data and eval_steps",
        });
    }
    if run.arguments.load_best_model_at_end && !evaluates {
        return Err(TrainError::Setting {
            key: "load_best_model_at_end",
            value: "true".to_owned(),
            reason: "finding the best model needs evaluation data",
        });
    }
    run.check_folder()?;
    std::fs::create_dir_all(run.output_dir).map_err(TrainError::write(run.output_dir))?;

    // The reference policy is the policy as it starts, so its log-probs come before any step.
    let reference = References::compute(&model, run, on_event)?;
    let mut course = Course::start(model, run, reference, on_event)?;
    while course.state.step < course.total && !course.is_stuck() {
        course.advance(on_event)?;
    }
    course.finish(on_event)
}

/// Reference log-probabilities by example; empty when the objective has no reference.
struct References {
    train: Vec<[f32; 2]>,
    eval: Vec<[f32; 2]>,
}

impl References {
    fn compute(
        model: &CausalLm,
        run: &Run<'_>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, TrainError> {
        if !run.objective.needs_reference() {
            return Ok(Self {
                train: Vec::new(),
                eval: Vec::new(),
            });
        }
        let cache = run.reference_cache.clone().map(|folder| ReferenceCache {
            folder,
            policy: run.policy.clone(),
        });
        let batch_size = run.arguments.per_device_eval_batch_size;
        let total = run.train.len() + run.eval.len();
        let mut compute = |examples: &[Example], before: usize| {
            reference_logps(
                model,
                examples,
                batch_size,
                run.pad,
                cache.as_ref(),
                &mut |done, _| {
                    on_event(Event::Reference {
                        done: before + done,
                        total,
                    });
                },
            )
        };
        Ok(Self {
            train: compute(run.train, 0)?,
            eval: compute(run.eval, run.train.len())?,
        })
    }
}

/// Batches of places as batches of examples with their references.
fn items<'a>(
    examples: &'a [Example],
    references: &[[f32; 2]],
    batches: &[Vec<usize>],
) -> Vec<Vec<Item<'a>>> {
    let item = |&i: &usize| Item {
        example: &examples[i],
        reference: references.get(i).copied(),
    };
    batches
        .iter()
        .map(|batch| batch.iter().map(item).collect())
        .collect()
}

/// A run under way.
struct Course<'a> {
    run: &'a Run<'a>,
    references: References,
    learner: Learner,
    schedule: Schedule,
    total: u64,
    state: RunState,
    checkpoints: Checkpoints,
    log: RunLog,
    /// The batches of the epoch under way.
    epoch: Option<(u64, Vec<Vec<usize>>)>,
    since_log: (Instant, u64),
    last_loss: Option<f64>,
    /// The last step that is on disk.
    saved: Option<u64>,
    evaluated: Option<u64>,
}

impl<'a> Course<'a> {
    fn start(
        mut model: CausalLm,
        run: &'a Run<'a>,
        references: References,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, TrainError> {
        let checkpoints = Checkpoints::new(run.output_dir);
        let last = checkpoints.steps().last().copied();
        let state = match last {
            Some(step) => {
                model = checkpoints.load_model(step, model)?;
                checkpoints.read_state(step)?
            }
            None => RunState {
                fingerprint: run.fingerprint(),
                step: 0,
                pending_steps: 0,
                pending: BTreeMap::new(),
                num_tokens: 0,
                best: None,
                evaluations_since_best: 0,
            },
        };
        let mut learner = Learner::new(
            model,
            run.objective,
            run.arguments.adam(),
            run.arguments.clip(),
            run.pad,
        );
        if let Some(step) = last {
            learner.optimizer = checkpoints.load_optimizer(step, learner.optimizer)?;
            on_event(Event::Resumed { step });
        }
        let total = run.arguments.total_steps(run.train.len());
        let log = RunLog::open(run.output_dir, state.step)?;
        let since_log = (Instant::now(), state.num_tokens);
        let schedule = run.arguments.schedule(total);
        Ok(Self {
            run,
            references,
            learner,
            schedule,
            total,
            state,
            checkpoints,
            log,
            epoch: None,
            since_log,
            last_loss: None,
            saved: last,
            evaluated: None,
        })
    }

    /// One step and whatever is due after it.
    fn advance(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        let micro_batches = self.micro_batches();
        let learning_rate = self.schedule.lr(self.state.step);
        // Dropout draws from the device's generator: seeded by the step, a resumed run draws the same.
        self.learner
            .device()
            .seed(self.run.arguments.seed.wrapping_add(self.state.step));
        let items = items(self.run.train, &self.references.train, &micro_batches);
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
        let arguments = self.run.arguments;
        let (log, evaluate, save) = (
            due(arguments.logging_steps),
            due(arguments.eval_steps),
            // The last checkpoint comes after the last evaluation: whoever finds it has both.
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
        let arguments = self.run.arguments;
        let per_epoch = arguments.steps_per_epoch(self.run.train.len());
        let (epoch, place) = (
            self.state.step / per_epoch,
            (self.state.step % per_epoch) as usize,
        );
        if self.epoch.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let lengths: Vec<usize> = self.run.train.iter().map(Example::length).collect();
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
                .map(|&i| self.run.train[i].id.clone())
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
        self.state.step as f64 / self.run.arguments.steps_per_epoch(self.run.train.len()) as f64
    }

    fn write_log(&mut self) -> Result<(), TrainError> {
        if self.state.pending_steps == 0 {
            return Ok(());
        }
        let steps = self.state.pending_steps as f64;
        let mut values = std::mem::take(&mut self.state.pending);
        values.values_mut().for_each(|sum| *sum /= steps);
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
        if self.run.eval.is_empty() || self.evaluated == Some(self.state.step) {
            return Ok(());
        }
        let started = Instant::now();
        let lengths: Vec<usize> = self.run.eval.iter().map(Example::length).collect();
        let batches = by_length(&lengths, self.run.arguments.per_device_eval_batch_size);
        let items = items(self.run.eval, &self.references.eval, &batches);
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
        values.extend(
            report
                .metrics
                .iter()
                .map(|(name, value)| (format!("eval_{name}"), *value)),
        );
        self.log.write(self.state.step, &values)?;
        on_event(Event::Evaluated {
            step: self.state.step,
            report: &report,
        });
        // The clock of tokens per second stood still while no token was trained on.
        self.since_log.0 += started.elapsed();
        if self.state.best.is_none_or(|(_, best)| report.loss < best) {
            self.state.best = Some((self.state.step, report.loss));
            self.state.evaluations_since_best = 0;
            self.save(on_event)?;
        } else {
            self.state.evaluations_since_best += 1;
        }
        Ok(())
    }

    /// Whether evaluation has not improved for as long as patience lasts.
    fn is_stuck(&self) -> bool {
        let patience = self.run.arguments.early_stopping_patience;
        patience > 0 && self.state.evaluations_since_best >= patience
    }

    fn save(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        if self.saved == Some(self.state.step) {
            return Ok(());
        }
        let parameters = self.learner.model.trained_tensors();
        // A step's loss is of the parameters before it: what it made of them shows here first.
        let finite = |data: &TensorData| data.as_slice().is_ok_and(all_finite);
        if !parameters.iter().all(|(_, data)| finite(data)) {
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
            self.run.arguments.save_total_limit,
            self.state.best.map(|(step, _)| step),
        )?;
        on_event(Event::Saved { path: &path });
        Ok(())
    }

    fn finish(mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        if self.last_loss.is_some() {
            self.write_log()?;
            self.evaluate(on_event)?;
        }
        self.save(on_event)?;
        let best = self.state.best.filter(|(step, _)| {
            self.run.arguments.load_best_model_at_end && *step != self.state.step
        });
        let model = match best {
            Some((step, _)) => self.checkpoints.load_model(step, self.learner.model)?,
            None => self.learner.model,
        };
        Ok(Outcome {
            model,
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
