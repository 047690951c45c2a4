//! One entity in memory: the domain's instance, and the platform's own state about it.

mod quarantine;
mod roster;
mod kept;
mod runtime;
mod session;
mod moves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::host::{Host, Instance, RosterChange};
use xp_protocol::events::{Answer, Change, Commit, TimerKey};
use xp_protocol::{Incarnation, Offset, PartitionId, Revision, TimeMs};

use crate::limits::Limits;
use crate::watched::{Seat, Watched};
use roster::roster;

pub use kept::{Base, Kept};
pub use moves::{session_moved, timers_moved};
pub use quarantine::{Cure, Quarantine};
pub use roster::attached;
pub use runtime::{Busy, Runtime, Ticket, Timer};
pub use session::{Floor, Phase, Session};

/// One entity in memory.
pub struct Entity {
    /// The domain's part.
    pub instance: Box<dyn Instance>,
    /// The platform's part.
    pub runtime: Runtime,
    /// When it was last touched, by the time for which the owner has been running.
    pub touched: TimeMs,
    /// Its place in the partition's order of idle entities.
    pub queued: TimeMs,
    /// Set while this build cannot read it. The instance is an empty one then, which nobody may ask anything.
    pub quarantine: Option<Box<Quarantine>>,
    /// What the snapshot store has and lacks of it.
    pub kept: Kept,
    /// What is kept while anybody watches.
    pub watched: Option<Box<Watched>>,
    /// How many sessions of each subject are remembered, ended ones included.
    subjects: BTreeMap<Box<str>, u32>,
}

impl Entity {
    /// An entity from its parts, with its roster filled from the stored sessions.
    #[must_use]
    pub fn new(mut instance: Box<dyn Instance>, runtime: Runtime) -> Self {
        people(instance.as_mut(), &runtime);
        let touched = TimeMs(0);
        let mut entity = Self {
            instance,
            runtime: Runtime::default(),
            touched,
            queued: touched,
            quarantine: None,
            kept: Kept::default(),
            watched: None,
            subjects: BTreeMap::new(),
        };
        for session in runtime.sessions() {
            entity.remember(&session.socket.subject);
            if session.is_live() {
                let watched = entity.watched.get_or_insert_default();
                watched.come(seat(session));
            }
        }
        entity.runtime = runtime;
        entity
    }

    /// An entity that this build cannot read.
    #[must_use]
    pub fn quarantined(host: &dyn Host, runtime: Runtime, quarantine: Quarantine) -> Self {
        let mut entity = Self::new(host.fresh(), runtime);
        entity.quarantine = Some(Box::new(quarantine));
        entity
    }

