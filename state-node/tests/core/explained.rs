//! The explanation of a fault: what the client hears, and what the log says of it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::desk::{ANA, Desk};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn desk(explains: bool) -> Desk {
    let mut desk = Desk::following();
    desk.explains = explains;
    desk.crash();
    desk.replay();
    desk.own();
    desk.connect(ANA, None);
    desk.settle();
    desk
}

/// What ana hears beside the code when her first command is this.
fn said(desk: &mut Desk, command: &str) -> String {
    desk.send(ANA, 1, command);
    desk.settle();
    let commit = desk.commits().pop().unwrap();
    String::from_utf8(commit.outputs.frames.to_vec()).unwrap()
}

#[test]
fn who_develops_hears_why_its_command_was_unreadable() {
    let said = said(&mut desk(true), "{\"type\":\"Dance\"}");
    assert!(
        said.starts_with('#') && said.contains(" unreadable command: "),
        "{said}"
    );
    assert!(said.contains("Dance"), "{said}");
}

#[test]
fn elsewhere_a_client_hears_a_reference_that_the_log_has_too() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let said = tracing::subscriber::with_default(subscriber, || {
        let mut desk = desk(false);
        // So many lines a second are told, and the other tests of this process tell as well.
        desk.pass(7_000_000);
        said(&mut desk, "{\"type\":\"Dance\"}")
    });
    assert!(said.starts_with('#') && said.len() == 9, "{said}");
    let lines = log.lines();
    let line = lines.iter().find(|line| line.contains(&said));
    let line = line.unwrap_or_else(|| panic!("{said} is not in {lines:#?}"));
    assert!(line.contains("Dance"), "{line}");
}

#[test]
fn what_clients_do_wrong_is_no_error_and_fills_no_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let wrong = format!("{{\"type\":\"\u{1b}[2J{}\"}}", "x".repeat(10_000));
    tracing::subscriber::with_default(subscriber, || {
        let mut desk = desk(false);
        for n in 1..=50 {
            desk.send(ANA, n, &wrong);
        }
        desk.settle();
        assert_eq!(desk.commits().len(), 51);
    });
    let lines = log.lines();
    for line in &lines {
        assert!(!line.contains("ERROR") && !line.contains("WARN"), "{line}");
        assert!(line.len() < 600 && !line.contains('\u{1b}'), "{line}");
    }
    let faults = lines.iter().filter(|line| line.contains("message faulted"));
    // The messages are of one second, but for the other tests of this process that tell as well.
    assert!(faults.count() <= 15, "{lines:#?}");
}
