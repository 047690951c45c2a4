//! Resumes: what a session missed, from memory or from the log, in portions (R20, R21, R41).

use std::sync::Arc;

use xp_protocol::cluster::{Kind, Who};
use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::outbound::{Item, Recipients, Socket};
use xp_protocol::{Address, CloseCode, ConnectionId, Incarnation, Revision};
use xp_transport::{Now, Stored};

use super::super::{Partition, Resume, Scan, key};
use crate::action::Action;
use crate::draft::{Deliveries, frames_for, socket};
use crate::entity::{Entity, Session};
use crate::fold::Rereading;

/// So many sessions share one reading of the log.
const SESSIONS_TOGETHER: usize = 16;
/// So many commits are in one portion at the most.
const COMMITS_TOGETHER: usize = 512;

impl Partition {
    /// R20: an edge missed records of the chain.
    pub(in crate::partition) fn resume_gap(
        &mut self,
        address: &Address,
        edge: Incarnation,
        asking: Socket,
        since: Revision,
    ) {
        let connection = asking.connection;
        if let Err(reason) = self.load(address) {
            return self.set_aside(&reason);
        }
        match self.session(address, connection) {
            Some(session) if session.is_socket(asking.attempt) => {
                self.resume(address, connection, since, false)
            }
            Some(session) if session.has_ended_with_entity() => {
                self.close_asking(address, edge, asking, CloseCode::Terminated)
            }
            _ => self.close_asking(address, edge, asking, CloseCode::ComeBack),
        }
    }

    /// R23: a resume for an attempt that is no longer attached is answered by a close, which goes to whoever asks: the
    /// session may have a socket at another edge by now, or be forgotten. An edge that this node does not know yet asks
    /// again.
    pub(in crate::partition) fn close_asking(
        &mut self,
        address: &Address,
        edge: Incarnation,
        asking: Socket,
        code: CloseCode,
    ) {
        let Some((
            &Who {
                kind: Kind::Edge { outbound },
                ..
            },
            _,
        )) = self.members.get(edge)
        else {
            return;
        };
        let mut outputs = Deliveries::default();
        let to = Recipients::Only(vec![asking]);
        outputs.push(Some(outbound), to, Item::Close { code }, &[]);
        self.put_plain(address, outputs);
    }

    /// R21: repeats what followed `since`, from memory or from the log; when neither has it, the client starts over
    /// from a fresh welcome. It waits its turn where others do.
    pub(super) fn resume(
        &mut self,
        address: &Address,
        connection: ConnectionId,
        since: Revision,
        announce: bool,
    ) {
        let waiting_max = self.setting.limits.waiting_max;
        let session = self.session(address, connection).cloned();
        let (Some(session), Some(owner)) = (session, self.owner()) else {
            return;
        };
        let resume = Resume {
            address: address.clone(),
            connection,
            attempt: session.socket.attempt,
            since,
            announce,
        };
        let scanned = owner.scan.iter().flat_map(|scan| &scan.sessions);
        if scanned.into_iter().any(|other| other.is_same(&resume)) {
            // It is asked for again because reading takes a while.
            return;
        }
        let queues = owner.resumes.iter_mut().chain(&mut owner.scans);
        if let Some(waiting) = queues.into_iter().find(|other| other.is_same(&resume)) {
            waiting.since = since;
        } else if owner.resumes.len() + owner.scans.len() >= waiting_max {
            self.close_plain(address, &session, CloseCode::ComeBack);
        } else {
            owner.resumes.push_back(resume);
        }
    }

    /// Answers the resumes that wait, in their order, as far as there is room.
    pub(super) fn resume_waiting(&mut self) {
        let mut left = self.owner().map_or(0, |owner| owner.resumes.len());
        while left > 0 && self.has_room() {
            left -= 1;
            let Some(resume) = self.owner().and_then(|owner| owner.resumes.pop_front()) else {
                return;
            };
            self.resume_now(resume);
        }
        if self.has_room() {
            self.scan_on();
        }
    }

    fn resume_now(&mut self, mut resume: Resume) {
        let Some(session) = self.resumable(&mut resume) else {
            return;
        };
        let from_memory = self.entities.get(&resume.address);
        let from_memory = from_memory.and_then(|entity| in_memory(entity, resume.since));
        let may = self.may_have_more(&session.socket.subject);
        let Some(owner) = self.owner() else { return };
        match from_memory {
            _ if !may => owner.resumes.push_back(resume),
            None => owner.scans.push_back(resume),
            Some(commits) => {
                let until = commits.last().map_or(resume.since, |last| last.revision);
                self.repeat_commits(&mut resume, &commits, until);
            }
        }
    }

