//! A Python with the `websockets` package, for the tests that speak to the platform without any of our code.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned, so that a run today and a run in a year test against the same client.
const WEBSOCKETS: &str = "15.0.1";

const INSTALL: &str = "install Python 3.9 or newer with its venv module (Debian, Ubuntu: `apt-get install python3 python3-venv`; \
                       Fedora: `dnf install python3`; macOS: `brew install python`)";

/// Makes `target/python` able to `import websockets`, and returns its interpreter.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf> {
    let venv = target(root).join("python");
    let python = venv.join("bin").join("python");
    if has_websockets(&python) {
        return Ok(python);
    }
    create(&venv)?;
    install_websockets(&python)?;
    if !has_websockets(&python) {
        bail!(
            "{} cannot import websockets {WEBSOCKETS} after its installation; delete {} and try again",
            python.display(),
            venv.display()
        );
    }
    Ok(python)
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

fn has_websockets(python: &Path) -> bool {
    let check = format!("import websockets; assert websockets.__version__ == '{WEBSOCKETS}'");
    succeeds(
        Command::new(python)
            .args(["-c", &check])
            .stderr(Stdio::null()),
    )
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
    if !may_use_apt() {
        bail!("`python3 -m venv` does not work here: {INSTALL}");
    }
    install_by_apt()?;
    if !attempt() {
        bail!("`python3 -m venv` does not work even after installing python3-venv: {INSTALL}");
    }
    Ok(())
}

/// Debian as root is what fresh CI machines are; anywhere else installing packages is the owner's to decide.
fn may_use_apt() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout == b"0\n")
        && succeeds(
            Command::new("apt-get")
                .arg("--version")
                .stdout(Stdio::null()),
        )
}

fn install_by_apt() -> Result<()> {
    let apt = |arguments: &[&str]| {
        succeeds(
            Command::new("apt-get")
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if apt(&["update", "-q"]) && apt(&["install", "-y", "-q", "python3", "python3-venv"]) {
        return Ok(());
    }
    bail!("apt-get could not install python3-venv (its messages are above): {INSTALL}")
}

fn install_websockets(python: &Path) -> Result<()> {
    let wanted = format!("websockets=={WEBSOCKETS}");
    let status = Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &wanted,
        ])
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !status.success() {
        bail!(
            "pip could not install {wanted}; the tests with a Python client need it (is there a way to the package index?)"
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
    fn a_missing_interpreter_is_no_python_with_websockets() {
        assert!(!has_websockets(Path::new("no/such/python")));
    }

    #[test]
    fn the_advice_names_the_packages_to_install() {
        assert!(INSTALL.contains("apt-get install python3 python3-venv"));
    }
}
