//! The state of a partition on `{lane}.snapshots`: written by a mirror, read by a node that has none of it.
//!
//! What is written, what is made of it, and in which order are state machines without I/O; around them a task publishes
//! what the snapshot store holds, and another fills an empty store.

pub mod restoring;
pub mod publishing;
pub mod choice;
pub mod filling;
pub mod writing;
pub mod pages;
pub mod publisher;
pub mod restorer;
pub mod changes;

pub use changes::Changes;
pub use filling::{Filling, Outcome};
pub use pages::Page;
pub use publisher::Publisher;
pub use publishing::Publishing;
pub use restorer::{Damaged, Restored, Restorer, Standing, Survey};
pub use restoring::{RestoreError, Restoring};
pub use writing::Writing;

use bytes::Bytes;
use xp_protocol::snapshots::{Published, mark_key};
use xp_protocol::{ClaimId, Offset, codec};
use xp_transport::Record;

use crate::fold::Fold;
use crate::snapshot;
use crate::store::{SnapshotStore, StoreError};

/// The fold's header in a store and the last valid record that it has seen; `None` when there is nothing that could be
/// used.
///
/// # Errors
/// When the store cannot be read.
pub fn position(store: &dyn SnapshotStore) -> Result<Option<(Bytes, Offset)>, StoreError> {
    let header = store.header()?;
    Ok(header.and_then(|header| {
        let fold: Fold = codec::decode(snapshot::unsealed(&header).ok()?).ok()?;
        Some((header, fold.last_valid?))
    }))
}

/// R36: the first record of `events` that somebody needs who has what is published, of which `fold` is the header and
/// `position` the last record that it has seen. What may not have gone out is read from `events` (R6). A header that
/// cannot be read covers nothing.
#[must_use]
pub fn needs(fold: &[u8], position: Offset) -> Offset {
    let fold = snapshot::unsealed(fold).ok();
    let fold: Option<Fold> = fold.and_then(|fold| codec::decode(fold).ok());
    fold.map_or(Offset(0), |fold| {
        let unsent = fold.effects.first_unsent();
        unsent.map_or(position.next(), |unsent| unsent.min(position.next()))
    })
}

/// A record that only draws a position in the log: the beginning of an epoch, or the end up to which somebody reads.
#[must_use]
pub fn mark(id: ClaimId) -> Record {
    publisher::record(mark_key(id), &Published::Mark { id }, Bytes::new())
}

#[cfg(test)]
mod tests;
