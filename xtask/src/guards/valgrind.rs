//! Valgrind: found, or installed where that is ours to do.

use crate::apt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why nothing is counted.
pub(crate) const MISSING: &str = "valgrind is missing, or does not run here; install it (Debian, Ubuntu: `apt-get install valgrind`; \
                                  Fedora: `dnf install valgrind`), and `cargo xtask guards` counts";

/// A valgrind that runs.
pub(crate) fn prepare() -> Option<PathBuf> {
    let program = Path::new("valgrind");
    let runs = || {
        let mut said = Command::new(program);
        let said = said.arg("--version").stdin(Stdio::null());
        let said = said.stdout(Stdio::null()).stderr(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    };
    if !runs() && apt::may_install() {
        eprintln!("valgrind is missing; installing it by apt-get");
        apt::install(&["valgrind"]);
    }
    runs().then(|| program.to_owned())
}
