//! A small world of tales with known ground truth, and the oracle that recovers it.
//!
//! A [`World`] writes prompts and short tales. Each tale has a [`Plot`] (what happens), a [`Voice`] (who tells it)
//! and a [`Craft`] (how well), drawn independently: plots and voices from a skewed distribution, craft evenly.
//! [`read`] recovers all three from any text by rules, and [`mode_coverage`] counts the different modes in a set of
//! texts. Thus what a model has learned to write can be compared with the ground truth.
//!
//! ```
//! use rarebit_tales::{Split, World, read};
//!
//! let world = World::seeded(7);
//! let prompt = &world.prompts(Split::HeldOut)[0];
//! for tale in world.responses(prompt, 3, &mut world.rng(prompt)) {
//!     let reading = read(&prompt.text, &tale.text);
//!     assert_eq!(reading.plot, Some(tale.plot));
//!     assert_eq!(reading.voice, Some(tale.voice));
//! }
//! ```

mod config;
mod coverage;
mod craft;
mod cues;
mod grammar;
mod manner;
mod oracle;
mod plot;
mod prompt;
mod voice;
mod votes;
mod words;
mod world;

pub use config::{ConfigError, WorldConfig};
pub use coverage::{Coverage, Spread, mode_coverage};
pub use craft::Craft;
pub use oracle::{Reading, read};
pub use plot::Plot;
pub use prompt::{Prompt, Split};
pub use voice::Voice;
pub use votes::VoteLaw;
pub use world::{Tale, World};
