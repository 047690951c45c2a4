//! `xp connect` at a terminal, as people type and paste.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::process::{PATIENCE, xp};
use crate::server::Server;

const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;

/// A terminal with a program in it.
struct Terminal {
    keyboard: File,
    screen: mpsc::UnboundedReceiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Terminal {
    fn with(words: &[&str], data: &Path) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let keyboard = File::from(keyboard);
        let mut inside = File::options();
        inside.read(true).write(true);
        let inside = inside.open(name.to_str().unwrap()).unwrap();
        let mut command = xp(words, data);
        command.env("TERM", "xterm");
        command.stdin(Stdio::from(inside.try_clone().unwrap()));
        command.stdout(Stdio::from(inside.try_clone().unwrap()));
        command.stderr(Stdio::from(inside));
        let child = command.spawn().unwrap();
        let (send, screen) = mpsc::unbounded_channel();
        let mut shown = keyboard.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // When nobody has the terminal open any more, reading fails.
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            screen,
            seen: String::new(),
            child,
        }
    }

    /// All of it at once, as a paste comes.
    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    async fn sees(&mut self, wanted: &str) {
        while !self.seen.contains(wanted) {
            let shown = timeout(PATIENCE, self.screen.recv()).await;
            let shown = shown.ok().flatten();
            let shown = shown.unwrap_or_else(|| panic!("no {wanted:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&shown));
        }
    }
}

#[tokio::test]
async fn what_is_typed_ahead_or_pasted_is_taken_line_by_line() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let words = ["connect", "board/1", "--url", &server.url()];
    let mut terminal = Terminal::with(&words, data.path());
    terminal.sees("welcome").await;
    terminal.types(&format!("{RED}\r"));
    terminal.sees("reply 1 ").await;
    terminal.types(&format!("{RED}\r{RED}\r"));
    terminal.sees("reply 3 ").await;
    // As terminals frame a paste that they know to be one.
    terminal.types(&format!("\u{1b}[200~{RED}\r{RED}\u{1b}[201~\r"));
    terminal.sees("reply 5 ").await;
    terminal.types("/quit\r");
    let ended = timeout(PATIENCE, terminal.child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(0));
}
