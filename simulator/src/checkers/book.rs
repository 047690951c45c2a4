//! The log as checkers read it: the records that count, by R2 and R3, and the entities' pages among them.

use std::collections::{BTreeMap, BTreeSet};

use xp_domain_sdk::prelude::Entity;
use xp_protocol::events::{Cause, Claim, Commit, Event as Written, MessageName};
use xp_protocol::{Address, Epoch, Incarnation, Offset, Revision, Seq, TimeMs, codec};
use xp_transport::Stored;

use crate::ledger::{Event, Ledger};
use crate::partition_name::PartitionName;
use crate::world::Outcome;

/// All of it.
#[derive(Default)]
pub(super) struct Book {
    /// Each entity's commits in order, with rising revisions: since it was last forgotten before anything had ended.
    pub(super) pages: BTreeMap<Address, Vec<Page>>,
    /// Earlier lives of entities that had no event yet, and of which nothing was kept: their revisions began anew.
    pub(super) forgotten: BTreeMap<Address, Vec<Vec<Page>>>,
    /// Where each partition's commits lie, and where the first entity ended in it (R49).
    commits: BTreeMap<PartitionName, Vec<Offset>>,
    ended: BTreeMap<PartitionName, Offset>,
    /// Each partition's valid records in order.
    pub(super) valid: BTreeMap<PartitionName, Vec<Valid>>,
    /// The processes that were about to decide a message of `inbound` when nobody knew what had killed an owner (R16).
    tries: Tries,
    /// Records that cannot be read.
    pub(super) broken: Vec<(PartitionName, Offset)>,
}

/// Who was about to decide which message, by where it lay and by the name under which it is sent again.
#[derive(Default)]
struct Tries {
    at: BTreeMap<(PartitionName, Offset), BTreeSet<Incarnation>>,
    names: BTreeMap<(PartitionName, Offset), MessageName>,
    named: BTreeMap<MessageName, BTreeSet<Incarnation>>,
}

impl Tries {
    fn note(&mut self, lane: PartitionName, valid: &Valid) {
        let (trying, name) = match &valid.event {
            Written::Trying(trying) => (trying, None),
            Written::TryingNamed(trying, name) => (trying, Some(name)),
            _ => return,
        };
        let Cause::Inbound(offset) = trying.cause else {
            return;
        };
        let at = (lane, offset);
        self.at.entry(at).or_default().insert(valid.owner);
        if let Some(name) = name {
            self.names.insert(at, name.clone());
            let named = self.named.entry(name.clone()).or_default();
            named.insert(valid.owner);
        }
    }

    /// How many processes were about to decide the message there, wherever else it lay.
    fn most(&self, at: (PartitionName, Offset)) -> usize {
        let named = self.names.get(&at).map(|name| &self.named[name]);
        let tries = [self.at.get(&at), named].into_iter().flatten();
        tries.map(BTreeSet::len).max().unwrap_or_default()
    }
}

/// A record that counts.
pub(super) struct Valid {
    pub(super) offset: Offset,
    pub(super) event: Written,
    /// Whose epoch it is.
    pub(super) owner: Incarnation,
    /// When it landed.
    pub(super) time: TimeMs,
}

/// A commit that counts.
pub(super) struct Page {
    pub(super) address: Address,
    pub(super) lane: PartitionName,
    pub(super) offset: Offset,
    /// When it landed.
    pub(super) time: TimeMs,
    pub(super) commit: Commit,
    pub(super) value: bytes::Bytes,
    pub(super) events: Vec<Event>,
    /// The entity just before.
    pub(super) before: Sum,
    /// And just after.
    pub(super) after: Sum,
}

/// A ledger in two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) entries: u64,
    pub(super) digest: u64,
}

impl Sum {
    fn of(ledger: &Ledger) -> Self {
        Self {
            entries: ledger.entries,
            digest: ledger.digest,
        }
    }
}

impl Page {
    pub(super) fn location(&self) -> String {
        let (lane, Offset(offset)) = (self.lane, self.offset);
        let Revision(revision) = self.commit.revision;
        format!(
            "{} revision {revision} (events of {lane} @ {offset})",
            self.address
        )
    }
}

impl Book {
    pub(super) fn read(outcome: &Outcome) -> Self {
        let mut book = Self::default();
        let mut ledgers = BTreeMap::new();
        for (lane, records) in &outcome.events {
            let mut reader = Reader::default();
            let valid = book.valid.entry(*lane).or_default();
            for stored in records {
                match codec::decode::<Written>(&stored.record.header) {
                    Ok(event) => valid.extend(reader.read(stored, event)),
                    Err(_) => book.broken.push((*lane, stored.offset)),
                }
            }
            book.turn_pages(*lane, records, &mut ledgers);
        }
        book
    }

