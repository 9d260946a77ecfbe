//! The `rarebit` program from outside: what goes in, what comes out, and what is on disk afterwards.

mod bad_input;
mod conversations;
mod help;
mod pipeline;
mod resume;
mod sandbox;
