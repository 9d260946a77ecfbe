//! `rarebit deviation`: how far each response is from the others to its prompt.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rarebit_data::output::{Compression, Layout, TableWriter, group_rows};
use rarebit_data::steps::surprise::SurpriseModel;
use rarebit_data::steps::weigh::{WeighedGroup, Weigher};
use rarebit_data::{DataError, GroupRow, Source, weigh_source};
use rarebit_pipeline::model::surprise::Perplexity;
use rarebit_pipeline::output::Places;
use rarebit_pipeline::{Event, Events};

use super::source_args::{LoadedEmbedders, SourceArgs, WeightingArgs};
use crate::event_view;
use crate::global::Global;

/// Measure how far each response is from the others to its prompt
///
/// Reads whatever `rarebit prepare` reads; scores are not needed. Prints a table per prompt: raw
/// deviation in [0, 2], normalised to [0, 1] within the prompt, per kind, and the weight.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DeviationArgs {
    /// The source of responses
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Print one JSON object per response instead of tables
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Write to this file instead: .parquet or .jsonl
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The most prompts to print as tables; 0 prints all
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Keep only the first of exactly repeated responses to a prompt
    #[arg(long)]
    dedup: bool,
    #[command(flatten)]
    weighting: WeightingArgs,
    #[command(flatten, next_help_heading = "Reading")]
    source: SourceArgs,
}

/// Weighs and prints, or writes.
pub(crate) fn run(args: DeviationArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(path) = &args.output {
        check_format(path)?;
        Places::default()
            .reads([&args.input])
            .reads(args.weighting.files())
            .writes("--output", [path])
            .check()?;
    }
    let embedders = args.weighting.embedders(global)?;
    let surprise = args.weighting.surprise(global)?;
    let events = event_view::events();
    let source = Source::open(&args.input, &args.source.options(true, None), &mut |step| {
        events.send(&Event::Preparing(step));
    })?;
    let run = Run {
        args: &args,
        source: &source,
        embedders: &embedders,
        surprise: surprise.as_ref(),
        events: &events,
    };
    match &args.output {
        Some(path) => run.write(path),
        None => match run.print() {
            Ok(()) | Err(Halt::Enough) => Ok(()),
            Err(Halt::Failed(error)) => Err(error),
        },
    }
}

fn check_format(path: &Path) -> anyhow::Result<()> {
    let known = ["parquet", "jsonl"];
    let end = path
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or_default();
    anyhow::ensure!(
        known.contains(&end),
        "--output {}: the name must end in .parquet or .jsonl",
        path.display()
    );
    Ok(())
}

/// Why printing ends early.
enum Halt {
    Enough,
    Failed(anyhow::Error),
}

impl From<DataError> for Halt {
    fn from(error: DataError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<io::Error> for Halt {
    /// Whoever reads may stop reading, as `head` does.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Enough,
            _ => Self::Failed(error.into()),
        }
    }
}

struct Run<'a> {
    args: &'a DeviationArgs,
    source: &'a Source,
    embedders: &'a LoadedEmbedders,
    surprise: Option<&'a Perplexity>,
    events: &'a Events,
}

impl Run<'_> {
    fn each<E: From<DataError>>(
        &self,
        each: &mut dyn FnMut(WeighedGroup) -> Result<(), E>,
    ) -> Result<(), E> {
        let weighting = &self.args.weighting;
        let weigher = Weigher::new(weighting.weighting(), self.embedders.as_ref())?
            .by(weighting.measure())
            .asking(self.surprise.map(|model| model as &dyn SurpriseModel));
        let weighed = weigh_source(
            self.source,
            weigher,
            self.args.dedup,
            &mut |step| self.events.send(&Event::Preparing(step)),
            each,
        );
        self.events.send(&Event::Prepared);
        for (reason, count) in weighed? {
            self.events
                .note(&format!("{count} responses dropped: {}", reason.as_str()));
        }
        Ok(())
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut table =
            TableWriter::<GroupRow>::create(path, Compression::default(), Layout::of(self.source))?;
        self.each(&mut |group| group_rows(&group, None).try_for_each(|row| table.write(row)))?;
        table.finish()?.commit()?;
        writeln!(io::stdout(), "{}", path.display())?;
        Ok(())
    }

    fn print(&self) -> Result<(), Halt> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut printed = 0;
        self.each(&mut |group| {
            if self.args.json {
                for row in group_rows(&group, None) {
                    serde_json::to_writer(&mut out, &row).map_err(io::Error::from)?;
                    writeln!(out)?;
                }
                return Ok(());
            }
            if self.args.limit > 0 && printed == self.args.limit {
                out.flush()?;
                let mut err = io::stderr().lock();
                writeln!(
                    err,
                    "The first {printed} prompts; --limit 0 prints all, --output FILE writes them."
                )?;
                return Err(Halt::Enough);
            }
            printed += 1;
            table(&group, &mut out).map_err(Halt::from)
        })?;
        Ok(out.flush()?)
    }
}

const TEXT_WIDTH: usize = 56;
const PROMPT_WIDTH: usize = 100;

fn table(group: &WeighedGroup, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}",
        group.id,
        one_line(&group.prompt.flat(), PROMPT_WIDTH)
    )?;
    writeln!(
        out,
        "  {:>6}  {:>8} {:>5}  {:>8} {:>5}  {:>8}  response",
        "weight", "semantic", "norm", "style", "norm", "score"
    )?;
    for weighed in &group.responses {
        writeln!(
            out,
            "  {:>6.3}  {:>8} {:>5}  {:>8} {:>5}  {:>8}  {}",
            weighed.weight,
            number(weighed.deviation_semantic, 4),
            number(weighed.normalized_semantic, 2),
            number(weighed.deviation_style, 4),
            number(weighed.normalized_style, 2),
            weighed
                .response
                .score
                .map_or_else(|| "-".to_owned(), |score| score.to_string()),
            one_line(&weighed.response.text, TEXT_WIDTH),
        )?;
    }
    writeln!(out)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// The beginning of a text, its line ends made blanks.
fn one_line(text: &str, width: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if let Some((cut, _)) = line.char_indices().nth(width) {
            let before = line[..cut]
                .char_indices()
                .next_back()
                .map_or(0, |(last, _)| last);
            line.truncate(before);
            line.push('…');
            break;
        }
    }
    // Control characters of a generated text must not reach the terminal.
    line.retain(|c| !c.is_control());
    line
}

#[cfg(test)]
mod tests {
    use rarebit_data::Response;
    use rarebit_data::steps::weigh::WeighedResponse;

    use super::*;

    #[test]
    fn texts_are_cut_to_one_line() {
        assert_eq!(one_line("a\n b", 10), "a b");
        assert_eq!(one_line("äöüäöü", 4), "äöü…");
        assert_eq!(one_line("\u{1b}[31mred", 10), "[31mred");
    }

    #[test]
    fn a_table_has_a_line_per_response() {
        let alone = WeighedResponse {
            response: Response::new(0, "The fox.".into(), Some(2.5)),
            deviation_semantic: None,
            deviation_style: Some(0.25),
            normalized_semantic: None,
            normalized_style: Some(0.5),
            novelty: None,
            weight: 1.0,
        };
        let group = WeighedGroup {
            id: "a:1".to_owned(),
            prompt: "Tell a tale".into(),
            responses: vec![alone],
            pairs: Vec::new(),
        };
        let mut out = Vec::new();
        table(&group, &mut out).unwrap();
        let lines: Vec<String> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(lines[0], "a:1  Tell a tale");
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["1.000", "-", "-", "0.2500", "0.50", "2.5", "The", "fox."]
        );
    }
}
