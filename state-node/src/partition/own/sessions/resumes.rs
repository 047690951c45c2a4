//! Resumes: what a session missed, from memory or from the log, in portions (R20, R21, R41).

use std::collections::VecDeque;
use std::sync::Arc;

use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::outbound::{Item, Recipients};
use xp_protocol::{Address, CloseCode, ConnectionId, DialAttempt, Offset, Revision};
use xp_transport::Stored;

use super::super::super::core::Core;
use super::super::super::key;
use super::super::outbox::Outbox;
use super::Sessions;
use crate::action::Action;
use crate::draft::{Deliveries, frames_for, socket};
use crate::entity::{Entity, Floor, Session};
use crate::fold::Rereading;

/// So many sessions share one reading of the log.
const SESSIONS_TOGETHER: usize = 16;
/// So many commits are in one portion at the most.
const COMMITS_TOGETHER: usize = 512;

/// Sessions that wait to hear what they missed.
#[derive(Default)]
pub(super) struct Resumes {
    /// From memory, as far as it reaches back.
    near: VecDeque<Resume>,
    /// From the log.
    far: VecDeque<Resume>,
    /// The log is read for some of them.
    scan: Option<Scan>,
    next_scan: u64,
}

/// A session that goes on behind `since`.
#[derive(Clone)]
struct Resume {
    address: Address,
    connection: ConnectionId,
    attempt: DialAttempt,
    since: Revision,
    /// Its client waits for a `welcome … resumed`.
    announce: bool,
}

/// The log is read, portion by portion, for sessions of one entity (R20).
struct Scan {
    id: u64,
    address: Address,
    sessions: Vec<Resume>,
    judge: Rereading,
    /// Where the next portion begins, and where the last one ends.
    next: Offset,
    upto: Offset,
    /// The revision at that end.
    until: Revision,
    bytes: usize,
    /// A portion is being read.
    reading: bool,
}

impl Resumes {
    /// How many wait, but for those for which the log is being read.
    pub(super) fn waiting(&self) -> usize {
        self.near.len() + self.far.len()
    }

    /// One more waits, or one that waits already asks for something else; not where so many wait already.
    fn push(&mut self, resume: Resume, waiting_max: usize) -> bool {
        let mut scanned = self.scan.iter().flat_map(|scan| &scan.sessions);
        if scanned.any(|other| other.is_same(&resume)) {
            // It is asked for again because reading takes a while.
            return true;
        }
        let mut waiting = self.near.iter_mut().chain(&mut self.far);
        if let Some(waiting) = waiting.find(|other| other.is_same(&resume)) {
            waiting.since = resume.since;
            return true;
        }
        let has_room = self.waiting() < waiting_max;
        if has_room {
            self.near.push_back(resume);
        }
        has_room
    }

    /// Those that have waited longest for the log to be read and others of their entity, as many as share one reading.
    fn next_together(&mut self) -> Vec<Resume> {
        let Some(address) = self.far.front().map(|resume| resume.address.clone()) else {
            return Vec::new();
        };
        let mut together = Vec::new();
        for resume in std::mem::take(&mut self.far) {
            if resume.address == address && together.len() < SESSIONS_TOGETHER {
                together.push(resume);
            } else {
                self.far.push_back(resume);
            }
        }
        together
    }
}

impl Sessions {
    /// R21: repeats what followed a revision, from memory or from the log; when neither has it, the client starts over
    /// from a fresh welcome. It waits its turn where others do.
    pub(in super::super) fn resume(
        &mut self,
        core: &Core,
        outbox: &mut Outbox,
        address: &Address,
        (connection, since, announce): (ConnectionId, Revision, bool),
    ) {
        let Some(session) = core.session(address, connection) else {
            return;
        };
        let resume = Resume {
            address: address.clone(),
            connection,
            attempt: session.socket.attempt,
            since,
            announce,
        };
        if !self
            .resumes
            .push(resume, core.setting.limits.large.waiting_max)
        {
            outbox.close_plain(core, address, session, CloseCode::ComeBack);
        }
    }

    /// Answers the resumes that wait, in their order, as far as there is room.
    pub(super) fn resume_waiting(&mut self, core: &mut Core, outbox: &mut Outbox, end: Offset) {
        let mut left = self.resumes.near.len();
        while left > 0 && outbox.has_room(core) {
            left -= 1;
            let Some(resume) = self.resumes.near.pop_front() else {
                return;
            };
            self.resume_now(core, outbox, resume);
        }
        if outbox.has_room(core) {
            self.scan_on(core, outbox, end);
        }
    }

