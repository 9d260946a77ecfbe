//! The page around the sections: head, policy, contents, and how to reproduce it.

use maud::{DOCTYPE, Markup, html};

use super::document::{Page, Report, Section};
use super::format::{count, counted};
use super::reading::{self, Reading};
use super::scatter::{Line, Point, scatter};
use super::{curves, equal_quality, headline, histogram, samples, section, table};
use crate::evaluation::{MetricInfo, System};
use crate::html::{Assets, finish};

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// A section of the page with an entry in its contents.
struct PageSection {
    id: String,
    title: String,
    content: Markup,
}

impl PageSection {
    fn new(id: &str, title: &str, content: Markup) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            content,
        }
    }

    /// The section of a caller.
    fn extra(index: usize, section: &Section) -> Self {
        let id = format!("more-{}", index + 1);
        Self::new(&id, &section.title, section::section(section))
    }
}

/// The report as one HTML document.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let reading = Reading::new(report);
    document(
        &report.title,
        &scope(&reading),
        &headline::headline(&reading),
        &sections(report, &reading),
    )
}

/// The page as one HTML document.
#[must_use]
pub fn render_page(page: &Page) -> String {
    let finding = html! {
        @for (index, sentence) in page.finding.iter().enumerate() {
            p class=(if index == 0 { "headline" } else { "further" }) { (sentence) } "\n"
        }
    };
    let mut sections: Vec<PageSection> = page
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| PageSection::extra(index, section))
        .collect();
    let content = html! { (commands(&page.reproduce)) (facts(&page.about)) "\n" };
    sections.push(PageSection::new("reproduce", "How to reproduce", content));
    document(&page.title, &page.scope, &finding, &sections)
}

fn document(title: &str, scope: &str, finding: &Markup, sections: &[PageSection]) -> String {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let assets = Assets::new(STYLE, SCRIPT);
    finish(html! {
        (DOCTYPE) "\n"
        html lang="en" { "\n"
            head { "\n"
                meta charset="utf-8"; "\n"
                (assets.policy()) "\n"
                meta name="viewport" content="width=device-width, initial-scale=1"; "\n"
                meta name="color-scheme" content="light dark"; "\n"
                meta name="referrer" content="no-referrer"; "\n"
                meta name="generator" content={ "rarebit " (VERSION) }; "\n"
                title { (title) } "\n"
                (assets.elements()) "\n"
            } "\n"
            body { "\n"
                a.skip href="#main" { "Skip to the result" } "\n"
                header { "\n"
                    div.bar {
                        span.brand { "rarebit report" }
                        button type="button" id="theme" class="needs-script" hidden { "Dark" }
                    } "\n"
                    h1 dir="auto" { (title) } "\n"
                    p.scope { (scope) } "\n"
                } "\n"
                main id="main" { "\n"
                    div.finding { "\n" (finding) } "\n"
                    nav aria-label="Contents" {
                        ul {
                            @for section in sections {
                                li { a href={ "#" (section.id) } { (section.title) } }
                            }
                        }
                    } "\n"
                    @for PageSection { id, title, content } in sections {
                        section id=(id) aria-labelledby={ (id) "-title" } {
                            h2 id={ (id) "-title" } { (title) } "\n"
                            (content)
                        } "\n"
                    }
                } "\n"
                footer { p { "One file, nothing fetched. Made with rarebit " (VERSION) "." } } "\n"
            } "\n"
        } "\n"
    })
}

fn sections(report: &Report<'_>, reading: &Reading<'_>) -> Vec<PageSection> {
    let mut sections = vec![
        PageSection::new("plane", "Quality and diversity", scatter_plots(reading)),
        PageSection::new("metrics", "All metrics", table::metrics(reading)),
    ];
    if let Some(content) = equal_quality::section(reading) {
        let section = PageSection::new("equal-quality", "At equal quality", content);
        sections.insert(1, section);
    }
    if let Some(content) = histogram::histograms(reading) {
        let section = PageSection::new("distances", "Distribution of distances", content);
        sections.push(section);
    }
    let extra = report.extra_sections.iter().enumerate();
    sections.extend(extra.map(|(index, section)| PageSection::extra(index, section)));
    sections.push(PageSection::new(
        "samples",
        "The same prompt",
        samples::samples(reading),
    ));
    if !report.runs.is_empty() {
        let content = curves::curves(&report.runs, reading);
        sections.push(PageSection::new("training", "Training", content));
    }
    sections.push(PageSection::new(
        "reproduce",
        "How to reproduce",
        reproduce(report),
    ));
    sections
}

/// What was measured, in one line.
fn scope(reading: &Reading<'_>) -> String {
    let systems = reading.systems();
    let range = |pick: fn(&System) -> usize| {
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

fn scatter_plots(reading: &Reading<'_>) -> Markup {
    let Some(quality) = reading.quality() else {
        let diversities = reading.semantic().zip(reading.style());
        return html! {
            div.planes { @if let Some((x, y)) = diversities { (scatter_plot(reading, x, y)) } }
            p.note {
                "Quality was not measured: the responses carry no score and no reward model was given."
            } "\n"
        };
    };
    let kinds = [reading.semantic(), reading.style()];
    html! {
        div.planes { @for kind in kinds.into_iter().flatten() { (scatter_plot(reading, kind, quality)) } } "\n"
        p.note {
            "Crosses are 95\u{202f}% bootstrap intervals over prompts, \
             for each system by itself; the differences in the table are paired by prompt and therefore more precise."
            @if let Some(baseline) = reading.baseline {
                " The dashed lines meet at " bdi { (baseline) } ": up is better, right is more diverse."
            }
        } "\n"
    }
}

fn scatter_plot(reading: &Reading<'_>, x: &MetricInfo, y: &MetricInfo) -> Markup {
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
    scatter(
        &points,
        &lines,
        &format!("{} against {}", y.label, x.label.to_lowercase()),
        &x.label,
        &y.label,
    )
}

fn reproduce(report: &Report<'_>) -> Markup {
    let configured = report
        .runs
        .iter()
        .filter(|run| !run.config.trim().is_empty());
    let mut known: Vec<(String, String)> = report.about.clone();
    for (key, value) in reading::provenance(report.evaluation) {
        if !known.iter().any(|(known, _)| *known == key) {
            known.push((key, value));
        }
    }
    html! {
        (commands(&report.reproduce))
        @for run in configured {
            details {
                summary { "Configuration of " bdi { (run.name) } }
                pre tabindex="0" { code { (run.config.trim_end()) } }
            } "\n"
        }
        (facts(&known)) "\n"
    }
}

fn commands(commands: &[String]) -> Markup {
    html! {
        @if !commands.is_empty() {
            div.commands {
                button type="button" id="copy" class="needs-script" hidden { "Copy" }
                pre tabindex="0" aria-label="Commands" { code id="commands" { (commands.join("\n")) } }
            } "\n"
        }
    }
}

/// Names and values as a list of definitions.
pub(super) fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        dl.about { "\n"
            @for (key, value) in facts { dt { (key) } dd dir="auto" { (value) } "\n" }
        }
    }
}
