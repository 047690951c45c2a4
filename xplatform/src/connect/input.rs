//! The terminal or pipe of `xp connect`: its lines in and its lines out, so that output does not tear what is being
//! typed.

use std::io::{BufRead, Write};

use anyhow::Result;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

/// Lines that wait to be sent. At the bound the terminal or the pipe is not read further.
const LINES_MAX: usize = 16;

/// Lines in, and lines out.
pub(super) struct Input {
    pub(super) lines: mpsc::Receiver<String>,
    out: Box<dyn Fn(String) + Send>,
}

impl Input {
    /// A prompt with history and editing; what is printed goes above it.
    pub(super) fn terminal() -> Result<Self> {
        let mut editor = DefaultEditor::new()?;
        let printer = editor.create_external_printer()?;
        let printer = std::sync::Mutex::new(printer);
        let (send, lines) = mpsc::channel(LINES_MAX);
        std::thread::spawn(move || type_lines(&mut editor, &send));
        let out = move |line: String| {
            let mut printer = printer.lock().expect("printing does not panic");
            // A terminal that is gone ends the typing, which ends the session.
            let _ = printer.print(line + "\n");
        };
        Ok(Self {
            lines,
            out: Box::new(out),
        })
    }

    /// Standard input to its end, standard output line by line.
    pub(super) fn pipe() -> Self {
        let (send, lines) = mpsc::channel(LINES_MAX);
        std::thread::spawn(move || {
            let lines = std::io::stdin().lock().lines();
            lines
                .map_while(Result::ok)
                .take_while(|line| send.blocking_send(line.clone()).is_ok())
                .for_each(drop);
        });
        let out = |line: String| {
            let mut out = std::io::stdout().lock();
            // Nobody reads any more: as for other programs in a pipe, that is the end.
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                std::process::exit(1);
            }
        };
        Self {
            lines,
            out: Box::new(out),
        }
    }

    pub(super) fn print(&self, line: String) {
        (self.out)(line);
    }
}

fn type_lines(editor: &mut DefaultEditor, send: &mpsc::Sender<String>) {
    loop {
        match editor.readline("> ") {
            Ok(typed) => {
                // A history that cannot be kept is no reason to stop.
                let _ = editor.add_history_entry(&typed);
                // A paste of several lines comes as one.
                let mut lines = typed.lines().map(str::to_owned);
                if lines.any(|line| send.blocking_send(line).is_err()) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
