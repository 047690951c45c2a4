//! Packages of Debian, installed where that is ours to do.

use std::process::{Command, Stdio};

/// Debian as root is what fresh CI machines are; anywhere else installing packages is the owner's to decide.
pub(crate) fn may_install() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|user| user.stdout == b"0\n")
        && succeeds(
            Command::new("apt-get")
                .arg("--version")
                .stdout(Stdio::null()),
        )
}

/// Whether they are installed now; if not, what apt-get printed says why.
pub(crate) fn install(packages: &[&str]) -> bool {
    let apt = |arguments: &[&str]| {
        succeeds(
            Command::new("apt-get")
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "-q"]) && apt(&[&["install", "-y", "-q"], packages].concat())
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
