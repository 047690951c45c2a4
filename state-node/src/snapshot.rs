//! The bytes of snapshots: an entity's record, and the index of what waits.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xp_domain_sdk::host::{Fault, Host, Instance};
use xp_protocol::codec::{self, Format};
use xp_protocol::events::{Parked, TimerKey};
use xp_protocol::{Address, Incarnation, Offset, TimeMs};

use crate::entity::{Entity, Kept, Quarantine, Runtime};

/// An entity's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The state version of the build that encoded the state.
    pub state_version: u32,
    /// The platform's part.
    pub runtime: Runtime,
    /// The domain's part, encoded; empty for an entity before its first event.
    pub state: Bytes,
    /// Events that the state has not seen, oldest first, as they stand in the log: a state that has seen them could
    /// not be encoded, or the build could not apply them.
    pub unapplied: Vec<Bytes>,
    /// What waits for it (R44).
    pub parked: Vec<Parked>,
    /// Set when the build that stored it could not read it.
    pub quarantine: Option<Quarantine>,
}

impl Format for Stored {
    const NAME: &'static str = "snapshot";
    /// Version 3 has sessions that ended with their entity (R49).
    const VERSION: u8 = 3;
    const OLDEST: u8 = 2;
}

/// An entity's record as the first version had it: a state that has seen everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBefore {
    /// As in [`Stored`].
    pub state_version: u32,
    /// As in [`Stored`].
    pub runtime: Runtime,
    /// As in [`Stored`].
    pub state: Bytes,
}

impl Format for StoredBefore {
    const NAME: &'static str = Stored::NAME;
    const VERSION: u8 = 1;
}

impl From<StoredBefore> for Stored {
    fn from(before: StoredBefore) -> Self {
        Self {
            state_version: before.state_version,
            runtime: before.runtime,
            state: before.state,
            unapplied: Vec::new(),
            parked: Vec::new(),
            quarantine: None,
        }
    }
}

/// What must be known of an entity that is not in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its timers, each with the time at which it is due.
    pub timers: Vec<(TimeMs, TimerKey)>,
    /// The edges that watch it.
    pub edges: Vec<Incarnation>,
}

impl Format for Pending {
    const NAME: &'static str = "pending-index";
    /// Version 2 has the timer of what is parked, version 3 that of retention.
    const VERSION: u8 = 3;
    const OLDEST: u8 = 1;
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
    /// The platform's part cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

fn unreadable(error: impl ToString) -> Unusable {
    Unusable::Unreadable(error.to_string())
}

/// The record of `entity`, and the checksum of its encoded state unless it is in quarantine.
///
/// # Errors
/// When the domain cannot encode it.
pub fn store(host: &dyn Host, entity: &Entity) -> Result<(Bytes, Option<u32>), Fault> {
    let (state, unapplied, hash) = match &entity.quarantine {
        Some(quarantine) => (
            quarantine.state.clone(),
            quarantine.unapplied().to_vec(),
            None,
        ),
        None => {
            let state = entity.instance.encode()?;
            let hash = crc32c::crc32c(&state);
            (state.into(), Vec::new(), Some(hash))
        }
    };
    let stored = Stored {
        state_version: version_of(&state).unwrap_or_else(|| host.state_version()),
        runtime: entity.runtime.clone(),
        state,
        unapplied,
        parked: entity.runtime.parked.iter().cloned().collect(),
        quarantine: entity.quarantine.as_deref().cloned(),
    };
    Ok((sealed(&codec::encode(&stored)), hash))
}

/// The state version that stands before every encoded state.
fn version_of(state: &[u8]) -> Option<u32> {
    let version = state.first_chunk()?;
    Some(u32::from_le_bytes(*version))
}

/// The record of an entity whose state cannot be encoded: the `base` of what is held of it, and the events since.
///
/// # Errors
/// [`Unusable`] when the base cannot be read.
pub fn store_behind(
    host: &dyn Host,
    entity: &Entity,
    base: Option<&[u8]>,
) -> Result<Bytes, Unusable> {
    let mut stored = match base {
        Some(record) => stored(record)?,
        None => Stored {
            state_version: host.state_version(),
            runtime: Runtime::default(),
            state: Bytes::new(),
            unapplied: Vec::new(),
            parked: Vec::new(),
            quarantine: None,
        },
    };
    stored.runtime = entity.runtime.clone();
    stored.parked = entity.runtime.parked.iter().cloned().collect();
    stored.quarantine = None;
    stored.unapplied.extend(entity.kept.events().cloned());
    Ok(sealed(&codec::encode(&stored)))
}

/// What a record holds.
///
/// # Errors
/// [`Unusable`] when it is damaged or of an unknown version.
pub fn stored(record: &[u8]) -> Result<Stored, Unusable> {
    let bytes = unsealed(record)?;
    match bytes.first() {
        Some(&StoredBefore::VERSION) => {
            let before = codec::decode::<StoredBefore>(bytes).map_err(unreadable)?;
            Ok(before.into())
        }
        _ => codec::decode(bytes).map_err(unreadable),
    }
}

/// The entity of a record. One that this build cannot read is in quarantine, with all that is known of it; one that was
/// stored so is tried again. `now` is when it is set aside, if it is.
///
/// # Errors
/// [`Unusable`] when the record is damaged, or the platform's own part of it cannot be read.
pub fn load(host: &dyn Host, record: &[u8], now: TimeMs) -> Result<Entity, Unusable> {
    let mut stored = stored(record)?;
    let mut runtime = std::mem::take(&mut stored.runtime);
    runtime.parked = std::mem::take(&mut stored.parked).into();
    let mut entity = match instance(host, &stored, std::iter::empty()) {
        Ok(instance) => Entity::new(instance, runtime),
        Err(fault) => {
            let since = stored.quarantine.map_or(now, |former| former.since);
            let quarantine = Quarantine::new(&fault, since, runtime.revision, stored.state);
            Entity::quarantined(host, runtime, quarantine.holding(stored.unapplied))
        }
    };
    entity.kept = Kept::stored();
    Ok(entity)
}

/// The domain's part of a record, and of what came `behind` it.
///
/// # Errors
/// When this build cannot read it.
pub fn instance<'e>(
    host: &dyn Host,
    stored: &'e Stored,
    behind: impl Iterator<Item = &'e Bytes>,
) -> Result<Box<dyn Instance>, Fault> {
    let mut instance = match stored.state.is_empty() {
        true => host.fresh(),
        false => host.load(&stored.state)?,
    };
    for events in stored.unapplied.iter().chain(behind) {
        instance.apply(events)?;
    }
    Ok(instance)
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
