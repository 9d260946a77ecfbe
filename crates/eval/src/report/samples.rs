//! What the systems wrote for the same prompt: the first prompt as HTML, the others as data for the
//! picker. The prompts are the evaluation's first ones in its order, so none is cherry-picked.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::format::{clipped, count, counted, decimals_for, fixed};
use super::heatmap::{self, Triangle};
use super::reading::Reading;
use crate::evaluation::{Prompt, PromptSystem};
use crate::html::json_for_script;

/// Prompts embedded in the page.
const PROMPTS: usize = 48;
/// Responses per system and prompt.
const RESPONSES: usize = 16;
/// Characters per response, and per prompt.
const CHARACTERS: usize = 2400;
/// Bytes of text after which no further prompt is embedded, so that the file stays easy to send.
const BUDGET: usize = 1_500_000;

const KINDS: [&str; 2] = ["semantic", "style"];

/// The section with the data that its script needs.
pub(super) fn samples(reading: &Reading<'_>) -> Markup {
    let shown = Shown::choose(reading);
    let Some(first) = shown.prompts.first() else {
        return html! { p.absent { "The evaluation keeps no samples." } "\n" };
    };
    let total = reading.evaluation.prompts.len();
    let amount = if shown.prompts.len() < total {
        format!(
            "The first {} of {} prompts",
            shown.prompts.len(),
            count(total)
        )
    } else {
        format!("All {}", counted(total, "prompt"))
    };
    html! {
        p.note {
            (amount) ", in the evaluation’s order. Long texts are cut at " (count(CHARACTERS)) " characters."
        } "\n"
        (picker(&shown.prompts)) "\n"
        blockquote id="prompt-text" dir="auto" { (first.text) } "\n"
        div id="legend" { (heatmap::legend(shown.darkest[0])) } "\n"
        div id="systems" class="systems" {
            @for system in &first.systems { (column(system, shown.darkest[0])) }
        } "\n"
        p id="spoken" class="unseen" aria-live="polite" {} "\n"
        script type="application/json" id="samples-data" { (json_for_script(&shown.json())) } "\n"
    }
}

/// The controls that choose a prompt and what is shown of it.
fn picker(prompts: &[ShownPrompt]) -> Markup {
    html! {
        div class="picker needs-script" hidden {
            button type="button" data-step="-1" aria-label="Previous prompt" { "←" }
            label.choose {
                span.unseen { "Prompt" }
                select id="prompt" {
                    @for (index, prompt) in prompts.iter().enumerate() {
                        @let line = prompt.text.split_whitespace().collect::<Vec<_>>().join(" ");
                        @let (head, cut) = clipped(&line, 80);
                        option value=(index) { (index + 1) ". " (head) @if cut { "…" } }
                    }
                }
            }
            button type="button" data-step="1" aria-label="Next prompt" { "→" }
            fieldset.kinds {
                legend.unseen { "Distance shown" }
                @for (index, kind) in KINDS.iter().enumerate() {
                    label { input type="radio" name="kind" value=(kind) checked[index == 0]; " " (kind) }
                }
            }
            label.whole { input type="checkbox" id="whole"; " whole texts" }
        }
    }
}

/// The chosen prompts, cut to size.
struct Shown {
    prompts: Vec<ShownPrompt>,
    /// Per kind: the distance that is drawn darkest.
    darkest: [u32; 2],
}

struct ShownPrompt {
    text: String,
    systems: Vec<ShownSystem>,
}

struct ShownSystem {
    name: String,
    colour: usize,
    /// The prompt's own metrics in a line.
    facts: String,
    responses: Vec<ShownResponse>,
    triangles: [Option<Triangle>; 2],
}

struct ShownResponse {
    text: String,
    is_cut: bool,
    score: Option<String>,
}

impl Shown {
    fn choose(reading: &Reading<'_>) -> Self {
        let mut prompts = Vec::new();
        let mut bytes = 0;
        for prompt in reading.evaluation.prompts.iter().take(PROMPTS) {
            let shown = ShownPrompt::new(reading, prompt);
            bytes += shown.bytes();
            if bytes > BUDGET && !prompts.is_empty() {
                break;
            }
            prompts.push(shown);
        }
        let darkest = [0, 1].map(|kind| {
            let systems = prompts
                .iter()
                .flat_map(|prompt: &ShownPrompt| &prompt.systems);
            heatmap::darkest(systems.filter_map(|system| system.triangles[kind].as_ref()))
        });
        Self { prompts, darkest }
    }

