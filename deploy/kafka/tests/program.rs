//! The program behind `cargo xtask kafka`, as somebody types it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use xp_local_kafka::{Detached, LocalKafka};

/// A target directory of its own, with the jars of the real one.
struct Typed {
    target: tempfile::TempDir,
}

impl Typed {
    fn new() -> Self {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir(target.path().join("kafka")).unwrap();
        let libs = LocalKafka::prepare().unwrap().dir().to_owned();
        std::os::unix::fs::symlink(libs, target.path().join("kafka/libs")).unwrap();
        Self { target }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xp-local-kafka"));
        command
            .args(words.split(' '))
            .env("CARGO_TARGET_DIR", self.target.path());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    fn says(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.run("stop");
    }
}

fn line<'a>(said: &'a str, start: &str) -> &'a str {
    let line = said.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line starts with `{start}` in\n{said}"))
}

#[test]
fn a_started_kafka_outlives_the_command_and_ends_with_stop() {
    let typed = Typed::new();
    let status = typed.run("status");
    assert_eq!(status.status.code(), Some(3), "{status:?}");

    let started = typed.says("start");
    let configuration = line(&started, "brokers = [\"127.0.0.1:").to_owned();
    let running = Detached::find(&typed.target.path().join("kafka/local-1"));
    assert!(
        started.ends_with(&running.instructions()),
        "what is tried out is not what is printed: {started}"
    );
    let again = typed.says("start");
    assert!(again.contains("Kafka runs already"), "{again}");
    assert_eq!(line(&again, "brokers = "), configuration);
    let other = typed.refuses("start --brokers 3");
    assert!(other.contains("kafka stop` first"), "{other}");
    let status = typed.says("status");
    assert!(
        line(&status, "broker 1: ").contains(", answers, "),
        "{status}"
    );

    assert!(typed.says("stop").contains("stopped 1 broker(s)"));
    assert!(typed.says("stop").contains("Kafka does not run"));
}

#[test]
fn a_broker_on_a_leash_does_not_survive_a_kill_of_the_process_that_started_it() {
    let typed = Typed::new();
    let mut command = typed.command("run");
    let mut owner = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let said = lines.find_map(|line| line.ok().filter(|line| line.starts_with("broker 1: ")));
    let said = said.unwrap();
    let pid = said.split_once("pid ").unwrap().1;
    let pid = pid.split_once(',').unwrap().0.to_owned();
    assert!(is_running(&pid), "{said}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    // Who was killed cannot wait for its broker's end, and we are not its parent: look, for 20 s at most.
    let (_keep, tick) = mpsc::channel::<()>();
    let gone = (0..1_000).any(|_| {
        let _ = tick.recv_timeout(Duration::from_millis(20));
        !is_running(&pid)
    });
    assert!(gone, "process {pid} outlived its owner");
}

/// A process that ended but was not waited for has no command line any more.
fn is_running(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_wrong_word_is_answered_with_the_right_ones() {
    let typed = Typed::new();
    assert!(typed.refuses("begin").contains("there is no `kafka begin`"));
    let two = typed.refuses("start --brokers 2");
    assert!(two.contains("one broker or three, not `2`"), "{two}");
}
