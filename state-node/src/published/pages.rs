//! The pages of a snapshot store that a publisher reads, while nobody writes it.

use bytes::Bytes;
use xp_protocol::snapshots::Body;
use xp_protocol::{Address, Offset};

use super::{Changes, position};
use crate::pace::Pace;
use crate::snapshot;
use crate::store::{SnapshotStore, StoreError};

/// Why nothing can be read that could be published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unread {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read before it belongs to another snapshot.
    #[error("the snapshot store was made anew")]
    Cleared,
    /// There is no snapshot yet, or one of which some entities have seen more than its header: it was restored, and
    /// nobody could tell any more which.
    #[error("nothing is stored yet that could be published")]
    Nothing,
    /// All has to be published anew.
    #[error("more entities changed than are kept in mind")]
    TooMany,
}

/// Entities at one moment.
#[derive(Clone, Debug)]
pub struct Page {
    /// The last record of `events` that they have seen.
    pub as_of: Offset,
    /// Their records; `None` for one that is there no longer.
    pub entities: Vec<(Address, Option<Body>)>,
}

/// What changed up to a position.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Entities that changed since the changes were taken last.
    pub changed: Vec<Address>,
    /// The fold's header.
    pub fold: Bytes,
    /// The last record of `events` that it has seen.
    pub position: Offset,
}

/// From now on changes are kept.
///
/// # Errors
/// [`Unread::Nothing`] and [`Unread::Store`].
pub fn begin(store: &dyn SnapshotStore, changes: &mut Changes, pace: &Pace) -> Result<(), Unread> {
    changes.begin(pace.changes_max);
    stands(store)?.ok_or(Unread::Nothing).map(drop)
}

/// Where the store stands, when all that is in it stands there.
fn stands(store: &dyn SnapshotStore) -> Result<Option<(Bytes, Offset)>, StoreError> {
    match store.ahead()? {
        Some(_) => Ok(None),
        None => position(store),
    }
}

/// The next entities behind `after`; none at the end.
///
/// # Errors
/// [`Unread::Cleared`] and [`Unread::Store`].
pub fn page(
    store: &dyn SnapshotStore,
    after: Option<&Address>,
    pace: &Pace,
) -> Result<Page, Unread> {
    let addresses = store.addresses(after, pace.page_entities)?;
    entities(store, &addresses, pace)
}

/// Some of these entities as they are now, at least one; the header is read on both sides, because a store may be
/// cleared by whoever opens it.
///
/// # Errors
/// [`Unread::Cleared`] and [`Unread::Store`].
pub fn entities(
    store: &dyn SnapshotStore,
    addresses: &[Address],
    pace: &Pace,
) -> Result<Page, Unread> {
    let (_, as_of) = stands(store)?.ok_or(Unread::Cleared)?;
    let mut entities = Vec::new();
    let mut bytes = 0;
    for address in addresses.iter().take(pace.page_entities) {
        let body = body(store, address)?;
        bytes += body.as_ref().map_or(0, |body| body.record.len());
        entities.push((address.clone(), body));
        if bytes > pace.page_bytes.bytes() {
            break;
        }
    }
    match stands(store)? {
        Some((_, again)) if again == as_of => Ok(Page { as_of, entities }),
        _ => Err(Unread::Cleared),
    }
}

fn body(store: &dyn SnapshotStore, address: &Address) -> Result<Option<Body>, StoreError> {
    let Some(record) = store.entity(address)? else {
        return Ok(None);
    };
    // What an earlier epoch has of it is whole, and would be removed.
    if let Err(error) = snapshot::unsealed(&record) {
        let damaged = format!("what is stored of {address} is not published: {error}");
        return Err(StoreError(damaged));
    }
    let pending = store.pending_of(address)?;
    Ok(Some(Body { record, pending }))
}

/// What changed since the last call, and the fold's header that goes with it.
///
/// # Errors
/// [`Unread`].
pub fn take(store: &dyn SnapshotStore, changes: &mut Changes) -> Result<Taken, Unread> {
    let changed = changes.take().ok_or(Unread::TooMany)?;
    let (fold, position) = stands(store)?.ok_or(Unread::Cleared)?;
    Ok(Taken {
        changed: changed.into_iter().collect(),
        fold,
        position,
    })
}
