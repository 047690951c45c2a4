//! The benchmarks, as `cargo xtask bench` starts them: in the build that figures count of, or small and in any.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;

const WORKLOADS: [&str; 7] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<ExitCode> {
    let status = cargo::command(root, &arguments(words))
        .status()
        .context("cargo cannot be started")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// `W1` may be written large, and no workload means all.
fn arguments<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let profile = match words.contains(&"--smoke") {
        true => "dev",
        false => "dist",
    };
    let mut arguments = vec!["run", "--profile", profile, "-p", "xp-bench", "--"];
    let mut before = "";
    let mut is_named = false;
    for word in words {
        is_named |= !word.starts_with('-') && before != "--json";
        let mut workloads = WORKLOADS.into_iter();
        let workload = workloads.find(|name| name.eq_ignore_ascii_case(word));
        arguments.push(workload.unwrap_or(*word));
        before = *word;
    }
    if !is_named {
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
}
