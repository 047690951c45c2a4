//! The reader of `inbound`. A mirror keeps it open, and what it has read: when it takes over, it assigns nothing.

use xp_protocol::Offset;
use xp_transport::{ReadError, Reader, Stored};

use super::Shell;
use crate::read_ahead::ReadAhead;

/// A reader, and what it has read and nobody has heard.
pub(super) struct Ahead {
    reader: Option<Box<dyn Reader>>,
    pub(super) read: ReadAhead,
}

impl Ahead {
    /// One that reads nothing.
    pub(super) fn closed() -> Self {
        Self {
            reader: None,
            read: ReadAhead::closed(),
        }
    }

    /// One that reads from an offset on.
    pub(super) fn open(shell: &Shell<'_>, begin: Offset) -> Self {
        let shared = shell.shared;
        let bytes_max = shared.limits(shell.place).ahead_bytes_max.bytes();
        Self {
            reader: Some(shared.log.read(&shell.topics.inbound, begin)),
            read: ReadAhead::open(begin, bytes_max, Default::default()),
        }
    }

    pub(super) fn close(&mut self) {
        *self = Self::closed();
    }

    /// What comes next. Cancel-safe, as the reader is.
    pub(super) async fn next(&mut self) -> Result<Vec<Stored>, ReadError> {
        super::next(&mut self.reader).await
    }
}
