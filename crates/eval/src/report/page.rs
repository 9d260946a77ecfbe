//! The page around the sections: head, policy, contents, and how to make it all again.

use super::format::{count, counted};
use super::plane::{Line, Point, plane};
use super::reading::{self, Reading};
use super::{
    Page, Report, Section, curves, equal_quality, headline, histogram, samples, section, table,
};
use crate::evaluation::MetricInfo;
use crate::html::{Own, escape};

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// A part of the page with an entry in its contents.
struct Part {
    id: String,
    title: String,
    html: String,
}

impl Part {
    fn new(id: &str, title: &str, html: String) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            html,
        }
    }
}

/// The whole document.
pub(super) fn page(report: &Report<'_>) -> String {
    let reading = Reading::new(report);
    document(
        &report.title,
        &scope(&reading),
        &headline::headline(&reading),
        &parts(report, &reading),
    )
}

/// The whole document of a page of sections.
pub(super) fn sections(page: &Page) -> String {
    let finding: String = page
        .finding
        .iter()
        .enumerate()
        .map(|(index, sentence)| {
            let class = if index == 0 { "headline" } else { "further" };
            format!("<p class=\"{class}\">{}</p>\n", escape(sentence))
        })
        .collect();
    let mut parts: Vec<Part> = page
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| more(index, section))
        .collect();
    let html = commands(&page.reproduce) + &facts(&page.about);
    parts.push(Part::new("reproduce", "How to reproduce", html));
    document(&page.title, &escape(&page.scope), &finding, &parts)
}

fn document(title: &str, scope: &str, finding: &str, parts: &[Part]) -> String {
    let contents: String = parts
        .iter()
        .map(|part| {
            format!(
                "<li><a href=\"#{}\">{}</a></li>",
                part.id,
                escape(&part.title)
            )
        })
        .collect();
    let sections: String = parts
        .iter()
        .map(|part| {
            format!(
                "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{}</h2>\n{}</section>\n",
                escape(&part.title),
                part.html,
                id = part.id
            )
        })
        .collect();
    let own = Own::new(STYLE, SCRIPT);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         {policy}\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"generator\" content=\"rarebit {version}\">\n\
         <title>{title}</title>\n{elements}\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the result</a>\n\
         <header>\n<div class=\"bar\"><span class=\"brand\">rarebit report</span>\
         <button type=\"button\" id=\"theme\" class=\"needs-script\" hidden>Dark</button></div>\n\
         <h1 dir=\"auto\">{title}</h1>\n<p class=\"scope\">{scope}</p>\n</header>\n\
         <main id=\"main\">\n<div class=\"finding\">\n{finding}</div>\n\
         <nav aria-label=\"Contents\"><ul>{contents}</ul></nav>\n{sections}</main>\n\
         <footer><p>One file, nothing fetched. Made with rarebit {version}.</p></footer>\n</body>\n</html>\n",
        version = env!("CARGO_PKG_VERSION"),
        title = escape(title),
        policy = own.policy(),
        elements = own.elements(),
    )
}

/// A caller's own section.
fn more(index: usize, section: &Section) -> Part {
    Part::new(
        &format!("more-{}", index + 1),
        &section.title,
        section::section(section),
    )
}

fn parts(report: &Report<'_>, reading: &Reading<'_>) -> Vec<Part> {
    let mut parts = vec![
        Part::new("plane", "Quality and diversity", planes(reading)),
        Part::new("metrics", "All metrics", table::metrics(reading)),
    ];
    if let Some(html) = equal_quality::section(reading) {
        parts.insert(1, Part::new("equal-quality", "At equal quality", html));
    }
    if let Some(html) = histogram::histograms(reading) {
        parts.push(Part::new("distances", "How distances are spread", html));
    }
    let sections = report.extra_sections.iter().enumerate();
    parts.extend(sections.map(|(index, section)| more(index, section)));
    parts.push(Part::new(
        "samples",
        "The same prompt",
        samples::samples(reading),
    ));
    if !report.runs.is_empty() {
        parts.push(Part::new(
            "training",
            "Training",
            curves::curves(&report.runs, reading),
        ));
    }
    parts.push(Part::new(
        "reproduce",
        "How to reproduce",
        reproduce(report),
    ));
    parts
}