    /// The session, if it still waits. One that asks for what an earlier life saw last starts over: meanwhile the
    /// session was over, and what was said then was kept for nobody.
    fn resumable(&mut self, resume: &mut Resume) -> Option<Session> {
        let session = self.session(&resume.address, resume.connection);
        let session = session.filter(|session| session.is_socket(resume.attempt))?;
        let session = session.clone();
        if resume.since < session.floor.revision {
            self.start_over(resume);
            return None;
        }
        Some(session)
    }

    /// Reads the next portion of the log: of the scan that is under way, or for the session that has waited longest and
    /// others of its entity.
    fn scan_on(&mut self) {
        let Some(owner) = self.owner() else { return };
        if owner.scan.is_none() {
            self.begin_scan();
        }
        let bytes_max = self.setting.limits.large_flight_bytes_max;
        let Some(scan) = self.owner().and_then(|owner| owner.scan.as_mut()) else {
            return;
        };
        if std::mem::replace(&mut scan.reading, true) {
            return;
        }
        let (id, from, upto) = (scan.id, scan.next, scan.upto);
        self.actions.push(Action::Rescan {
            id,
            from,
            upto,
            bytes_max,
        });
    }

    fn begin_scan(&mut self) {
        let first = self.owner().and_then(|owner| owner.scans.front());
        let Some(address) = first.map(|resume| resume.address.clone()) else {
            return;
        };
        let mut sessions = Vec::new();
        let mut floor = None;
        let waiting = self.owner().map(|owner| std::mem::take(&mut owner.scans));
        for mut resume in waiting.unwrap_or_default() {
            if resume.address != address || sessions.len() >= SESSIONS_TOGETHER {
                if let Some(owner) = self.owner() {
                    owner.scans.push_back(resume);
                }
            } else if let Some(session) = self.resumable(&mut resume) {
                let lower = |floor: crate::entity::Floor| floor.offset <= session.floor.offset;
                floor = floor.filter(|floor| lower(*floor)).or(Some(session.floor));
                sessions.push(resume);
            }
        }
        let until = self
            .entities
            .get(&address)
            .map(|entity| entity.runtime.revision);
        let (Some(floor), Some(until)) = (floor, until) else {
            return;
        };
        let judge = Rereading::new(&self.fold, (floor.epoch, floor.seq));
        let upto = self.expected(self.fold.seq).next();
        let Some(owner) = self.owner() else { return };
        owner.next_scan += 1;
        owner.scan = Some(Scan {
            id: owner.next_scan,
            address,
            sessions,
            judge,
            next: floor.offset,
            upto,
            until,
            bytes: 0,
            reading: false,
        });
    }

    /// A portion of the records that were asked for; `None` when they are gone.
    pub fn rescanned(&mut self, id: u64, batch: Option<&[Stored]>, now: Now) {
        let scan = self
            .owner()
            .and_then(|owner| owner.scan.take_if(|scan| scan.id == id));
        let Some(mut scan) = scan else { return };
        let limit = self.setting.limits.resume_scan_bytes_max;
        match batch.filter(|batch| !batch.is_empty() && scan.bytes <= limit) {
            Some(batch) => self.read_on(&mut scan, batch),
            None => self.give_up(&mut scan),
        }
        if !scan.sessions.is_empty()
            && let Some(owner) = self.owner()
        {
            scan.reading = false;
            owner.scan = Some(scan);
        }
        self.drain(now);
    }

    fn give_up(&mut self, scan: &mut Scan) {
        for resume in std::mem::take(&mut scan.sessions) {
            self.start_over(&resume);
        }
    }

    /// Each session gets what it lacks of the portion; at the end of the log it must have all.
    fn read_on(&mut self, scan: &mut Scan, batch: &[Stored]) {
        let bytes = |stored: &Stored| crate::large::record_bytes(&stored.record);
        scan.bytes += batch.iter().map(bytes).sum::<usize>();
        scan.next = batch.last().map_or(scan.upto, |last| last.offset.next());
        let commits = commits_of(scan, batch);
        let is_over = scan.next >= scan.upto;
        let until = scan.until;
        for mut resume in std::mem::take(&mut scan.sessions) {
            if self.resumable(&mut resume).is_none() {
                continue;
            }
            let lacks = commits
                .iter()
                .filter(|commit| commit.revision > resume.since);
            let lacks: Vec<_> = lacks.cloned().collect();
            let last = lacks.last().map_or(resume.since, |last| last.revision);
            if !is_dense(&lacks, resume.since) || is_over && last != until {
                self.start_over(&resume);
                continue;
            }
            if is_over || !lacks.is_empty() {
                self.repeat_commits(&mut resume, &lacks, until);
            }
            if !is_over {
                scan.sessions.push(resume);
            }
        }
    }

