//! The result as a page: claims, figures, tables.

use std::collections::BTreeMap;

use rarebit_eval::Bootstrap;
use rarebit_eval::correlation::Correlation;
use rarebit_eval::evaluation::Interval;
use rarebit_eval::report::{Block, ClaimShown, Page, Plane, PlanePoint, Section};
use rarebit_eval::study::{Claim, Finding, Mixture, Study, Verdict};
use serde_json::{Value, json};

use super::claims::{CLAIMS, CONTROLS, LITTLE};
use super::pipeline::SeedRun;
use super::plan::{MORE_PROMPTS, Settings, System};
use super::rewards::REWARD;
use super::stages::Stages;
use super::why::{self, Weights, signed};
use crate::tale_world::GOLD;

/// A number that the page shows.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
}

const fn metric(name: &'static str, label: &'static str) -> Metric {
    Metric { name, label }
}

/// The numbers of the page, in the order of its tables.
pub(super) static METRICS: [Metric; 8] = [
    metric("quality", "quality"),
    metric(REWARD, "reward"),
    metric("semantic_diversity", "semantic diversity"),
    metric("style_diversity", "style diversity"),
    metric("modes", "effective modes"),
    metric("plots", "effective plots"),
    metric("voices", "effective voices"),
    metric("legible", "legible"),
];

/// What is asked of the embedded measures: do they go with the truth?
const CORRELATED: [(&str, &str); 5] = [
    (REWARD, "quality"),
    ("semantic_diversity", "plots"),
    ("semantic_diversity", "modes"),
    ("style_diversity", "voices"),
    ("style_diversity", "modes"),
];

/// The main systems, as in the paper's main figure; each with its colour.
const MAIN: [(&str, usize); 10] = [
    (GOLD, 0),
    ("sft", 5),
    ("dpo", 2),
    ("ddpo-sem", 3),
    ("ddpo-style", 4),
    ("ddpo-both", 1),
    ("orpo", 2),
    ("dorpo-sem", 3),
    ("dorpo-style", 4),
    ("dorpo-both", 1),
];
const ABLATION: [(&str, usize); 7] = [
    ("dpo", 2),
    ("ddpo-both", 1),
    ("dpo-4", 7),
    ("ddpo-both-4", 4),
    ("ddpo-both-4-floor", 3),
    ("dpo-4-best", 5),
    ("ddpo-both-4-best", 6),
];
const AGAINST_DIVPO: [(&str, usize); 4] = [("sft", 5), ("dpo", 2), ("ddpo-both", 1), ("divpo", 7)];
/// Whose difference in quality is taken apart: baseline and system.
const TAKEN_APART: [(&str, &str); 2] = [("dpo", "ddpo-both"), ("ddpo-both", "ddpo-both-4")];
const BASELINE: &str = "dpo";

/// Everything that the page tells of.
pub(super) struct Told<'a> {
    pub(super) settings: &'a Settings,
    pub(super) systems: &'a [&'static System],
    pub(super) study: &'a Study,
    pub(super) seeds: &'a BTreeMap<u64, SeedRun>,
    pub(super) stages: &'a Stages,
    pub(super) device: String,
    /// Whether the run is too small to mean anything.
    pub(super) quick: bool,
}

/// A claim with what became of it.
struct Judged {
    claim: &'static Claim<'static>,
    verdict: Verdict,
    findings: Vec<Finding>,
}

/// What was computed once for all forms of the result.
pub(super) struct Found {
    claims: Vec<Judged>,
    controls: Vec<Judged>,
    /// Of each system, each metric's interval.
    intervals: BTreeMap<(&'static str, &'static str), Interval>,
    correlations: Vec<(&'static str, &'static str, Correlation)>,
    weights: Vec<Weights>,
    /// Of each pair of systems in [`TAKEN_APART`] that was made.
    voices: Vec<(&'static str, &'static str, Mixture)>,
}