    fn resume_now(&mut self, core: &Core, outbox: &mut Outbox, mut resume: Resume) {
        let Some(session) = self.resumable(core, outbox, &resume) else {
            return;
        };
        if !outbox.may_have_more(core, &session.socket.subject) {
            return self.resumes.near.push_back(resume);
        }
        let entity = core.residents.get(&resume.address);
        match entity.and_then(|entity| in_memory(entity, resume.since)) {
            None => self.resumes.far.push_back(resume),
            Some(commits) => {
                let until = commits.last().map_or(resume.since, |last| last.revision);
                repeat_commits(core, outbox, &mut resume, &commits, until);
            }
        }
    }

    /// The session, if it still waits. One that asks for what an earlier life saw last starts over: meanwhile the
    /// session was over, and what was said then was kept for nobody.
    fn resumable<'c>(
        &mut self,
        core: &'c Core,
        outbox: &mut Outbox,
        resume: &Resume,
    ) -> Option<&'c Session> {
        let session = core.session(&resume.address, resume.connection);
        let session = session.filter(|session| session.is_socket(resume.attempt))?;
        if resume.since < session.floor.revision {
            self.start_over(core, outbox, resume);
            return None;
        }
        Some(session)
    }

    /// Reads the next portion of the log: of the scan that is under way, or for the session that has waited longest and
    /// others of its entity.
    fn scan_on(&mut self, core: &mut Core, outbox: &mut Outbox, end: Offset) {
        if self.resumes.scan.is_none() {
            self.resumes.scan = self.begin_scan(core, outbox, end);
        }
        let Some(scan) = &mut self.resumes.scan else {
            return;
        };
        if std::mem::replace(&mut scan.reading, true) {
            return;
        }
        core.actions.push(Action::Rescan {
            id: scan.id,
            from: scan.next,
            upto: scan.upto,
            bytes_max: core.setting.limits.large.flight_bytes_max.bytes(),
        });
    }

    fn begin_scan(&mut self, core: &Core, outbox: &mut Outbox, end: Offset) -> Option<Scan> {
        let mut sessions = Vec::new();
        let mut floor: Option<Floor> = None;
        for resume in self.resumes.next_together() {
            if let Some(session) = self.resumable(core, outbox, &resume) {
                // The reading begins where the first of them begins.
                let is_lower = |floor: &Floor| floor.offset <= session.floor.offset;
                floor = floor.filter(is_lower).or(Some(session.floor));
                sessions.push(resume);
            }
        }
        let address = sessions.first()?.address.clone();
        let until = core.residents.get(&address)?.runtime.revision;
        let floor = floor?;
        self.resumes.next_scan += 1;
        Some(Scan {
            id: self.resumes.next_scan,
            address,
            sessions,
            judge: Rereading::new(&core.fold, (floor.epoch, floor.seq)),
            next: floor.offset,
            upto: end,
            until,
            bytes: 0,
            reading: false,
        })
    }

    /// A portion of the records that were asked for; `None` when they are gone.
    pub(in super::super) fn rescanned(
        &mut self,
        core: &Core,
        outbox: &mut Outbox,
        id: u64,
        batch: Option<&[Stored]>,
    ) {
        let scan = self.resumes.scan.take_if(|scan| scan.id == id);
        let Some(mut scan) = scan else { return };
        let limit = core.setting.limits.recent.scan_bytes_max.bytes();
        match batch.filter(|batch| !batch.is_empty() && scan.bytes <= limit) {
            Some(batch) => self.read_on(core, outbox, &mut scan, batch),
            None => {
                for resume in std::mem::take(&mut scan.sessions) {
                    self.start_over(core, outbox, &resume);
                }
            }
        }
        if !scan.sessions.is_empty() {
            scan.reading = false;
            self.resumes.scan = Some(scan);
        }
    }

    /// Each session gets what it lacks of the portion; at the end of the log it must have all.
    fn read_on(&mut self, core: &Core, outbox: &mut Outbox, scan: &mut Scan, batch: &[Stored]) {
        let bytes = |stored: &Stored| crate::large::record_bytes(&stored.record);
        scan.bytes += batch.iter().map(bytes).sum::<usize>();
        scan.next = batch.last().map_or(scan.upto, |last| last.offset.next());
        let commits = commits_of(scan, batch);
        let is_over = scan.next >= scan.upto;
        let until = scan.until;
        for mut resume in std::mem::take(&mut scan.sessions) {
            if self.resumable(core, outbox, &resume).is_none() {
                continue;
            }
            let since = resume.since;
            let lacks = commits.iter().filter(|commit| commit.revision > since);
            let lacks: Vec<_> = lacks.cloned().collect();
            let last = lacks.last().map_or(since, |last| last.revision);
            // A commit in between is not there, or the log ends before the entity does.
            if !is_dense(&lacks, since) || is_over && last != until {
                self.start_over(core, outbox, &resume);
                continue;
            }
            if is_over || !lacks.is_empty() {
                repeat_commits(core, outbox, &mut resume, &lacks, until);
            }
            if !is_over {
                scan.sessions.push(resume);
            }
        }
    }

    /// What was missed is too far back. A connecting client gets a fresh welcome; behind a living socket,
    /// whose edge asked or which has heard a part of it, only a new socket can start over.
    fn start_over(&mut self, core: &Core, outbox: &mut Outbox, resume: &Resume) {
        if resume.announce {
            return self.welcome(core, outbox, &resume.address, resume.connection);
        }
        let session = core.session(&resume.address, resume.connection);
        if let Some(session) = session.filter(|session| session.is_socket(resume.attempt)) {
            outbox.close_plain(core, &resume.address, session, CloseCode::ComeBack);
        }
    }
}

