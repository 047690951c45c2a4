//! Repository tasks: `cargo xtask test` is everything CI runs, `cargo xtask tidy` the checks that no tool of others does,
//! `cargo xtask kafka` a local Kafka.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

mod test_run;
mod guards;
mod up;
mod kafka;
mod lints;
mod tools;
mod bench;
mod peers;
mod python;
mod tidy;
mod apt;
mod cargo;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask test   everything a change must pass, stage by stage
       cargo xtask test STAGE …
                          only these: `fmt tidy typos taplo lychee` take seconds
       cargo xtask format Rust (rustfmt) and TOML (taplo)
       cargo xtask guards [--accept]
                          the instructions of hot paths against guards/baselines.json; --accept stores what is counted
       cargo xtask up     a whole installation of the example domains: Kafka, three state nodes, two edges
       cargo xtask kill NODE | pause NODE [SECONDS] | resume NODE | roll
                          what may happen to it: state-1, state-2, state-3, edge-1, edge-2
       cargo xtask down   stops it
       --port-base N      behind any of these: another installation beside it, on the ports behind N (7400 without it)
       --binary PATH      behind `up`: your own binary in place of the example domains
       cargo xtask nightly [--switches] [--seeds FROM..TO] [--threads N] | --plan 'PLAN' | --shrink 'PLAN'
                          the simulator: thousands of seeds, and what fails made smaller
       cargo xtask bench [W1 … W7] [--json FILE] [--smoke] | page FILE
                          the platform beside floors in the same run; the page of what was measured
       cargo xtask bench peers [NAME …] [--json FILE] [--smoke]
                          servers of others beside it, which are installed below target/ first
       cargo xtask kafka start [--brokers 1|3] | stop | status
                          a local Kafka that stays until it is stopped
       cargo xtask tidy   layers, imports, words, promises, rules, codes; the longest files and functions";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test", ref stages @ ..] => test_run::run(&root()?, stages),
        ["guards"] => guards::check(&root()?).map(guards::Outcome::print),
        ["guards", "--accept"] => guards::accept(&root()?),
        ["format"] => format(&root()?),
        ["kafka", ref words @ ..] => return kafka::pass_on(&root()?, words),
        ["bench", ref words @ ..] => return bench::run(&root()?, words),
        ["nightly", ref words @ ..] => return nightly(&root()?, words),
        ["tidy"] => tidy::run(&root()?),
        [] => bail!("which task?\n{USAGE}"),
        ref words => match up::run(&root()?, words)? {
            true => Ok(()),
            false => bail!("there is no task `{}`\n{USAGE}", words.join(" ")),
        },
    }
    .map(|()| ExitCode::SUCCESS)
}

fn format(root: &Path) -> Result<()> {
    let status = cargo::command(root, &["fmt", "--all"]).status();
    if !status.context("cargo cannot be started")?.success() {
        bail!("`cargo fmt --all` does not work; see above");
    }
    lints::format_toml(root)
}

/// The simulator, optimised: it lives through a hundred times the seeds of CI.
fn nightly(root: &Path, words: &[&str]) -> Result<ExitCode> {
    let run = ["run", "--release", "-q", "-p", "xp-simulator"];
    let arguments = [&run[..], &["--bin", "xp-simulate", "--"], words].concat();
    let status = cargo::command(root, &arguments)
        .status()
        .context("cargo cannot be started")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The repository is where this crate's folder lies, wherever the command was typed. Cargo says so when it runs a
/// program; what it said at build time may be another clone's folder, if the two share a target directory.
fn root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here =
        here.context("run this as `cargo xtask …`, so that cargo says where the repository is")?;
    let root = Path::new(&here).parent();
    Ok(root
        .context("xtask does not lie inside a repository")?
        .to_path_buf())
}
