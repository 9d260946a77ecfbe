//! Files of responses with the scores that a judge gave them.

use std::io::Write as _;
use std::path::Path;

use rarebit_data::{Source, SourceOptions, SourceRow};
use serde_json::Value;

use crate::error::{Result, ensure};
use crate::output;

/// Everything that a file of responses has.
///
/// # Errors
/// When the file cannot be read or holds no responses.
pub fn read_rows(file: &Path) -> Result<Vec<SourceRow>> {
    let source = Source::open(file, &SourceOptions::default(), &mut |_| ())?;
    let rows = source.rows()?.collect::<Result<Vec<_>, _>>()?;
    ensure!(!rows.is_empty(), "{} holds no responses", file.display());
    Ok(rows)
}

/// Writes rows with the scores that their responses have now.
///
/// # Errors
/// When the file cannot be written.
pub fn write_scored(rows: Vec<SourceRow>, place: &Path) -> Result<()> {
    output::write_atomically(place, |file| {
        for row in rows {
            writeln!(file, "{}", Value::Object(row.into_scored()))?;
        }
        Ok(())
    })
}
