//! Checks that read the tree as text, because no compiler asks these questions. Each is a pure function from the
//! tree to problems; this file reads the tree, prints what was found, and fails if that is anything.

mod words;
mod heads;
mod glossary;
mod topics;
mod imports;
mod modules;
mod paths;
mod links;
mod codes;
mod promises;
mod rules;
mod dependencies;
mod licence;
mod layers;
mod metadata;
mod policy;
mod sizes;
mod types;
mod functions;
mod tree;
mod source;
mod problem;

use anyhow::{Context, Result, bail};
use policy::Policy;
use problem::Problem;
use std::path::Path;
use std::process::Command;
pub(crate) use tree::Tree;

type Check = fn(&Tree) -> Vec<Problem>;

const CHECKS: [(&str, Check); 11] = [
    ("layers", layers::check),
    ("imports", imports::check),
    ("words", words::check),
    ("heads", heads::check),
    ("glossary", glossary::check),
    ("topics", topics::check),
    ("types", types::check),
    ("links", links::check),
    ("promises", promises::check),
    ("rules", rules::check),
    ("codes", codes::check),
];

pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    println!("{}", sizes::report(&tree));
    let mut found = 0;
    for (name, check) in CHECKS {
        found += print(name, &check(&tree));
    }
    found += print("dependencies", &check_dependencies(root, &tree)?);
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

fn check_dependencies(root: &Path, tree: &Tree) -> Result<Vec<Problem>> {
    let policy = Policy::parse(
        tree.text("deny.toml")
            .context("deny.toml is missing: it says which dependencies may come in")?,
    )?;
    let metadata = metadata(root, &policy.targets)?;
    Ok(dependencies::check(&metadata, &policy, tree))
}

/// What cargo resolved for the platforms we ship to; the versions are those of Cargo.lock.
fn metadata(root: &Path, targets: &[String]) -> Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platforms = targets
        .iter()
        .flat_map(|target| ["--filter-platform", target]);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1"])
        .args(platforms)
        .current_dir(root)
        .output()
        .context("cannot start `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout)
        .context("`cargo metadata` printed something that is not JSON")
}
