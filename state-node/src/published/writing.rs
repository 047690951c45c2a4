//! A publisher's epoch, step by step: everything that is stored once, then what changes, round by round.
//!
//! It has no head before it stands where the former epoch's head does: `events` may begin behind any earlier position.

use std::collections::VecDeque;

use xp_protocol::snapshots::Published;
use xp_protocol::{Address, Offset};
use xp_transport::{Record, Stored};

use super::Publisher;
use super::needs;
use super::pages::{Page, Taken};
use super::publisher::gone;
use super::restorer::{epoch, word};
use crate::pace::Pace;

/// What an epoch needs next.
#[derive(Clone, Debug)]
pub enum Step {
    /// The entities behind this one: [`Writing::page`].
    Page(Option<Address>),
    /// What changed: [`Writing::taken`].
    Take,
    /// Some of these entities, at least one: [`Writing::page`].
    Entities(Vec<Address>),
    /// These are appended in order: [`Writing::appended`]. A failure ends the epoch, because what failed may still
    /// arrive, in front of its successor.
    Append(Vec<Record>),
    /// What was written from `from` on, up to `upto`: [`Writing::read`], batch by batch while it wants more.
    Read {
        /// The first offset.
        from: Offset,
        /// The offset behind the last one.
        upto: Offset,
    },
    /// Nothing for an interval.
    Rest,
}

/// Another node publishes the partition, too, and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another node publishes the partition, too")]
pub struct Rival;

/// One epoch on its way into the log.
#[derive(Clone, Debug)]
pub struct Writing {
    publisher: Publisher,
    page_entities: usize,
    /// What is to be appended before anything else, each when the one before it is acknowledged.
    appends: VecDeque<Vec<Record>>,
    then: Then,
    /// The head that counts before the first one of this epoch, with its epoch.
    former: Option<(Offset, Offset)>,
    /// Where the topic begins.
    first: Offset,
    /// Where the next record must be, when nobody else writes.
    next: Offset,
    /// The first offset that nobody has looked at for the records of others.
    unread: Offset,
    is_alone: bool,
    /// The position of the last head.
    published: Option<Offset>,
    /// Where `events` may begin now that it is acknowledged.
    covered: Option<Offset>,
}

/// What comes when everything is appended.
#[derive(Clone, Debug)]
enum Then {
    /// Everything that is stored behind this one.
    Scan(Option<Address>),
    /// What others have published, from there up to here.
    Survey(Offset, Offset),
    Take,
    /// What changed and is not read yet, and then the head.
    Round(Taken),
    /// The head of this position is on its way, and needs `events` from there on: what was removed before it may be
    /// forgotten.
    Bury(Offset, Offset),
    LookAround,
    /// What others have written up to here.
    Others(Offset),
    Rest,
}

impl Writing {
    /// Begins an epoch at its `mark`, which is acknowledged, in a topic that begins at `first`.
    #[must_use]
    pub fn new(mark: Offset, first: Offset, pace: &Pace) -> Self {
        Self {
            publisher: Publisher::new(mark, pace.piece_bytes_max.bytes()),
            page_entities: pace.page_entities.max(1),
            appends: VecDeque::new(),
            then: Then::Scan(None),
            next: mark.next(),
            unread: first,
            is_alone: false,
            published: None,
            covered: None,
            former: None,
            first,
        }
    }

