//! From grouped responses of any common format to weighted preference pairs.
//!
//! - [`Source`] reads JSONL (plain, gzip, zstd), CSV and Parquet in any known [`Shape`] as a
//!   stream of [`Group`]s: a prompt and its responses.
//! - [`steps`] are the data steps of "Modifying Large Language Model Post-Training for Diverse
//!   Creative Writing" ([arXiv 2503.17126](https://arxiv.org/abs/2503.17126)): split, score
//!   transform, cleaning, pairs, deviation weights.
//! - [`prepare()`] runs them all and writes a folder of tables; [`weigh_source`] only weighs.
//! - [`read_pairs`], [`read_samples`] and [`read_group_scores`] read back.
//!
//! # Example
//! ```
//! use rarebit_data::steps::pairs::{PairOptions, pairs};
//! use rarebit_data::{Group, Response};
//!
//! let response = |id, text: &str, votes| Response::new(id, text.into(), Some(votes));
//! let group = Group {
//!     id: "tales:1".to_owned(),
//!     prompt: "Write a tale.".into(),
//!     responses: vec![response(0, "A fox ran.", 3.0), response(1, "Rain fell.", 12.0)],
//!     pairs: None,
//! };
//! let drawn = pairs(&group, &PairOptions::default(), 42);
//! assert_eq!((drawn[0].chosen, drawn[0].rejected), (1, 0));
//! ```

mod error;
mod group;
mod options;
pub mod output;
mod prepare;
mod progress;
mod read;
mod score;
pub mod source;
pub mod steps;
mod summary;

pub use error::{BadRow, DataError, Place, Reason};
pub use group::{Group, Label, Pair, Response, Unanswered};
pub use options::{Pairing, PrepareOptions};
pub use output::{GroupRow, PairRow};
pub use prepare::{prepare, prepared_files};
pub use progress::{Progress, Stage};
pub use rarebit_text::{Message, Text};
pub use read::{
    GroupScore, GroupScores, Pairs, Prompt, read_group_scores, read_pairs, read_prompts,
    read_samples,
};
pub use score::weigh_source;
pub use source::{Columns, Groups, Shape, SkippedRows, Source, SourceOptions, SourceRow, Survey};
pub use summary::{EmbedderIds, PromptCounts, SourceSummary, SplitSummary, Summary};
