//! Kafka's own command line classes.

use crate::jars::Jars;
use crate::java;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Small and quick to start: a tool lives for a second.
const FLAGS: [&str; 3] = [
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// Runs a class to its end and returns what it printed on stdout.
pub(crate) fn run(jars: &Jars, class: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(java::program())
        .args(FLAGS)
        .args(jars.flags())
        .arg(class)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start Java for {class}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{class} {}` ended with {}:\n{printed}{complaint}",
            arguments.join(" "),
            output.status
        );
    }
    Ok(printed)
}
