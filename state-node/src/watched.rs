//! The data in memory about an entity while anybody watches it: never stored, rebuilt from its sessions and commits.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use xp_protocol::events::Commit;
use xp_protocol::{Incarnation, PartitionId, Revision};

use crate::limits::Limits;

/// Who watches an entity from where, and its last commits.
#[derive(Debug, Default)]
pub struct Watched {
    /// Sessions that are not over, with a socket or without.
    live: u32,
    listeners: BTreeMap<PartitionId, u32>,
    edges: BTreeMap<Incarnation, u32>,
    recent: VecDeque<Arc<Commit>>,
    recent_bytes: usize,
}

/// From where a session that is not over watches, if it has a socket.
pub type Seat = Option<(PartitionId, Incarnation)>;

impl Watched {
    /// Counts a session that is not over.
    pub fn come(&mut self, seat: Seat) {
        self.live += 1;
        if let Some((partition, edge)) = seat {
            *self.listeners.entry(partition).or_default() += 1;
            *self.edges.entry(edge).or_default() += 1;
        }
    }

    /// Counts it no more: it sits elsewhere now, or is over.
    pub fn go(&mut self, seat: Seat) {
        self.live = self.live.saturating_sub(1);
        if let Some((partition, edge)) = seat {
            take_off(&mut self.listeners, partition);
            take_off(&mut self.edges, edge);
        }
    }

    /// Whether every session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.live == 0
    }

    /// Keeps a commit for resumes; over a bound the oldest go, and come from the log when they are asked for.
    pub fn remember(&mut self, commit: &Arc<Commit>, limits: &Limits) {
        self.recent.push_back(Arc::clone(commit));
        self.recent_bytes += commit.outputs.frames.len();
        while self.recent.len() > limits.recent.commits_max
            || self.recent_bytes > limits.recent.bytes_max.bytes()
        {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= oldest.outputs.frames.len();
        }
    }

    /// The partitions from which anybody watches.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + '_ {
        self.listeners.keys().copied()
    }

    /// The edges that hold attached sessions.
    pub fn edges(&self) -> impl Iterator<Item = Incarnation> + '_ {
        self.edges.keys().copied()
    }

    /// Whether an edge holds attached sessions.
    #[must_use]
    pub fn is_watched_by(&self, edge: Incarnation) -> bool {
        self.edges.contains_key(&edge)
    }

    /// Everything behind `since`, when memory reaches back so far.
    #[must_use]
    pub fn since(&self, since: Revision) -> Option<Vec<Arc<Commit>>> {
        let reaches = self.recent.front()?.revision <= since.next();
        let behind = self.recent.iter().filter(|commit| commit.revision > since);
        reaches.then(|| behind.cloned().collect())
    }
}

fn take_off<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
