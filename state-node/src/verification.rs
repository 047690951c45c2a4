//! A replay of one partition's log by this build, from nothing, before the build is deployed: which entities it cannot
//! read. Nodes start from snapshots, and these hide a missing upcaster until they are deleted.
//!
//! What does not fit into memory is read in further readings of the log: each is for a share of the addresses.

mod replayed;
mod share;
mod finding;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use xp_domain_sdk::host::Registry;
use xp_protocol::codec::{self, DecodeError};
use xp_protocol::events::{Commit, Event};
use xp_protocol::{Address, LanePartition, Offset};
use xp_settings::Size;
use xp_transport::Stored;

use crate::fold::{Fold, Verdict};
use crate::limits::{Limits, RecentLimits};
use crate::partition::key;
use replayed::Replayed;
use share::Share;

pub use finding::{Finding, Newer, Reason};

/// Bounds of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of entities in memory, as a snapshot would store them; each costs a few times as much as a living one.
    /// Beyond it the log is read once more for some of them. A single entity may be larger.
    pub bytes_max: usize,
    /// How many findings are named; more are counted.
    pub named_max: usize,
}

/// R36: the log's beginning is gone, so nothing can be replayed from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log of {partition} begins at offset {first}: what was before it was deleted, and only snapshots hold what it came to, \
     so there is no replay from nothing, and snapshots are not verified. Verify a copy of the log that begins at offset 0, or \
     let one standby with the new build start with an empty directory and look at `quarantined` in its /status before the \
     others follow"
)]
pub struct Late {
    /// The partition that cannot be replayed.
    pub partition: LanePartition,
    /// Its oldest offset.
    pub first: Offset,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were read.
    pub records: u64,
    /// Those of them that do not count (R2, R3).
    pub ignored: u64,
    /// Entities that there are at the end, and those that cannot be read.
    pub entities: u64,
    /// How many entities this build cannot read.
    pub unread: u64,
    /// The first of them, by the offset at which each became unreadable.
    pub findings: Vec<Finding>,
    /// Records of a newer build.
    pub newer: Option<Newer>,
    /// How often the log was read: more than once where memory did not suffice.
    pub readings: u32,
}

impl Report {
    /// Whether this build reads everything.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unread == 0 && self.newer.is_none()
    }
}

/// A replay of one partition. The caller hands it the log from offset 0, as often as it wants that.
pub struct Verification {
    domain: Arc<Registry>,
    bounds: Bounds,
    limits: Limits,
    reading: Reading,
    report: Report,
}

/// One reading of the log.
struct Reading {
    fold: Fold,
    share: Share,
    entities: HashMap<Address, Held>,
    bytes: usize,
}

/// An entity in memory, or why there is none.
enum Held {
    Read(Box<Replayed>),
    Unread(Box<Finding>),
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Read(replayed) => replayed.bytes(),
            Self::Unread(finding) => finding.bytes(),
        }
    }
}

impl Reading {
    fn of(share: Share) -> Self {
        Self {
            fold: Fold::default(),
            share,
            entities: HashMap::new(),
            bytes: 0,
        }
    }
}

impl Verification {
    /// Of a partition whose log begins at `first`.
    ///
    /// # Errors
    /// [`Late`] when it does not begin at 0.
    pub fn new(
        domain: Arc<Registry>,
        bounds: Bounds,
        partition: LanePartition,
        first: Offset,
    ) -> Result<Self, Late> {
        if first > Offset(0) {
            return Err(Late { partition, first });
        }
        // Nobody resumes a session here.
        let recent = RecentLimits {
            commits_max: 0,
            bytes_max: Size(0),
            ..RecentLimits::default()
        };
        let limits = Limits {
            recent,
            ..Limits::default()
        };
        Ok(Self {
            domain,
            bounds,
            limits,
            reading: Reading::of(Share::all()),
            report: Report::default(),
        })
    }

