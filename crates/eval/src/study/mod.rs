//! Several systems, each run with several seeds, and what can be established about them.
//!
//! An [`Evaluation`](crate::Evaluation) compares the files of one run. A [`Study`] holds the values
//! per prompt of many runs, and asks whether a difference between two systems persists over both
//! other prompts and other seeds.

mod claim;
mod csv;
mod mixture;
mod seeds;

pub use claim::{Bound, Claim, Evidence, Finding, Verdict};
pub use csv::study_csv;
pub use mixture::{Class, Mixture, mixture};
pub use seeds::{Study, StudyDifference, StudySystem, Values};