    /// Puts the commits at the gate, in portions that are no larger than a piece but for the last commit of each.
    fn repeat_commits(&mut self, resume: &mut Resume, commits: &[Arc<Commit>], until: Revision) {
        let Some(session) = self.session(&resume.address, resume.connection).cloned() else {
            return;
        };
        let piece_bytes = self.setting.limits.piece_bytes();
        let mut rest = commits;
        loop {
            let (portion, behind) = rest.split_at(portion(rest, piece_bytes));
            let upto = portion.last().map_or(resume.since, |last| last.revision);
            let outputs = resumed(&session, resume, portion, (upto, until));
            let alone = rest.len() == commits.len() && behind.is_empty() && upto == until;
            self.put_portion(&resume.address, outputs, alone, &session);
            (resume.since, resume.announce, rest) = (upto, false, behind);
            if rest.is_empty() {
                return;
            }
        }
    }

    fn put_portion(
        &mut self,
        address: &Address,
        outputs: Deliveries,
        alone: bool,
        session: &Session,
    ) {
        let small = outputs.frames.len() <= self.setting.limits.piece_bytes() / 2;
        if alone && small {
            return self.put_plain(address, outputs);
        }
        for at in outputs.records(address, &Default::default()) {
            self.put_large(at, Some(session.socket.subject.clone()));
        }
    }

    /// What was missed is too far back. A connecting client gets a fresh welcome; behind a living socket,
    /// whose edge asked or which has heard a part of it, only a new socket can start over.
    fn start_over(&mut self, resume: &Resume) {
        if resume.announce {
            return self.welcome(&resume.address, resume.connection);
        }
        let session = self.session(&resume.address, resume.connection).cloned();
        if let Some(session) = session.filter(|session| session.is_socket(resume.attempt)) {
            self.close_plain(&resume.address, &session, CloseCode::ComeBack);
        }
    }
}

impl Resume {
    /// Whether it is of the same socket.
    fn is_same(&self, other: &Self) -> bool {
        (self.connection, self.attempt) == (other.connection, other.attempt)
            && self.address == other.address
    }
}

/// The commits of the scanned entity in a portion of the log.
fn commits_of(scan: &mut Scan, batch: &[Stored]) -> Vec<Arc<Commit>> {
    let mut commits: Vec<Arc<Commit>> = Vec::new();
    let since = scan.sessions.iter().map(|resume| resume.since).min();
    for stored in batch {
        let Ok(event) = codec::decode::<Event>(&stored.record.header) else {
            continue;
        };
        let valid = scan.judge.step(stored.offset, &event);
        let Event::Commit(commit) = event else {
            continue;
        };
        let wanted = Some(commit.revision) > since && commit.revision <= scan.until;
        if valid && wanted && key(stored).as_ref() == Some(&scan.address) {
            commits.push(commit);
        }
    }
    commits
}

/// What followed `since`, when memory reaches back so far.
fn in_memory(entity: &Entity, since: Revision) -> Option<Vec<Arc<Commit>>> {
    if since >= entity.runtime.revision {
        return Some(Vec::new());
    }
    entity.watched.as_ref()?.since(since)
}

fn is_dense(commits: &[Arc<Commit>], since: Revision) -> bool {
    let wanted = since.0 + 1..;
    let found = commits.iter().map(|commit| commit.revision.0);
    found.zip(wanted).all(|(found, wanted)| found == wanted)
}

/// How many commits go into the next portion: at least one, if there is any.
fn portion(commits: &[Arc<Commit>], piece_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = commits.iter().take(COMMITS_TOGETHER).take_while(|commit| {
        let fits = bytes < piece_bytes;
        bytes += commit.frames.len();
        fits
    });
    fits.count()
}

/// A portion of the answer to a resume: outside the chain, each answer after its event (R21).
fn resumed(
    session: &Session,
    resume: &Resume,
    commits: &[Arc<Commit>],
    (upto, until): (Revision, Revision),
) -> Deliveries {
    let mut outputs = Deliveries::default();
    let (edge, since, n, announce) = (
        session.socket.edge,
        resume.since,
        session.n,
        resume.announce,
    );
    let item = if upto == until {
        Item::Resumed {
            edge,
            since,
            upto,
            n,
            announce,
        }
    } else {
        Item::Resuming {
            edge,
            since,
            upto,
            until,
            n,
            announce,
        }
    };
    outputs.to_session(session, item, &[]);
    for commit in commits {
        for (item, payload) in frames_for(commit, resume.connection) {
            let to = Recipients::Only(vec![socket(session)]);
            outputs.push(Some(session.socket.outbound), to, item.clone(), &payload);
        }
    }
    outputs
}
