//! The machine under the log: files, the clock, and a fresh identity. A trait, so that tests can fill the disk, fail a
//! sync and turn the clock.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use uuid::Uuid;
use xp_protocol::{LogIdentity, TimeMs};

use crate::clock::Clock;

/// The machine as the log sees it.
pub trait Machine: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> TimeMs;

    /// A name for a new life of a topic.
    fn fresh_identity(&self) -> LogIdentity;

    /// Makes a file, or empties the one that is there.
    ///
    /// # Errors
    /// What the file system says.
    fn create(&self, path: &Path) -> io::Result<File>;

    /// Writes all of `bytes` at `position`. After an error any part of them may have been written.
    ///
    /// # Errors
    /// What the file system says.
    fn write_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Returns once everything written to `file` survives a power loss.
    ///
    /// # Errors
    /// What the file system says. Afterwards nothing is known about what was written since the last
    /// sync that succeeded.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Cuts `file` to `length` bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn cut(&self, file: &File, length: u64) -> io::Result<()>;
}

/// The machine this process runs on.
#[derive(Clone, Debug, Default)]
pub struct ThisMachine {
    clock: Clock,
}

impl ThisMachine {
    /// This machine's files, and a clock that may be ahead of its own.
    #[must_use]
    pub const fn with_clock(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Machine for ThisMachine {
    fn now(&self) -> TimeMs {
        self.clock.now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a new life of a log needs a name nobody else drew"
    )]
    fn fresh_identity(&self) -> LogIdentity {
        LogIdentity(Uuid::new_v4())
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        file.write_all_at(bytes, position)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }
}
