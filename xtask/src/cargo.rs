//! Cargo, as this program starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The package of `cargo xtask kafka`.
pub(crate) const LOCAL_KAFKA: &str = "xp-local-kafka";

/// The cargo that started us, so that a toolchain chosen by hand holds for whatever is built.
pub(crate) fn command(root: &Path, arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root);
    // What cargo told this program about its own package would reach the build scripts of others.
    let ours = std::env::vars_os().map(|(key, _)| key);
    ours.filter(|key| is_package_variable(&key.to_string_lossy()))
        .for_each(|key| {
            command.env_remove(key);
        });
    command
}

pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

fn is_package_variable(key: &str) -> bool {
    key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_said_about_this_package_does_not_reach_the_builds_it_starts() {
        assert!(is_package_variable("CARGO_PKG_VERSION"));
        assert!(is_package_variable("CARGO_MANIFEST_DIR"));
        assert!(!is_package_variable("CARGO_TARGET_DIR"));
    }
}
