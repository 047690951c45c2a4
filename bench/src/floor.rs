//! The floors: bare servers in processes of their own, which do nothing but what the kernel and the disk ask for.
//! Each is this program with hidden words, so that the generator drives it exactly as it drives the platform.

mod relay;
mod echo;
mod gate;
mod map;
mod start;
mod door;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;

use crate::figures::{GENERATOR_CORE, SERVER_CORE, now, pin_to};
use crate::node::{DATA, Door, Home, Process, listening};

/// What the process is.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Floor {
    /// Writes what the first socket says to all others, so many frames in one write(2)
    Relay {
        #[arg(long)]
        per_write: usize,
        #[arg(long)]
        frame_bytes: usize,
    },
    /// Answers each frame with itself
    Echo {
        /// First appends a record for each frame to this file, and syncs all that came together
        #[arg(long)]
        sync: Option<PathBuf>,
    },
    /// Lets in whose ES256 token is good
    Gate {
        /// The public key
        #[arg(long)]
        key: PathBuf,
    },
    /// Holds a map of so many states of 200 bytes
    Map {
        #[arg(long)]
        entries: u64,
    },
    /// Reads all files of a folder, says so, and ends
    Read { folder: PathBuf },
}

impl Floor {
    /// Serves until it is killed.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Relay {
                per_write,
                frame_bytes,
            } => relay::serve(per_write, frame_bytes),
            Self::Echo { sync } => echo::serve(sync),
            Self::Gate { key } => gate::serve(&key),
            Self::Map { entries } => map::hold(entries),
            Self::Read { folder } => start::read(&folder),
        }
    }
}

/// A running bare server. Dropped, it is killed.
pub(crate) struct Bare {
    process: Process,
    pub(crate) door: Door,
}

impl Bare {
    pub(crate) fn start(home: &Home, words: &[&str]) -> Result<Self> {
        pin_to(SERVER_CORE);
        let started = Process::start_bare(home, &[&["floor"], words].concat());
        pin_to(GENERATOR_CORE);
        let (process, line) = started?;
        let addr = listening(&line)?;
        let token = "bare".to_owned();
        Ok(Self {
            process,
            door: Door { addr, token },
        })
    }

    /// User and system time so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.process.cpu()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.process.resident()
    }
}

/// How long it takes until a new process has read what a server keeps here.
pub(crate) fn start_and_read(home: &Home) -> Result<Duration> {
    pin_to(SERVER_CORE);
    let began = now();
    let read = Process::start_bare(home, &["floor", "read", DATA]);
    let took = began.elapsed();
    pin_to(GENERATOR_CORE);
    read.map(|_| took)
}
