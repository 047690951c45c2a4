//! The published snapshots of a partition, and how much of its `events` is deleted because of them.

use std::collections::BTreeMap;

use xp_protocol::Offset;
use xp_protocol::codec;
use xp_protocol::snapshots::Published;
use xp_state_node::published::needs;
use xp_transport::TopicPartition;

use super::{Stage, events};
use crate::agenda::{Act, Due};
use crate::history::What;
use crate::partition_name::PartitionName;
use crate::switch::Switch;

/// How often `events` are cut short, in milliseconds.
const EVERY_MS: u64 = 400;
/// For how long `events` are kept whatever is published, in milliseconds.
const KEPT_MS: u64 = 2_500;

/// What is published of one partition, and what that allows to delete.
#[derive(Default)]
pub(crate) struct Shelf {
    /// By epoch, the first record of `events` that somebody needs who has what was published in it.
    heads: BTreeMap<Offset, Offset>,
    /// The oldest record of `events` that is there.
    pub(crate) first: Offset,
}

impl Shelf {
    /// R36: what is before it is published.
    fn covered(&self) -> Offset {
        let latest = self.heads.last_key_value();
        latest.map(|(_, needs)| *needs).unwrap_or_default()
    }
}

impl Stage {
    /// A record of `snapshots` has landed.
    pub(super) fn put_on_shelf(
        &mut self,
        partition: PartitionName,
        at: &TopicPartition,
        offset: Offset,
    ) {
        for stored in self.read(at, offset, 1) {
            let word = codec::decode::<Published>(&stored.record.header);
            let word = word.expect("publishers write what others read");
            if let Published::Head(head) = word {
                let shelf = self.kept.shelves.entry(partition).or_default();
                shelf
                    .heads
                    .insert(head.epoch, needs(&stored.record.value, head.position));
            }
        }
    }

    /// Deletes what is old and published.
    pub(crate) fn cut_short(&mut self) {
        let is_new = |time| self.now.since_ms(time) <= KEPT_MS;
        let mut cuts = Vec::new();
        for (partition, shelf) in &self.kept.shelves {
            let at = events(*partition);
            let kept = self.read(&at, shelf.first, usize::MAX);
            let kept = kept.iter().find(|stored| is_new(stored.time));
            let aged = kept.map_or(self.end(&at), |stored| stored.offset);
            let covered = shelf.covered();
            let upto = match self.plan.without {
                Some(Switch::Covered) => aged,
                _ => aged.min(covered),
            };
            if upto > shelf.first {
                cuts.push((*partition, upto));
            }
        }
        for (partition, upto) in cuts {
            self.kept.shelves.entry(partition).or_default().first = upto;
            self.note(What::Kept(format!("events of {partition} from {upto} on")));
        }
        self.after(EVERY_MS, Due::Chaos(Act::CutShort));
    }
}
