//! `cargo xtask kafka`: the program of `deploy/kafka`, which this one does not link, so that tidy is built in seconds.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, ExitCode};

/// What `status` returns when nothing runs.
pub(crate) const NOTHING_RUNS: i32 = 3;

/// Runs it as it was typed; its code is ours.
pub(crate) fn pass_on(root: &Path, words: &[&str]) -> Result<ExitCode> {
    let status = command(root, words).status();
    let code = status.context("cannot start cargo")?.code();
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let status = command(root, words).status();
    if !status.context("cannot start cargo")?.success() {
        bail!(
            "`cargo xtask kafka {}` did not work; see above",
            words.join(" ")
        );
    }
    Ok(())
}

pub(crate) fn command(root: &Path, words: &[&str]) -> Command {
    let run = ["run", "--quiet", "--package", cargo::LOCAL_KAFKA, "--"];
    cargo::command(root, &[&run, words].concat())
}
