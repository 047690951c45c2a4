//! A published snapshot on its way into an empty store, step by step: which epoch counts, then all of it.
//!
//! The topic is read twice, each time up to a mark that the reader appends itself: only reading one's own record proves
//! that all before it was read (R7).

use xp_protocol::snapshots::Published;
use xp_protocol::{ClaimId, Offset, codec};
use xp_transport::Stored;

use super::restorer::{Filled, word};
use super::{Damaged, Restored, Restorer, Standing, Survey};
use crate::pace::Pace;
use crate::snapshot::{self, Ahead};
use crate::store::Batch;

/// What a filling needs next.
#[derive(Clone, Debug)]
pub enum Step {
    /// The topic is read from its beginning.
    Open,
    /// Records are appended or written by others for a while; then a new mark.
    Wait,
    /// A mark is appended until it is acknowledged: [`Filling::marked`].
    Mark,
    /// The next records behind those that were read: [`Filling::read`].
    Read,
    /// The store is emptied.
    Clear,
    /// The store takes this; what brings the header is the last.
    Write(Batch),
    /// It is over.
    Over(Result<Outcome, String>),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is published; the store is as it was.
    Nothing,
    /// What is published is not newer than what there is; the store is as it was.
    Older(Offset),
    /// The store holds the state at this offset of `events`.
    Restored(Offset),
}

/// One attempt to fill a store. Unless it ends with [`Outcome::Nothing`] or [`Outcome::Older`], the store is empty or
/// whole afterwards.
#[derive(Clone, Debug)]
pub struct Filling {
    /// The position of what the store holds.
    local: Option<Offset>,
    pieces_bytes_max: usize,
    read_on_max: u32,
    mark: Option<ClaimId>,
    reading: Reading,
    /// What is done before anything else.
    steps: Vec<Step>,
    /// How often the present epoch was read on, and how often another one was begun.
    read_on: u32,
    overtaken: u32,
}

#[derive(Clone, Debug)]
enum Reading {
    Survey(Survey, Option<Damaged>),
    Epoch(Restorer),
    Over(Result<Outcome, String>),
}

impl Filling {
    /// Fills a store, unless what is published is not behind `local`, the position of what it holds.
    #[must_use]
    pub fn new(local: Option<Offset>, pace: &Pace) -> Self {
        Self {
            local,
            pieces_bytes_max: pace.pieces_bytes_max.bytes(),
            read_on_max: pace.read_on_max,
            mark: None,
            reading: Reading::Survey(Survey::default(), None),
            steps: vec![Step::Mark, Step::Open],
            read_on: 0,
            overtaken: 0,
        }
    }

    /// What comes next; asked again only when it was done.
    pub fn step(&mut self) -> Step {
        match (self.steps.pop(), &self.reading) {
            (Some(step), _) => step,
            (None, Reading::Over(result)) => Step::Over(result.clone()),
            (None, _) => Step::Read,
        }
    }

    /// A mark is acknowledged.
    pub fn marked(&mut self, id: ClaimId) {
        self.mark = Some(id);
    }

    /// The next records.
    pub fn read(&mut self, batch: &[Stored]) {
        let mark = self.mark.map(|id| codec::encode(&Published::Mark { id }));
        let is_mine = |stored: &Stored| Some(&*stored.record.header) == mark.as_deref();
        let is_end = batch.iter().any(is_mine);
        let mut entities = Vec::new();
        for stored in batch {
            match &mut self.reading {
                Reading::Survey(survey, damaged) => match word(stored) {
                    Ok(word) => survey.take(&word),
                    Err(error) => drop(damaged.get_or_insert(error)),
                },
                Reading::Epoch(restorer) => match restorer.take(stored) {
                    Ok(entity) => entities.extend(entity),
                    Err(damaged) => return self.fail(damaged.to_string()),
                },
                Reading::Over(_) => return,
            }
        }
        if is_end {
            self.end();
        }
        if !entities.is_empty() {
            self.steps.push(Step::Write(filled(entities)));
        }
    }

    /// Everything up to the mark was read.
    fn end(&mut self) {
        match &self.reading {
            Reading::Survey(_, Some(damaged)) => self.over(Err(damaged.to_string())),
            Reading::Survey(survey, None) => match survey.best() {
                None => self.over(Ok(Outcome::Nothing)),
                Some(head) if Some(head.position) <= self.local => {
                    self.over(Ok(Outcome::Older(head.position)));
                }
                Some(head) => {
                    tracing::info!(position = %head.position, entities = head.records, "a partition is restored from its published snapshot");
                    self.begin(head.epoch);
                }
            },
            Reading::Epoch(restorer) => match restorer.standing() {
                Standing::Whole(restored) => self.finish(restored),
                Standing::Overtaken(_) if self.overtaken >= self.read_on_max => {
                    self.fail("publishers overtake each other".to_owned());
                }
                Standing::Overtaken(later) => {
                    self.overtaken += 1;
                    self.begin(later);
                }
                Standing::Unfinished(reason) if self.read_on >= self.read_on_max => {
                    self.fail(reason);
                }
                // A publisher may be in the middle of a round, or compaction took what a later record replaces.
                Standing::Unfinished(_) => {
                    self.read_on += 1;
                    self.steps = vec![Step::Mark, Step::Wait];
                }
            },
            Reading::Over(_) => {}
        }
    }

    fn begin(&mut self, epoch: Offset) {
        self.read_on = 0;
        self.reading = Reading::Epoch(Restorer::new(epoch, self.pieces_bytes_max));
        self.steps = vec![Step::Mark, Step::Open, Step::Clear];
    }

    fn finish(&mut self, restored: Restored) {
        let ahead = Ahead(restored.ahead.into_iter().collect());
        let is_ahead = !ahead.0.is_empty();
        self.over(Ok(Outcome::Restored(restored.position)));
        // One batch: a header without those that have seen more would let them see it twice.
        self.steps = vec![Step::Write(Batch {
            header: restored.fold,
            ahead: is_ahead.then(|| snapshot::sealed(&codec::encode(&ahead))),
            ..Batch::default()
        })];
    }

    fn fail(&mut self, reason: String) {
        self.over(Err(reason));
        self.steps = vec![Step::Clear];
    }

    fn over(&mut self, result: Result<Outcome, String>) {
        self.reading = Reading::Over(result);
        self.steps.clear();
    }
}

fn filled(entities: Vec<Filled>) -> Batch {
    let mut batch = Batch::default();
    for (address, body) in entities {
        let (record, pending) = body.map_or((None, None), |b| (Some(b.record), b.pending));
        batch.entities.push((address.clone(), record));
        batch.pending.push((address, pending));
    }
    batch
}