    /// What comes next; asked again only when it was given.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(records) = self.appends.pop_front() {
                return Step::Append(records);
            }
            match &mut self.then {
                Then::Scan(after) => return Step::Page(after.clone()),
                Then::Survey(from, upto) if *from < *upto => {
                    let (from, upto) = (*from, *upto);
                    return Step::Read { from, upto };
                }
                Then::Survey(..) => self.then = Then::Take,
                Then::Take => return Step::Take,
                Then::Round(taken) if taken.changed.is_empty() => {
                    let (fold, position) = (taken.fold.clone(), taken.position);
                    self.then = match self.is_behind(position) {
                        true => Then::Rest,
                        false => Then::Bury(position, needs(&fold, position)),
                    };
                    if matches!(self.then, Then::Bury(..)) {
                        let head = self.publisher.head(fold, position);
                        self.append(vec![head]);
                    }
                }
                Then::Round(taken) => {
                    let some = taken.changed.iter().take(self.page_entities);
                    return Step::Entities(some.cloned().collect());
                }
                Then::Bury(position, needs) => {
                    (self.published, self.covered) = (Some(*position), Some(*needs));
                    let tombstones = self.publisher.tombstones();
                    self.append(tombstones);
                    self.then = Then::LookAround;
                }
                Then::LookAround if std::mem::replace(&mut self.is_alone, true) => {
                    self.unread = self.unread.max(self.next);
                    self.then = Then::Rest;
                }
                Then::LookAround => self.then = Then::Others(self.next),
                Then::Others(upto) if self.unread < *upto => {
                    let (from, upto) = (self.unread, *upto);
                    return Step::Read { from, upto };
                }
                Then::Others(_) => self.then = Then::Rest,
                Then::Rest => {
                    self.then = Then::Take;
                    return Step::Rest;
                }
            }
        }
    }

    /// R36: nobody who has what this epoch has published needs what lies before it in `events`; `None` before its first
    /// head is acknowledged.
    #[must_use]
    pub fn covered(&self) -> Option<Offset> {
        self.covered
    }

    /// Entities as they are stored.
    pub fn page(&mut self, page: Page) {
        match &mut self.then {
            Then::Round(taken) => {
                let count = page.entities.len().min(taken.changed.len());
                taken.changed.drain(..count);
            }
            _ => {
                let last = page.entities.last().map(|(address, _)| address.clone());
                let survey = Then::Survey(self.first, self.next);
                self.then = last.map_or(survey, |last| Then::Scan(Some(last)));
            }
        }
        let (mut pieces, mut entities, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (address, body) in page.entities {
            let written = self.publisher.entity(&address, body.as_ref(), page.as_of);
            pieces.extend(written.pieces);
            entities.push(written.entity);
            gone.extend(written.gone);
        }
        for records in [pieces, entities, gone] {
            self.append(records);
        }
    }

    fn append(&mut self, records: Vec<Record>) {
        if !records.is_empty() {
            self.appends.push_back(records);
        }
    }

    /// Whether a snapshot of this position would be older than the one that counts until then. `events` may have been
    /// deleted by that one, so that the older one would be of no use.
    fn is_behind(&self, position: Offset) -> bool {
        self.published.is_none() && self.former.is_some_and(|(_, former)| position < former)
    }

    /// What changed, and the header of a position that all of it has seen.
    pub fn taken(&mut self, taken: Taken) {
        let is_news = self.published != Some(taken.position) || !taken.changed.is_empty();
        self.then = match is_news {
            true => Then::Round(taken),
            false => Then::Rest,
        };
    }

    /// Where it was appended.
    pub fn appended(&mut self, offsets: &[Offset]) {
        for offset in offsets {
            self.is_alone &= *offset == self.next;
            self.next = offset.next();
        }
    }

    /// What was written by whomever: what earlier epochs left is removed, and a later one ends this one. Whether the
    /// reading goes on at once.
    ///
    /// # Errors
    /// [`Rival`].
    pub fn read(&mut self, batch: &[Stored]) -> Result<bool, Rival> {
        match &mut self.then {
            Then::Others(upto) => {
                self.unread = batch.last().map_or(*upto, |last| last.offset.next());
            }
            Then::Survey(from, upto) => {
                *from = batch.last().map_or(*upto, |last| last.offset.next());
                return self.survey(batch);
            }
            _ => {}
        }
        let mut former = Vec::new();
        for stored in batch {
            // What a newer build writes is not ours to judge.
            let word = word(stored).ok();
            let Some(of) = word.as_ref().and_then(epoch) else {
                continue;
            };
            self.gives_way(of)?;
            if of < self.publisher.epoch() && !stored.record.value.is_empty() {
                former.push(gone(stored.record.key.clone()));
            }
        }
        let has_more = matches!(self.then, Then::Others(upto) if self.unread < upto);
        let reads_on = has_more && former.is_empty();
        self.append(former);
        Ok(reads_on)
    }

    fn gives_way(&self, to: Offset) -> Result<(), Rival> {
        match to > self.publisher.epoch() {
            true => Err(Rival),
            false => Ok(()),
        }
    }

    /// Which head counts until this epoch has one.
    fn survey(&mut self, batch: &[Stored]) -> Result<bool, Rival> {
        for stored in batch {
            let Ok(Published::Head(head)) = word(stored) else {
                continue;
            };
            self.gives_way(head.epoch)?;
            self.former = self.former.max(Some((head.epoch, head.position)));
        }
        Ok(matches!(self.then, Then::Survey(from, upto) if from < upto))
    }
}
