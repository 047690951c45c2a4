//! `cargo xtask kafka`: the program of `deploy/kafka`, which this one does not link, so that tidy is built in seconds.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let status = command(root, words)
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`kafka {}` did not work; see above", words.join(" "));
    }
    Ok(())
}

pub(crate) fn command(root: &Path, words: &[&str]) -> Command {
    let run = ["run", "--quiet", "--package", cargo::LOCAL_KAFKA, "--"];
    cargo::command(root, &[&run, words].concat())
}
