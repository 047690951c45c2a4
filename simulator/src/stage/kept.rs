//! The beginnings of a partition's topics: what is published and deleted of `events`, and what of `inbound` nobody needs.

use std::collections::BTreeMap;

use xp_protocol::{Epoch, Offset};

use super::shelf::Shelf;
use crate::partition_name::PartitionName;

/// Where each partition's topics begin.
#[derive(Default)]
pub(crate) struct Kept {
    /// What is published of each partition, and where its `events` begin.
    pub(crate) shelves: BTreeMap<PartitionName, Shelf>,
    /// What owners need no more.
    pub(crate) released: Released,
}

/// Before which offset of `inbound` the owner of each epoch needs nothing.
#[derive(Default)]
pub(crate) struct Released(BTreeMap<PartitionName, BTreeMap<Epoch, Offset>>);

impl Released {
    /// An owner needs nothing before this offset any more.
    pub(crate) fn release(&mut self, partition: PartitionName, epoch: Epoch, before: Offset) {
        self.0.entry(partition).or_default().insert(epoch, before);
    }

    /// Before which offset an owner finds nothing: what it released itself, or an owner before it. Who owned before the
    /// one that released has lost the partition, and may not know yet.
    pub(crate) fn before(&self, partition: PartitionName, epoch: Epoch) -> Offset {
        let released = self.0.get(&partition).into_iter();
        let released = released.flat_map(|released| released.range(..=epoch));
        released
            .map(|(_, before)| *before)
            .max()
            .unwrap_or_default()
    }
}