/// What was measured, in a line.
fn scope(reading: &Reading<'_>) -> String {
    let systems = reading.systems();
    let range = |pick: fn(&crate::evaluation::System) -> usize| {
        let numbers = || systems.iter().map(pick);
        match (numbers().min(), numbers().max()) {
            (Some(low), Some(high)) if low != high => format!("{} to {}", count(low), count(high)),
            (Some(low), _) => count(low),
            _ => count(0),
        }
    };
    format!(
        "{} · {} prompts and {} responses per system",
        counted(systems.len(), "system"),
        range(|system| system.prompts),
        range(|system| system.responses)
    )
}

fn planes(reading: &Reading<'_>) -> String {
    let Some(quality) = reading.quality() else {
        let html = reading
            .semantic()
            .zip(reading.style())
            .map(|(x, y)| one_plane(reading, x, y))
            .unwrap_or_default();
        return format!(
            "<div class=\"planes\">{html}</div><p class=\"note\">Quality was not measured: the responses carry no score and no reward model was given.</p>\n"
        );
    };
    let kinds = [reading.semantic(), reading.style()];
    let html: String = kinds
        .into_iter()
        .flatten()
        .map(|kind| one_plane(reading, kind, quality))
        .collect();
    let sight = reading.baseline.map_or_else(String::new, |baseline| {
        format!(
            " The dashed lines meet at <bdi>{}</bdi>: up is better, right is more diverse.",
            escape(baseline)
        )
    });
    format!(
        "<div class=\"planes\">{html}</div>\n<p class=\"note\">Crosses are 95\u{202f}% bootstrap intervals over prompts, \
         each system for itself; the table’s differences are paired by prompt and therefore sharper.{sight}</p>\n"
    )
}

fn one_plane(reading: &Reading<'_>, x: &MetricInfo, y: &MetricInfo) -> String {
    let points: Vec<Point<'_>> = reading
        .systems()
        .iter()
        .filter_map(|system| {
            Some(Point {
                name: &system.name,
                colour: reading.colour(&system.name),
                x: *reading::interval(system, &x.name)?,
                y: *reading::interval(system, &y.name)?,
                is_baseline: reading.baseline == Some(system.name.as_str()),
            })
        })
        .collect();
    let frontiers = reading.evaluation.frontiers.iter();
    let lines: Vec<Line> = frontiers
        .filter(|frontier| frontier.metric == x.name && y.name == "quality")
        .map(|frontier| {
            let best = frontier.points.iter().filter(|point| point.is_best);
            let mut points: Vec<(f64, f64)> = best.map(|it| (it.diversity, it.quality)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let system = frontier.points.first().map_or("", |it| &*it.system);
            Line {
                colour: reading.colour(system),
                points,
            }
        })
        .collect();
    plane(
        &points,
        &lines,
        &format!("{} against {}", y.label, x.label.to_lowercase()),
        &x.label,
        &y.label,
    )
}

fn reproduce(report: &Report<'_>) -> String {
    let mut html = commands(&report.reproduce);
    for run in report
        .runs
        .iter()
        .filter(|run| !run.config.trim().is_empty())
    {
        html += &format!(
            "<details><summary>Configuration of <bdi>{}</bdi></summary><pre tabindex=\"0\"><code>{}</code></pre></details>\n",
            escape(&run.name),
            escape(run.config.trim_end())
        );
    }
    let evaluation = report.evaluation;
    let mut known: Vec<(String, String)> = report.about.clone();
    for (key, value) in reading::provenance(evaluation) {
        if !known.iter().any(|(known, _)| *known == key) {
            known.push((key, value));
        }
    }
    html + &facts(&known)
}

fn commands(commands: &[String]) -> String {
    if commands.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"commands\"><button type=\"button\" id=\"copy\" class=\"needs-script\" hidden>Copy</button>\
         <pre tabindex=\"0\" aria-label=\"Commands\"><code id=\"commands\">{}</code></pre></div>\n",
        escape(&commands.join("\n"))
    )
}

fn facts(facts: &[(String, String)]) -> String {
    let facts: String = facts
        .iter()
        .map(|(key, value)| {
            format!(
                "<dt>{}</dt><dd dir=\"auto\">{}</dd>\n",
                escape(key),
                escape(value)
            )
        })
        .collect();
    format!("<dl class=\"about\">\n{facts}</dl>\n")
}
