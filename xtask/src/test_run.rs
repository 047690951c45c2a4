//! Everything CI needs, in stages: each with its time, the first failure ends the run.

use crate::{cargo, guards, kafka, lints, python, tidy};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What one stage needs to know, and what the stages before it found out.
struct Run {
    root: PathBuf,
    python: Option<PathBuf>,
}

enum Outcome {
    Passed,
    Skipped(String),
}

type Stage = fn(&mut Run) -> Result<Outcome>;

/// The cheap stages come first, so that a slip is known in seconds.
const STAGES: [(&str, Stage); 14] = [
    ("fmt", |run| run.cargo(&["fmt", "--all", "--check"])),
    ("tidy", |run| passed(tidy::run(&run.root))),
    ("typos", |run| passed(lints::spelling(&run.root))),
    ("taplo", |run| passed(lints::toml(&run.root))),
    ("lychee", |run| passed(lints::links(&run.root))),
    ("clippy", clippy),
    ("python", |run| run.prepare_python()),
    // Tests start brokers of their own; what these need is fetched before many want it at once.
    ("kafka", |run| passed(kafka::run(&run.root, &["jars"]))),
    ("test", |run| run.cargo(&["test", "--workspace"])),
    // Behind the tests, whose programs it takes.
    ("guards", |run| match guards::check(&run.root)? {
        guards::Outcome::Kept => Ok(Outcome::Passed),
        guards::Outcome::Skipped(why) => Ok(Outcome::Skipped(why)),
    }),
    ("doc", doc),
    ("machete", |run| {
        passed(lints::unused_dependencies(&run.root))
    }),
    ("deny", |run| passed(lints::dependencies(&run.root))),
    ("advisories", advisories),
];

/// All stages, or those that are named.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<()> {
    let mut run = Run {
        root: root.to_path_buf(),
        python: None,
    };
    let stages = chosen(names)?;
    run_stages(&stages, &mut run, &mut std::io::stdout().lock())
}

