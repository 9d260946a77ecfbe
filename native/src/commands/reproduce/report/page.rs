//! The page, section by section.

use rarebit_eval::report::{Block, Page, Section};

use super::super::diagnostics::{self, signed};
use super::super::plan::MORE_PROMPTS;
use super::figures::{ABLATION, AGAINST_DIVPO, MAIN};
use super::verdicts::shown;
use super::{Found, Told};

/// The finding of a quick run.
const QUICK: &str = "A quick run, which only shows that everything works. Its numbers and verdicts are meaningless.";

impl Told<'_> {
    /// The page.
    pub(crate) fn page(&self, found: &Found) -> Page {
        let settings = self.settings;
        let mut sections = vec![
            Section {
                title: "The paper's claims".to_owned(),
                blocks: vec![
                    Block::Text(format!(
                        "Each claim is a set of comparisons, fixed before the runs, with the difference that must be \
                         observed. Differences are paired by prompt; their 95 % intervals are bootstrapped over seeds \
                         and over the prompts of each. A comparison is as claimed if its whole interval is. A claim \
                         holds if all its comparisons do, holds in part if only some do and none is contradicted, and \
                         does not hold if the whole interval of any comparison contradicts it. Intervals are not \
                         corrected for multiple comparisons.{}",
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
                         Crosses are 95 % intervals over seeds and prompts, for each system by itself; the differences \
                         of the claims are paired and therefore more precise. Each colour is one kind of weight."
                            .to_owned(),
                    ),
                    Block::ScatterPlots(found.scatter_plots(&MAIN)),
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
                        "The paper's ablation: two pairs of each prompt, with deviation over their four responses. Here \
                         with {MORE_PROMPTS} times as many prompts, so that the number of pairs is the same. With a \
                         floor of 0.1 no response has weight 0; best takes the two best-scored pairs of each prompt."
                    )),
                    Block::ScatterPlots(found.scatter_plots(&ABLATION)),
                ],
            });
        }
        if self.study.system("divpo").is_some() {
            sections.push(Section {
                title: "DivPO".to_owned(),
                blocks: vec![
                    Block::Text(format!(
                        "DivPO (arXiv 2501.18101) selects pairs instead of weighting them: the most deviating of the \
                         best-scored quarter against the least deviating of the worst, two pairs of each prompt. Here \
                         with {MORE_PROMPTS} times as many prompts, so that the number of pairs is the same."
                    )),
                    Block::ScatterPlots(found.scatter_plots(&AGAINST_DIVPO)),
                ],
            });
        }
        sections.push(diagnostics_section(found));
        sections.push(self.all_systems(found));
        sections.push(found.truth());
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
            finding: match self.quick {
                true => vec![QUICK.to_owned()],
                false => found.finding(),
            },
            sections,
            reproduce: vec![self.command()],
            about: self.about(),
        }
    }

    fn controls(&self, found: &Found) -> Section {
        let mut blocks = Vec::new();
        if let Some((equal, seeds)) = self.ones_are_dpo() {
            blocks.push(Block::Text(format!(
                "With every weight 1, ddpo is dpo: the models trained with the weighted and the plain loss are \
                 identical byte for byte with {equal} of {seeds} seeds."
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
}

/// The diagnostics of the results.
fn diagnostics_section(found: &Found) -> Section {
    let mut blocks = vec![
        Block::Text(
            "The effect of the weights on the pairs, over all seeds, before any floor: the share of pairs with weight 0; \
             the effective sample size, (Σw)²/Σw² over the number of pairs; and the true quality of chosen and rejected \
             tales, unweighted and weighted. Where weights are not correlated with quality, the choice of tales does not \
             explain a loss."
                .to_owned(),
        ),
        diagnostics::weights_table(&found.weights),
    ];
    for (baseline, system, mixture) in &found.voices {
        blocks.push(Block::Text(format!(
            "Quality of {system} minus that of {baseline}, decomposed by the voices of their tales (Kitagawa, 1955): {} \
             from different shares of the voices, {} from different quality within each.",
            signed(mixture.composition),
            signed(mixture.within)
        )));
        blocks.push(diagnostics::voices_table(mixture, baseline, system));
    }
    Section {
        title: "Diagnostics".to_owned(),
        blocks,
    }
}

fn few_seeds(seeds: usize) -> &'static str {
    match seeds {
        1 => " With one seed, the intervals cover prompts only.",
        2..=9 => " With so few seeds they are too narrow: see also the results by seed.",
        _ => "",
    }
}
