//! From rows to groups.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::open::Rows;
use super::shape::{Content, PromptRow, Record, RowReading, located};
use super::spool::{Spool, SpoolWriter};
use crate::error::DataError;
use crate::group::{Group, Pair, Response};
use crate::progress::{PROGRESS_ROWS, Progress, Stage};
use rarebit_text::Text;

/// The groups of a file, one after the other; made by [`Source::groups`](super::Source::groups).
///
/// An error is the last item.
pub struct Groups {
    from: From,
    stem: String,
    failed: bool,
}

enum From {
    Rows {
        records: Box<Records>,
        /// The first row of the next prompt, read while looking for the end of this one.
        next: Option<Box<PromptRow>>,
    },
    Spool(Spool),
}

impl Groups {
    pub(crate) fn new(rows: Rows, reading: RowReading, skip_bad: bool) -> Self {
        Self {
            stem: reading.stem.clone(),
            from: From::Rows {
                records: Box::new(Records {
                    rows,
                    reading,
                    skip_bad,
                }),
                next: None,
            },
            failed: false,
        }
    }

    /// The same groups where rows of a prompt are scattered: through a temporary file.
    pub(crate) fn gathered(
        self,
        folder: Option<&Path>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, DataError> {
        let From::Rows { mut records, .. } = self.from else {
            return Ok(self);
        };
        let mut spool = SpoolWriter::new(folder)?;
        let mut read = 0u64;
        while let Some(record) = records.next() {
            if let Record::Row(row) = record? {
                spool.push(prompt_key(row.prompt_id.as_deref(), &row.prompt), &row)?;
            }
            read += 1;
            if read.is_multiple_of(PROGRESS_ROWS) {
                let (done, total) = records.rows.position();
                progress(Progress {
                    stage: Stage::Gather,
                    done,
                    total,
                });
            }
        }
        Ok(Self {
            from: From::Spool(spool.finish()?),
            ..self
        })
    }

    /// How much of the source is read, and its total, in the same unit.
    pub fn position(&self) -> (u64, u64) {
        match &self.from {
            From::Rows { records, .. } => records.rows.position(),
            From::Spool(spool) => spool.position(),
        }
    }

    fn group(&mut self) -> Result<Option<Group>, DataError> {
        let rows = match &mut self.from {
            From::Spool(spool) => match spool.next_prompt()? {
                Some(rows) => rows,
                None => return Ok(None),
            },
            From::Rows { records, next } => {
                let mut rows: Vec<PromptRow> = next.take().map(|row| *row).into_iter().collect();
                loop {
                    match records.next().transpose()? {
                        Some(Record::Group(group)) => return Ok(Some(group)),
                        Some(Record::Row(row))
                            if rows.first().is_none_or(|first| same_prompt(first, &row)) =>
                        {
                            rows.push(*row);
                        }
                        Some(Record::Row(row)) => {
                            *next = Some(row);
                            break;
                        }
                        None => break,
                    }
                }
                rows
            }
        };
        Ok(assemble(&self.stem, rows))
    }
}

impl Iterator for Groups {
    type Item = Result<Group, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let group = self.group();
        self.failed = group.is_err();
        group.transpose()
    }
}

/// The records of a file; with `skip_bad`, bad rows are skipped, since the survey has counted them.
struct Records {
    rows: Rows,
    reading: RowReading,
    skip_bad: bool,
}

impl Iterator for Records {
    type Item = Result<Record, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = self
                .rows
                .next()?
                .and_then(|row| located(self.reading.record(&row), &self.rows.path, row.place));
            match record {
                Err(DataError::Row(_)) if self.skip_bad => {}
                record => return Some(record),
            }
        }
    }
}

fn same_prompt(a: &PromptRow, b: &PromptRow) -> bool {
    a.prompt_id == b.prompt_id && a.prompt == b.prompt
}

/// A hash that rows of one prompt share; at 128 bits distinct prompts do not collide.
pub(crate) fn prompt_key(id: Option<&str>, prompt: &Text) -> u128 {
    let mut hasher = blake3::Hasher::new();
    let id = id.unwrap_or_default();
    hasher.update(&(id.len() as u64).to_le_bytes());
    hasher.update(id.as_bytes());
    match prompt {
        Text::Plain(text) => {
            hasher.update(text.as_bytes());
        }
        Text::Chat(messages) => {
            for part in messages
                .iter()
                .flat_map(|m| [Some(&m.role), Some(&m.content), m.name.as_ref()])
                .map(|part| part.map_or("", String::as_str))
            {
                // A byte that UTF-8 never has, so that a conversation never equals a plain text.
                hasher.update(&[0xff]);
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
    }
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    u128::from_le_bytes(key)
}

/// One group from the rows of one prompt.
fn assemble(stem: &str, rows: Vec<PromptRow>) -> Option<Group> {
    let first = rows.first()?;
    let id = first
        .prompt_id
        .clone()
        .unwrap_or_else(|| format!("{stem}:{}", first.row));
    let prompt = first.prompt.clone();
    let mut responses: Vec<Response> = Vec::new();
    let mut by_text: HashMap<String, usize> = HashMap::new();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for row in rows {
        match row.content {
            Content::Flat(response) => responses.push(response),
            Content::Preference { chosen, rejected } => {
                let mut place = |response: Response| {
                    let position = *by_text
                        .entry(response.text.clone())
                        .or_insert(responses.len());
                    match responses.get_mut(position) {
                        Some(known) => known.score = known.score.or(response.score),
                        None => responses.push(response),
                    }
                    position
                };
                pairs.push((place(chosen), place(rejected)));
            }
        }
    }
    // Files joined from several runs repeat sample numbers; positions replace them.
    let mut ids = HashSet::new();
    if !responses.iter().all(|response| ids.insert(response.id)) {
        for (position, response) in (0..).zip(&mut responses) {
            response.id = position;
        }
    }
    let pairs = (!by_text.is_empty()).then(|| {
        pairs
            .iter()
            .map(|&(chosen, rejected)| Pair {
                chosen: responses[chosen].id,
                rejected: responses[rejected].id,
            })
            .collect()
    });
    Some(Group {
        id,
        prompt,
        responses,
        pairs,
    })
}
