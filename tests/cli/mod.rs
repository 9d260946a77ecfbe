//! The `rarebit` program from outside: what goes in, what comes out, and what is on disk afterwards.

mod bad_input;
mod bad_weights;
mod cases;
mod conversations;
mod damage;
mod export;
mod folders;
mod help;
mod human;
mod objectives;
mod online;
mod pipeline;
mod provider;
mod resume;
mod reward;
mod sandbox;
mod shell;
mod sweep;
