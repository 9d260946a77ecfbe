//! Ten steps of training against PyTorch, transformers' schedules, peft and TRL (`train.py`).

use std::collections::BTreeMap;

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;
use rarebit_train::schedule::{LrSchedulerType, Schedule};
use rarebit_train::{
    AdamW, Example, Item, Labelled, Learner, LearnsFrom, LossType, Objective, OrpoNll, OrpoWeight,
    PolicyTask, Sequence, StepReport, reference_logps,
};
use serde::Deserialize;

use super::fixture::{TOLERANCE, Tensors, assert_close, json, path};
use super::pairs::{PAD, chosen, examples, model, pairs};

#[derive(Deserialize)]
struct Runs {
    settings: Settings,
    runs: Vec<Run>,
    trl: BTreeMap<String, Trl>,
    schedules: Vec<Rates>,
}

/// What TRL's trainer logged on the same way.
#[derive(Deserialize)]
struct Trl {
    loss: Vec<f32>,
    metrics: BTreeMap<String, Vec<f32>>,
}

#[derive(Deserialize)]
struct Settings {
    beta: f32,
    lambda: f32,
    /// Where log-probabilities are averaged over tokens.
    mean_beta: f32,
    spl_alpha: f32,
    simpo_gamma: f32,
    desirable_weight: f32,
    undesirable_weight: f32,
    steps: u64,
    pairs_per_step: usize,
    order: Vec<usize>,
    learning_rate: f64,
    warmup: u64,
    betas: [f32; 2],
    eps: f32,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    objective: String,
    schedule: String,
    weight_decay: f32,
    accumulation: usize,
    clip: f64,
    train: String,
    reference: String,
    final_parameters: bool,
    loss: Vec<f32>,
    grad_norm: Vec<f32>,
    learning_rate: Vec<f64>,
    chosen_logps: Vec<f32>,
    rejected_logps: Vec<f32>,
    #[serde(default)]
    kl: Vec<f32>,
}

#[derive(Deserialize)]
struct Rates {
    schedule: String,
    warmup: u64,
    steps: u64,
    learning_rate: Vec<f64>,
}

fn kind(name: &str) -> LrSchedulerType {
    name.parse().expect("a schedule of transformers")
}

#[test]
fn learning_rates_are_transformers() {
    for Rates {
        schedule,
        warmup,
        steps,
        learning_rate,
    } in json::<Runs>("train/runs.json").schedules
    {
        let found = Schedule::new(kind(&schedule), 1.0, warmup, steps);
        for (step, expected) in learning_rate.into_iter().enumerate() {
            assert!(
                (found.lr(step as u64) - expected).abs() < 1e-12,
                "{schedule}, warm-up {warmup}, step {step}"
            );
        }
    }
}

/// The objective that the scripts call so.
pub(crate) fn objective(name: &str, beta: f32, lambda: f32) -> Objective {
    let dpo = |weighted| dpo(LossType::Sigmoid, beta, None, weighted);
    let orpo = |weight| Objective::Orpo {
        lambda,
        nll: OrpoNll::Completion,
        weight,
    };
    match name {
        "sft" => Objective::Sft { weighted: false },
        "dpo" => dpo(false),
        "ddpo" => dpo(true),
        "orpo" => orpo(OrpoWeight::None),
        "dorpo" => orpo(OrpoWeight::Paper),
        "dorpo_reference" => orpo(OrpoWeight::Reference),
        other => panic!("no objective is called {other}"),
    }
}

fn dpo(loss_type: LossType, beta: f32, policy_beta: Option<f32>, weighted: bool) -> Objective {
    Objective::Dpo {
        loss_type,
        beta,
        policy_beta,
        weighted,
    }
}

