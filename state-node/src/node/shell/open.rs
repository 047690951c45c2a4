//! A partition as it starts: where its log begins, where its snapshot ends.

use std::sync::Arc;

use tokio::time::Instant;
use xp_protocol::LanePartition;
use xp_protocol::rules::AllRules;

use super::in_flight::InFlight;
use super::readers::Readers;
use super::restore::{publish, restore};
use super::snapshots::Snapshots;
use super::time::PartitionClock;
use super::{Shell, random_u64};
use crate::action::Opening;
use crate::deciding::Deciding;
use crate::node::Shared;
use crate::partition::{Faulted, Partition};
use crate::schedule::Schedule;

impl<'a> Shell<'a> {
    pub(super) async fn open(
        shared: &'a Shared,
        partition: &'a LanePartition,
        clock: &'a mut PartitionClock,
        faulted: Faulted,
        may_restore: bool,
    ) -> Result<Self, String> {
        let topics = shared.hosting.topics(partition);
        let topics = topics.expect("partitions come from these lanes");
        let log = &shared.log;
        let mut bounds = log.bounds(&topics.events).await.map_err(text)?;
        let store = shared.stores.partition(partition).map_err(text)?;
        let turn = shared.publishers.turn(partition);
        let mut restored = false;
        while may_restore && restore(shared, partition, &topics, &store, bounds).await? {
            // It took its time, and retention may have passed what was published when it began.
            bounds = log.bounds(&topics.events).await.map_err(text)?;
            restored = true;
        }
        let opening = Opening {
            inbound: log.identity(&topics.inbound).await.map_err(text)?,
            first: bounds.first,
            next: bounds.next,
            now: shared.clock.read(),
        };
        let deciding = Deciding::default();
        let setting = shared.hosting.setting(
            partition,
            shared.membership.incarnation(),
            Arc::clone(&store),
            faulted,
            deciding.clone(),
        );
        let core = Partition::open(setting, opening, random_u64()).map_err(text)?;
        let from = core
            .next_event()
            .expect("a partition that was just opened follows");
        shared
            .reports
            .replay()
            .expect(bounds.next.0.saturating_sub(from.0));
        let progress = shared.standing.begins(partition, deciding, Instant::now());
        let publishes = publish(shared, partition, &topics, &store, &turn).await;
        let ahead_bytes_max = shared.hosting.limits(partition).ahead_bytes_max.bytes();
        let log = || Arc::clone(log);
        let mut shell = Self {
            shared,
            partition,
            core,
            in_flight: InFlight::new(log(), topics.clone()),
            readers: Readers::new(log(), topics, ahead_bytes_max, from),
            snapshots: Snapshots::new(store, turn, publishes, restored),
            clock,
            progress,
            schedule: Schedule::new(shared.clock.read(), &AllRules),
            given_up: false,
        };
        shell.see_members();
        Ok(shell)
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
