//! What outlives a node's process.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_protocol::PartitionId;
use xp_state_node::store::MemoryStore;

use super::plan::PARTITIONS;

/// The snapshots of a node, which outlive its process.
pub(super) type Disk = BTreeMap<PartitionId, Arc<MemoryStore>>;

pub(super) fn fresh_disk() -> Disk {
    (0..PARTITIONS)
        .map(|partition| (PartitionId(partition), Arc::default()))
        .collect()
}
