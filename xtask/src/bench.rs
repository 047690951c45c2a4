//! The benchmarks, as `cargo xtask bench` starts them: in the build that figures count of, or small and in any.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{cargo, peers};

const WORKLOADS: [&str; 7] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<ExitCode> {
    let arguments = match words {
        ["peers", words @ ..] => beside_peers(root, words)?,
        _ => arguments(words).into_iter().map(str::to_owned).collect(),
    };
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let status = cargo::command(root, &arguments)
        .status()
        .context("cargo cannot be started")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The servers of others are installed first; what cannot be had is handed on, to stand in the report.
fn beside_peers(root: &Path, words: &[&str]) -> Result<Vec<String>> {
    let (installed, missing) = peers::prepare(root, &names(words))?;
    let missing = missing.into_iter().flat_map(|(peer, reason)| {
        let missing = format!("{peer}={reason}");
        ["--missing".to_owned(), missing]
    });
    let mut arguments: Vec<_> = run_of(words)
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    arguments.extend(["peers", "--installed"].map(str::to_owned));
    arguments.push(installed.to_string_lossy().into_owned());
    arguments.extend(missing);
    arguments.extend(words.iter().map(|word| (*word).to_owned()));
    Ok(arguments)
}

/// The words that are no options.
fn names<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut is_file = false;
    let is_name = |word: &&str| {
        let is_name = !word.starts_with('-') && !is_file;
        is_file = *word == "--json";
        is_name
    };
    words.iter().copied().filter(is_name).collect()
}

fn run_of(words: &[&str]) -> [&'static str; 6] {
    let profile = match words.contains(&"--smoke") {
        true => "dev",
        false => "dist",
    };
    ["run", "--profile", profile, "-p", "xp-bench", "--"]
}

/// `W1` may be written large, and no workload means all.
fn arguments<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = run_of(words).to_vec();
    for word in words {
        let mut workloads = WORKLOADS.into_iter();
        let workload = workloads.find(|name| name.eq_ignore_ascii_case(word));
        arguments.push(workload.unwrap_or(*word));
    }
    if names(words).is_empty() {
        arguments.push("all");
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], profile: &str, behind: &[&str]) {
        let typed = arguments(words);
        assert_eq!(typed[..3], ["run", "--profile", profile], "{words:?}");
        assert_eq!(&typed[6..], behind, "{words:?}");
    }

    #[test]
    fn figures_are_of_the_build_for_deployment_and_a_smoke_run_of_any() {
        check(&["W1", "w3"], "dist", &["w1", "w3"]);
        check(&["W7", "--smoke"], "dev", &["w7", "--smoke"]);
    }

    #[test]
    fn all_are_measured_when_none_is_named() {
        check(&[], "dist", &["all"]);
        check(
            &["--json", "figures.json"],
            "dist",
            &["--json", "figures.json", "all"],
        );
        check(&["page", "figures.json"], "dist", &["page", "figures.json"]);
    }

    #[test]
    fn a_file_of_figures_is_no_name() {
        assert_eq!(
            names(&["ws", "--json", "figures.json", "nats"]),
            ["ws", "nats"]
        );
        assert!(names(&["--json", "figures.json", "--smoke"]).is_empty());
    }
}
