//! The `xp` binary and the platform under attack, from outside: real processes, real sockets, and checkers that know
//! nothing of how it works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod pipes;
mod command_line;
mod bad_input;
mod log_lines;
mod terminal;
mod rolling;
mod disconnected;
mod builds;
mod files;
mod embedded;
mod outage;
mod cluster;
mod asleep;
mod zombie;
mod hanging;
mod reader;
mod neighbours;
mod instructions;
mod kafka;
mod together;
mod large;
mod python;
mod kill;
mod pause;
mod drain;
mod cuts;
mod crowd;
mod drawer;
mod checker;
mod installation;
mod brokers;
mod owners;
mod entrances;
mod proxy;
mod radio;
mod server;
mod process;
mod seed;