fn chosen(names: &[&str]) -> Result<Vec<(&'static str, Stage)>> {
    let is_stage = |name: &&&str| STAGES.iter().any(|(stage, _)| stage == *name);
    if let Some(name) = names.iter().find(|name| !is_stage(name)) {
        let all = STAGES.map(|(name, _)| name).join(", ");
        bail!("there is no stage `{name}`; there are {all}");
    }
    let is_chosen = |name: &str| names.is_empty() || names.contains(&name);
    let stages = STAGES.into_iter().filter(|(name, _)| is_chosen(name));
    Ok(stages.collect())
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn run_stages(stages: &[(&str, Stage)], run: &mut Run, out: &mut impl Write) -> Result<()> {
    let start = now();
    let mut times = Vec::new();
    for (name, stage) in stages {
        writeln!(out, "==== {name}")?;
        let began = now();
        let outcome = stage(run);
        let took = began.elapsed();
        times.push(format!("{name} {}", seconds(took)));
        report(out, name, &outcome, took)?;
        if let Err(error) = outcome {
            summary(out, &times, start.elapsed())?;
            return Err(error.context(format!("stage `{name}` failed")));
        }
    }
    summary(out, &times, start.elapsed())?;
    writeln!(out, "==== all {} stages passed", stages.len())?;
    Ok(())
}

fn report(
    out: &mut impl Write,
    name: &str,
    outcome: &Result<Outcome>,
    took: Duration,
) -> Result<()> {
    let took = seconds(took);
    match outcome {
        Ok(Outcome::Passed) => writeln!(out, "---- {name} passed in {took}")?,
        Ok(Outcome::Skipped(why)) => writeln!(out, "---- {name} SKIPPED: {why}")?,
        Err(_) => writeln!(out, "---- {name} FAILED after {took}")?,
    }
    Ok(())
}

fn summary(out: &mut impl Write, times: &[String], total: Duration) -> Result<()> {
    writeln!(out, "==== {}; total {}", times.join(", "), seconds(total))?;
    Ok(())
}

/// Every warning is an error. Two lints that are off by default are for CI alone: unfinished work, and a file `mod.rs`,
/// whose tab in an editor has the name of all others.
fn clippy(run: &mut Run) -> Result<Outcome> {
    let mut words = vec!["clippy", "--workspace", "--all-targets", "--"];
    let denied = [
        "warnings",
        "clippy::unimplemented",
        "clippy::mod_module_files",
    ];
    words.extend(denied.iter().flat_map(|lint| ["-D", *lint]));
    run.cargo(&words)
}

fn doc(run: &mut Run) -> Result<Outcome> {
    let mut command = run.command(&["doc", "--no-deps", "--workspace"]);
    passes("cargo doc", command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Known holes in what is built in. Only where they can be fetched: a machine that reaches package registries alone says
/// that it could not look.
fn advisories(run: &mut Run) -> Result<Outcome> {
    if !lints::fetch_advisories(&run.root)? {
        let why = "the advisories of RustSec cannot be fetched from here; run `cargo deny check advisories` where they can";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    passed(lints::advisories(&run.root))
}

impl Run {
    fn prepare_python(&mut self) -> Result<Outcome> {
        self.python = Some(python::prepare(&self.root)?);
        Ok(Outcome::Passed)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cargo::command(&self.root, arguments);
        if let Some(python) = &self.python {
            command.env("XP_PYTHON", python);
        }
        command
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Outcome> {
        let typed = format!("cargo {}", arguments.join(" "));
        passes(&typed, &mut self.command(arguments))
    }
}

fn passes(typed: &str, command: &mut Command) -> Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{typed}`"))?;
    if !status.success() {
        bail!("`{typed}` ended with {status}; what it printed above says why");
    }
    Ok(Outcome::Passed)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the run prints how long its stages took"
)]
fn now() -> Instant {
    Instant::now()
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_and_print(stages: &[(&str, Stage)]) -> (Result<()>, String) {
        let mut out = Vec::new();
        let mut run = Run {
            root: PathBuf::from("."),
            python: None,
        };
        let result = run_stages(stages, &mut run, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_run_stops_at_the_first_failure_and_names_the_stage() {
        let (result, printed) = run_and_print(&[
            ("first", |_| Ok(Outcome::Passed)),
            ("second", |_| bail!("broken")),
            ("third", |_| panic!("a stage after a failure was run")),
        ]);
        assert_eq!(
            format!("{:#}", result.unwrap_err()),
            "stage `second` failed: broken"
        );
        assert!(printed.contains("---- first passed in"), "{printed}");
        assert!(printed.contains("---- second FAILED after"), "{printed}");
        assert!(printed.contains("; total"), "{printed}");
    }

    #[test]
    fn stages_are_chosen_by_name_and_keep_their_order() {
        let names = |chosen: Vec<(&'static str, Stage)>| -> Vec<_> {
            chosen.into_iter().map(|(name, _)| name).collect()
        };
        let all = STAGES.map(|(name, _)| name);
        assert_eq!(names(chosen(&[]).unwrap()), all);
        assert_eq!(names(chosen(&["typos", "fmt"]).unwrap()), ["fmt", "typos"]);
        let said = chosen(&["tests"]).err().unwrap().to_string();
        assert!(said.contains("no stage `tests`; there are fmt, "), "{said}");
    }

    #[test]
    fn a_skipped_stage_says_why_in_one_line() {
        let (result, printed) =
            run_and_print(&[("advisories", |_| Ok(Outcome::Skipped("not reached".into())))]);
        assert!(result.is_ok());
        assert!(
            printed.contains("---- advisories SKIPPED: not reached\n"),
            "{printed}"
        );
        assert!(printed.ends_with("==== all 1 stages passed\n"), "{printed}");
    }
}
