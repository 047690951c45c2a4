//! The bytes of snapshots: an entity's record, and the index of what waits.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xp_domain_sdk::host::Host;
use xp_protocol::codec::{self, Format};
use xp_protocol::events::TimerKey;
use xp_protocol::{Address, Incarnation, Offset, TimeMs};

use crate::entity::{Entity, Runtime};

/// An entity's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The domain's state version; another one sets the state aside.
    pub state_version: u32,
    /// The platform's part.
    pub runtime: Runtime,
    /// The domain's part, encoded.
    pub state: Bytes,
}

impl Format for Stored {
    const NAME: &'static str = "snapshot";
    const VERSION: u8 = 1;
}

/// What must be known of an entity that is not in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its timers.
    pub timers: Vec<(TimeMs, TimerKey)>,
    /// The edges that watch it.
    pub edges: Vec<Incarnation>,
}

impl Format for Pending {
    const NAME: &'static str = "pending-index";
    const VERSION: u8 = 1;
}

/// Entities that have seen more than the fold header beside them, and up to which offset of `events`: what is read of
/// them up to there is folded into the header and not applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead(pub BTreeMap<Address, Offset>);

impl Format for Ahead {
    const NAME: &'static str = "ahead-index";
    const VERSION: u8 = 1;
}

/// Why a record cannot be used; the log can rebuild the entity.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unusable {
    /// The checksum does not fit: the disk or the store damaged it.
    #[error("its checksum does not fit")]
    Damaged,
    /// It was written by another state version of the domain.
    #[error("it has state version {found}, and the domain has {known}")]
    StateVersion {
        /// The version found.
        found: u32,
        /// The domain's version.
        known: u32,
    },
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

fn unreadable(error: impl ToString) -> Unusable {
    Unusable::Unreadable(error.to_string())
}

/// The record of `entity`, and the checksum of its encoded state; `None` when the domain cannot encode it.
#[must_use]
pub fn store(host: &dyn Host, entity: &Entity) -> Option<(Bytes, u32)> {
    let state = entity.instance.encode().ok()?;
    let hash = crc32c::crc32c(&state);
    let stored = Stored {
        state_version: host.state_version(),
        runtime: entity.runtime.clone(),
        state: state.into(),
    };
    Some((sealed(&codec::encode(&stored)), hash))
}

/// The entity of a record.
///
/// # Errors
/// [`Unusable`] when it is damaged, of another state version, or unreadable.
pub fn load(host: &dyn Host, record: &[u8]) -> Result<Entity, Unusable> {
    let stored: Stored = codec::decode(unsealed(record)?).map_err(unreadable)?;
    let known = host.state_version();
    if stored.state_version != known {
        return Err(Unusable::StateVersion {
            found: stored.state_version,
            known,
        });
    }
    let instance = host.load(&stored.state).map_err(unreadable)?;
    Entity::new(instance, stored.runtime).map_err(unreadable)
}

/// R36: whether a snapshot that ends at `end` and a log that begins at `first` hold everything together.
#[must_use]
pub fn covers(end: Option<Offset>, first: Offset) -> bool {
    first == Offset(0) || end.is_some_and(|end| end.next() >= first)
}

/// Puts a checksum behind: the store's own integrity is not relied on (R35), and the version byte stays first.
#[must_use]
pub fn sealed(bytes: &[u8]) -> Bytes {
    let sum = crc32c::crc32c(bytes).to_le_bytes();
    [bytes, &sum].concat().into()
}

/// The bytes before a checksum that fits.
///
/// # Errors
/// [`Unusable::Damaged`].
pub fn unsealed(record: &[u8]) -> Result<&[u8], Unusable> {
    let (bytes, sum) = record.split_last_chunk::<4>().ok_or(Unusable::Damaged)?;
    if crc32c::crc32c(bytes) == u32::from_le_bytes(*sum) {
        Ok(bytes)
    } else {
        Err(Unusable::Damaged)
    }
}
