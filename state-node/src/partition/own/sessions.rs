//! Welcomes, resumes and lost edges (R8, R20, R21, R29, R31).

use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::host::RosterChange;
use xp_protocol::codec;
use xp_protocol::events::Answer;
use xp_protocol::events::{Attachment, Cause, Change, Commit, Event, TimerKey};
use xp_protocol::outbound::{Item, Recipients};
use xp_protocol::{Address, Attempt, CloseCode, ConnectionId, FaultCode, Revision, TimeMs};
use xp_transport::Stored;

use super::super::{Partition, Rescanning, Unsent, key};
use crate::action::Action;
use crate::draft::{After, Deliveries, frames_for, socket};
use crate::entity::Session;
use crate::fold::Rereading;
use crate::gate::Output;
use crate::turn::{self, Turn, Turned};

/// What a resume repeats: the commits behind `since` up to `upto`.
struct Resume {
    connection: ConnectionId,
    since: Revision,
    upto: Revision,
    announce: bool,
}

impl Partition {
    /// What follows a commit outside the chain, rendered from the state after it (R31).
    pub(super) fn follow_up(&mut self, address: &Address, after: After) {
        match after {
            After::Welcome(connection) => self.welcome(address, connection),
            After::Resume(connection, since) => self.resume(address, connection, since, true),
        }
    }

    fn welcome(&mut self, address: &Address, connection: ConnectionId) {
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let limits = Arc::clone(&self.setting.limits);
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let Some(session) = entity.runtime.session(connection) else {
            return;
        };
        let turn = Turn {
            address,
            host: host.as_ref(),
            limits: &limits,
            cause: Cause::Timer(TimerKey::Grace(connection)),
            now: entity.runtime.now,
            // A welcome draws nothing that must be the same again: it is never logged (R31).
            seed: entity.runtime.revision.0,
            trace: None,
            rules: self.setting.rules,
        };
        let outputs = turn::welcome(&turn, entity, session);
        self.put_plain(address, outputs);
    }

    /// R31: a session that began with a commit whose effects may not have gone out is welcomed anew, from
    /// the state as it is now.
    pub(super) fn welcome_again(&mut self, unsent: &Unsent) {
        for change in &unsent.commit.changes {
            let Change::SessionBegun(begun) = change else {
                continue;
            };
            if let Err(reason) = self.load(&unsent.address) {
                return self.set_aside(&reason);
            }
            let Some(entity) = self.entities.get(&unsent.address) else {
                continue;
            };
            let session = entity.runtime.session(begun.connection);
            if session.is_some_and(|session| session.is_socket(begun.attempt)) {
                self.welcome(&unsent.address, begun.connection);
            }
        }
    }

    fn put_plain(&mut self, address: &Address, outputs: Deliveries) {
        for (partition, record) in outputs.records(address, &Default::default()) {
            self.put_behind(Output::Plain(partition, record));
        }
    }

    /// R20: the edge missed records of the chain.
    pub(in crate::partition) fn resume_gap(
        &mut self,
        address: &Address,
        connection: ConnectionId,
        attempt: Attempt,
        since: Revision,
    ) {
        if let Err(reason) = self.load(address) {
            return self.set_aside(&reason);
        }
        let session = self
            .entities
            .get(address)
            .and_then(|entity| entity.runtime.session(connection));
        match session {
            Some(session) if session.is_socket(attempt) => {
                self.resume(address, connection, since, false)
            }
            // R23: a resume for an attempt that is no longer attached is answered by a close.
            Some(session) => {
                let mut gone = session.clone();
                gone.socket.attempt = attempt;
                self.close_plain(address, &gone, CloseCode::ComeBack);
            }
            None => {}
        }
    }

    fn close_plain(&mut self, address: &Address, session: &Session, code: CloseCode) {
        let mut outputs = Deliveries::default();
        outputs.to_session(session, Item::Close { code }, &[]);
        self.put_plain(address, outputs);
    }