impl Settings {
    /// The objective of `train.py` of this name; a `d` before a variant's means that it is weighted.
    fn objective(&self, name: &str) -> Objective {
        let (variant, weighted) = match name.strip_prefix('d') {
            Some(variant) if name != "dpo" => (variant, true),
            _ => (name, false),
        };
        match variant {
            "hinge" => dpo(LossType::Hinge, self.beta, None, weighted),
            "ipo" => dpo(LossType::Ipo, self.beta, None, weighted),
            "sigmoid_norm" => dpo(LossType::SigmoidNorm, self.mean_beta, None, weighted),
            "spl" => dpo(LossType::Sigmoid, self.beta, Some(self.spl_alpha), weighted),
            "simpo" => Objective::Simpo {
                beta: self.mean_beta,
                gamma: self.simpo_gamma,
                weighted,
            },
            "kto" => Objective::Kto {
                beta: self.beta,
                desirable_weight: self.desirable_weight,
                undesirable_weight: self.undesirable_weight,
                weighted,
            },
            "sft" => Objective::Sft { weighted },
            "orpo_sequence" => Objective::Orpo {
                lambda: self.lambda,
                nll: OrpoNll::Sequence,
                weight: OrpoWeight::None,
            },
            _ => objective(name, self.beta, self.lambda),
        }
    }
}

/// The pairs of each step taken apart, as `train.py` has them: all chosen completions and then all
/// rejected ones, and beside each its prompt with the completion before, in a ring.
fn labelled(settings: &Settings) -> Vec<Example> {
    let pairs = pairs();
    let mut labelled = Vec::new();
    for step in settings.order.chunks(settings.pairs_per_step) {
        let side = |desirable: bool| step.iter().map(move |&i| (i, desirable));
        let rows: Vec<(usize, bool)> = side(true).chain(side(false)).collect();
        let parts = |&(i, desirable): &(usize, bool)| {
            let own = match desirable {
                true => &pairs[i].chosen,
                false => &pairs[i].rejected,
            };
            own.ids.split_at(own.loss_spans[0].start)
        };
        for (place, row) in rows.iter().enumerate() {
            let (prompt, completion) = parts(row);
            let (_, other) = parts(&rows[(place + rows.len() - 1) % rows.len()]);
            labelled.push(Example::Labelled(Labelled {
                id: row.0.to_string(),
                weight: pairs[row.0].weight,
                own: Sequence::completion(prompt, completion),
                mismatched: Sequence::completion(prompt, other),
                desirable: row.1,
            }));
        }
    }
    labelled
}

impl Run {
    /// The policy before the first step.
    fn policy(&self, device: &Device) -> CausalLm {
        let policy = model("policy", device);
        match self.train.as_str() {
            "full" => policy,
            "lora" => {
                policy
                    .with_adapter(&path("train/adapter"))
                    .expect("the adapter fits")
                    .0
            }
            other => panic!("no training is called {other}"),
        }
    }

    /// Log-probabilities of the pairs under the policy that the run starts from or compares with.
    fn reference(&self, examples: &[Example], device: &Device) -> Vec<[f32; 2]> {
        let reference = match self.reference.as_str() {
            "reference" => model("reference", device),
            "base" => model("policy", device),
            "adapter" => self.policy(device),
            other => panic!("no reference is called {other}"),
        };
        reference_logps(&reference, examples, 5, PAD, None, &mut |_, _| {}).expect("computed")
    }

