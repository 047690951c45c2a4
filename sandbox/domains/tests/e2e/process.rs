//! Processes of the `xp` binary, from outside.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `xp`, run in `dir`, with all that it is to be told still to be added.
pub(crate) fn bare(dir: &Path) -> Command {
    program(env!("CARGO_BIN_EXE_xp"), dir)
}

/// The same of another binary.
pub(crate) fn program(path: &str, dir: &Path) -> Command {
    let mut command = Command::new(path);
    // Nothing of the developer's own configuration may reach a test.
    let ours = std::env::vars().map(|(name, _)| name);
    for name in ours.filter(|name| name.starts_with("XP_")) {
        command.env_remove(name);
    }
    command.current_dir(dir).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// `xp` with these words, on the data directory `data`.
pub(crate) fn xp(words: &[&str], data: &Path) -> Command {
    let mut command = bare(data);
    command.args(words).arg("--data").arg(data);
    command
}

/// What a command printed, and how it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) async fn end_of(command: &mut Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("{command:?} did not end"))
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

pub(crate) async fn run(words: &[&str], data: &Path) -> Ended {
    end_of(&mut xp(words, data)).await
}

/// A process that serves, and what it prints.
pub(crate) struct Process {
    child: Child,
    /// Kept open: a server whose greeting nobody reads must not stumble over it.
    out: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Its messages come with the test's own.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::spawn_telling(command, Stdio::inherit())
    }

    /// Its messages go there.
    pub(crate) fn spawn_telling(command: &mut Command, messages: Stdio) -> Self {
        command.stderr(messages);
        let mut given = command.as_std().get_envs();
        let is_given = given.any(|(name, _)| name == "RUST_LOG");
        if !is_given && std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error");
        }
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().expect("it is piped");
        Self {
            child,
            out: BufReader::new(out).lines(),
        }
    }

    /// The next line that it prints; `None` when it has ended.
    pub(crate) async fn next_line(&mut self) -> Option<String> {
        self.out.next_line().await.unwrap()
    }

    /// Waits for its next line, which must begin so, and gives the rest of it.
    pub(crate) async fn says(&mut self, beginning: &str) -> String {
        let line = timeout(PATIENCE, self.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("it does not say {beginning:?}"));
        let line = line.unwrap_or_else(|| panic!("it ended at once; what it said is above"));
        let rest = line.strip_prefix(beginning);
        rest.unwrap_or_else(|| panic!("it said {line:?}, not {beginning:?}"))
            .to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// SIGKILL: it can do nothing about it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args([&format!("-{name}"), &self.id().to_string()]);
        assert!(sent.status().await.unwrap().success());
    }

    /// SIGTERM, and the exit code it ends with.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        self.signal("TERM").await;
        self.ends().await
    }

    /// Waits until it ends by itself, and says with which code.
    pub(crate) async fn ends(&mut self) -> Option<i32> {
        let status = timeout(PATIENCE, self.child.wait()).await;
        status.expect("it ends").unwrap().code()
    }
}

/// A program that is typed to and read from, line by line.
pub(crate) struct Talk {
    child: Child,
    typing: Option<ChildStdin>,
    out: Lines<BufReader<ChildStdout>>,
    pub(crate) seen: Vec<String>,
}

impl Talk {
    pub(crate) fn with(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let typing = child.stdin.take();
        Self {
            child,
            typing,
            out,
            seen: Vec::new(),
        }
    }

    pub(crate) async fn types(&mut self, line: &str) {
        let typing = self.typing.as_mut().expect("still typing");
        typing
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        typing.flush().await.unwrap();
    }

    /// Waits for a line that holds all of `parts`.
    pub(crate) async fn sees(&mut self, parts: &[&str]) -> String {
        loop {
            let line = timeout(PATIENCE, self.out.next_line()).await;
            let line = line
                .unwrap_or_else(|_| panic!("no line with {parts:?}; seen: {:#?}", self.seen))
                .unwrap();
            let line = line.unwrap_or_else(|| {
                panic!(
                    "it ended without a line with {parts:?}; seen: {:#?}",
                    self.seen
                )
            });
            self.seen.push(line.clone());
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    /// Stops typing, and waits for the end.
    pub(crate) async fn ends(mut self) -> Option<i32> {
        drop(self.typing.take());
        self.gone().await
    }

    /// Waits for the end, although it might go on.
    pub(crate) async fn gone(&mut self) -> Option<i32> {
        // What is left to print is read, so that nobody waits for a full pipe.
        let rest = async { while let Ok(Some(_)) = self.out.next_line().await {} };
        timeout(PATIENCE, rest).await.expect("it ends");
        timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends")
            .unwrap()
            .code()
    }
}
