//! The outcome of a run: what is left when it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xp_cluster::lease::LEASE_MS;
use xp_protocol::{Address, ClaimId, Incarnation, LogIdentity, Offset};
use xp_state_node::action::Opening;
use xp_state_node::partition::{OpenError, Partition, Setting};
use xp_state_node::published::filling::Step;
use xp_state_node::published::{Filling, mark};
use xp_state_node::store::{MemoryStore, SnapshotStore};
use xp_transport::simulated::ProducerId;
use xp_transport::{Now, Stored, TopicPartition};

use super::{Outcome, Sight, World};
use crate::build::read;
use crate::partition_name::PartitionName;
use crate::plan::{limits, pace};
use crate::stage::{events, inbound, outbound, snapshots};
use crate::switch::Switch;
use crate::{client, node};

impl World {
    pub(super) fn outcome(mut self) -> Outcome {
        let addresses: Vec<_> = (0..self.stage.plan.entities())
            .map(client::address)
            .collect();
        let read = |at: &TopicPartition| self.stage.read(at, Offset(0), usize::MAX);
        let topic = |at: fn(PartitionName) -> TopicPartition| -> Logged {
            let partitions = PartitionName::all();
            partitions
                .map(|partition| (partition, read(&at(partition))))
                .collect()
        };
        let (logged, heard) = (topic(events), topic(inbound));
        let said = PartitionName::all_outbound();
        let said = said
            .map(|partition| (partition, read(&outbound(partition))))
            .collect();
        let mut sights = self.memories(&addresses);
        sights.extend(self.snapshots(&logged, &addresses));
        let (owners, disagreements) = (self.owners(), self.disagreements());
        let incarnation = |producer: &ProducerId| self.incarnations.get(producer).copied();
        let writers = self.stage.appends.writers();
        let writers = writers
            .filter_map(|(at, producer)| Some((at, incarnation(&producer)?)))
            .collect();
        Outcome {
            chained_max: self.stage.appends.chained_max(),
            waited_max: self.stage.links.waited_max(),
            plan: self.stage.plan,
            history: self.stage.history,
            events: logged,
            inbound: heard,
            outbound: said,
            writers,
            owners,
            sights,
            disagreements,
        }
    }

    fn owners(&self) -> BTreeMap<PartitionName, Vec<String>> {
        let mut owners: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for node in &self.nodes {
            for partition in node.owned() {
                owners
                    .entry(partition)
                    .or_default()
                    .push(node.process.name.clone());
            }
        }
        owners
    }

    /// What owners and mirrors have in memory.
    fn memories(&mut self, addresses: &[Address]) -> Vec<Sight> {
        let mut sights = Vec::new();
        for node in &mut self.nodes {
            let owned: BTreeSet<_> = node.owned().collect();
            let mirrored: BTreeSet<_> = node.mirrored().collect();
            for (what, partitions) in [("the owner", owned), ("a mirror", mirrored)] {
                let here = addresses
                    .iter()
                    .filter(|address| partitions.contains(&PartitionName::of(address)));
                let inspect = |address: &Address| {
                    Some((address.clone(), node.inspect(address, &self.stage)?))
                };
                let states = here.filter_map(inspect).collect();
                sights.push(Sight {
                    whose: format!("{what} {}'s memory", node.process.name),
                    partitions,
                    states,
                });
            }
        }
        sights
    }

    /// What a follower makes of each node's last snapshots and the log; and one who has nothing, of the log alone.
    fn snapshots(&self, logged: &Logged, addresses: &[Address]) -> Vec<Sight> {
        let alive = self.nodes.iter().filter(|node| node.condition.is_alive());
        let reopened = alive.map(|node| {
            let whose = format!("{}'s snapshot and the tail", node.process.name);
            let store = |partition| Some(node.disk().store(partition)).filter(is_used);
            self.reopen(whose, store, logged, addresses)
        });
        let anew = |_| Some(Arc::new(MemoryStore::default()) as Arc<dyn SnapshotStore>);
        let whose = "a replay of the log from its beginning".to_owned();
        let anew = self.reopen(whose, anew, logged, addresses);
        let restored = self.restored(logged, addresses);
        reopened.chain([anew, restored]).collect()
    }