    fn turn_pages(
        &mut self,
        lane: PartitionName,
        records: &[Stored],
        ledgers: &mut BTreeMap<Address, Ledger>,
    ) {
        let values: BTreeMap<_, _> = records.iter().map(|at| (at.offset, &at.record)).collect();
        for valid in self.valid.get(&lane).into_iter().flatten() {
            self.tries.note(lane, valid);
            let Written::Commit(commit) = &valid.event else {
                continue;
            };
            self.commits.entry(lane).or_default().push(valid.offset);
            let record = values[&valid.offset];
            let (Some(address), Some(events)) = (key(&record.key), words(&record.value)) else {
                self.broken.push((lane, valid.offset));
                continue;
            };
            let ledger = ledgers.entry(address.clone()).or_default();
            let before = Sum::of(ledger);
            events.iter().cloned().for_each(|event| ledger.apply(event));
            if commit.ends() {
                *ledger = Ledger::default();
                self.ended.entry(lane).or_insert(valid.offset);
            }
            let page = Page {
                address: address.clone(),
                lane,
                offset: valid.offset,
                time: valid.time,
                commit: Commit::clone(commit),
                value: record.value.clone(),
                events,
                before,
                after: Sum::of(ledger),
            };
            let pages = self.pages.entry(address).or_default();
            // What had no event is forgotten, and its revisions begin anew; not behind the end of any entity (R49).
            let exists = pages.iter().any(|page| !page.events.is_empty());
            if page.commit.revision == Revision(1) && !exists && !pages.is_empty() {
                let lives = self.forgotten.entry(page.address.clone());
                lives.or_default().push(std::mem::take(pages));
            }
            pages.push(page);
        }
    }

    /// R49: the revision at which an entity begins with this page, if nothing is remembered of it.
    pub(super) fn begins_at(&self, page: &Page) -> Revision {
        let has_ended = self
            .ended
            .get(&page.lane)
            .is_some_and(|at| *at < page.offset);
        let commits = self.commits[&page.lane].partition_point(|at| *at < page.offset);
        match has_ended {
            true => Revision(commits as u64).next(),
            false => Revision(1),
        }
    }

    /// Whether two processes may have died of a message, wherever it lay: then it is not decided a third time.
    pub(super) fn has_killed(&self, lane: PartitionName, cause: &Cause) -> bool {
        let Cause::Inbound(offset) = cause else {
            return false;
        };
        self.tries.most((lane, *offset)) >= 2
    }

    /// Whether two processes may have died of some message of a partition.
    pub(super) fn has_killed_in(&self, here: PartitionName) -> bool {
        let mut tries = self.tries.at.iter();
        tries.any(|((lane, _), by)| *lane == here && by.len() >= 2)
    }

    /// All pages, entity by entity.
    pub(super) fn all(&self) -> impl Iterator<Item = &Page> {
        self.lives().flatten()
    }

    /// The lives of all entities: more than one of those that were forgotten.
    pub(super) fn lives(&self) -> impl Iterator<Item = &[Page]> {
        let all = self.forgotten.values().flatten().chain(self.pages.values());
        all.map(Vec::as_slice)
    }

    /// All pages of an entity, whenever it was forgotten.
    pub(super) fn ever(&self, address: &Address) -> impl Iterator<Item = &Page> {
        let forgotten = self.forgotten.get(address).into_iter().flatten();
        forgotten.flatten().chain(self.of(address))
    }

    /// The pages of an entity since it was last forgotten.
    pub(super) fn of(&self, address: &Address) -> &[Page] {
        self.pages.get(address).map_or(&[], Vec::as_slice)
    }

    /// The page that gave an entity this revision.
    pub(super) fn page(&self, address: &Address, revision: Revision) -> Option<&Page> {
        let pages = self.of(address);
        let at = pages.partition_point(|page| page.commit.revision < revision);
        pages
            .get(at)
            .filter(|page| page.commit.revision == revision)
    }

    /// The ledger at this revision; nothing was written down before it was forgotten.
    pub(super) fn sum(&self, address: &Address, revision: Revision) -> Option<Sum> {
        if revision == Revision(0) {
            return Some(Sum::default());
        }
        let page = self.page(address, revision);
        let page = page.or_else(|| self.ever(address).find(|at| at.commit.revision == revision));
        page.map(|page| page.after)
    }

    /// Where each thing that carries an id happened, by a choice of events.
    pub(super) fn index(&self, choice: fn(&Event) -> Option<u64>) -> BTreeMap<u64, Vec<&Page>> {
        let mut index: BTreeMap<u64, Vec<&Page>> = BTreeMap::new();
        for page in self.all() {
            for id in page.events.iter().filter_map(choice) {
                index.entry(id).or_default().push(page);
            }
        }
        index
    }
}

/// R2 and R3, from their text.
#[derive(Default)]
struct Reader {
    claim: Option<Claim>,
    epoch: Epoch,
    seq: Seq,
    released: bool,
}

impl Reader {
    fn read(&mut self, stored: &Stored, event: Written) -> Option<Valid> {
        let counts = match &event {
            Written::Claim(claim) => self.claims(stored.offset, claim),
            other => self.numbers(other),
        };
        let owner = self.claim.as_ref()?.incarnation;
        counts.then(|| Valid {
            offset: stored.offset,
            event,
            owner,
            time: stored.time,
        })
    }

    fn claims(&mut self, offset: Offset, claim: &Claim) -> bool {
        let held = self.claim.as_ref();
        let greater = |held: &Claim| {
            held.id != claim.id && (claim.view, claim.attempt) > (held.view, held.attempt)
        };
        if !held.is_none_or(greater) {
            return false;
        }
        self.claim = Some(claim.clone());
        self.epoch = Epoch(offset.0);
        self.seq = Seq(0);
        self.released = false;
        true
    }

    fn numbers(&mut self, event: &Written) -> bool {
        let next = (self.epoch, Seq(self.seq.0 + 1));
        if self.claim.is_none() || self.released || event.epoch_and_seq() != Some(next) {
            return false;
        }
        self.seq = next.1;
        self.released = matches!(event, Written::Release { .. });
        true
    }
}

fn key(bytes: &[u8]) -> Option<Address> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The domain's events in a record's value.
fn words(value: &[u8]) -> Option<Vec<Event>> {
    match value {
        [] => Some(Vec::new()),
        bytes => serde_json::from_slice(bytes).ok(),
    }
}
