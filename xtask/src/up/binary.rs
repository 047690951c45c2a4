//! The binary that an installation runs: the example domains, built here, or somebody's own binary, which must know the platform's
//! tasks before anything starts with it.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use xp_background::wait_for;

/// Printing a few lines takes no time; a server that knows no flags would go on for ever.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// What an installation asks of its binary.
const TASKS: [&str; 3] = ["state-node", "edge", "topics create"];

const MUST_BE: &str = "it must be built on `xplatform`, with a main that ends in `Domain::new().host::<…>().run()`, as README.md shows";

/// The whole path of a binary that can be run.
pub(super) fn judged(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let found = fs::metadata(path).with_context(|| format!("--binary {shown} cannot be found"))?;
    if !found.is_file() {
        bail!("--binary {shown} is no file");
    }
    if found.permissions().mode() & 0o111 == 0 {
        bail!("--binary {shown} may not be executed; `chmod +x` allows it, if it is a program");
    }
    let path = fs::canonicalize(path)?;
    for task in TASKS {
        knows(&path, task)?;
    }
    Ok(path)
}

fn knows(path: &Path, task: &str) -> Result<()> {
    let shown = path.display();
    let help = help(path, task).with_context(|| {
        format!("--binary {shown} does not answer `{task} --help`, so it is none of X Platform's: {MUST_BE}")
    })?;
    let is_ours = help.contains(&format!(" {task} [OPTIONS]")) && help.contains("--config <FILE>");
    if !is_ours {
        bail!(
            "--binary {shown} does not know the task `{task}`, so it is none of X Platform's: {MUST_BE}"
        );
    }
    Ok(())
}

/// What it prints about a task.
fn help(path: &Path, task: &str) -> Result<String> {
    let mut child = Command::new(path)
        .args(task.split(' '))
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = child.stdout.take().context("it has no stdout")?;
    // Read beside: one that prints more than a pipe holds would not end.
    let reading = std::thread::spawn(move || {
        let mut said = Vec::new();
        out.read_to_end(&mut said).map(|_| said)
    });
    let ended = wait_for(ANSWERED_WITHIN, || child.try_wait().transpose());
    let Some(ended) = ended else {
        child.kill()?;
        child.wait()?;
        bail!("it did not end within {ANSWERED_WITHIN:?}");
    };
    if !ended?.success() {
        bail!("it failed");
    }
    let said = reading
        .join()
        .map_err(|_| anyhow::anyhow!("its answer is lost"))??;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        format!("{:#}", judged(path).unwrap_err())
    }

    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("mine");
        // By another process: no child of a test beside this one may hold it open for writing when it is run.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"";
        let mut shell = Command::new("sh");
        let written = shell
            .args(["-c", write, "sh"])
            .arg(&path)
            .arg(text)
            .status();
        assert!(written.unwrap().success());
        path
    }

    #[test]
    fn what_is_no_binary_of_the_platform_is_told_before_anything_starts() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent");
        assert!(refused(&absent).contains("cannot be found"));
        assert!(refused(dir.path()).contains("is no file"));
        fs::write(&absent, "text").unwrap();
        assert!(refused(&absent).contains("chmod +x"));
        // One that prints its help whatever it is asked for.
        let other = script(dir.path(), "echo 'Usage: mine [OPTIONS]'");
        let said = refused(&other);
        assert!(
            said.contains("does not know the task `state-node`"),
            "{said}"
        );
        assert!(said.contains("built on `xplatform`"), "{said}");
        let failing = script(dir.path(), "exit 2");
        assert!(refused(&failing).contains("it failed"));
    }

    #[test]
    fn a_binary_that_knows_the_tasks_is_taken_by_its_whole_path() {
        let dir = tempfile::tempdir().unwrap();
        let help = "case $1 in topics) t='topics create';; *) t=$1;; esac; echo \"Usage: mine $t [OPTIONS]\"; echo '  --config <FILE>'";
        let mine = script(dir.path(), help);
        assert_eq!(judged(&mine).unwrap(), fs::canonicalize(mine).unwrap());
        let half = script(dir.path(), &format!("[ $1 = edge ] && exit 2; {help}"));
        assert!(refused(&half).contains("`edge --help`"));
    }
}
