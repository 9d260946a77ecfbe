//! The annotation page: one HTML file.

use maud::{DOCTYPE, Markup, html};
use serde_json::json;

use super::judgements::Question;
use super::study::{Study, VERSION};
use crate::html::{Assets, finish, json_for_script};

const STYLE: &str = include_str!("assets/human.css");
const SCRIPT: &str = include_str!("assets/human.js");

/// The page as one HTML document.
///
/// It holds the texts and nothing about which system wrote them. It fetches nothing, and a content
/// security policy that names its own style and script by hash enforces that. Sides are mirrored and
/// items shuffled once more by the annotator's name, so that neither a preferred side nor fatigue
/// falls on one system. Answers are kept in the browser's storage and saved as a file of
/// [`Judgements`](super::Judgements).
#[must_use]
pub fn page(study: &Study, title: &str) -> String {
    let assets = Assets::new(STYLE, SCRIPT);
    let version = env!("CARGO_PKG_VERSION");
    let mut texts = study
        .items
        .iter()
        .flat_map(|item| item.sets.iter().flatten());
    let is_summarised = texts.any(|text| text.summary.is_some());
    let data = json!({ "version": VERSION, "study": study.study, "items": study.items });
    let responses = study.items.first().map_or(0, |item| item.sets[0].len());
    finish(html! {
        (DOCTYPE) "\n"
        html lang="en" { "\n"
            head { "\n"
                meta charset="utf-8"; "\n"
                (assets.policy()) "\n"
                meta name="viewport" content="width=device-width, initial-scale=1"; "\n"
                meta name="color-scheme" content="light dark"; "\n"
                meta name="referrer" content="no-referrer"; "\n"
                meta name="generator" content={ "rarebit " (version) }; "\n"
                title { (title) } "\n"
                (assets.elements()) "\n"
            } "\n"
            body { "\n"
                a.skip href="#main" { "Skip to the texts" } "\n"
                header {
                    div.bar {
                        span.brand { (title) }
                        span.tools {
                            button type="button" id="save" hidden { "Save answers" }
                            button type="button" id="theme" hidden { "Dark" }
                        }
                    } "\n"
                    p id="unkept" class="warning" role="alert" hidden {
                        "This browser stores nothing for this page: save your answers before you close it."
                    }
                } "\n"
                main id="main" { "\n"
                    noscript { p.warning { "This page needs JavaScript to take your answers." } } "\n"
                    (start(study.items.len(), responses, is_summarised)) "\n"
                    (item()) "\n"
                    (end()) "\n"
                } "\n"
                p id="spoken" class="unseen" role="status" aria-live="polite" {} "\n"
                footer {
                    p { "One file; nothing is sent. Study " (study.study) ", made with rarebit " (version) "." }
                } "\n"
                script type="application/json" id="study-data" { (json_for_script(&data)) } "\n"
            } "\n"
        } "\n"
    })
}

/// What the annotator is asked, and the form for a name.
fn start(items: usize, responses: usize, is_summarised: bool) -> Markup {
    let texts = match (responses, is_summarised) {
        (1, false) => "one text each".to_owned(),
        (1, true) => "the summary of one text each".to_owned(),
        (_, false) => format!("{responses} texts each"),
        (_, true) => format!("the summaries of {responses} texts each"),
    };
    let prompts = if items == 1 { "prompt" } else { "prompts" };
    html! {
        section id="start" aria-labelledby="start-title" {
            h1 id="start-title" tabindex="-1" { "Two sets, two questions" } "\n"
            p {
                "You will see " (items) " " (prompts) ". Below each are two sets, A and B, with " (texts)
                ", written for that prompt. You do not know who wrote which, and the sides change."
                @if is_summarised { " Open the whole text wherever a summary does not tell you enough." }
            } "\n"
            ol.asked {
                li { b { (Question::Diversity.text()) } " " (DIVERSITY_HELP) }
                li { b { (Question::Quality.text()) } " " (QUALITY_HELP) }
            } "\n"
            p {
                "Go by your own impression. If you see no difference, say so: that is an answer, too. You can go back, change \
                 answers and leave some open. They are stored in this browser, so you can stop and continue later."
            } "\n"
            form id="who" {
                label for="name" { "Your name or number" }
                span.line {
                    input id="name" name="name" autocomplete="off" maxlength="80" required aria-describedby="known";
                    button type="submit" class="main" { "Start" }
                }
                span id="known" class="note" {}
            } "\n"
        }
    }
}

const DIVERSITY_HELP: &str = "In which set do the texts differ more from each other, in what they tell and how they tell it?";
const QUALITY_HELP: &str = "Compare the best text of A with the best text of B.";

/// One prompt with both sets and the questions; the script fills it in.
fn item() -> Markup {
    html! {
        section id="item" aria-labelledby="item-title" hidden { "\n"
            div.where {
                h1 id="item-title" tabindex="-1" { "Prompt" }
                progress id="progress" aria-labelledby="done" {}
                span id="done" {}
            } "\n"
            blockquote id="prompt" dir="auto" {} "\n"
            div.sets {
                article aria-labelledby="set-a" { h2 id="set-a" { "Set A" } ol id="left" {} }
                article aria-labelledby="set-b" { h2 id="set-b" { "Set B" } ol id="right" {} }
            } "\n"
            form id="answers" {
                (fieldset(Question::Diversity.text(), "diversity", DIVERSITY_HELP, 1))
                (fieldset(Question::Quality.text(), "quality", QUALITY_HELP, 4))
            } "\n"
            div.steps {
                button type="button" id="back" { "Back " kbd { "p" } }
                button type="button" id="next" class="main" { "Next " kbd { "n" } }
                label.keys {
                    input type="checkbox" id="keys" checked;
                    " keys: " kbd { "1" } " to " kbd { "6" } " answer, " kbd { "n" } " next, " kbd { "p" } " back"
                }
            } "\n"
        }
    }
}

fn fieldset(text: &str, name: &str, help: &str, first_key: usize) -> Markup {
    let options = [("left", "A"), ("tie", "no difference"), ("right", "B")];
    html! {
        fieldset aria-describedby={ (name) "-help" } {
            legend { (text) }
            p id={ (name) "-help" } class="note" { (help) }
            div.options {
                @for (index, (value, label)) in options.iter().enumerate() {
                    label {
                        input type="radio" name=(name) value=(value);
                        span { (label) } " " kbd { (first_key + index) }
                    }
                }
            }
        }
    }
}

/// What is left open, and how to hand the answers in.
fn end() -> Markup {
    html! {
        section id="end" aria-labelledby="end-title" hidden { "\n"
            h1 id="end-title" tabindex="-1" { "Save your answers" } "\n"
            p id="told" {} "\n"
            ul id="open" {} "\n"
            p { "Save them as a file and send it to the person who asked you." } "\n"
            div.steps {
                button type="button" id="again" { "Back " kbd { "p" } }
                button type="button" id="save-end" class="main" { "Save answers" }
            } "\n"
            details {
                summary { "The file as text, if saving does not work" }
                textarea id="as-text" readonly rows="12" aria-label="The file as text" {}
            } "\n"
        }
    }
}
