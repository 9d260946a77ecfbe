//! The annotation page: one HTML file.

use serde_json::json;

use super::VERSION;
use super::judgements::Question;
use super::study::Study;
use crate::html::{Own, escape, json_for_script};

const STYLE: &str = include_str!("assets/human.css");
const SCRIPT: &str = include_str!("assets/human.js");

/// The page as one HTML document.
///
/// It holds the texts and nothing of whose they are. It fetches nothing, and a content security
/// policy that names its own style and script by hash keeps it so. Sides are mirrored and items
/// shuffled once more by the annotator's name, so that neither a side nor fatigue falls on one
/// system. Answers are kept in the browser's storage and saved as a file of
/// [`Judgements`](super::Judgements).
#[must_use]
pub fn page(study: &Study, title: &str) -> String {
    let own = Own::new(STYLE, SCRIPT);
    let mut texts = study
        .items
        .iter()
        .flat_map(|item| item.sets.iter().flatten());
    let is_summarised = texts.any(|text| text.summary.is_some());
    let data = json!({ "version": VERSION, "study": study.study, "items": study.items });
    let responses = study.items.first().map_or(0, |item| item.sets[0].len());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{policy}\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"generator\" content=\"rarebit {version}\">\n\
         <title>{title}</title>\n{elements}\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the texts</a>\n\
         <header><div class=\"bar\"><span class=\"brand\">{title}</span>\
         <span class=\"tools\"><button type=\"button\" id=\"save\" hidden>Save answers</button>\
         <button type=\"button\" id=\"theme\" hidden>Dark</button></span></div>\n\
         <p id=\"unkept\" class=\"warning\" role=\"alert\" hidden>This browser keeps nothing for this page: save your answers before you close it.</p></header>\n\
         <main id=\"main\">\n<noscript><p class=\"warning\">This page needs JavaScript to take your answers.</p></noscript>\n\
         {start}{item}{end}</main>\n\
         <p id=\"spoken\" class=\"unseen\" role=\"status\" aria-live=\"polite\"></p>\n\
         <footer><p>One file, nothing is sent. Study {study}, made with rarebit {version}.</p></footer>\n\
         <script type=\"application/json\" id=\"study-data\">{data}</script>\n</body>\n</html>\n",
        policy = own.policy(),
        elements = own.elements(),
        version = env!("CARGO_PKG_VERSION"),
        title = escape(title),
        start = start(study.items.len(), responses, is_summarised),
        item = item(),
        end = END,
        study = study.study,
        data = json_for_script(&data),
    )
}

fn start(items: usize, responses: usize, is_summarised: bool) -> String {
    let texts = match (responses, is_summarised) {
        (1, false) => "one text each".to_owned(),
        (1, true) => "the summary of one text each".to_owned(),
        (_, false) => format!("{responses} texts each"),
        (_, true) => format!("the summaries of {responses} texts each"),
    };
    let whole = if is_summarised {
        " Open the whole text wherever a summary does not tell you enough."
    } else {
        ""
    };
    format!(
        "<section id=\"start\" aria-labelledby=\"start-title\"><h1 id=\"start-title\" tabindex=\"-1\">Two sets, two questions</h1>\n\
         <p>You will see {items} {prompts}. Under each stand two sets, A and B, with {texts}, written for that prompt. \
         You do not know who wrote which, and the sides change.{whole}</p>\n\
         <ol class=\"asked\"><li><b>{diversity}</b> {DIVERSITY_HELP}</li><li><b>{quality}</b> {QUALITY_HELP}</li></ol>\n\
         <p>Go by your own impression. If you see no difference, say so; it is an answer. You can go back and change \
         answers, and leave one open. They are kept in this browser, so that you can stop and go on later.</p>\n\
         <form id=\"who\"><label for=\"name\">Your name or number</label>\
         <span class=\"line\"><input id=\"name\" name=\"name\" autocomplete=\"off\" maxlength=\"80\" required aria-describedby=\"known\">\
         <button type=\"submit\" class=\"main\">Start</button></span>\
         <span id=\"known\" class=\"note\"></span></form>\n</section>\n",
        prompts = if items == 1 { "prompt" } else { "prompts" },
        diversity = Question::Diversity.text(),
        quality = Question::Quality.text(),
    )
}

const DIVERSITY_HELP: &str = "In which set do the texts differ more from each other, in what they tell and in how they tell it?";
const QUALITY_HELP: &str = "Compare the best text of A with the best text of B.";

fn item() -> String {
    let questions: String = [
        (Question::Diversity, "diversity", DIVERSITY_HELP, 1),
        (Question::Quality, "quality", QUALITY_HELP, 4),
    ]
    .map(|(question, name, help, first)| fieldset(question.text(), name, help, first))
    .concat();
    format!(
        "<section id=\"item\" aria-labelledby=\"item-title\" hidden>\n\
         <div class=\"where\"><h1 id=\"item-title\" tabindex=\"-1\">Prompt</h1><progress id=\"progress\" aria-labelledby=\"done\"></progress><span id=\"done\"></span></div>\n\
         <blockquote id=\"prompt\" dir=\"auto\"></blockquote>\n\
         <div class=\"sets\"><article aria-labelledby=\"set-a\"><h2 id=\"set-a\">Set A</h2><ol id=\"left\"></ol></article>\
         <article aria-labelledby=\"set-b\"><h2 id=\"set-b\">Set B</h2><ol id=\"right\"></ol></article></div>\n\
         <form id=\"answers\">{questions}</form>\n\
         <div class=\"steps\"><button type=\"button\" id=\"back\">Back <kbd>p</kbd></button>\
         <button type=\"button\" id=\"next\" class=\"main\">Next <kbd>n</kbd></button>\
         <label class=\"keys\"><input type=\"checkbox\" id=\"keys\" checked> keys: <kbd>1</kbd> to <kbd>6</kbd> answer, <kbd>n</kbd> next, <kbd>p</kbd> back</label></div>\n\
         </section>\n"
    )
}

fn fieldset(text: &str, name: &str, help: &str, first_key: usize) -> String {
    let options: String = [("left", "A"), ("tie", "no difference"), ("right", "B")]
        .iter()
        .enumerate()
        .map(|(index, (value, label))| {
            format!(
                "<label><input type=\"radio\" name=\"{name}\" value=\"{value}\"><span>{label}</span> <kbd>{}</kbd></label>",
                first_key + index
            )
        })
        .collect();
    format!(
        "<fieldset aria-describedby=\"{name}-help\"><legend>{text}</legend><p id=\"{name}-help\" class=\"note\">{help}</p>\
         <div class=\"options\">{options}</div></fieldset>"
    )
}

const END: &str = "<section id=\"end\" aria-labelledby=\"end-title\" hidden>\n\
    <h1 id=\"end-title\" tabindex=\"-1\">Save your answers</h1>\n\
    <p id=\"told\"></p>\n<ul id=\"open\"></ul>\n\
    <p>Save them as a file and send it to whoever asked you.</p>\n\
    <div class=\"steps\"><button type=\"button\" id=\"again\">Back <kbd>p</kbd></button>\
    <button type=\"button\" id=\"save-end\" class=\"main\">Save answers</button></div>\n\
    <details><summary>The file as text, if saving does not work</summary><textarea id=\"as-text\" readonly rows=\"12\" aria-label=\"The file as text\"></textarea></details>\n\
    </section>\n";