    /// Takes the ten steps, comparing as it goes.
    fn follow(&self, settings: &Settings) -> Vec<StepReport> {
        let device = Device::flex().autodiff();
        let objective = settings.objective(&self.objective);
        let (mut examples, order, per_step) = match objective.learns_from() {
            LearnsFrom::Labelled => {
                let examples = labelled(settings);
                let order = (0..examples.len()).collect();
                (examples, order, 2 * settings.pairs_per_step)
            }
            _ => (examples(), settings.order.clone(), settings.pairs_per_step),
        };
        let reference = self.reference(&examples, &device);
        if objective.learns_from() == LearnsFrom::Completions {
            examples = pairs().into_iter().map(chosen).collect();
        }
        let adam = AdamW {
            adam_beta1: settings.betas[0],
            adam_beta2: settings.betas[1],
            adam_epsilon: settings.eps,
            weight_decay: self.weight_decay,
        };
        let task = PolicyTask {
            objective,
            pad: PAD,
        };
        let mut learner = Learner::new(self.policy(&device), task, adam, Some(self.clip));
        let schedule = Schedule::new(
            kind(&self.schedule),
            settings.learning_rate,
            settings.warmup,
            settings.steps,
        );
        let size = per_step / self.accumulation;

        let mut reports = Vec::new();
        for (step, places) in order.chunks(per_step).enumerate() {
            let item = |&i: &usize| Item {
                example: &examples[i],
                reference: Some(reference[i]),
            };
            let micro_batches: Vec<Vec<Item<'_>>> = places
                .chunks(size)
                .map(|places| places.iter().map(item).collect())
                .collect();
            let rate = schedule.lr(step as u64);
            assert!(
                (rate - self.learning_rate[step]).abs() < 1e-12,
                "{}: step {step}",
                self.name
            );
            reports.push(learner.step(&micro_batches, rate).expect("a step"));
        }
        let close = |what: &str, value: &dyn Fn(&StepReport) -> f64, expected: &[f32]| {
            let found: Vec<f32> = reports.iter().map(|report| value(report) as f32).collect();
            assert_close(
                &format!("{}: {what}", self.name),
                &found,
                expected,
                TOLERANCE,
            );
        };
        close("loss", &|report| report.loss, &self.loss);
        close("gradient norm", &|report| report.grad_norm, &self.grad_norm);
        // ORPO and SimPO log means over tokens, as TRL does; the fixture holds sums.
        let logs_sums = matches!(objective, Objective::Sft { .. } | Objective::Dpo { .. });
        if logs_sums {
            close(
                "chosen",
                &|report| report.metrics["logps/chosen"],
                &self.chosen_logps,
            );
        }
        if matches!(objective, Objective::Dpo { .. }) {
            close(
                "rejected",
                &|report| report.metrics["logps/rejected"],
                &self.rejected_logps,
            );
        }
        if !self.kl.is_empty() {
            close("kl", &|report| report.metrics["kl"], &self.kl);
        }
        if self.final_parameters {
            self.compare_parameters(&learner.model);
        }
        reports
    }

    /// Ten steps of 1e-3 move a parameter by up to 1e-2, all together to 1e-6. A single one may be
    /// further off: AdamW divides by the gradient's own size, so that where a gradient is nearly 0
    /// its rounding decides the direction.
    fn compare_parameters(&self, model: &CausalLm) {
        let expected = Tensors::read(&path(&format!("train/{}.safetensors", self.name)));
        let trained = model.trained_tensors();
        assert_eq!(trained.len(), expected.names().len(), "{}", self.name);
        let (mut found, mut wanted) = (Vec::new(), Vec::new());
        for (name, data) in trained {
            let key = if self.train == "lora" {
                format!("base_model.model.{name}")
            } else {
                name
            };
            let tensor = expected.f32(&key);
            assert_eq!(data.shape().to_vec(), tensor.shape, "{key}");
            found.extend(data.try_to_vec::<f32>().expect("f32"));
            wanted.extend(tensor.values);
        }
        let what = format!("{}: final parameters", self.name);
        assert_close(&what, &found, &wanted, TOLERANCE / 2.0);
        let squares = found
            .iter()
            .zip(&wanted)
            .map(|(found, wanted)| (found - wanted).powi(2));
        let root_mean_square = (squares.sum::<f32>() / found.len() as f32).sqrt();
        assert!(root_mean_square < 1e-6, "{what}: {root_mean_square:.1e}");
    }
}

fn follow(wanted: impl Fn(&Run) -> bool) {
    let Runs { settings, runs, .. } = json("train/runs.json");
    let runs: Vec<&Run> = runs.iter().filter(|run| wanted(run)).collect();
    assert!(!runs.is_empty());
    for run in runs {
        run.follow(&settings);
    }
}

#[test]
fn dpo_and_ddpo_walk_torchs_ten_steps() {
    follow(|run| run.train == "full" && run.objective.ends_with("dpo"));
}

#[test]
fn dpos_variants_and_simpo_walk_torchs_ten_steps() {
    let variants = ["hinge", "ipo", "sigmoid_norm", "simpo", "spl"];
    let plain = |name: &str| variants.contains(&name);
    follow(|run| plain(&run.objective) || run.objective.strip_prefix('d').is_some_and(plain));
}