/// Puts the commits at the gate, in portions that are no larger than a piece but for the last commit of each.
fn repeat_commits(
    core: &Core,
    outbox: &mut Outbox,
    resume: &mut Resume,
    commits: &[Arc<Commit>],
    until: Revision,
) {
    let Some(session) = core.session(&resume.address, resume.connection) else {
        return;
    };
    let piece_bytes = core.setting.limits.piece_bytes();
    let mut rest = commits;
    loop {
        let (portion, behind) = rest.split_at(portion(rest, piece_bytes));
        let upto = portion.last().map_or(resume.since, |last| last.revision);
        let outputs = resumed(session, resume, portion, (upto, until));
        let alone = rest.len() == commits.len() && behind.is_empty() && upto == until;
        if alone && outputs.frames.len() <= piece_bytes / 2 {
            outbox.put_plain(core, &resume.address, outputs);
        } else {
            for at in outputs.records(&resume.address, &Default::default()) {
                outbox.put_large(core, at, Some(session.socket.subject.clone()));
            }
        }
        (resume.since, resume.announce, rest) = (upto, false, behind);
        if rest.is_empty() {
            return;
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
        bytes += commit.outputs.frames.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn resume(connection: u128, entity: &str, since: u64) -> Resume {
        Resume {
            address: entity.parse().unwrap(),
            connection: ConnectionId(uuid::Uuid::from_u128(connection)),
            attempt: DialAttempt(1),
            since: Revision(since),
            announce: false,
        }
    }

    #[test]
    fn who_asks_again_takes_no_second_place_and_who_is_too_many_none() {
        let mut resumes = Resumes::default();
        assert!(resumes.push(resume(1, "room/1", 3), 2));
        assert!(resumes.push(resume(1, "room/1", 4), 2));
        assert!(resumes.push(resume(2, "room/1", 3), 2));
        assert!(!resumes.push(resume(3, "room/1", 3), 2));
        assert_eq!(resumes.waiting(), 2);
        assert_eq!(
            resumes.near[0].since,
            Revision(4),
            "what was asked for last"
        );
    }

    #[test]
    fn sessions_of_one_entity_share_a_reading_of_the_log() {
        let mut resumes = Resumes::default();
        let entities = ["room/1", "room/2"].into_iter().cycle();
        let both = SESSIONS_TOGETHER as u128 * 2 + 2;
        resumes.far.extend(
            (0..both)
                .zip(entities)
                .map(|(connection, entity)| resume(connection, entity, 0)),
        );
        let of = |together: Vec<Resume>| -> Vec<_> {
            let entity = |resume: &Resume| resume.address.to_string();
            together.iter().map(entity).collect()
        };
        let next = of(resumes.next_together());
        assert_eq!(next, ["room/1"; SESSIONS_TOGETHER]);
        let next = of(resumes.next_together());
        assert_eq!(
            next, ["room/2"; SESSIONS_TOGETHER],
            "who has waited longest"
        );
        assert_eq!(of(resumes.next_together()), ["room/1"]);
    }
}
