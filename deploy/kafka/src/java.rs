//! Java 17 and Maven: found, or installed where that is ours to do.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Kafka 4 does not start on an older one.
const OLDEST: u32 = 17;

const INSTALL: &str = "install Java 17 or newer and Maven (Debian, Ubuntu: `apt-get install openjdk-17-jre-headless maven`; \
                       Fedora: `dnf install java-21-openjdk-headless maven`; macOS: `brew install openjdk maven`)";

/// The program that runs brokers: that of `JAVA_HOME`, else the first in the path.
pub(crate) fn program() -> PathBuf {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    home.filter(|java| java.is_file())
        .unwrap_or_else(|| "java".into())
}

/// Makes sure that there is a Java to run brokers.
pub(crate) fn require_java() -> Result<()> {
    match version() {
        Some(version) if version >= OLDEST => Ok(()),
        found => {
            install(&format!("Java {OLDEST} is needed, and {}", what(found)))?;
            let now = version();
            if now.is_none_or(|version| version < OLDEST) {
                bail!("after the installation {}: {INSTALL}", what(now));
            }
            Ok(())
        }
    }
}

/// Makes sure that there is a Maven to fetch jars.
pub(crate) fn require_maven() -> Result<()> {
    if has_maven() {
        return Ok(());
    }
    install("Maven is needed, and there is no `mvn`")?;
    if !has_maven() {
        bail!("`mvn --version` still fails after the installation: {INSTALL}");
    }
    Ok(())
}

fn what(version: Option<u32>) -> String {
    match version {
        Some(version) => format!("{} is {version}", program().display()),
        None => format!("`{} -version` does not work", program().display()),
    }
}

fn version() -> Option<u32> {
    let output = Command::new(program()).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`, 8 of `java version "1.8.0_392"`.
fn major(printed: &str) -> Option<u32> {
    let (_, rest) = printed.split_once("version \"")?;
    let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
    let first = numbers.next()?.parse().ok()?;
    if first == 1 {
        return numbers.next()?.parse().ok();
    }
    Some(first)
}

fn has_maven() -> bool {
    succeeds(Command::new("mvn").arg("--version").stdout(Stdio::null()))
}

fn install(why: &str) -> Result<()> {
    if !may_use_apt() {
        bail!("{why}: {INSTALL}");
    }
    eprintln!("{why}; installing by apt-get");
    let _ = apt(&["update", "-q"]);
    // Which of the two a release has depends on its age.
    let packages = ["openjdk-17-jre-headless", "default-jre-headless"];
    let installed = packages
        .iter()
        .any(|java| apt(&["install", "-y", "-q", java, "maven"]));
    installed
        .then_some(())
        .with_context(|| format!("{why}; apt-get could not install it: {INSTALL}"))
}

/// Debian as root is what fresh CI machines are; anywhere else installing packages is the owner's to decide.
fn may_use_apt() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    is_root
        && succeeds(
            Command::new("apt-get")
                .arg("--version")
                .stdout(Stdio::null()),
        )
}

/// Its own words go to stderr: stdout belongs to the program that needs Kafka.
fn apt(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    succeeds(command.stdout(std::io::stderr()))
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_old_and_new_javas_print() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major("java version \"1.8.0_392\""), Some(8));
        assert_eq!(major("bash: java: command not found"), None);
    }

    #[test]
    fn the_advice_names_the_packages_to_install() {
        assert!(INSTALL.contains("apt-get install openjdk-17-jre-headless maven"));
    }
}
