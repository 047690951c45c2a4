//! Opening: a partition at its last snapshot, or at the beginning of its log (R35, R36).

use xp_protocol::codec;
use xp_protocol::{Epoch, Offset, Seq};

use super::{Following, Partition, Role, Setting, seeded};
use crate::action::Opening;
use crate::fold::{Fold, Rereading};
use crate::snapshot;

/// Why a partition cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// R36: the log starts after 0, and no snapshot covers what is missing.
    #[error(
        "{place} starts at offset {first} and no snapshot covers what was deleted before it; restore the \
         snapshots or the log"
    )]
    Uncovered {
        /// The partition.
        place: xp_protocol::LanePartition,
        /// Its oldest offset.
        first: Offset,
    },
    /// The snapshot store cannot be used at all.
    #[error("the snapshots of {place} cannot be used: {reason}")]
    Store {
        /// The partition.
        place: xp_protocol::LanePartition,
        /// Why.
        reason: String,
    },
}

impl Partition {
    /// A partition at its last snapshot. `seed` feeds the random numbers of its decisions.
    ///
    /// # Errors
    /// [`OpenError`] when neither snapshot nor log can rebuild it.
    pub fn open(setting: Setting, opening: Opening, seed: u64) -> Result<Self, OpenError> {
        let place = setting.place.clone();
        let store = |reason: String| OpenError::Store {
            place: place.clone(),
            reason,
        };
        let fold = match setting
            .store
            .header()
            .map_err(|error| store(error.to_string()))?
        {
            Some(header) => read_header(&header),
            None => None,
        };
        let covers = fold
            .as_ref()
            .is_some_and(|fold| fold.last_valid >= Some(opening.first));
        if !covers && opening.first > Offset(0) {
            return Err(OpenError::Uncovered {
                place,
                first: opening.first,
            });
        }
        if fold.is_none() {
            setting
                .store
                .clear()
                .map_err(|error| store(error.to_string()))?;
        }
        let fold = Fold {
            rules: setting.rules,
            ..fold.unwrap_or_default()
        };
        let mut partition = Self {
            setting,
            fold,
            entities: Default::default(),
            timers: Default::default(),
            watched: Default::default(),
            members: Default::default(),
            lease: Default::default(),
            random: seeded(seed),
            inbound_log: opening.inbound,
            unsent: Vec::new(),
            dirty: Default::default(),
            changes: 0,
            saving: None,
            hashes: Vec::new(),
            saved_at: opening.now,
            passivated_at: opening.now,
            role: Role::Over,
            faulted: Default::default(),
            actions: Vec::new(),
            diverged: Vec::new(),
        };
        partition.index_pending().map_err(store)?;
        partition.role = Role::Following(partition.following(opening.first));
        Ok(partition)
    }

    /// Where to read from: what lies after `sent` belongs to the snapshot too (R6).
    fn following(&self, first: Offset) -> Following {
        let Some(end) = self.fold.last_valid else {
            return Following {
                snapshot_end: None,
                rereading: None,
                next: Offset(0),
                claiming: None,
            };
        };
        let next = self.fold.sent.min(end).max(first);
        let rereading = Some(Rereading::new(&self.fold, (Epoch(0), Seq(0))));
        Following {
            snapshot_end: Some(end),
            rereading,
            next,
            claiming: None,
        }
    }
}

fn read_header(record: &[u8]) -> Option<Fold> {
    let bytes = snapshot::unsealed(record).ok()?;
    codec::decode(bytes)
        .inspect_err(|error| tracing::warn!(%error, "the snapshot's header cannot be read; the log is replayed"))
        .ok()
}
