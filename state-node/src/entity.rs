//! One entity in memory: the domain's instance, and the platform's own state about it.

mod roster;
mod kept;
mod runtime;
mod session;
mod moves;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::host::{Fault, Instance, RosterChange};
use xp_protocol::events::{Answer, Commit};
use xp_protocol::{Incarnation, Offset, PartitionId, TimeMs};

use crate::limits::Limits;
use crate::watched::Watched;
use moves::moves_sockets;
use roster::roster;

pub use kept::{Base, Kept};
pub use moves::moves_waiting;
pub use roster::attached;
pub use runtime::{Busy, Runtime, Ticket, Timer};
pub use session::{Floor, Phase, Session};

/// One entity in memory.
pub struct Entity {
    /// The domain's part.
    pub instance: Box<dyn Instance>,
    /// The platform's part.
    pub runtime: Runtime,
    /// When it was last touched, by the owner's clock.
    pub touched: TimeMs,
    /// Its place in the partition's order of idle entities.
    pub queued: TimeMs,
    /// Its stored events cannot be applied: it is set aside until that is mended.
    pub quarantined: bool,
    /// What the snapshot store has and lacks of it.
    pub kept: Kept,
    /// What is kept while anybody watches.
    pub watched: Option<Box<Watched>>,
}

impl Entity {
    /// An entity from its parts, with its roster filled from the stored sessions.
    ///
    /// # Errors
    /// When stored claims cannot be read any more.
    pub fn new(mut instance: Box<dyn Instance>, runtime: Runtime) -> Result<Self, Fault> {
        for session in runtime.live_sessions() {
            instance.roster(&attached(&session.socket))?;
            if !session.is_attached() {
                instance.roster(&RosterChange::Detached(session.socket.connection))?;
            }
        }
        let watched = watching(&runtime);
        let touched = TimeMs(0);
        Ok(Self {
            instance,
            runtime,
            touched,
            queued: touched,
            quarantined: false,
            kept: Kept::default(),
            watched,
        })
    }

    /// The partitions from which anybody watches.
    #[must_use]
    pub fn watched_from(&self) -> BTreeSet<PartitionId> {
        self.watched
            .iter()
            .flat_map(|watched| watched.partitions())
            .collect()
    }

    /// Whether no session of it is attached.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        let watched = self.watched.as_ref();
        watched.is_none_or(|watched| watched.edges().is_empty())
    }

    /// The edges that hold its attached sessions.
    #[must_use]
    pub fn edges(&self) -> BTreeSet<Incarnation> {
        self.watched
            .as_ref()
            .map_or_else(BTreeSet::new, |watched| watched.edges().clone())
    }

    fn recount(&mut self) {
        let now = watching(&self.runtime);
        match (&mut self.watched, now) {
            (Some(watched), Some(now)) => watched.recount(*now),
            (watched, now) => *watched = now,
        }
    }

    /// Folds a commit whose events the instance has applied already: the owner applies them before it
    /// appends (R9), everybody else just before this call.
    ///
    /// # Errors
    /// When claims cannot be read; whoever decided has read them before.
    pub fn fold(
        &mut self,
        commit: &Arc<Commit>,
        offset: Offset,
        bounds: &Limits,
    ) -> Result<(), Fault> {
        let Commit {
            revision,
            epoch,
            seq,
            ..
        } = **commit;
        let floor = Floor {
            offset,
            epoch,
            seq,
            revision,
        };
        for change in &commit.changes {
            self.runtime
                .apply(change, floor, bounds.answers_per_session);
            if let Some((connection, n, answer)) = commit.answered(change) {
                let answer = apart(answer, commit.frames.len());
                self.runtime.answer(connection, n, revision, answer);
            }
            roster(self.instance.as_mut(), change, &self.runtime)?;
        }
        if commit.changes.iter().any(moves_sockets) {
            self.recount();
        }
        self.runtime.revision = revision;
        self.runtime.now = self.runtime.now.max(commit.now);
        self.runtime.exists |= commit.event_count > 0;
        for link in &commit.links {
            let busy = self.runtime.busy.get_or_insert_default();
            busy.chain.insert(link.partition, revision);
        }
        if let Some(watched) = &mut self.watched {
            watched.remember(commit, bounds);
        }
        Ok(())
    }
}

/// An answer that shares its memory with everything the commit delivers gets its own when it is little of it: it
/// may be kept for long.
fn apart(answer: Answer, frames_bytes: usize) -> Answer {
    let little = |payload: &Bytes| payload.len() < frames_bytes / 2;
    match answer {
        Answer::Reply(payload) if little(&payload) => {
            Answer::Reply(Bytes::copy_from_slice(&payload))
        }
        Answer::Reject(payload) if little(&payload) => {
            Answer::Reject(Bytes::copy_from_slice(&payload))
        }
        whole => whole,
    }
}

/// Who watches an entity with these sessions; `None` when nobody does or may come back.
fn watching(runtime: &Runtime) -> Option<Box<Watched>> {
    let mut watched: Option<Box<Watched>> = None;
    for session in runtime.live_sessions() {
        let watched = watched.get_or_insert_default();
        if session.is_attached() {
            watched.attach(session.socket.outbound, session.socket.edge);
        }
    }
    watched
}
