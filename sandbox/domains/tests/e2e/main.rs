//! The `xp` binary and the platform under attack, from outside: real processes, real sockets, and checkers that know
//! nothing of how it works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod pipes;
mod python;
mod command_line;
mod bad_input;
mod kill;
mod drain;
mod cuts;
mod crowd;
mod drawer;
mod checker;
mod proxy;
mod process;
mod seed;
