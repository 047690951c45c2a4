//! Programs that read what a run left behind, and know nothing of the code that made it: the history that
//! clients saw, and the log.
//!
//! Nothing of the state node, the edge or the client is asked. Which records count is judged here once more,
//! from the text of the rules; only the domain's own `apply` is shared.

mod liveness;
mod waits;
mod fairness;
mod outages;
mod tokens;
mod slow;
mod shown;
mod outbound;
mod commands;
mod queries;
mod sessions;
mod tells;
mod timers;
mod positions;
mod log;
mod states;
mod answered;
mod lives;
mod book;

use std::fmt;

use super::world::Outcome;
use book::Book;
use lives::Lives;

/// Something that must not happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// Which checker noticed.
    pub checker: &'static str,
    /// Where: an entity, a record, a client.
    pub location: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            checker,
            location,
            what,
        } = self;
        write!(f, "seed {seed}: {checker}: {location}: {what}")
    }
}

/// What a checker has to say: where, and what.
type Findings = Vec<(String, String)>;

/// A checker by its name.
type Checker = (&'static str, fn(&Case<'_>) -> Findings);

/// All of them.
const CHECKERS: &[Checker] = &[
    ("log", log::check),
    ("commands", commands::check),
    ("shown", shown::check),
    ("outbound", outbound::check),
    ("sessions", sessions::check),
    ("tells", tells::check),
    ("timers", timers::check),
    ("queries", queries::check),
    ("states", states::check),
    ("positions", positions::check),
    ("liveness", liveness::check),
    ("waits", waits::check),
    ("fairness", fairness::check),
    ("outages", outages::check),
    ("tokens", tokens::check),
    ("slow", slow::check),
];

/// What the checkers read.
struct Case<'a> {
    outcome: &'a Outcome,
    book: Book,
    lives: Lives,
}

/// Everything that is wrong with a run; nothing, if all is well.
#[must_use]
pub fn check(outcome: &Outcome) -> Vec<Violation> {
    let case = Case {
        outcome,
        book: Book::read(outcome),
        lives: Lives::read(&outcome.history),
    };
    let judged = CHECKERS.iter().flat_map(|(checker, check)| {
        let name = move |(location, what)| (*checker, location, what);
        check(&case).into_iter().map(name)
    });
    judged
        .map(|(checker, location, what)| Violation {
            seed: outcome.plan.seed,
            checker,
            location,
            what,
        })
        .collect()
}
