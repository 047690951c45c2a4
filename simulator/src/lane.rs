//! The append queue of one inbound partition at an edge: one group in flight, in order, as the edge's real shell does
//! it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use xp_edge::flow::{Account, BUDGET_MIN, Charge, Room};
use xp_edge::passage::{Passage, Patience, QueuedAppend, StallEvent};
use xp_protocol::Offset;
use xp_protocol::flow::weight;
use xp_transport::Record;
use xp_transport::simulated::ProducerId;

use super::agenda::{Asker, Due as Planned, EdgeAck as Ack, EdgeDue as Due};
use super::names::{EdgeId, SocketId};
use super::partition_name::PartitionName;
use super::plan::{Feature, OUTAGE_MS, Plan};
use super::stage::{Stage, inbound};
use super::switch::Switch;

/// How long it waits for the log.
const PATIENCE: Patience = Patience {
    retry_ms: 50,
    stall_ms: 150,
    sockets_ms: 1_000,
};

/// What becomes of an entry whose append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is appended again for as long as its socket lives (R30).
    With(SocketId),
    /// It is appended again (R28).
    Owed,
    /// It is not appended again.
    Loose,
}

struct Entry {
    record: Record,
    fate: Fate,
    charge: Charge,
    lost: bool,
}

impl QueuedAppend for Entry {
    fn is_loose(&self) -> bool {
        self.fate == Fate::Loose
    }

    fn is_lost(&self) -> bool {
        self.lost
    }
}

pub(super) struct Lane {
    partition: PartitionName,
    /// What its owner has not taken (R42).
    account: Arc<Account>,
    queue: VecDeque<Entry>,
    passage: Passage<Entry>,
    flying: Vec<Entry>,
    answers: Vec<Option<Option<Offset>>>,
    group: u64,
    waits: bool,
}

impl Lane {
    fn new(partition: PartitionName, patience: Patience) -> Self {
        Self {
            partition,
            account: Account::new(BUDGET_MIN),
            queue: VecDeque::new(),
            passage: Passage::new(patience),
            flying: Vec::new(),
            answers: Vec::new(),
            group: 0,
            waits: false,
        }
    }

    /// What it takes of a subject.
    pub(super) fn room(&self, subject: &str) -> Room {
        match self.passage.is_stalled() {
            true => Room::Nothing,
            false => self.account.share(subject).room(),
        }
    }

    /// Its owner has taken everything before `upto`.
    pub(super) fn taken(&self, upto: Offset) {
        self.account.taken(upto);
    }

    pub(super) fn push(&mut self, record: Record, fate: Fate, subject: &str) {
        if fate == Fate::Loose && self.passage.is_stalled() {
            return;
        }
        let bytes = record.key.len() + record.header.len() + record.value.len();
        let charge = self.account.share(subject).charge(weight(bytes));
        self.queue.push_back(Entry {
            record,
            fate,
            charge,
            lost: false,
        });
    }

    /// What is of these sockets reaches the log no more (R30).
    pub(super) fn lose(&mut self, sockets: &[SocketId]) {
        let waiting = self.queue.iter_mut().chain(&mut self.flying);
        for entry in waiting.chain(self.passage.failed()) {
            if let Fate::With(socket) = entry.fate {
                entry.lost |= sockets.contains(&socket);
            }
        }
        self.passage.drop_lost();
    }

    /// Whether everything that must arrive is acknowledged.
    fn is_paid(&mut self) -> bool {
        let mut waiting = self.queue.iter().chain(&self.flying);
        waiting.all(|entry| entry.fate != Fate::Owed)
            && self.passage.failed().all(|entry| entry.fate != Fate::Owed)
    }

    /// Sends what waits, unless something is under way.
    fn send(&mut self, me: (EdgeId, ProducerId), stage: &mut Stage) {
        if !self.flying.is_empty() || self.waits {
            return;
        }
        self.group += 1;
        let queue = &mut self.queue;
        let fresh = || std::mem::take(queue).into();
        self.flying = self.passage.next(stage.now, fresh);
        self.answers = vec![None; self.flying.len()];
        for (index, entry) in self.flying.iter().enumerate() {
            let ack = Ack::Lane(self.partition, self.group, index);
            let asker = Asker::Edge(me.0, ack);
            stage.append(me.1, &inbound(self.partition), entry.record.clone(), asker);
        }
    }

    /// It waited for what failed.
    pub(super) fn retry(&mut self, stage: &Stage) -> Option<StallEvent> {
        self.waits = false;
        self.passage.on_time(stage.now)
    }

    /// What is due while it waits for the log.
    pub(super) fn on_time(&mut self, stage: &Stage) -> Option<StallEvent> {
        match self.waits || !self.flying.is_empty() {
            true => self.passage.on_time(stage.now),
            false => None,
        }
    }

    /// One answer; does something once the whole group is answered.
    pub(super) fn answered(
        &mut self,
        me: EdgeId,
        (group, index): (u64, usize),
        offset: Option<Offset>,
        stage: &mut Stage,
    ) {
        if group != self.group || self.flying.is_empty() {
            return;
        }
        self.answers[index] = Some(offset);
        if self.answers.iter().any(Option::is_none) {
            return;
        }
        let answers = std::mem::take(&mut self.answers).into_iter();
        let answers = answers.map(|answer| answer.flatten().ok_or_else(|| "simulated".to_owned()));
        let group = std::mem::take(&mut self.flying);
        let taken = self.passage.take(stage.now, group, answers.collect());
        let landed = taken.landed.into_iter();
        self.account
            .landed(landed.map(|(offset, entry)| (offset, entry.charge)));
        if let Some(retry_ms) = self.passage.retries_in_ms() {
            self.waits = true;
            let due = Due::Retry(self.partition);
            stage.after(retry_ms, Planned::Edge(me, due));
        }
    }
}

/// What an edge appends to all partitions.
pub(super) struct Lanes {
    lanes: BTreeMap<PartitionName, Lane>,
    patience: Patience,
}

impl Lanes {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            lanes: BTreeMap::new(),
            patience: patience(plan),
        }
    }

    /// What it appends to one of them.
    pub(super) fn to(&mut self, partition: PartitionName) -> &mut Lane {
        let lane = self.lanes.entry(partition);
        lane.or_insert_with(|| Lane::new(partition, self.patience))
    }

    /// The partitions to which it has ever appended anything.
    pub(super) fn partitions(&self) -> Vec<PartitionName> {
        self.lanes.keys().copied().collect()
    }

    /// Sends what waits.
    pub(super) fn send(&mut self, me: (EdgeId, ProducerId), stage: &mut Stage) {
        self.lanes
            .values_mut()
            .for_each(|lane| lane.send(me, stage));
    }

    /// Whether everything that must arrive is acknowledged.
    pub(super) fn are_paid(&mut self) -> bool {
        self.lanes.values_mut().all(Lane::is_paid)
    }
}

/// How long an edge waits for the log.
fn patience(plan: &Plan) -> Patience {
    let sockets_ms = match plan.without {
        Some(Switch::Patience) => 0,
        // What is judged there is how tells flow: clients that stay through lost appends would only add to the load.
        _ if plan.has(Feature::Telling) => 0,
        _ if plan.has(Feature::Outages) => OUTAGE_MS * 2,
        _ => PATIENCE.sockets_ms,
    };
    Patience {
        sockets_ms,
        ..PATIENCE
    }
}
