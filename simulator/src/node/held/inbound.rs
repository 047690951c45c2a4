//! A partition's reader of `inbound`; a mirror keeps what it reads.

use xp_protocol::{Offset, TimeMs};
use xp_state_node::read_ahead::ReadAhead;
use xp_transport::Stored;

use crate::partition_name::PartitionName;
use crate::plan::Plan;
use crate::stage::{Stage, inbound as topic};
use crate::switch::Switch;

/// How many bytes a mirror reads ahead: so few that it has to forget some.
const AHEAD_BYTES_MAX: usize = 1 << 10;

pub(in crate::node) struct Inbound {
    next: Option<Offset>,
    ahead: ReadAhead,
    /// Until then it is busy with what it has read, where partitions are slow.
    busy_until: TimeMs,
}

impl Inbound {
    pub(in crate::node) fn closed() -> Self {
        Self {
            next: None,
            ahead: ReadAhead::closed(),
            busy_until: TimeMs(0),
        }
    }

    /// It begins there.
    pub(in crate::node) fn begin(&mut self, from: Offset, plan: &Plan) {
        let rules = Switch::rules(plan.without);
        self.next = Some(from);
        self.ahead = ReadAhead::open(from, AHEAD_BYTES_MAX, rules);
    }

    /// It ends, because what it would read next is gone.
    pub(in crate::node) fn end(&mut self) {
        self.next = None;
        self.ahead = ReadAhead::closed();
    }

    /// Where it reads on.
    pub(in crate::node) fn next(&self) -> Option<Offset> {
        self.next
    }

    pub(in crate::node) fn ahead(&mut self) -> &mut ReadAhead {
        &mut self.ahead
    }

    /// A batch was read.
    pub(in crate::node) fn went_on(&mut self, batch: &[Stored]) {
        if let Some(last) = batch.last() {
            self.next = Some(last.offset.next());
        }
    }

    /// A mirror keeps what it reads beyond what it knows as `taken`. Says whether it goes on reading.
    pub(in crate::node) fn read_ahead(
        &mut self,
        partition: PartitionName,
        count: u64,
        taken: Offset,
        stage: &Stage,
    ) -> bool {
        let at = topic(partition);
        let Some(from) = self.next else { return false };
        let first = stage.first_kept(&at);
        if from < first {
            self.begin(first, &stage.plan);
            return true;
        }
        let batch = stage.read(&at, from, count as usize);
        if batch.is_empty() {
            return false;
        }
        self.went_on(&batch);
        self.ahead.keep(batch, taken);
        true
    }

    pub(in crate::node) fn is_busy(&self, now: TimeMs) -> bool {
        now < self.busy_until
    }

    /// A batch is heard, which takes until then.
    pub(in crate::node) fn hear(&mut self, batch: &[Stored], busy_until: TimeMs) {
        self.busy_until = busy_until;
        if let Some(last) = batch.last() {
            self.ahead.passed(last.offset.next());
        }
    }
}