#[test]
fn kto_walks_torchs_ten_steps_with_and_without_weights() {
    follow(|run| run.objective.ends_with("kto"));
}

#[test]
fn orpo_and_dorpo_walk_torchs_ten_steps() {
    let forms = ["orpo", "orpo_sequence", "dorpo", "dorpo_reference"];
    follow(|run| run.train == "full" && forms.contains(&run.objective.as_str()));
}

#[test]
fn sft_walks_torchs_ten_steps_with_and_without_weights() {
    follow(|run| run.objective.ends_with("sft"));
}

#[test]
fn adapters_walk_pefts_ten_steps() {
    follow(|run| run.train == "lora");
}

/// The trainers themselves: DDPO is TRL's DPO trainer with each pair's loss times its weight, ORPO
/// and DORPO its ORPO trainer likewise, with the NLL over the completion (`trl_peers.py`); SimPO is
/// its CPO trainer without CPO's NLL.
#[test]
fn losses_of_ten_steps_are_those_of_trls_trainers() {
    let Runs {
        settings,
        runs,
        trl,
        ..
    } = json("train/runs.json");
    let variants = ["hinge", "ipo", "sigmoid_norm", "simpo"];
    let weighted = variants.map(|variant| format!("d{variant}"));
    let all = variants
        .iter()
        .copied()
        .chain(weighted.iter().map(String::as_str));
    for objective in all.chain(["kto"]) {
        let name = format!("{objective}-full-constant-decay0-accumulation1");
        let run = runs.iter().find(|run| run.name == name);
        compare(run.expect("a run of that name"), &settings, &trl);
    }
    for objective in ["ddpo", "orpo", "dorpo"] {
        for train in ["full", "lora"] {
            for accumulation in [1, 4] {
                let name =
                    format!("{objective}-{train}-constant-decay0-accumulation{accumulation}");
                let run = runs
                    .iter()
                    .find(|run| run.name == name || run.name == format!("{name}-adapter"));
                compare(run.expect("a run of that name"), &settings, &trl);
            }
        }
    }
    fn compare(run: &Run, settings: &Settings, trl: &BTreeMap<String, Trl>) {
        let reports = run.follow(settings);
        let found: Vec<f32> = reports.iter().map(|report| report.loss as f32).collect();
        let what = format!("{}: TRL's loss", run.name);
        assert_close(&what, &found, &trl[&run.name].loss, TOLERANCE);
    }
}

/// Every metric that TRL logs too has its name and its value.
#[test]
fn metrics_are_trls() {
    let Runs {
        settings,
        runs,
        trl,
        ..
    } = json("train/runs.json");
    let logged = |run: &&Run| {
        trl.get(&run.name)
            .is_some_and(|trl| !trl.metrics.is_empty())
    };
    let mut objectives = Vec::new();
    for run in runs.iter().filter(logged) {
        objectives.push(run.objective.as_str());
        let (reports, metrics) = (run.follow(&settings), &trl[&run.name].metrics);
        let mut compared = 0;
        for (key, expected) in metrics {
            let found = reports
                .iter()
                .map(|report| report.metrics.get(key.as_str()));
            let Some(found) = found.collect::<Option<Vec<_>>>() else {
                continue;
            };
            compared += 1;
            for (step, (&found, &expected)) in found.into_iter().zip(expected).enumerate() {
                // Before the first step a policy that is its own reference wins by rounding alone.
                let undecided = metrics["rewards/margins"][step].abs() < 1e-6;
                if !(key == "rewards/accuracies" && undecided) {
                    let what = format!("{}: {key}, step {step}", run.name);
                    assert_close(&what, &[found as f32], &[expected], TOLERANCE);
                }
            }
        }
        assert!(compared >= 6, "{}: {compared} metrics are TRL's", run.name);
    }
    for objective in [
        "dpo",
        "ddpo",
        "orpo",
        "dorpo",
        "hinge",
        "ipo",
        "sigmoid_norm",
        "simpo",
    ] {
        assert!(objectives.contains(&objective), "{objective}");
    }
}
