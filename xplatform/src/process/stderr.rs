//! The way of a server's lines to stderr: queued, written by a thread of its own, and lost rather than waited for.
//!
//! Nobody who logs may wait for whoever reads: a pipe that nobody reads, a disk that is full or a terminal that went
//! away would stop partitions otherwise. What is lost is counted, and said as soon as lines go through again.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use xp_protocol::plain::plain_lines;

/// Bytes that wait to be written. A line beyond is lost and counted.
const QUEUED_BYTES_MAX: usize = 1 << 20;
/// Lines that wait to be written. One beyond is lost and counted.
const QUEUED_LINES_MAX: usize = 8 << 10;
/// How long a process that ends waits for its last lines to be written. Then it ends without them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The one of this process, once it serves.
static STDERR: OnceLock<Lines> = OnceLock::new();

/// A queue of lines, cheap to clone. Who adds to it never waits for whoever writes.
#[derive(Clone)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A line has been taken out and is not written yet.
    writing: bool,
    /// Lines that nobody will ever see, and how many of them were spoken of.
    lost: u64,
    told: u64,
}

impl Queue {
    fn push(&mut self, line: &[u8]) {
        if self.lines.len() >= QUEUED_LINES_MAX || self.bytes + line.len() > QUEUED_BYTES_MAX {
            self.lost += 1;
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_vec());
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        self.writing = true;
        Some(line)
    }

    /// A line has gone through. Says how many were lost since that was said last.
    fn went_through(&mut self) -> Option<u64> {
        let lost = self.lost - self.told;
        self.told = self.lost;
        (lost > 0).then_some(lost)
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.writing
    }
}

impl Lines {
    /// Lines that go to `out`, written by a thread that lives as long as the process.
    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self {
            shared: Arc::default(),
        };
        let writer = lines.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.write_all_to(out))?;
        Ok(lines)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        let queue = self.shared.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        self.lock().push(line);
        self.shared.changed.notify_all();
    }

    /// How many lines nobody will ever see.
    fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Waits until everything is written, or for so long.
    fn flush(&self, patience: Duration) {
        let busy = |queue: &mut Queue| !queue.is_idle();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.lock(), patience, busy);
        drop(waited);
    }

    fn next(&self) -> Vec<u8> {
        let mut queue = self.lock();
        loop {
            if let Some(line) = queue.pop() {
                return line;
            }
            let woken = self.shared.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_all_to(&self, mut out: impl Write) {
        loop {
            let line = self.next();
            let written = out.write_all(&line);
            let lost = match written {
                Ok(()) => self.lock().went_through(),
                Err(_) => {
                    self.lock().lost += 1;
                    None
                }
            };
            if let Some(lost) = lost {
                // Should this line be lost as well, its number is in `/status` all the same.
                drop(out.write_all(loss(lost).as_bytes()));
            }
            self.lock().writing = false;
            self.shared.changed.notify_all();
        }
    }
}

fn loss(lost: u64) -> String {
    format!(
        "log lines lost: {lost}, since stderr did not take them (nobody reads it, or its disk is full)\n"
    )
}

impl Write for Lines {
    /// One call is one line, as the formatter of events makes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// From now on this process never waits for its stderr.
pub(super) fn lines() -> io::Result<Lines> {
    if let Some(lines) = STDERR.get() {
        return Ok(lines.clone());
    }
    let lines = Lines::to(io::stderr())?;
    Ok(STDERR.get_or_init(|| lines).clone())
}

/// What the standard library would print of a panic goes the same way: printing it would wait, and hold the lock that
/// every other line needs.
pub(super) fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name").to_owned();
        let trace = Backtrace::capture();
        match trace.status() {
            BacktraceStatus::Captured => say(&format!("thread {thread} {panic}\n{trace}")),
            _ => say(&format!("thread {thread} {panic}")),
        }
    }));
}

/// Says a line to whoever runs the process.
pub(crate) fn say(line: &str) {
    let line = format!("{}\n", plain_lines(line));
    match STDERR.get() {
        Some(lines) => lines.push(line.as_bytes()),
        // A command, not a server: it has nothing else to do, and nobody else to tell of it.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// How many lines of a server nobody will ever see.
pub(crate) fn lost() -> u64 {
    STDERR.get().map_or(0, Lines::lost)
}

/// Before the process ends: gives the last lines their time.
pub(crate) fn finish() {
    if let Some(lines) = STDERR.get() {
        lines.flush(LAST_LINES);
    }
}

#[cfg(test)]
pub(super) mod tests;