    fn json(&self) -> Value {
        let prompts: Vec<Value> = self.prompts.iter().map(ShownPrompt::json).collect();
        json!({ "darkest": { "semantic": self.darkest[0], "style": self.darkest[1] }, "prompts": prompts })
    }
}

impl ShownPrompt {
    fn new(reading: &Reading<'_>, prompt: &Prompt) -> Self {
        let decimals = score_decimals(prompt);
        let systems = reading
            .systems()
            .iter()
            .filter_map(|system| {
                let found = prompt.systems.get(&system.name)?;
                Some(ShownSystem::new(reading, &system.name, found, decimals))
            })
            .collect();
        Self {
            text: cut(&prompt.prompt).0,
            systems,
        }
    }

    fn bytes(&self) -> usize {
        let texts = self
            .systems
            .iter()
            .flat_map(|system| &system.responses)
            .map(|response| response.text.len());
        let cells = self
            .systems
            .iter()
            .flat_map(|system| system.triangles.iter().flatten())
            .map(|triangle| 4 * triangle.thousandths.len());
        self.text.len() + texts.sum::<usize>() + cells.sum::<usize>()
    }

    fn json(&self) -> Value {
        json!({ "text": self.text, "systems": self.systems.iter().map(ShownSystem::json).collect::<Vec<_>>() })
    }
}

impl ShownSystem {
    fn new(reading: &Reading<'_>, name: &str, found: &PromptSystem, decimals: usize) -> Self {
        let known = [
            ("quality", reading.quality()),
            (KINDS[0], reading.semantic()),
            (KINDS[1], reading.style()),
        ];
        let facts: Vec<String> = known
            .into_iter()
            .filter_map(|(word, metric)| {
                Some(format!(
                    "{word} {}",
                    fixed(*found.metrics.get(&metric?.name)?, 2)
                ))
            })
            .collect();
        let responses = found
            .responses
            .iter()
            .take(RESPONSES)
            .map(|response| {
                let (text, is_cut) = cut(&response.text);
                ShownResponse {
                    text,
                    is_cut,
                    score: response.score.map(|score| fixed(score, decimals)),
                }
            })
            .collect();
        let triangles = found.distances.as_ref().map_or([None, None], |distances| {
            [&distances.semantic, &distances.style].map(|matrix| Triangle::new(matrix, RESPONSES))
        });
        Self {
            name: name.to_owned(),
            colour: reading.colour(name),
            facts: facts.join(" · "),
            responses,
            triangles,
        }
    }

    fn json(&self) -> Value {
        let responses: Vec<Value> = self
            .responses
            .iter()
            .map(|response| json!({ "text": response.text, "cut": response.is_cut, "score": response.score }))
            .collect();
        json!({
            "name": self.name,
            "colour": self.colour,
            "facts": self.facts,
            "responses": responses,
            "semantic": self.triangles[0].as_ref().map(|triangle| &triangle.thousandths),
            "style": self.triangles[1].as_ref().map(|triangle| &triangle.thousandths),
        })
    }
}

/// One system's column: its map, then its texts.
fn column(system: &ShownSystem, darkest: u32) -> Markup {
    html! {
        article class={ "system s" (system.colour) } {
            h3 { span.dot {} bdi { (system.name) } }
            p.facts { (system.facts) }
            @match &system.triangles[0] {
                Some(triangle) => (heatmap::map(triangle, &system.name, KINDS[0], darkest)),
                None => { p.absent { "No distances are kept for this prompt." } }
            }
            ol { @for response in &system.responses { (item(response)) } }
        } "\n"
    }
}

fn item(response: &ShownResponse) -> Markup {
    html! {
        li {
            p dir="auto" { (response.text) @if response.is_cut { " […]" } }
            @if let Some(score) = &response.score { span.score { "score " (score) } }
        }
    }
}

/// A text as the page holds it, and whether its end is missing.
fn cut(text: &str) -> (String, bool) {
    let (head, is_cut) = clipped(text.trim(), CHARACTERS);
    (head.to_owned(), is_cut)
}

/// Decimals for a prompt's scores: none for whole numbers such as votes, else according to their
/// spread.
fn score_decimals(prompt: &Prompt) -> usize {
    let responses = prompt.systems.values().flat_map(|system| &system.responses);
    let scores: Vec<f64> = responses
        .filter_map(|response| response.score)
        .filter(|score| score.is_finite())
        .collect();
    if scores.iter().all(|score| score.fract() == 0.0) {
        return 0;
    }
    let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    decimals_for((high - low) / 10.0)
}
