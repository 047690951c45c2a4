//! cargo-deny, as CI needs it: of one version, and built when it is not there.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned, so that a run today and a run in a year judge alike.
const VERSION: &str = "0.20.2";

/// Where the program of this version is; made below `target` when the machine has none, which takes some minutes once.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let tools = cargo::target(root).join("tools");
    let own = tools.join("bin").join("cargo-deny");
    let there = [PathBuf::from("cargo-deny"), own.clone()];
    if let Some(program) = there.into_iter().find(|program| is_wanted(program)) {
        return Ok(program);
    }
    let version = format!("={VERSION}");
    let mut install = cargo::command(
        root,
        &[
            "install",
            "--locked",
            "--quiet",
            "cargo-deny",
            "--version",
            &version,
            "--root",
        ],
    );
    let status = install.arg(&tools).status();
    let status = status.context("cannot start `cargo install cargo-deny`")?;
    if !status.success() || !is_wanted(&own) {
        bail!(
            "`cargo install --locked cargo-deny --version {version}` ended with {status}; what it printed above says why"
        );
    }
    Ok(own)
}

fn is_wanted(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").output();
    said.is_ok_and(|said| is_version(&String::from_utf8_lossy(&said.stdout)))
}

fn is_version(said: &str) -> bool {
    said.split_whitespace().last() == Some(VERSION)
}

/// What it says of the lists in `deny.toml`.
pub(crate) fn check(program: &Path, root: &Path) -> Command {
    asked(program, root, &["check", "bans", "licenses", "sources"])
}

/// What it says of the advisories that it has fetched.
pub(crate) fn check_advisories(program: &Path, root: &Path) -> Command {
    asked(program, root, &["check", "--disable-fetch", "advisories"])
}

/// Whether the advisories could be fetched. They lie in a git repository, which not every network reaches.
pub(crate) fn fetch_advisories(program: &Path, root: &Path) -> bool {
    let mut fetch = asked(program, root, &["fetch", "db"]);
    let fetched = fetch.stdout(Stdio::null()).stderr(Stdio::null()).status();
    fetched.is_ok_and(|status| status.success())
}

fn asked(program: &Path, root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_taken() {
        assert!(is_version(&format!("cargo-deny {VERSION}\n")));
        assert!(!is_version("cargo-deny 0.1.0\n") && !is_version(""));
    }
}
