//! Guards: the instructions of hot paths, counted by valgrind and compared with those of the commit before.
//!
//! The counts are of the developer's build, whose programs the tests have built, and of our own code in it: what a C
//! library does depends on its version and on the processor.

mod baselines;
mod callgrind;
mod list;
mod valgrind;

use crate::cargo;
use anyhow::{Context, Result, bail};
use baselines::Baselines;
use list::Guard;
use std::collections::BTreeMap;
use std::path::Path;

/// Relative to the repository.
const FILE: &str = "guards/baselines.json";

/// What is said about guards that were not kept.
const MEND: &str = "`callgrind_annotate target/guards/NAME.callgrind` shows where they go, on this commit and on the one before. \
                    Take the instructions away, or, if they are worth it, run `cargo xtask guards --accept` and commit \
                    guards/baselines.json with the reason";

pub(crate) enum Outcome {
    Kept,
    /// Nothing was compared, for this reason.
    Skipped(String),
}

impl Outcome {
    pub(crate) fn print(self) {
        if let Self::Skipped(why) = self {
            println!("guards SKIPPED: {why}");
        }
    }
}

/// Compares what is counted with what was stored.
pub(crate) fn check(root: &Path) -> Result<Outcome> {
    let path = root.join(FILE);
    let text = std::fs::read_to_string(&path);
    let text = text
        .with_context(|| format!("cannot read {FILE}; `cargo xtask guards --accept` makes it"))?;
    let stored = Baselines::read(&text).with_context(|| format!("{FILE} is damaged"))?;
    let compiler = compiler(root)?;
    if stored.compiler != compiler {
        return of_another_compiler(root, &stored.compiler, &compiler);
    }
    let Some(valgrind) = valgrind::prepare() else {
        return Ok(Outcome::Skipped(valgrind::MISSING.to_owned()));
    };
    let counts = count(root, &valgrind)?;
    let judged = stored.judge(&counts);
    judged.lines.iter().for_each(|line| println!("{line}"));
    if judged.lost > 0 {
        bail!("{} guards are not kept: {MEND}", judged.lost);
    }
    Ok(Outcome::Kept)
}

/// Stores what is counted.
pub(crate) fn accept(root: &Path) -> Result<()> {
    let Some(valgrind) = valgrind::prepare() else {
        bail!("{}", valgrind::MISSING);
    };
    let counts = count(root, &valgrind)?;
    println!("{} counts are stored in {FILE}", counts.len());
    let accepted = Baselines {
        compiler: compiler(root)?,
        instructions: counts,
    };
    std::fs::write(root.join(FILE), accepted.write())
        .with_context(|| format!("cannot write {FILE}"))
}

/// Counts of another compiler say nothing. With the toolchain of the repository that is no excuse.
fn of_another_compiler(root: &Path, stored: &str, ours: &str) -> Result<Outcome> {
    let pinned = std::fs::read_to_string(root.join("rust-toolchain.toml"))?;
    let pinned: toml::Table = pinned.parse()?;
    let channel = pinned["toolchain"]["channel"].as_str().unwrap_or_default();
    let same_machine = target(stored) == target(ours);
    if same_machine && ours.split_whitespace().next() == Some(channel) {
        bail!(
            "the counts in {FILE} are of Rust {stored}, and rust-toolchain.toml says {channel}: `cargo xtask guards --accept` \
             counts anew; commit it together with the toolchain"
        );
    }
    Ok(Outcome::Skipped(format!(
        "the counts in {FILE} are of Rust {stored}, and this is {ours}"
    )))
}

fn target(compiler: &str) -> Option<&str> {
    compiler.split_whitespace().last()
}

/// Version and target: `1.95.0 for x86_64-unknown-linux-gnu`.
fn compiler(root: &Path) -> Result<String> {
    let said = cargo::command(root, &["-vV"]).output();
    let said = said.context("cargo cannot be started")?.stdout;
    let said = String::from_utf8_lossy(&said);
    let line = |name| said.lines().find_map(|line| line.strip_prefix(name));
    match (line("release: "), line("host: ")) {
        (Some(release), Some(host)) => Ok(format!("{release} for {host}")),
        _ => bail!("`cargo -vV` does not say what it is"),
    }
}

fn count(root: &Path, valgrind: &Path) -> Result<BTreeMap<String, u64>> {
    let folder = cargo::target(root).join("guards");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let guards = list::guards(root)?;
    if guards.is_empty() {
        bail!("no test of the workspace is in a module `guards`");
    }
    let count = |guard: &Guard| {
        let counted = callgrind::count(valgrind, &folder, guard);
        let counted = counted.with_context(|| format!("the guard `{}`", guard.name()))?;
        Ok((guard.name(), counted))
    };
    guards.iter().map(count).collect()
}