    /// Whether this build cannot read it.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.quarantine.is_some()
    }

    /// Whether a snapshot of it holds all that is needed to read it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let quarantine = self.quarantine.as_ref();
        quarantine.is_none_or(|quarantine| quarantine.is_complete())
    }

    /// Whether what is stored of it is damaged, and nothing can rebuild it here. Its revision is not known, so nothing can
    /// be recorded for it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.quarantine.as_ref().is_some_and(|q| q.is_lost())
    }

    /// Whether what comes for it must wait: it is in quarantine, or something that came before waits (R44).
    #[must_use]
    pub fn parks(&self) -> bool {
        self.is_quarantined() || !self.runtime.parked.is_empty()
    }

    /// Sets it aside. What was in memory of the instance is dropped.
    pub fn set_aside(&mut self, host: &dyn Host, quarantine: Quarantine) {
        self.instance = host.fresh();
        self.quarantine = Some(Box::new(quarantine));
    }

    /// It is sound again.
    pub fn recover(&mut self, mut instance: Box<dyn Instance>) {
        people(instance.as_mut(), &self.runtime);
        self.instance = instance;
        self.quarantine = None;
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
        watched.is_none_or(|watched| watched.edges().next().is_none())
    }

    /// The edges that hold its attached sessions.
    #[must_use]
    pub fn edges(&self) -> BTreeSet<Incarnation> {
        self.watched
            .iter()
            .flat_map(|watched| watched.edges())
            .collect()
    }

    /// Whether an edge holds attached sessions of it.
    #[must_use]
    pub fn is_watched_by(&self, edge: Incarnation) -> bool {
        let watched = self.watched.as_ref();
        watched.is_some_and(|watched| watched.is_watched_by(edge))
    }

    /// How many sessions of a subject are remembered, ended ones included.
    #[must_use]
    pub fn sessions_of(&self, subject: &str) -> usize {
        self.subjects
            .get(subject)
            .map_or(0, |count| *count as usize)
    }

    fn remember(&mut self, subject: &str) {
        match self.subjects.get_mut(subject) {
            Some(count) => *count += 1,
            None => drop(self.subjects.insert(subject.into(), 1)),
        }
    }

    fn forget(&mut self, subject: &str) {
        if let Some(count) = self.subjects.get_mut(subject) {
            *count -= 1;
            if *count == 0 {
                self.subjects.remove(subject);
            }
        }
    }

    /// Applies a change, and counts again the one session that it moves: an entity may remember thousands of others.
    fn change(&mut self, change: &Change, floor: Floor, bounds: &Limits) {
        let moved = session_moved(change);
        let session = |runtime: &Runtime| {
            let session = runtime.session(moved?)?;
            let seat = session.is_live().then(|| seat(session));
            Some((session.socket.subject.clone(), seat))
        };
        let before = session(&self.runtime);
        self.runtime.apply(change, floor, bounds.sessions.answers);
        let after = session(&self.runtime);
        match (&before, &after) {
            (None, Some((subject, _))) => self.remember(subject),
            (Some((subject, _)), None) => self.forget(subject),
            _ => {}
        }
        let seat = |known: Option<(_, Option<Seat>)>| known.and_then(|(_, seat)| seat);
        if let (Some(seat), Some(watched)) = (seat(before), &mut self.watched) {
            watched.go(seat);
        }
        if let Some(seat) = seat(after) {
            self.watched.get_or_insert_default().come(seat);
        }
    }

    /// When it ends because nobody uses it, where its category keeps such ones for a time only.
    #[must_use]
    pub fn retained_until(&self, host: &dyn Host) -> Option<TimeMs> {
        let retention_ms = host.retention_ms()?;
        let unused = self.runtime.is_unused();
        unused.then(|| self.runtime.now.plus_ms(retention_ms))
    }

    /// All its timers and when they are due.
    pub fn timers(&self, host: &dyn Host) -> impl Iterator<Item = (TimeMs, TimerKey)> + '_ {
        let retained = self.retained_until(host);
        let retained = retained.map(|until| (until, TimerKey::Retention));
        self.runtime.timers().chain(retained)
    }

    /// When a timer is due, if it is set.
    #[must_use]
    pub fn due(&self, host: &dyn Host, key: &TimerKey) -> Option<TimeMs> {
        match key {
            TimerKey::Retention => self.retained_until(host),
            _ => self.runtime.due(key),
        }
    }

    /// R49: it is over, and is again what it was before its first event, also where this build could not read it.
    fn end(&mut self, host: &dyn Host, until: TimeMs, revision: Revision) {
        self.runtime.end(until, revision);
        self.instance = host.fresh();
        self.quarantine = None;
        self.kept = Kept::default();
        self.watched = None;
    }

    /// Folds a commit whose events the instance has applied already: the owner applies them before it
    /// appends (R9), everybody else just before this call.
    pub fn fold(&mut self, host: &dyn Host, commit: &Arc<Commit>, offset: Offset, bounds: &Limits) {
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
        self.runtime.exists |= commit.event_count > 0;
        for change in &commit.changes {
            if let Change::EntityEnded { until } = change {
                self.end(host, *until, revision);
            }
            self.change(change, floor, bounds);
            if let Some((connection, n, answer)) = commit.answered(change) {
                let answer = apart(answer, commit.outputs.frames.len());
                self.runtime.answer(connection, n, revision, answer);
            }
            if self.quarantine.is_none() {
                roster(self.instance.as_mut(), change, &self.runtime);
            }
        }
        // Not before the end: who ends here and who begins here see the same commits.
        self.watched.take_if(|watched| watched.is_over());
        self.runtime.revision = revision;
        // Never before the last one, but where that was too far ahead of the owner's clock (R48).
        self.runtime.now = commit.now;
        for link in &commit.outputs.links {
            let busy = self.runtime.busy.get_or_insert_default();
            busy.chain.insert(link.partition, revision);
        }
        if let Some(watched) = &mut self.watched {
            watched.remember(commit, bounds);
        }
    }
}

/// Fills an instance's roster. Claims that this build cannot read fail whoever needs them, and nobody else.
fn people(instance: &mut dyn Instance, runtime: &Runtime) {
    for session in runtime.live_sessions() {
        drop(instance.roster(&attached(&session.socket)));
        if !session.is_attached() {
            drop(instance.roster(&RosterChange::Detached(session.socket.connection)));
        }
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

fn seat(session: &Session) -> Seat {
    let socket = &session.socket;
    session
        .is_attached()
        .then_some((socket.outbound, socket.edge))
}
