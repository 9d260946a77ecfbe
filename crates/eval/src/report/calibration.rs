//! The page of a reward model: its accuracy and the calibration of its rewards.

use maud::{DOCTYPE, Markup, html};

use super::document::{Block, Section};
use super::format::{coordinate as at, count, fixed, interval};
use super::page::facts;
use super::scale::Axis;
use super::section;
use crate::evaluation::Interval;
use crate::html::{Assets, finish};
use crate::reward::{CalibrationBin, RewardEvaluation};

const STYLE: &str = include_str!("assets/report.css");
const SIZE: f64 = 420.0;
const LEFT: f64 = 58.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = SIZE - 14.0;
const BOTTOM: f64 = SIZE - 48.0;

/// The accuracy of a reward model as one self-contained HTML document. `about` is its provenance.
#[must_use]
pub fn render_reward(
    title: &str,
    evaluation: &RewardEvaluation,
    about: &[(String, String)],
) -> String {
    let assets = Assets::new(STYLE, "");
    finish(html! {
        (DOCTYPE) "\n"
        html lang="en" { "\n"
            head { "\n"
                meta charset="utf-8"; "\n"
                (assets.policy()) "\n"
                meta name="viewport" content="width=device-width, initial-scale=1"; "\n"
                meta name="color-scheme" content="light dark"; "\n"
                meta name="referrer" content="no-referrer"; "\n"
                title { (title) } "\n"
                (assets.elements()) "\n"
            } "\n"
            body { "\n"
                header { "\n"
                    div.bar { span.brand { "rarebit reward" } } "\n"
                    h1 dir="auto" { (title) } "\n"
                    p.scope {
                        (count(evaluation.prompts)) " prompts, "
                        (count(evaluation.responses)) " responses with a score"
                    } "\n"
                } "\n"
                main { "\n"
                    section {
                        h2 { "Accuracy" } "\n"
                        (numbers(evaluation))
                        p.note {
                            "95\u{202f}% bootstrap intervals over prompts (" (count(evaluation.resamples))
                            " resamples, seed " (evaluation.seed) "). Of two responses \
                             to one prompt with different scores, the better one should have the higher reward; equal rewards count half. \
                             A model that has learned nothing gives every response the median score."
                        }
                    } "\n"
                    section {
                        h2 { "Calibration" } "\n"
                        div.planes { (plot(&evaluation.calibration)) } "\n"
                        p.note {
                            "Responses sorted by reward, a tenth of them per point: their mean score against their mean reward, \
                             with 95\u{202f}% intervals by standard error. On the dashed line, the mean score equals the reward."
                        }
                    } "\n"
                    section { h2 { "About" } (facts(about)) } "\n"
                } "\n"
                footer {
                    p { "One file, nothing fetched. Made with rarebit " (env!("CARGO_PKG_VERSION")) "." }
                } "\n"
            } "\n"
        } "\n"
    })
}

fn numbers(evaluation: &RewardEvaluation) -> Markup {
    let cell = |found: Option<&Interval>| {
        found.map_or_else(
            || "–".to_owned(),
            |found| {
                format!(
                    "{} {}",
                    fixed(found.mean, 3),
                    interval(found.low, found.high, 3)
                )
            },
        )
    };
    let pairs = &evaluation.pairs;
    let rows = [
        ("Mean absolute error", cell(Some(&evaluation.mae))),
        (
            "Mean absolute error of the median",
            fixed(evaluation.mae_of_median, 3),
        ),
        ("Spearman’s correlation", cell(evaluation.spearman.as_ref())),
        (
            "Spearman’s correlation within a prompt",
            cell(evaluation.spearman_within_prompt.as_ref()),
        ),
        ("Pair accuracy", cell(evaluation.pair_accuracy.as_ref())),
        (
            "Pairs of different scores",
            count((pairs.right + pairs.wrong + pairs.tied_rewards) as usize),
        ),
        ("Pairs of equal scores", count(pairs.tied_scores as usize)),
    ];
    section::section(&Section {
        title: "Accuracy".to_owned(),
        blocks: vec![Block::Table {
            columns: ["", "value"].map(str::to_owned).to_vec(),
            rows: rows
                .into_iter()
                .map(|(name, value)| vec![name.to_owned(), value])
                .collect(),
        }],
    })
}

/// Mean score against mean reward, on one scale for both.
fn plot(bins: &[CalibrationBin]) -> Markup {
    let ends = bins
        .iter()
        .flat_map(|bin| [bin.mean_reward, bin.low, bin.mean_score, bin.high]);
    let Some(axis) = Axis::covering(ends, 5) else {
        return html! { p.absent { "No response has a score." } "\n" };
    };
    let x = |value: f64| at(axis.place(value, LEFT, RIGHT));
    let y = |value: f64| at(axis.place(value, BOTTOM, TOP));
    let spoken: Vec<String> = bins
        .iter()
        .map(|bin| {
            format!(
                "reward {}: score {} {}",
                fixed(bin.mean_reward, 2),
                fixed(bin.mean_score, 2),
                interval(bin.low, bin.high, 2)
            )
        })
        .collect();
    html! {
        figure {
            figcaption { "Calibration" }
            svg viewBox={ "0 0 " (SIZE) " " (SIZE) } role="img" aria-label=(spoken.join(". ")) {
                @for &tick in &axis.ticks {
                    path class="grid" d={
                        "M" (x(tick)) " " (at(TOP)) "V" (at(BOTTOM)) "M" (at(LEFT)) " " (y(tick)) "H" (at(RIGHT))
                    } {}
                    text class="tick" x=(x(tick)) y=(at(BOTTOM + 17.0)) text-anchor="middle" { (axis.label(tick)) }
                    text class="tick" x=(at(LEFT - 7.0)) y=(y(tick)) dy="4" text-anchor="end" { (axis.label(tick)) }
                }
                text class="axis" x=(at(RIGHT)) y=(at(SIZE - 8.0)) text-anchor="end" { "mean reward →" }
                text class="axis" transform={ "translate(13 " (at(TOP)) ") rotate(-90)" } text-anchor="end" {
                    "mean score →"
                }
                path class="sight" d={
                    "M" (x(axis.low)) " " (y(axis.low)) "L" (x(axis.high)) " " (y(axis.high))
                } {}
                g class="s1" {
                    @for bin in bins {
                        path class="cross" d={ "M" (x(bin.mean_reward)) " " (y(bin.low)) "V" (y(bin.high)) } {}
                        circle cx=(x(bin.mean_reward)) cy=(y(bin.mean_score)) r="5" {}
                    }
                }
            }
        } "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bootstrap;
    use crate::reward::{Judged, evaluate_reward};

    #[test]
    fn the_page_shows_every_bin_and_escapes_its_title() {
        let prompts: Vec<Vec<Judged>> = (0..20)
            .map(|i| {
                let judged = |score: f64| Judged {
                    reward: score / 2.0,
                    score,
                };
                vec![judged(f64::from(i) / 10.0), judged(-0.5)]
            })
            .collect();
        let bootstrap = Bootstrap {
            resamples: 50,
            confidence: 0.95,
            seed: 1,
        };
        let evaluation = evaluate_reward(&prompts, &bootstrap).unwrap();
        let page = render_reward("a <b> model", &evaluation, &[("k".into(), "<v>".into())]);
        assert_eq!(page.matches("<circle").count(), 10);
        assert!(page.contains("a &lt;b&gt; model") && page.contains("&lt;v&gt;"));
        assert!(!page.contains("NaN") && !page.contains("http:") && !page.contains("https:"));
    }
}
