//! How the result was made: the command, the settings, the time.

use super::super::claims::LITTLE;
use super::super::diagnostics::percent;
use super::super::plan::{MORE_PROMPTS, Settings};
use super::Told;

impl Told<'_> {
    pub(super) fn command(&self) -> String {
        if self.quick {
            return "rarebit reproduce --quick".to_owned();
        }
        let Settings {
            seeds,
            train_prompts,
            test_prompts,
            samples,
            steps,
            ..
        } = self.settings;
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        format!(
            "rarebit reproduce --seeds {} --train-prompts {train_prompts} --test-prompts {test_prompts} \
             --samples {samples} --steps {steps}",
            seeds.join(" ")
        )
    }

    pub(super) fn about(&self) -> Vec<(String, String)> {
        let settings = self.settings;
        let mut about = vec![
            ("rarebit".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("device".to_owned(), self.device.clone()),
            (
                "system".to_owned(),
                format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            ),
            (
                "training data, per seed".to_owned(),
                format!(
                    "{} prompts with {} tales each; {} with four responses or DivPO",
                    settings.train_prompts,
                    settings.responses,
                    settings.train_prompts * MORE_PROMPTS
                ),
            ),
            (
                "steps".to_owned(),
                format!(
                    "{} of 16 tales (sft), {} of 8 pairs, {} of 16 tales (reward model)",
                    settings.sft_steps, settings.steps, settings.reward_steps
                ),
            ),
            (
                "little".to_owned(),
                format!("{} of the baseline's quality", percent(LITTLE)),
            ),
            (
                "bootstrap resamples".to_owned(),
                settings.resamples.to_string(),
            ),
        ];
        let (mut seconds, mut cpu) = (0.0, Some(0.0));
        for (kind, took) in self.stages.took() {
            seconds += took.seconds;
            cpu = cpu.zip(took.cpu_seconds).map(|(a, b)| a + b);
            about.push((
                match took.stages {
                    1 => format!("{kind}, 1 stage"),
                    stages => format!("{kind}, {stages} stages"),
                },
                times(took.seconds, took.cpu_seconds),
            ));
        }
        about.push(("all stages".to_owned(), times(seconds, cpu)));
        about
    }
}

fn times(seconds: f64, cpu: Option<f64>) -> String {
    let minutes = |seconds: f64| format!("{:.1} min", seconds / 60.0);
    match cpu {
        Some(cpu) => format!(
            "{} elapsed, {} of processor time",
            minutes(seconds),
            minutes(cpu)
        ),
        None => format!("{} elapsed", minutes(seconds)),
    }
}