    /// R21: repeats what followed `since`, from memory or from the log; when neither has it, the client
    /// starts over from a fresh welcome.
    fn resume(
        &mut self,
        address: &Address,
        connection: ConnectionId,
        since: Revision,
        announce: bool,
    ) {
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let Some(session) = entity.runtime.session(connection) else {
            return;
        };
        let upto = entity.runtime.revision;
        let resume = Resume {
            connection,
            since,
            upto,
            announce,
        };
        let known = match &entity.watched {
            _ if since >= upto => Some(Vec::new()),
            Some(watched) => watched.since(since),
            None => None,
        };
        if let Some(commits) = known {
            return self.repeat_commits(address, &resume, &commits);
        }
        let floor = session.floor;
        if since < floor.revision {
            return self.start_over(address, connection, announce);
        }
        let rescanning = Rescanning {
            address: address.clone(),
            connection,
            attempt: session.socket.attempt,
            since,
            upto,
            floor,
            announce,
        };
        let (bytes_max, end) = (
            self.setting.limits.resume_scan_bytes_max,
            self.expected(self.fold.seq).next(),
        );
        let Some(owner) = self.owner() else { return };
        owner.next_rescan += 1;
        let id = owner.next_rescan;
        owner.rescans.insert(id, rescanning);
        self.actions.push(Action::Rescan {
            id,
            from: floor.offset,
            upto: end,
            bytes_max,
        });
    }

    /// The records that a resume asked for; `None` when they are gone or too many.
    pub fn rescanned(&mut self, id: u64, batch: Option<&[Stored]>, now: TimeMs) {
        let Some(rescan) = self.owner().and_then(|owner| owner.rescans.remove(&id)) else {
            return;
        };
        let session = self
            .entities
            .get(&rescan.address)
            .and_then(|e| e.runtime.session(rescan.connection));
        if !session.is_some_and(|session| session.is_socket(rescan.attempt)) {
            return;
        }
        let commits = batch.map(|batch| self.reread(&rescan, batch));
        match commits.filter(|commits| is_dense(commits, rescan.since, rescan.upto)) {
            Some(commits) => {
                let Rescanning {
                    connection,
                    since,
                    upto,
                    announce,
                    ..
                } = rescan;
                let resume = Resume {
                    connection,
                    since,
                    upto,
                    announce,
                };
                self.repeat_commits(&rescan.address, &resume, &commits);
            }
            None => self.start_over(&rescan.address, rescan.connection, rescan.announce),
        }
        self.drain(now);
    }

    fn reread(&self, rescan: &Rescanning, batch: &[Stored]) -> Vec<Arc<Commit>> {
        let floor = rescan.floor;
        let mut judge = Rereading::new(&self.fold, (floor.epoch, floor.seq));
        let mut commits: Vec<Arc<Commit>> = Vec::new();
        for stored in batch {
            let Ok(event) = codec::decode::<Event>(&stored.record.header) else {
                continue;
            };
            let valid = judge.step(stored.offset, &event);
            let Event::Commit(commit) = event else {
                continue;
            };
            let wanted = commit.revision > rescan.since && commit.revision <= rescan.upto;
            if valid && wanted && key(stored).as_ref() == Some(&rescan.address) {
                commits.push(Arc::from(commit));
            }
        }
        commits
    }

    fn repeat_commits(&mut self, address: &Address, resume: &Resume, commits: &[Arc<Commit>]) {
        let Some(entity) = self.entities.get(address) else {
            return;
        };
        let Some(session) = entity.runtime.session(resume.connection) else {
            return;
        };
        let outputs = resumed(session, resume, commits);
        self.put_plain(address, outputs);
    }

    /// What was missed is too far back. A connecting client gets a fresh welcome; behind a living socket,
    /// whose edge asked, only a new socket can start over.
    fn start_over(&mut self, address: &Address, connection: ConnectionId, announce: bool) {
        if announce {
            return self.welcome(address, connection);
        }
        let session = self
            .entities
            .get(address)
            .and_then(|entity| entity.runtime.session(connection))
            .cloned();
        if let Some(session) = session {
            self.close_plain(address, &session, CloseCode::ComeBack);
        }
    }

