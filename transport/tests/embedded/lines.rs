//! Lines that journals write into the log of the process. Journals have threads of their own, so all tests share the
//! lines.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<u8>>);

/// From the first call on.
pub(crate) fn lines() -> &'static Lines {
    static LINES: OnceLock<&Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines: &'static Lines = Box::leak(Box::default());
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(lines)
            .init();
        lines
    })
}

impl Lines {
    /// The lines that have this.
    pub(crate) fn saying(&self, part: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for &'static Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self
    }
}
