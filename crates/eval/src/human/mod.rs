//! Which of two systems people find more diverse, and better: the annotation page and the analysis
//! of its results.
//!
//! The protocol is that of "Modifying Large Language Model Post-Training for Diverse Creative
//! Writing" (arXiv 2503.17126): for a prompt, several responses of one system beside as many of
//! another, with shuffled sides; which set is more diverse, and which holds the best writing?
//!
//! 1. [`Selection::draw`] picks prompts and responses,
//! 2. [`Selection::study`] puts them on two sides and records what is where in a [`Key`],
//! 3. [`page`] is the annotation page: one file that fetches nothing and names no system,
//! 4. annotators save their [`Judgements`], one file each,
//! 5. [`analyse`] reads them with the key.

mod agreement;
mod analyse;
mod judgements;
mod page;
mod selection;
mod sign_test;
mod study;
#[cfg(test)]
mod tests;

pub use agreement::krippendorff_alpha;
pub use analyse::{Annotator, Comparison, Counts, HumanEvaluation, analyse};
pub use judgements::{Answer, Choice, Judgements, Question};
pub use page::page;
pub use selection::{Selection, SelectionOptions, SummaryPrompt, summary_id};
pub use sign_test::sign_test;
pub use study::{Item, Key, KeyItem, KeySet, Study, Text, VERSION};
