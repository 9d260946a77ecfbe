//! The one test binary of rarebit: parity with the libraries that define the models and losses, the
//! command line on good and bad input, memory, and whole runs.

mod cli;
mod demo;
mod memory;
mod parity;
mod parts;
