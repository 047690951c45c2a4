//! What is kept in memory about an entity while anybody watches it: never stored, rebuilt from its sessions
//! and commits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use xp_protocol::events::Commit;
use xp_protocol::{Incarnation, PartitionId, Revision};

use crate::limits::Limits;

/// Who watches an entity from where, and its last commits.
#[derive(Debug, Default)]
pub struct Watched {
    listeners: BTreeMap<PartitionId, u32>,
    edges: BTreeSet<Incarnation>,
    recent: VecDeque<Arc<Commit>>,
    recent_bytes: usize,
}

impl Watched {
    /// Counts an attached session.
    pub fn attach(&mut self, partition: PartitionId, edge: Incarnation) {
        *self.listeners.entry(partition).or_default() += 1;
        self.edges.insert(edge);
    }

    /// The same commits, with who watches now.
    pub fn recount(&mut self, now: Self) {
        self.listeners = now.listeners;
        self.edges = now.edges;
    }

    /// Keeps a commit for resumes; over a bound the oldest go, and come from the log when they are asked for.
    pub fn remember(&mut self, commit: &Arc<Commit>, limits: &Limits) {
        self.recent.push_back(Arc::clone(commit));
        self.recent_bytes += commit.frames.len();
        while self.recent.len() > limits.recent_commits_max
            || self.recent_bytes > limits.recent_bytes_max
        {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= oldest.frames.len();
        }
    }

    /// The partitions from which anybody watches.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + '_ {
        self.listeners.keys().copied()
    }

    /// The edges that hold attached sessions.
    #[must_use]
    pub fn edges(&self) -> &BTreeSet<Incarnation> {
        &self.edges
    }

    /// Everything behind `since`, when memory reaches back so far.
    #[must_use]
    pub fn since(&self, since: Revision) -> Option<Vec<Arc<Commit>>> {
        let reaches = self.recent.front()?.revision <= since.next();
        let behind = self.recent.iter().filter(|commit| commit.revision > since);
        reaches.then(|| behind.cloned().collect())
    }
}
