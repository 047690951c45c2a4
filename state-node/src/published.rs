//! The state of a partition on `{lane}.snapshots`: written by a mirror, read by a node that has none of it.
//!
//! What is written and what is made of it are two state machines without I/O; around them a task publishes what the
//! snapshot store holds, and another fills an empty store.

pub mod restoring;
pub mod publishing;
pub mod publisher;
pub mod restorer;
pub mod changes;

pub use changes::Changes;
pub use publisher::Publisher;
pub use publishing::Publishing;
pub use restorer::{Damaged, Restored, Restorer, Standing, Survey};
pub use restoring::{Outcome, RestoreError, Restoring};

use bytes::Bytes;
use xp_protocol::{Offset, codec};

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

#[cfg(test)]
mod tests;
