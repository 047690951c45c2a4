//! Errors of opening the embedded log. Every message says what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::Damage;

/// Why a log did not open. Nothing was changed but for what the message says.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle in this one, has the directory.
    #[error(
        "{} is in use{}: stop that process, or choose another directory",
        dir.display(),
        holder.map_or_else(String::new, |pid| format!(" by process {pid}"))
    )]
    Locked {
        /// The log's directory.
        dir: PathBuf,
        /// The process that has it, when it is known.
        holder: Option<u32>,
    },
    /// The file system said no.
    #[error("cannot {doing} {}: make sure that its directory exists, can be written and has space", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Stored bytes are not what was written. Nothing was cut or repaired.
    #[error(
        "{} is damaged at byte {position}: {what}. Nothing was changed; restore the file from a copy",
        file.display()
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The file was written by another version of this program.
    #[error(
        "{} has format version {found}, and this program knows version {known} only: start the version that wrote it",
        file.display()
    )]
    Version {
        /// The file that names the version.
        file: PathBuf,
        /// The version that it names, as it stands there.
        found: String,
        /// The version this program reads and writes.
        known: u8,
    },
    /// A topic's partition count is fixed once it holds records.
    #[error(
        "topic {topic} was made with {stored} partitions and is configured with {configured}: \
         configure {stored}, or make a topic of another name"
    )]
    Partitions {
        /// The topic's name.
        topic: String,
        /// The count it was made with.
        stored: u32,
        /// The count the configuration asks for.
        configured: u32,
    },
    /// The configuration cannot be served.
    #[error("topic {topic:?} {what}")]
    Config {
        /// The topic's name.
        topic: String,
        /// What is wrong and what would be right.
        what: &'static str,
    },
}

impl OpenError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn damaged(file: &Path, position: u64, what: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            position,
            what: what.into(),
        }
    }

    pub(super) fn from_damage(file: &Path, damage: Damage) -> Self {
        Self::damaged(file, damage.position, damage.what)
    }

    /// The whole message with its source, for errors that carry one text only.
    pub(super) fn full(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            other => other.to_string(),
        }
    }
}
