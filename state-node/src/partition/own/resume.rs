//! Resumes: what a session missed, from memory or from the log (R20, R21).

use std::sync::Arc;

use bytes::Bytes;
use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::outbound::{Item, Recipients};
use xp_protocol::{Address, Attempt, CloseCode, ConnectionId, Revision, TimeMs};
use xp_transport::Stored;

use super::super::{Partition, Rescanning, key};
use crate::action::Action;
use crate::draft::{Deliveries, frames_for, socket};
use crate::entity::{Entity, Session};
use crate::fold::Rereading;

/// What a resume repeats: the commits behind `since` up to `upto`.
struct Resume {
    connection: ConnectionId,
    since: Revision,
    upto: Revision,
    announce: bool,
}

impl Partition {
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

    /// R21: repeats what followed `since`, from memory or from the log; when neither has it, the client
    /// starts over from a fresh welcome.
    pub(super) fn resume(
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
        let floor = session.floor;
        if since < floor.revision {
            // It asks for what an earlier life saw last. Meanwhile the session was over, and what was said
            // then was kept for nobody.
            return self.start_over(address, connection, announce);
        }
        let upto = entity.runtime.revision;
        let resume = Resume {
            connection,
            since,
            upto,
            announce,
        };
        let attempt = session.socket.attempt;
        match in_memory(entity, since) {
            Some(commits) => self.repeat_commits(address, &resume, &commits),
            None => self.rescan(Rescanning {
                address: address.clone(),
                connection,
                attempt,
                since,
                upto,
                floor,
                announce,
            }),
        }
    }

    fn rescan(&mut self, rescanning: Rescanning) {
        let bytes_max = self.setting.limits.resume_scan_bytes_max;
        let upto = self.expected(self.fold.seq).next();
        let Some(owner) = self.owner() else { return };
        owner.next_rescan += 1;
        let (id, from) = (owner.next_rescan, rescanning.floor.offset);
        owner.rescans.insert(id, rescanning);
        self.actions.push(Action::Rescan {
            id,
            from,
            upto,
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
                let resume = Resume {
                    connection: rescan.connection,
                    since: rescan.since,
                    upto: rescan.upto,
                    announce: rescan.announce,
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
}

/// What followed `since`, when memory reaches back so far.
fn in_memory(entity: &Entity, since: Revision) -> Option<Vec<Arc<Commit>>> {
    if since >= entity.runtime.revision {
        return Some(Vec::new());
    }
    entity.watched.as_ref()?.since(since)
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
