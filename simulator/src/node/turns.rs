//! The turns of a partition's shell: its schedule is the real one.

use xp_state_node::schedule::Source;

use super::Node;
use crate::agenda::Part;
use crate::partition_name::PartitionName;
use crate::stage::Stage;

impl Node {
    /// A partition has heard something, and does what it comes to.
    pub(super) fn heard(&mut self, partition: PartitionName, source: Source, stage: &mut Stage) {
        let now = self.clock.now(stage);
        if let Some(held) = self.partitions.at(partition) {
            held.schedule.heard(source, now);
        }
        self.perform(partition, stage);
    }

    /// A partition's time has come, unless it has planned anew since.
    pub(super) fn turn(&mut self, part: Part, turn: u64, stage: &mut Stage) {
        let now = self.clock.now(stage);
        let held = self.partitions.of(part);
        let Some(held) = held.filter(|held| held.turn == turn) else {
            return;
        };
        if held.schedule.wait_ms(&held.core, now) == 0 {
            held.schedule.ticked(now);
            held.core.on_lease(self.membership.lease(), now);
            held.core.tick(now);
        }
        self.perform(part.partition, stage);
    }
}
