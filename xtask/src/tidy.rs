//! Checks of this repository's own rules, which no compiler, lint or tool of others asks about. Each is a pure function
//! from the tree to problems; this file reads the tree, prints what was found, and fails if that is anything.

mod words;
mod heads;
mod glossary;
mod stops;
mod topics;
mod imports;
mod modules;
mod codes;
mod promises;
mod rules;
mod layers;
mod sizes;
mod types;
mod functions;
mod syntax;
mod tree;
mod section;
mod problem;

use crate::cargo;
use anyhow::{Context, Result, bail};
use problem::Problem;
use serde_json::Value;
use std::path::Path;
pub(crate) use tree::Tree;

type Check = fn(&Tree) -> Vec<Problem>;

const CHECKS: [(&str, Check); 10] = [
    ("imports", imports::check),
    ("words", words::check),
    ("heads", heads::check),
    ("glossary", glossary::check),
    ("stops", stops::check),
    ("topics", topics::check),
    ("types", types::check),
    ("promises", promises::check),
    ("rules", rules::check),
    ("codes", codes::check),
];

pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    println!("{}", sizes::report(&tree));
    let mut found = print("layers", &layers::check(&metadata(root)?));
    for (name, check) in CHECKS {
        found += print(name, &check(&tree));
    }
    if found > 0 {
        bail!(
            "tidy found {}; each line above says how to mend it",
            counted(found)
        );
    }
    Ok(())
}

fn print(name: &str, problems: &[Problem]) -> usize {
    match problems.len() {
        0 => println!("tidy {name}: ok"),
        found => println!("tidy {name}: {}", counted(found)),
    }
    problems.iter().for_each(|problem| println!("  {problem}"));
    problems.len()
}

fn counted(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    }
}

/// Crates and what they use, on the platform that is deployed: for others cargo would have to fetch more.
fn metadata(root: &Path) -> Result<Value> {
    let words = ["metadata", "--format-version", "1"];
    let mut command = cargo::command(root, &words);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = command.output().context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout)
        .context("`cargo metadata` printed something that is not JSON")
}