impl Told<'_> {
    fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            resamples: self.settings.resamples,
            confidence: 0.95,
            seed: self.settings.seeds.first().copied().unwrap_or_default(),
        }
    }

    /// Judges every claim that the systems at hand allow, and makes every interval.
    pub(super) fn found(&self) -> anyhow::Result<Found> {
        let bootstrap = self.bootstrap();
        let judged = |claims: &'static [Claim<'static>]| {
            claims
                .iter()
                .filter_map(|claim| {
                    let (verdict, findings) = claim.judge(self.study, &bootstrap)?;
                    Some(Judged {
                        claim,
                        verdict,
                        findings,
                    })
                })
                .collect()
        };
        let mut intervals = BTreeMap::new();
        for system in self.systems {
            for metric in &METRICS {
                let found = self.study.interval(system.name, metric.name, &bootstrap);
                intervals.extend(found.map(|found| ((system.name, metric.name), found)));
            }
        }
        let correlations = CORRELATED
            .iter()
            .filter_map(|(x, y)| Some((*x, *y, self.study.correlation(x, y, &bootstrap)?)));
        let mut voices = Vec::new();
        for (baseline, system) in TAKEN_APART {
            let found = why::by_voice(self.seeds, baseline, system)?;
            voices.extend(found.map(|found| (baseline, system, found)));
        }
        Ok(Found {
            claims: judged(&CLAIMS),
            controls: judged(&CONTROLS),
            intervals,
            correlations: correlations.collect(),
            weights: why::weights(self.seeds)?,
            voices,
        })
    }

    /// The page.
    pub(super) fn page(&self, found: &Found) -> Page {
        let settings = self.settings;
        let mut sections = vec![
            Section {
                title: "The paper's claims".to_owned(),
                blocks: vec![
                    Block::Text(format!(
                        "Each claim is a set of comparisons, written down before the runs, with the difference that \
                         must be seen. Differences are paired by prompt; their 95 % intervals are bootstrapped over \
                         seeds and over the prompts of each. A comparison is as claimed when its whole interval is. \
                         A claim holds when all its comparisons do, in part when only some do and none is refuted, \
                         and does not hold when the whole interval of one lies where the claim says it does not. \
                         Intervals are not corrected for their number.{}",
                        few_seeds(settings.seeds.len())
                    )),
                    Block::Claims(shown(&found.claims)),
                ],
            },
            Section {
                title: "Quality and diversity".to_owned(),
                blocks: vec![
                    Block::Text(
                        "The paper's main figure. Up is better, right is more diverse; the dashed lines meet at dpo. \
                         Crosses are 95 % intervals over seeds and prompts, each system for itself; the claims' \
                         differences are paired and therefore sharper. One colour is one kind of weight."
                            .to_owned(),
                    ),
                    Block::Planes(self.planes(found, &MAIN)),
                ],
            },
        ];
        let controls = self.controls(found);
        if !controls.blocks.is_empty() {
            sections.push(controls);
        }
        if self.study.system("ddpo-both-4").is_some() {
            sections.push(Section {
                title: "Few responses per prompt".to_owned(),
                blocks: vec![
                    Block::Text(format!(
                        "The paper's ablation: two pairs of each prompt, and deviation over their four responses. Here \
                         from {MORE_PROMPTS} times as many prompts, so that the pairs are as many. With a floor of 0.1 \
                         no response weighs nothing; best takes the two best-scored of each prompt's pairs."
                    )),
                    Block::Planes(self.planes(found, &ABLATION)),
                ],
            });
        }
        if self.study.system("divpo").is_some() {
            sections.push(Section {
                title: "DivPO".to_owned(),
                blocks: vec![
                    Block::Text(format!(
                        "DivPO (arXiv 2501.18101) chooses pairs in place of weighing them: the most deviating of the \
                         best-scored quarter against the least deviating of the worst, two pairs of each prompt. Here \
                         from {MORE_PROMPTS} times as many prompts, so that its pairs are as many as the others'."
                    )),
                    Block::Planes(self.planes(found, &AGAINST_DIVPO)),
                ],
            });
        }
        sections.push(behind(found));
        sections.push(self.all_systems(found));
        sections.push(self.truth(found));
        sections.push(self.by_seed());
        Page {
            title: "The paper in miniature".to_owned(),
            scope: format!(
                "{} systems · {} · {} held-out prompts and {} samples to each, per seed",
                self.systems.len(),
                match settings.seeds.len() {
                    1 => "1 seed".to_owned(),
                    seeds => format!("{seeds} seeds"),
                },
                settings.test_prompts,
                settings.samples
            ),
            finding: self.finding(found),
            sections,
            reproduce: vec![self.command()],
            about: self.about(),
        }
    }

    fn finding(&self, found: &Found) -> Vec<String> {
        let named = |verdict: Verdict| -> Vec<String> {
            found
                .claims
                .iter()
                .filter(|judged| judged.verdict == verdict)
                .map(|judged| format!("“{}”", judged.claim.statement))
                .collect()
        };
        let (holds, part, open, fails) = (
            named(Verdict::Holds),
            named(Verdict::InPart),
            named(Verdict::NotEstablished),
            named(Verdict::Contradicted),
        );
        if self.quick {
            return vec![
                "A quick run: it shows that everything runs. Its numbers and verdicts mean nothing."
                    .to_owned(),
            ];
        }
        let mut sentences = vec![format!(
            "Of {} claims {} hold here, {} in part, {} are not established, {} do not hold.",
            found.claims.len(),
            holds.len(),
            part.len(),
            open.len(),
            fails.len()
        )];
        for (what, names) in [
            ("Holds", holds),
            ("Holds in part", part),
            ("Not established", open),
            ("Does not hold", fails),
        ] {
            if !names.is_empty() {
                sentences.push(format!("{what}: {}.", names.join(", ")));
            }
        }
        sentences
    }

    /// Quality against each diversity, and against the truth.
    fn planes(&self, found: &Found, systems: &[(&'static str, usize)]) -> Vec<Plane> {
        ["semantic_diversity", "style_diversity", "modes"]
            .into_iter()
            .map(|x| Plane {
                title: format!("quality against {}", label(x)),
                x_label: label(x).to_owned(),
                y_label: "quality".to_owned(),
                points: systems
                    .iter()
                    .filter_map(|(name, colour)| {
                        Some(PlanePoint {
                            name: (*name).to_owned(),
                            colour: *colour,
                            x: *found.intervals.get(&(*name, x))?,
                            y: *found.intervals.get(&(*name, "quality"))?,
                            is_baseline: *name == BASELINE,
                        })
                    })
                    .collect(),
            })
            .collect()
    }

    fn controls(&self, found: &Found) -> Section {
        let mut blocks = Vec::new();
        if let Some((equal, seeds)) = self.ones_are_dpo() {
            blocks.push(Block::Text(format!(
                "With every weight 1, ddpo is dpo: the model that the weighted loss made is byte for byte the one that \
                 the plain loss made with {equal} of {seeds} seeds."
            )));
        }
        if !found.controls.is_empty() {
            blocks.push(Block::Claims(shown(&found.controls)));
        }
        Section {
            title: "Controls".to_owned(),
            blocks,
        }
    }

    /// With how many seeds the weights of `ddpo-ones` are those of `dpo`, and of how many.
    fn ones_are_dpo(&self) -> Option<(usize, usize)> {
        let pairs: Vec<bool> = self
            .seeds
            .values()
            .filter_map(|run| {
                let (ones, dpo) = (run.made.get("ddpo-ones")?, run.made.get(BASELINE)?);
                Some(ones.model == dpo.model)
            })
            .collect();
        let equal = pairs.iter().filter(|equal| **equal).count();
        (!pairs.is_empty()).then_some((equal, pairs.len()))
    }

    fn all_systems(&self, found: &Found) -> Section {
        let mut columns = vec!["system".to_owned()];
        columns.extend(METRICS.iter().map(|metric| metric.label.to_owned()));
        columns.push("what it is".to_owned());
        let rows = self.systems.iter().map(|system| {
            let mut row = vec![system.name.to_owned()];
            row.extend(METRICS.iter().map(|metric| {
                found
                    .intervals
                    .get(&(system.name, metric.name))
                    .map_or_else(String::new, cell)
            }));
            row.push(system.about.to_owned());
            row
        });
        Section {
            title: "All systems".to_owned(),
            blocks: vec![
                Block::Text(
                    "Means with 95 % intervals over seeds and prompts. Quality, modes, plots, voices and legibility are \
                     read by the oracle, by rules; reward is that of a model which \
                     learned the votes of the first seed's training tales, on the transformed score's scale: a mode is a plot told in a voice, effective numbers are exp(entropy) \
                     among a prompt's samples, a tale is legible when it has both. The diversities are mean distances \
                     by the built-in embedders."
                        .to_owned(),
                ),
                Block::Table {
                    columns,
                    rows: rows.collect(),
                },
            ],
        }
    }

    fn truth(&self, found: &Found) -> Section {
        let columns = ["measure", "truth", "Pearson's r", "Spearman's ρ", "runs"];
        let rows = found.correlations.iter().map(|(x, y, correlation)| {
            vec![
                label(x).to_owned(),
                label(y).to_owned(),
                cell(&correlation.pearson),
                cell(&correlation.spearman),
                correlation.points.to_string(),
            ]
        });
        Section {
            title: "Does the measure see the truth?".to_owned(),
            blocks: vec![
                Block::Text(
                    "How a measure that needs no truth goes with what the oracle reads, over all systems and seeds; a \
                     run is one point. Intervals are over runs, as if they were independent, which runs of one system \
                     or one seed are not."
                        .to_owned(),
                ),
                Block::Table {
                    columns: columns.map(str::to_owned).to_vec(),
                    rows: rows.collect(),
                },
            ],
        }
    }

    fn by_seed(&self) -> Section {
        let seeds = self.study.seeds();
        let shown = ["quality", "semantic_diversity", "style_diversity", "modes"];
        let mut columns = vec!["system".to_owned()];
        for metric in shown {
            columns.extend(
                seeds
                    .iter()
                    .map(|seed| format!("{}, {seed}", label(metric))),
            );
        }
        let rows = self.systems.iter().map(|system| {
            let mut row = vec![system.name.to_owned()];
            for metric in shown {
                row.extend(seeds.iter().map(|seed| {
                    let mean = self.study.mean(system.name, *seed, metric);
                    mean.map_or_else(String::new, |mean| format!("{mean:.3}"))
                }));
            }
            row
        });
        Section {
            title: "Seed by seed".to_owned(),
            blocks: vec![Block::Table {
                columns,
                rows: rows.collect(),
            }],
        }
    }

    fn command(&self) -> String {
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

    fn about(&self) -> Vec<(String, String)> {
        let settings = self.settings;
        let mut about = vec![
            ("rarebit".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("device".to_owned(), self.device.clone()),
            (
                "system".to_owned(),
                format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            ),
            (
                "to learn from, per seed".to_owned(),
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
                format!("{} of the baseline's quality", why::percent(LITTLE)),
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

    /// Numbers and verdicts for programs.
    pub(super) fn json(&self, found: &Found) -> Value {
        let claims = |judged: &[Judged]| -> Vec<Value> {
            judged
                .iter()
                .map(|judged| {
                    json!({
                        "statement": judged.claim.statement,
                        "criterion": judged.claim.criterion,
                        "verdict": judged.verdict,
                        "findings": judged.findings,
                    })
                })
                .collect()
        };
        let mut systems: BTreeMap<&str, BTreeMap<&str, &Interval>> = BTreeMap::new();
        for ((system, metric), interval) in &found.intervals {
            systems.entry(system).or_default().insert(metric, interval);
        }
        let correlations = found.correlations.iter().map(
            |(x, y, correlation)| json!({"measure": x, "truth": y, "correlation": correlation}),
        );
        json!({
            "rarebit": env!("CARGO_PKG_VERSION"),
            "settings": self.settings,
            "claims": claims(&found.claims),
            "controls": claims(&found.controls),
            "weights_of_1_are_dpo": self.ones_are_dpo().map(|(equal, seeds)| json!({"seeds": seeds, "equal": equal})),
            "systems": systems,
            "correlations": correlations.collect::<Vec<_>>(),
        })
    }
}

/// What lies behind the results.
fn behind(found: &Found) -> Section {
    let mut blocks = vec![
        Block::Text(
            "What the weights do to the pairs, over all seeds, before any floor: how many weigh nothing; the effective \
             share, (Σw)²/Σw² over the number of pairs; and the true quality of chosen and rejected tales, plain and \
             weighed. Where weights do not go with quality, what is lost is not lost to the choice of tales."
                .to_owned(),
        ),
        why::weights_table(&found.weights),
    ];
    for (baseline, system, mixture) in &found.voices {
        blocks.push(Block::Text(format!(
            "Quality of {system} minus that of {baseline}, taken apart by the voices of their tales (Kitagawa, 1955): {} \
             because of other shares of the voices, {} because of other quality within each.",
            signed(mixture.composition),
            signed(mixture.within)
        )));
        blocks.push(why::voices_table(mixture, baseline, system));
    }
    Section {
        title: "What lies behind".to_owned(),
        blocks,
    }
}

fn label(metric: &str) -> &'static str {
    let known = METRICS.iter().find(|known| known.name == metric);
    known.map_or("", |known| known.label)
}

fn few_seeds(seeds: usize) -> &'static str {
    match seeds {
        1 => " With one seed the intervals tell of prompts only.",
        2..=9 => " So few seeds make them too narrow: read the table of seeds beside them.",
        _ => "",
    }
}

fn shown(judged: &[Judged]) -> Vec<ClaimShown> {
    judged
        .iter()
        .map(|judged| ClaimShown {
            statement: judged.claim.statement.to_owned(),
            verdict: judged.verdict,
            criterion: judged.claim.criterion.to_owned(),
            findings: judged.findings.iter().map(row).collect(),
        })
        .collect()
}

fn row(finding: &Finding) -> [String; 4] {
    let interval = finding.difference.interval;
    let as_claimed = match finding.verdict {
        Verdict::Holds => "yes",
        Verdict::Contradicted => "no, the contrary",
        Verdict::InPart | Verdict::NotEstablished => "not established",
    };
    let limit = match (finding.below, finding.bound) {
        (true, _) => "below 0".to_owned(),
        (false, 0.0) => "above 0".to_owned(),
        (false, bound) => format!("above {}", signed(bound)),
    };
    [
        format!("{} - {}", finding.system, finding.baseline),
        label(&finding.metric).to_owned(),
        format!(
            "{} [{}, {}]",
            signed(interval.mean),
            signed(interval.low),
            signed(interval.high)
        ),
        format!("{as_claimed} ({limit})"),
    ]
}

fn cell(value: &Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", value.mean, value.low, value.high).replace('-', "−")
}

fn times(seconds: f64, cpu: Option<f64>) -> String {
    let minutes = |seconds: f64| format!("{:.1} min", seconds / 60.0);
    match cpu {
        Some(cpu) => format!(
            "{} by the clock, {} of processors",
            minutes(seconds),
            minutes(cpu)
        ),
        None => format!("{} by the clock", minutes(seconds)),
    }
}
