//! What a run leaves behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_protocol::{
    Address, Incarnation, LanePartition, LogIdentity, Offset, PartitionId, Revision,
};
use xp_state_node::action::Opening;
use xp_state_node::partition::{Partition, Setting};
use xp_transport::simulated::ProducerId;
use xp_transport::{Stored, TopicPartition};

use super::{Outcome, World};
use crate::simulator::disk::Disk;
use crate::simulator::plan::{ENTITIES, LANE, OUTBOUND_PARTITIONS, PARTITIONS, limits};
use crate::simulator::stage::{events, inbound, outbound};
use crate::simulator::switch::Switch;
use crate::simulator::{client, node};

impl World {
    pub(super) fn outcome(mut self) -> Outcome {
        let addresses: Vec<_> = (0..ENTITIES).map(client::address).collect();
        let owner = self.nodes.iter_mut().rfind(|node| node.owns_all());
        let mut disk = Disk::fresh();
        let live = owner.map(|node| {
            disk = node.disk().clone();
            let inspect = |address: &Address| Some((address.clone(), node.inspect(address)?));
            addresses.iter().filter_map(inspect).collect()
        });
        let topic = |at: fn(PartitionId) -> TopicPartition, partitions: u32| {
            (0..partitions)
                .map(PartitionId)
                .map(|partition| {
                    let records = self.stage.read(&at(partition), Offset(0), usize::MAX);
                    (partition, records)
                })
                .collect::<BTreeMap<_, _>>()
        };
        let (logged, heard) = (topic(events, PARTITIONS), topic(inbound, PARTITIONS));
        let said = topic(outbound, OUTBOUND_PARTITIONS);
        let reopened = self.reopen(&disk, &logged, &addresses);
        let incarnation = |producer: &ProducerId| self.incarnations.get(producer).copied();
        let writers = self.stage.writers.iter();
        let writers = writers
            .filter_map(|(at, producer)| Some((*at, incarnation(producer)?)))
            .collect();
        Outcome {
            plan: self.stage.plan,
            history: self.stage.history,
            events: logged,
            inbound: heard,
            outbound: said,
            writers,
            live,
            reopened,
        }
    }

    /// What a follower makes of the last snapshots and the log.
    pub(super) fn reopen(
        &self,
        disk: &Disk,
        logged: &BTreeMap<PartitionId, Vec<Stored>>,
        addresses: &[Address],
    ) -> BTreeMap<Address, (Revision, Vec<u8>)> {
        let now = self.stage.now;
        let mut found = BTreeMap::new();
        for (partition, records) in logged {
            let setting = Setting {
                place: LanePartition {
                    lane: LANE.into(),
                    partition: *partition,
                },
                incarnation: Incarnation(uuid::Uuid::nil()),
                lanes: Arc::new(node::lanes()),
                domain: Arc::clone(&self.domain),
                limits: Arc::new(limits(self.stage.plan.without)),
                store: disk.store(*partition),
                lease_ms: 0,
                rules: Switch::owner(self.stage.plan.without),
            };
            let opening = Opening {
                inbound: LogIdentity(uuid::Uuid::nil()),
                first: Offset(0),
                next: Offset(0),
                now,
            };
            let Ok(mut core) = Partition::open(setting, opening, 0) else {
                continue;
            };
            let from = core.next_event().unwrap_or_default();
            let tail: Vec<_> = records
                .iter()
                .filter(|stored| stored.offset >= from)
                .cloned()
                .collect();
            core.on_events(&tail, now);
            let here = |address: &&Address| address.partition(PARTITIONS) == *partition;
            for address in addresses.iter().filter(here) {
                if let Ok(Some(state)) = core.inspect(address) {
                    found.insert(address.clone(), state);
                }
            }
        }
        found
    }
}