    /// A connection whose `connected` came to too much: neither commit nor session remains.
    pub(super) fn refuse_begun(&mut self, address: &Address, wanted: &Attachment, code: FaultCode) {
        let Some(host) = self.setting.domain.get(address.category()).cloned() else {
            return;
        };
        let Some(entity) = self.entities.get_mut(address) else {
            return;
        };
        let gone = RosterChange::Ended(wanted.connection);
        entity
            .instance
            .roster(&gone)
            .expect("leaving the roster reads no bytes");
        let revision = entity.runtime.revision;
        let forgettable = entity.runtime.is_forgettable();
        let refused = turn::refuse(wanted, revision, host.is_text(), &Answer::Fault(code));
        if let Turned::Unlogged { outputs, .. } = refused {
            self.put_plain(address, outputs);
        }
        self.forget_if(address, forgettable);
    }

    /// R8, R29: sessions of edges that the view no longer lists are detached.
    pub(in crate::partition) fn check_sessions(&mut self, now: TimeMs) {
        if !self.is_owner() {
            return;
        }
        let candidates: Vec<_> = self
            .watched
            .iter()
            .filter(|(edge, _)| !self.members.is_alive(*edge))
            .cloned()
            .collect();
        for (edge, address) in candidates {
            if let Err(reason) = self.load(&address) {
                return self.set_aside(&reason);
            }
            let Some(entity) = self.entities.get(&address) else {
                continue;
            };
            let lost: Vec<_> = entity
                .runtime
                .sessions()
                .filter(|session| session.is_attached() && session.socket.edge == edge)
                .filter(|session| self.members.has_lost(edge, session.socket.joined))
                .map(|session| session.socket.connection)
                .collect();
            for connection in lost {
                let cause = Cause::Verdict { edge };
                self.run(&address, cause, now, None, now, |turn, entity| {
                    turn.lose_edge(entity, connection)
                });
            }
        }
    }

    /// A session that ended in all but name ends before the next word about it.
    pub(in crate::partition) fn end_overdue(
        &mut self,
        address: &Address,
        connection: ConnectionId,
        now: TimeMs,
    ) {
        if let Err(reason) = self.load(address) {
            return self.set_aside(&reason);
        }
        let key = TimerKey::Grace(connection);
        let due = self
            .entities
            .get(address)
            .and_then(|entity| entity.runtime.due(&key));
        let Some(due) = due else { return };
        let entity_now = self
            .entities
            .get(address)
            .map_or(now, |entity| entity.runtime.now.max(now));
        if due <= entity_now && self.timers.remove(&(due, address.clone(), key.clone())) {
            self.fire(address, due, &key, entity_now);
        }
    }
}

fn is_dense(commits: &[Arc<Commit>], since: Revision, upto: Revision) -> bool {
    let wanted = since.0 + 1..=upto.0;
    commits.iter().map(|commit| commit.revision.0).eq(wanted)
}

/// The answer to a resume: outside the chain, each answer after its event (R21).
fn resumed(session: &Session, resume: &Resume, commits: &[Arc<Commit>]) -> Deliveries {
    let mut outputs = Deliveries::default();
    let item = Item::Resumed {
        edge: session.socket.edge,
        since: resume.since,
        upto: resume.upto,
        n: session.n,
        announce: resume.announce,
    };
    outputs.to_session(session, item, &[]);
    for commit in commits {
        if commit.revision <= resume.since || commit.revision > resume.upto {
            continue;
        }
        for (item, payload) in frames_for(commit, resume.connection) {
            let payload: Bytes = payload;
            let to = Recipients::Only(vec![socket(session)]);
            outputs.push(Some(session.socket.outbound), to, item.clone(), &payload);
        }
    }
    outputs
}
