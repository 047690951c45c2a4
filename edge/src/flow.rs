//! Flow control at the edge (R42): how much of what this edge appended a partition's owner has not taken yet, whose it
//! is, and what is held back for that.
//!
//! An edge counts what it appends, and the owner says now and then what it has taken. In between it knows nothing, so
//! it holds a bound by itself, for as long as an owner is away too. No I/O, no clock, no randomness; the simulator
//! runs it as it is.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use xp_protocol::Offset;
use xp_protocol::flow::NOTICE;

/// Nothing is held back before so much waits: an owner that has taken everything may not have said so of less.
pub const CALM: u64 = 2 * NOTICE;

/// The least that a partition may be behind by, however many edges share it.
pub const BUDGET_MIN: u64 = 4 * CALM;

/// What a partition takes of one subject right now, from everything to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Nothing is held back.
    Free,
    /// No ephemerals: nobody misses one that would come late.
    NoEphemerals,
    /// No queries either: they change nothing.
    NoQueries,
    /// No commands either, but those that were passed before.
    NothingNew,
    /// The same; and what was passed before and comes again waits here already, or is in the log.
    Nothing,
}

/// What one partition has not taken.
#[derive(Debug)]
pub struct Account {
    budget: AtomicU64,
    waiting: AtomicU64,
    /// Subjects of which something waits.
    subjects: AtomicU64,
    shares: Mutex<HashMap<Box<str>, Weak<Share>>>,
    landed: Mutex<Landed>,
}

/// One subject's part of it. Kept by its sockets.
#[derive(Debug)]
pub struct Share {
    account: Arc<Account>,
    waiting: AtomicU64,
}

/// One message that waits. Dropping it takes it off the account.
#[derive(Debug)]
pub struct Charge {
    share: Arc<Share>,
    weight: u64,
}

/// What is in the log and not taken, in order.
#[derive(Debug, Default)]
struct Landed {
    waiting: VecDeque<(Offset, Charge)>,
    /// Everything before it has been taken.
    taken: Offset,
    /// The highest offset that was seen.
    last: Offset,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Account {
    /// An account of a partition that has taken everything; `budget` is the most that may wait.
    #[must_use]
    pub fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self {
            budget: AtomicU64::new(budget),
            waiting: AtomicU64::new(0),
            subjects: AtomicU64::new(0),
            shares: Mutex::default(),
            landed: Mutex::default(),
        })
    }

    /// How much may wait from now on.
    pub fn set_budget(&self, budget: u64) {
        self.budget.store(budget, Ordering::Relaxed);
    }

    /// A subject's share.
    #[must_use]
    pub fn share(self: &Arc<Self>, subject: &str) -> Arc<Share> {
        let mut shares = lock(&self.shares);
        if let Some(share) = shares.get(subject).and_then(Weak::upgrade) {
            return share;
        }
        // Now and then, so that who is gone is not remembered; the cost of it is spread over those who came.
        if shares.len() == shares.capacity() {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Share {
            account: Arc::clone(self),
            waiting: AtomicU64::new(0),
        });
        shares.insert(subject.into(), Arc::downgrade(&share));
        share
    }

    /// The log has these.
    pub fn landed(&self, charges: impl IntoIterator<Item = (Offset, Charge)>) {
        let mut landed = lock(&self.landed);
        for (offset, charge) in charges {
            landed.land(offset, charge);
        }
    }

    /// The owner has taken everything before `upto`.
    pub fn taken(&self, upto: Offset) {
        let mut landed = lock(&self.landed);
        landed.taken = landed.taken.max(upto);
        let taken = landed.taken;
        let count = landed
            .waiting
            .partition_point(|(offset, _)| *offset < taken);
        drop(landed.waiting.drain(..count));
    }

    /// What the owner said may have been missed.
    pub fn forget(&self) {
        lock(&self.landed).waiting.clear();
    }

    /// How much waits.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether so much waits that more is held back than one subject's flood.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        within(self.waiting(), self.budget.load(Ordering::Relaxed)) >= Room::NoQueries
    }
}

impl Landed {
    fn land(&mut self, offset: Offset, charge: Charge) {
        if offset < self.last {
            // The log was made anew.
            *self = Self::default();
        }
        self.last = offset;
        if offset >= self.taken {
            self.waiting.push_back((offset, charge));
        }
    }
}

impl Share {
    /// What the partition takes of this subject: less the more of it waits, and nothing of whose flood it is while
    /// others still have their part.
    #[must_use]
    pub fn room(&self) -> Room {
        let account = &self.account;
        let waiting = account.waiting();
        if waiting < CALM {
            return Room::Free;
        }
        let budget = account.budget.load(Ordering::Relaxed);
        let together = within(waiting, budget);
        let mine = self.waiting.load(Ordering::Relaxed);
        if mine == 0 && waiting < budget + budget / 4 {
            // Who has nothing there may send one message, whatever others do.
            return together.min(Room::NoEphemerals);
        }
        // One part is left for whoever comes next.
        let part = budget / (account.subjects.load(Ordering::Relaxed) + 1);
        together.max(within(mine, part))
    }

    /// A message of this subject waits.
    #[must_use]
    pub fn charge(self: &Arc<Self>, weight: u64) -> Charge {
        self.account.waiting.fetch_add(weight, Ordering::Relaxed);
        if self.waiting.fetch_add(weight, Ordering::Relaxed) == 0 {
            self.account.subjects.fetch_add(1, Ordering::Relaxed);
        }
        Charge {
            share: Arc::clone(self),
            weight,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let Share { account, waiting } = self.share.as_ref();
        account.waiting.fetch_sub(self.weight, Ordering::Relaxed);
        if waiting.fetch_sub(self.weight, Ordering::Relaxed) == self.weight {
            account.subjects.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn within(waiting: u64, bound: u64) -> Room {
    if waiting >= bound {
        Room::Nothing
    } else if waiting >= bound / 4 * 3 {
        Room::NoQueries
    } else if waiting >= bound / 2 {
        Room::NoEphemerals
    } else {
        Room::Free
    }
}

#[cfg(test)]
mod tests;
