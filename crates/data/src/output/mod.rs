//! Output: tables as Parquet and JSONL, written completely or not at all.

mod column;
mod file;
mod rows;
mod table;

pub(crate) use column::ReadValue;
pub use file::{MadeFolders, OutputFile, check_place};
pub use rows::{GroupRow, PairRow, group_rows, pair_rows};
pub use table::{Compression, Layout, TableRow, TableWriter};
