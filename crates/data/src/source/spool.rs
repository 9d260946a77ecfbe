//! Gathering the rows of each prompt through a temporary file.
//!
//! Each row is written with the offset of the row before it of the same prompt, so that memory
//! holds one offset per prompt and not one per row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::shape::PromptRow;
use crate::error::DataError;

/// No row before this one.
const NONE: u64 = u64::MAX;

pub(crate) struct SpoolWriter {
    folder: PathBuf,
    file: BufWriter<File>,
    end: u64,
    index: HashMap<u128, usize>,
    last: Vec<u64>,
}

/// Prompts to be read back, in the order in which they first appeared.
pub(crate) struct Spool {
    folder: PathBuf,
    file: BufReader<File>,
    last: Vec<u64>,
    next: usize,
}

impl Spool {
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.next as u64, self.last.len() as u64)
    }

    /// The rows of the next prompt, in the order of the source.
    pub(crate) fn next_prompt(&mut self) -> Result<Option<Vec<PromptRow>>, DataError> {
        let Some(&last) = self.last.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let mut rows = Vec::new();
        let mut at = last;
        while at != NONE {
            let (row, before) = self.read(at).map_err(|source| DataError::Read {
                path: self.folder.clone(),
                source,
            })?;
            rows.push(row);
            at = before;
        }
        rows.reverse();
        Ok(Some(rows))
    }

    fn read(&mut self, at: u64) -> io::Result<(PromptRow, u64)> {
        self.file.seek(SeekFrom::Start(at))?;
        let before = self.number()?;
        let length = self.number()?;
        let row = serde_json::from_reader((&mut self.file).take(length))?;
        Ok((row, before))
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl SpoolWriter {
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self, DataError> {
        let folder = folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let file =
            tempfile::tempfile_in(&folder).map_err(|source| DataError::write(&folder, source))?;
        Ok(Self {
            folder,
            file: BufWriter::new(file),
            end: 0,
            index: HashMap::new(),
            last: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, key: u128, row: &PromptRow) -> Result<(), DataError> {
        self.write(key, row)
            .map_err(|source| DataError::write(&self.folder, source))
    }

    fn write(&mut self, key: u128, row: &PromptRow) -> io::Result<()> {
        let bytes = serde_json::to_vec(row)?;
        let prompt = *self.index.entry(key).or_insert_with(|| {
            self.last.push(NONE);
            self.last.len() - 1
        });
        self.file.write_all(&self.last[prompt].to_le_bytes())?;
        self.file.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.file.write_all(&bytes)?;
        self.last[prompt] = self.end;
        self.end += 16 + bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Spool, DataError> {
        let Self {
            folder, file, last, ..
        } = self;
        let file = file
            .into_inner()
            .map_err(|error| DataError::write(&folder, error.into_error()))?;
        Ok(Spool {
            folder,
            file: BufReader::new(file),
            last,
            next: 0,
        })
    }
}
