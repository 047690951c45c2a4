//! A Python for the tests that speak to the platform without any of our code: to its edges with `websockets`, to its
//! Kafka with `confluent-kafka`. Its environment also holds the tools that come from the package index.

use crate::{apt, cargo};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What tests import, and from which package. Pinned, so that a run today and a run in a year test against the same
/// clients; the versions have wheels for CPython 3.9 to 3.14.
const PACKAGES: [Package; 2] = [
    Package {
        module: "websockets",
        name: "websockets",
        version: "15.0.1",
    },
    Package {
        module: "confluent_kafka",
        name: "confluent-kafka",
        version: "2.12.2",
    },
];

struct Package {
    module: &'static str,
    name: &'static str,
    version: &'static str,
}

impl Package {
    fn pinned(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    /// A program that fails unless just this can be imported.
    fn check(&self) -> String {
        let Self {
            module,
            name,
            version,
        } = self;
        format!(
            "import {module}; from importlib.metadata import version; assert version('{name}') == '{version}'"
        )
    }
}

const INSTALL: &str = "install Python 3.9 or newer with its venv module (Debian, Ubuntu: `apt-get install python3 python3-venv`; \
                       Fedora: `dnf install python3`; macOS: `brew install python`)";

/// Where the environment is.
pub(crate) fn home(root: &Path) -> PathBuf {
    cargo::target(root).join("python")
}

/// Makes `target/python` able to import the packages, and returns its interpreter.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let python = interpreter(root);
    if missing(&python).is_empty() {
        return Ok(python);
    }
    let python = environment(root)?;
    install(&python, &PACKAGES.each_ref().map(Package::pinned))?;
    let missing = missing(&python);
    if !missing.is_empty() {
        bail!(
            "{} cannot import {} after its installation; delete {} and try again",
            python.display(),
            missing.join(" and "),
            home(root).display()
        );
    }
    Ok(python)
}

/// The interpreter of the environment, which is made when it is not there. One that lacks a package of a later commit is
/// fine otherwise.
pub(crate) fn environment(root: &Path) -> Result<PathBuf> {
    let python = interpreter(root);
    if !has_pip(&python) {
        create(&home(root))?;
    }
    Ok(python)
}

fn interpreter(root: &Path) -> PathBuf {
    home(root).join("bin").join("python")
}

/// The packages that cannot be imported.
fn missing(python: &Path) -> Vec<String> {
    let lacks = |package: &&Package| {
        let mut check = Command::new(python);
        check.args(["-c", &package.check()]);
        !succeeds(check.stderr(Stdio::null()))
    };
    PACKAGES.iter().filter(lacks).map(Package::pinned).collect()
}

fn has_pip(python: &Path) -> bool {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--version"]);
    succeeds(pip.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// `--clear`, because a half-made environment of an interrupted run has an interpreter but no pip.
fn create(venv: &Path) -> Result<()> {
    let attempt = || {
        succeeds(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(venv),
        )
    };
    if attempt() {
        return Ok(());
    }
    if !apt::may_install() {
        bail!("`python3 -m venv` does not work here: {INSTALL}");
    }
    if !apt::install(&["python3", "python3-venv"]) {
        bail!("apt-get could not install python3-venv (its messages are above): {INSTALL}");
    }
    if !attempt() {
        bail!("`python3 -m venv` does not work even after installing python3-venv: {INSTALL}");
    }
    Ok(())
}

/// Installs packages of just these versions (`name==version`) into the environment.
pub(crate) fn install(python: &Path, wanted: &[String]) -> Result<()> {
    let status = Command::new(python)
        .args(["-m", "pip", "install", "--quiet"])
        .arg("--disable-pip-version-check")
        .args(wanted)
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !status.success() {
        bail!(
            "pip could not install {} (is there a way to the package index?)",
            wanted.join(" and ")
        );
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interpreter_lacks_every_package() {
        let missing = missing(Path::new("no/such/python"));
        assert_eq!(missing, PACKAGES.each_ref().map(Package::pinned));
    }

    #[test]
    fn the_advice_names_the_packages_to_install() {
        assert!(INSTALL.contains("apt-get install python3 python3-venv"));
    }
}
