//! Opening: a partition at its last snapshot, or at the beginning of its log (R35, R36).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use xp_protocol::codec::{self, Format};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, Offset};

use super::core::{Core, Opened, Quarantines, Residents, Snapshots};
use super::follow::Follower;
use super::{Partition, Role, Setting};
use crate::action::Opening;
use crate::fold::Fold;
use crate::snapshot::{self, Ahead, Pending};
use crate::store::SnapshotStore;

/// Why a partition cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// R36: the log starts after 0, and no snapshot covers what is missing.
    #[error(
        "{partition} starts at offset {first}, and {}: what was deleted before it is nowhere. Restore the snapshots (of this \
         node, or the lane's topic `snapshots`) or the log; a node that has them on its disk publishes them",
        reach(*snapshot)
    )]
    Uncovered {
        /// The partition that cannot be opened.
        partition: xp_protocol::LanePartition,
        /// Its oldest offset.
        first: Offset,
        /// Where the newest snapshot ends, on this disk or published.
        snapshot: Option<Offset>,
    },
    /// The snapshot store cannot be used at all.
    #[error("the snapshots of {partition} cannot be used: {reason}")]
    Store {
        /// The partition that cannot be opened.
        partition: xp_protocol::LanePartition,
        /// What the store said.
        reason: String,
    },
}

fn reach(snapshot: Option<Offset>) -> String {
    match snapshot {
        Some(end) => {
            format!("the newest snapshot, on this disk or published, ends at offset {end}")
        }
        None => "there is no snapshot, neither on this disk nor published".to_owned(),
    }
}

impl Partition {
    /// A partition at its last snapshot. `seed` feeds the random numbers of its decisions.
    ///
    /// # Errors
    /// [`OpenError`] when neither snapshot nor log can rebuild it.
    pub fn open(setting: Setting, opening: Opening, seed: u64) -> Result<Self, OpenError> {
        let is_whole = opening.first == Offset(0);
        let stored = stored(setting.store.as_ref(), is_whole).unwrap_or_else(|reason| {
            tracing::warn!(partition = %setting.partition, reason, "the snapshot cannot be used; the log is replayed");
            None
        });
        let end = stored.as_ref().and_then(|stored| stored.fold.last_valid);
        check_covered(&setting, end, opening.first)?;
        let replayed = stored.is_none();
        if replayed {
            forget(&setting)?;
        }
        let Header {
            fold,
            pending,
            unindexed,
            ahead,
        } = stored.unwrap_or_default();
        let faulted = setting.faulted.clone();
        let mut core = Core {
            setting,
            fold,
            residents: Residents::new(opening.now.running),
            snapshots: Snapshots::new(end, opening.now.running),
            quarantines: Quarantines::new(faulted),
            placement: Default::default(),
            opened: Opened {
                inbound: opening.inbound,
                first: opening.first,
                next: opening.next,
                replayed,
            },
            unsent: Vec::new(),
            clock: opening.now.time,
            random: ChaCha8Rng::seed_from_u64(seed),
            told_ahead: None,
            actions: Vec::new(),
        };
        core.residents.index.fill(pending);
        for address in unindexed {
            let indexed = core.index_anew(&address);
            indexed.map_err(|reason| OpenError::Store {
                partition: core.setting.partition.clone(),
                reason,
            })?;
        }
        let ahead = match core.holds(Rule::Ahead) {
            true => ahead.0,
            false => Default::default(),
        };
        let follower = follower(&core.fold, opening.first).with_ahead(ahead);
        let role = Role::Following(follower);
        Ok(Self { core, role })
    }
}

/// Where to read from: what lies after `sent` belongs to the snapshot too (R6). The record at which the snapshot
/// was cut may be the last one that was deleted; then there is nothing to compare it with.
fn follower(fold: &Fold, first: Offset) -> Follower {
    let snapshot_end = fold.last_valid.filter(|end| *end >= first);
    if fold.last_valid > snapshot_end {
        return Follower::new(None, first);
    }
    let unsent = |end| fold.effects.sent().min(end).max(first);
    Follower::new(snapshot_end, snapshot_end.map_or(Offset(0), unsent))
}

/// A snapshot's header, what waits in it, and what is ahead of it.
#[derive(Default)]
struct Header {
    fold: Fold,
    pending: Vec<(Address, Pending)>,
    /// Entities whose part of the index cannot be read.
    unindexed: Vec<Address>,
    ahead: Ahead,
}

/// What the store holds; `None` when there is no snapshot. Where the log `is_whole` it replaces a snapshot that is damaged
/// anywhere; where it is not, what waits for an entity is in the entity's own record too.
fn stored(store: &dyn SnapshotStore, is_whole: bool) -> Result<Option<Header>, String> {
    let Some(header) = store.header().map_err(text)? else {
        return Ok(None);
    };
    let fold = read(&header)?;
    let (mut pending, mut unindexed) = (Vec::new(), Vec::new());
    for (address, record) in store.pending().map_err(text)? {
        match read(&record) {
            Ok(waiting) => pending.push((address, waiting)),
            Err(reason) if is_whole => return Err(reason),
            Err(_) => unindexed.push(address),
        }
    }
    let ahead = store.ahead().map_err(text)?;
    Ok(Some(Header {
        fold,
        pending,
        unindexed,
        ahead: ahead.map_or(Ok(Ahead::default()), |record| read(&record))?,
    }))
}

fn read<T: Format>(record: &[u8]) -> Result<T, String> {
    let bytes = snapshot::unsealed(record).map_err(|error| format!("{}: {error}", T::NAME))?;
    codec::decode(bytes).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// R36: what retention has deleted can only come from a snapshot.
fn check_covered(
    setting: &Setting,
    snapshot: Option<Offset>,
    first: Offset,
) -> Result<(), OpenError> {
    if snapshot::covers(snapshot, first) {
        return Ok(());
    }
    Err(OpenError::Uncovered {
        partition: setting.partition.clone(),
        first,
        snapshot,
    })
}

fn forget(setting: &Setting) -> Result<(), OpenError> {
    setting.store.clear().map_err(|error| OpenError::Store {
        partition: setting.partition.clone(),
        reason: error.to_string(),
    })
}
