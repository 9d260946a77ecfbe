//! The one test binary of rarebit: parity with the libraries that define the models and losses, the
//! command line on good and bad input, and whole runs.

mod cli;
mod demo;
mod parity;
