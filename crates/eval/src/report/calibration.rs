//! The page of a reward model: what it gets right, and what its rewards mean.

use super::format::{coordinate as at, count, fixed, interval};
use super::scale::Axis;
use super::{Block, Section, section};
use crate::evaluation::Interval;
use crate::html::{Own, escape};
use crate::reward::{CalibrationBin, RewardEvaluation};

const STYLE: &str = include_str!("assets/report.css");
const SIZE: f64 = 420.0;
const LEFT: f64 = 58.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = SIZE - 14.0;
const BOTTOM: f64 = SIZE - 48.0;

/// How well a reward model judges, as one HTML document that fetches nothing. `about` says what made
/// it.
pub fn render_reward(
    title: &str,
    evaluation: &RewardEvaluation,
    about: &[(String, String)],
) -> String {
    let own = Own::new(STYLE, "");
    let title = escape(title);
    let about: String = about
        .iter()
        .map(|(key, value)| {
            format!(
                "<dt>{}</dt><dd dir=\"auto\">{}</dd>\n",
                escape(key),
                escape(value)
            )
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{policy}\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n{elements}\n</head>\n<body>\n\
         <header>\n<div class=\"bar\"><span class=\"brand\">rarebit reward</span></div>\n\
         <h1 dir=\"auto\">{title}</h1>\n<p class=\"scope\">{prompts} prompts, {responses} responses with a score</p>\n</header>\n\
         <main>\n<section><h2>What it gets right</h2>\n{numbers}\
         <p class=\"note\">95\u{202f}% bootstrap intervals over prompts ({resamples} resamples, seed {seed}). Of two responses \
         to one prompt with different scores the better one should have the higher reward; equal rewards count half. \
         A model that has learned nothing gives every response the median score.</p></section>\n\
         <section><h2>What its rewards mean</h2>\n<div class=\"planes\">{plot}</div>\n\
         <p class=\"note\">Responses sorted by reward, a tenth of them to a point: their mean score against their mean reward, \
         with 95\u{202f}% intervals by standard error. On the dashed line a reward is the score that it names.</p></section>\n\
         <section><h2>About</h2><dl class=\"about\">\n{about}</dl></section>\n</main>\n\
         <footer><p>One file, nothing fetched. Made with rarebit {version}.</p></footer>\n</body>\n</html>\n",
        policy = own.policy(),
        elements = own.elements(),
        prompts = count(evaluation.prompts),
        responses = count(evaluation.responses),
        numbers = numbers(evaluation),
        resamples = count(evaluation.resamples),
        seed = evaluation.seed,
        plot = plot(&evaluation.calibration),
        version = env!("CARGO_PKG_VERSION"),
    )
}

fn numbers(evaluation: &RewardEvaluation) -> String {
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
        ("The same of the median", fixed(evaluation.mae_of_median, 3)),
        ("Spearman’s correlation", cell(evaluation.spearman.as_ref())),
        (
            "The same within a prompt",
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
        title: "What it gets right".to_owned(),
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
fn plot(bins: &[CalibrationBin]) -> String {
    let ends = bins
        .iter()
        .flat_map(|bin| [bin.mean_reward, bin.low, bin.mean_score, bin.high]);
    let Some(axis) = Axis::covering(ends, 5) else {
        return "<p class=\"absent\">No response has a score.</p>\n".to_owned();
    };
    let x = |value: f64| at(axis.place(value, LEFT, RIGHT));
    let y = |value: f64| at(axis.place(value, BOTTOM, TOP));
    let mut svg = String::new();
    for &tick in &axis.ticks {
        svg += &format!(
            "<path class=\"grid\" d=\"M{x} {top}V{bottom}M{left} {y}H{right}\"/>\
             <text class=\"tick\" x=\"{x}\" y=\"{under}\" text-anchor=\"middle\">{label}</text>\
             <text class=\"tick\" x=\"{beside}\" y=\"{y}\" dy=\"4\" text-anchor=\"end\">{label}</text>",
            x = x(tick),
            y = y(tick),
            top = at(TOP),
            bottom = at(BOTTOM),
            left = at(LEFT),
            right = at(RIGHT),
            under = at(BOTTOM + 17.0),
            beside = at(LEFT - 7.0),
            label = axis.label(tick)
        );
    }
    svg += &format!(
        "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"end\">mean reward →</text>\
         <text class=\"axis\" transform=\"translate(13 {}) rotate(-90)\" text-anchor=\"end\">mean score →</text>\
         <path class=\"sight\" d=\"M{} {}L{} {}\"/><g class=\"s1\">",
        at(RIGHT),
        at(SIZE - 8.0),
        at(TOP),
        x(axis.low),
        y(axis.low),
        x(axis.high),
        y(axis.high)
    );
    for bin in bins {
        let (cx, cy) = (x(bin.mean_reward), y(bin.mean_score));
        svg += &format!(
            "<path class=\"cross\" d=\"M{cx} {}V{}\"/><circle cx=\"{cx}\" cy=\"{cy}\" r=\"5\"/>",
            y(bin.low),
            y(bin.high)
        );
    }
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
    format!(
        "<figure><figcaption>Calibration</figcaption>\
         <svg viewBox=\"0 0 {SIZE} {SIZE}\" role=\"img\" aria-label=\"{}\">{svg}</g></svg></figure>\n",
        escape(&spoken.join(". "))
    )
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