    /// The next record.
    pub fn read(&mut self, stored: &Stored) {
        let is_first_reading = self.report.readings == 0;
        self.report.records += u64::from(is_first_reading);
        match codec::decode::<Event>(&stored.record.header) {
            Ok(event) => {
                let verdict = self.reading.fold.step(stored.offset, &event);
                let is_ignored = is_first_reading && verdict == Verdict::Ignored;
                self.report.ignored += u64::from(is_ignored);
                if let (Verdict::Valid, Event::Commit(commit)) = (verdict, event) {
                    self.commit(&commit, stored);
                }
            }
            Err(error) if is_first_reading => self.undecoded(stored.offset, error),
            Err(_) => {}
        }
    }

    /// R3: what is no record of ours is ignored. What a newer build wrote is one of ours, and so are those behind it,
    /// which this build would ignore as well.
    fn undecoded(&mut self, offset: Offset, error: DecodeError) {
        self.report.ignored += 1;
        if !matches!(error, DecodeError::Version { found, known, .. } if found > known) {
            return;
        }
        let newer = Newer {
            first: offset,
            count: 0,
            error,
        };
        self.report.newer.get_or_insert(newer).count += 1;
    }

    fn commit(&mut self, commit: &Arc<Commit>, stored: &Stored) {
        let Some(address) = key(stored).filter(|address| self.reading.share.has(address)) else {
            return;
        };
        let entry = self.reading.entities.entry(address.clone());
        let held = match (entry, self.domain.get(address.category())) {
            (Entry::Occupied(held), _) => held.into_mut(),
            (Entry::Vacant(vacant), Some(host)) => {
                let fresh = Replayed::fresh(host.as_ref());
                self.reading.bytes += fresh.bytes();
                vacant.insert(Held::Read(Box::new(fresh)))
            }
            // Without events nothing is lost of it.
            (Entry::Vacant(_), None) if commit.event_count == 0 => return,
            (Entry::Vacant(vacant), None) => {
                let finding = Finding::new(address, commit, stored.offset, Reason::NotHosted);
                self.reading.bytes += finding.bytes();
                vacant.insert(Held::Unread(Box::new(finding)));
                return self.fit();
            }
        };
        let Held::Read(replayed) = held else { return };
        let Some(host) = self.domain.get(address.category()) else {
            return;
        };
        let before = replayed.bytes();
        let taken = replayed.take(host.as_ref(), commit, stored, &self.limits);
        let is_forgotten = replayed.is_forgettable();
        if let Err(reason) = taken {
            let finding = Finding::new(address, commit, stored.offset, reason);
            *held = Held::Unread(Box::new(finding));
        } else if is_forgotten {
            self.reading.entities.remove(&address);
            self.reading.bytes -= before;
            return;
        } else {
            replayed.measure(host.as_ref());
        }
        let after = held.bytes();
        self.reading.bytes = self.reading.bytes - before + after;
        self.fit();
    }

    /// Leaves to a later reading what does not fit.
    fn fit(&mut self) {
        let Reading {
            share,
            entities,
            bytes,
            ..
        } = &mut self.reading;
        while *bytes > self.bounds.bytes_max && entities.len() > 1 && share.halve() {
            entities.retain(|address, _| share.has(address));
            *bytes = entities.values().map(Held::bytes).sum();
        }
    }

    /// The log was read to its end. Whether it must be read once more, for the entities that did not fit.
    pub fn ended(&mut self) -> bool {
        self.report.readings += 1;
        let next = Reading::of(self.reading.share.rest());
        let is_over = next.share.is_empty();
        let reading = std::mem::replace(&mut self.reading, next);
        self.report.entities += reading.entities.len() as u64;
        for (address, held) in reading.entities {
            let finding = match held {
                Held::Unread(finding) => Some(*finding),
                Held::Read(replayed) => self
                    .domain
                    .get(address.category())
                    .and_then(|host| replayed.keeps(host.as_ref(), address)),
            };
            self.found(finding);
        }
        let findings = &mut self.report.findings;
        findings.sort_by(|a, b| (a.offset, &a.address).cmp(&(b.offset, &b.address)));
        findings.truncate(self.bounds.named_max);
        !is_over
    }

    fn found(&mut self, finding: Option<Finding>) {
        self.report.unread += u64::from(finding.is_some());
        self.report.findings.extend(finding);
    }

    /// What it came to so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}