    /// R36: what somebody who has nothing makes of what is published and of the `events` that are left.
    fn restored(&self, logged: &Logged, addresses: &[Address]) -> Sight {
        let left = |(partition, records): (&PartitionName, &Vec<Stored>)| {
            let first = self.stage.first_event(*partition);
            let left = records.iter().filter(|stored| stored.offset >= first);
            (*partition, left.cloned().collect())
        };
        let left: Logged = logged.iter().map(left).collect();
        let store = |partition: PartitionName| {
            let published = self
                .stage
                .read(&snapshots(partition), Offset(0), usize::MAX);
            self.stage
                .kept
                .shelves
                .contains_key(&partition)
                .then(|| filled(&published))
        };
        let whose = "what is published and the rest of the log".to_owned();
        self.reopen(whose, store, &left, addresses)
    }

    fn reopen(
        &self,
        whose: String,
        store: impl Fn(PartitionName) -> Option<Arc<dyn SnapshotStore>>,
        logged: &Logged,
        addresses: &[Address],
    ) -> Sight {
        let mut sight = Sight {
            whose,
            partitions: BTreeSet::new(),
            states: BTreeMap::new(),
        };
        for (partition, records) in logged {
            let Some(store) = store(*partition) else {
                continue;
            };
            sight.partitions.insert(*partition);
            let Ok(mut core) = self.follow(store, *partition, records) else {
                continue;
            };
            let here = |address: &&Address| PartitionName::of(address) == *partition;
            for address in addresses.iter().filter(here) {
                let whole = (&self.domain, records.as_slice());
                if let Some(state) = read(&mut core, address, whole, Now::steady(self.stage.now)) {
                    sight.states.insert(address.clone(), state);
                }
            }
        }
        sight
    }

    fn follow(
        &self,
        store: Arc<dyn SnapshotStore>,
        partition: PartitionName,
        records: &[Stored],
    ) -> Result<Partition, OpenError> {
        let now = Now::steady(self.stage.now);
        let setting = Setting {
            partition: partition.into(),
            incarnation: Incarnation(uuid::Uuid::nil()),
            lanes: Arc::new(node::lanes()),
            domain: Arc::clone(&self.domain),
            limits: Arc::new(limits(&self.stage.plan)),
            store,
            lease_ms: LEASE_MS,
            explains: false,
            rules: Switch::rules(self.stage.plan.without),
            faulted: Default::default(),
            deciding: Default::default(),
        };
        let opening = Opening {
            inbound: LogIdentity(uuid::Uuid::nil()),
            first: records
                .first()
                .map_or_else(|| self.stage.first_event(partition), |first| first.offset),
            next: self.stage.end(&events(partition)),
            now,
        };
        let mut core = Partition::open(setting, opening, 0)?;
        let from = core.next_event().unwrap_or_default();
        let tail = records.iter().filter(|stored| stored.offset >= from);
        core.on_events(&tail.cloned().collect::<Vec<_>>(), now);
        Ok(core)
    }

    /// R37: whoever has folded as much of the cluster log has come to the same.
    fn disagreements(&self) -> Vec<String> {
        let folds = self.nodes.iter().filter(|node| node.condition.is_alive());
        let folds: Vec<_> = folds
            .filter_map(|node| Some((&node.process.name, node.membership.members()?)))
            .collect();
        let pairs = folds.iter().zip(folds.iter().skip(1));
        let differing = pairs.filter(|((_, a), (_, b))| a.next() == b.next() && a != b);
        differing
            .map(|((a, _), (b, _))| {
                format!("{a} and {b} folded the cluster log to different members")
            })
            .collect()
    }
}

/// A store that was filled with all that is published; an empty one, where that was not enough.
fn filled(published: &[Stored]) -> Arc<dyn SnapshotStore> {
    let store = MemoryStore::default();
    let mut filling = Filling::new(None, &pace());
    loop {
        match filling.step() {
            Step::Open | Step::Wait => {}
            Step::Mark => filling.marked(MARK),
            Step::Read => {
                let end = Stored {
                    offset: Offset(published.len() as u64),
                    time: Default::default(),
                    record: mark(MARK),
                };
                filling.read(&[published, &[end]].concat());
            }
            Step::Clear => store.clear().expect("memory forgets everything"),
            Step::Write(batch) => store.write(batch).expect("memory takes everything"),
            Step::Over(_) => return Arc::new(store),
        }
    }
}

/// Stands behind everything that is published.
const MARK: ClaimId = ClaimId(uuid::Uuid::max());

/// Whether a store holds a snapshot.
fn is_used(store: &Arc<dyn SnapshotStore>) -> bool {
    matches!(store.header(), Ok(Some(_)))
}

/// The final records of a topic, by partition.
type Logged = BTreeMap<PartitionName, Vec<Stored>>;
