//! A partition as it starts: where its log begins, where its snapshot ends.

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use xp_protocol::LanePartition;
use xp_transport::TopicPartition;

use super::ahead::Ahead;
use super::restore::{publish, restore};
use super::{Shell, Topics, random_u64};
use crate::action::Opening;
use crate::deciding::Deciding;
use crate::node::Shared;
use crate::partition::{Faulted, Partition, Setting};
use crate::schedule::Schedule;
use crate::store::SnapshotStore;
use crate::timekeeper::Timekeeper;

impl<'a> Shell<'a> {
    pub(super) async fn open(
        shared: &'a Shared,
        place: &'a LanePartition,
        faulted: Faulted,
        may_restore: bool,
    ) -> Result<Self, String> {
        let topics = Topics::of(shared, place);
        let log = &shared.log;
        let mut bounds = log.bounds(&topics.events).await.map_err(text)?;
        let store = shared.store(place).map_err(text)?;
        let writing = shared.writing(place);
        let mut restored = false;
        while may_restore && restore(shared, place, &topics, &store, bounds).await? {
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
        let setting = Setting {
            faulted,
            deciding: deciding.clone(),
            ..setting(shared, place, &store)
        };
        let core = Partition::open(setting, opening, random_u64()).map_err(text)?;
        let from = core
            .next_event()
            .expect("a partition that was just opened follows");
        shared.progress.expect(bounds.next.0.saturating_sub(from.0));
        let events = Some(log.read(&topics.events, from));
        let progress = shared.standing.begins(place, deciding, Instant::now());
        let publishes = publish(shared, place, &topics, &store, &writing).await;
        let mut shell = Self {
            shared,
            place,
            topics,
            store,
            writing,
            publishes,
            restored,
            core,
            flying: FuturesUnordered::new(),
            events,
            inbound: Ahead::closed(),
            clears: false,
            progress,
            is_late: false,
            schedule: Schedule::new(shared.clock.read(), Default::default()),
            timekeeper: Timekeeper::new(shared.clock.read()),
            limits: shared.limits(place),
            given_up: false,
        };
        shell.see_members();
        Ok(shell)
    }
}

impl Topics {
    fn of(shared: &Shared, place: &LanePartition) -> Self {
        let lane = shared.lanes.get(&place.lane);
        let lane = lane.expect("places come from these lanes");
        let topic = |name: &Arc<str>| TopicPartition {
            topic: Arc::clone(name),
            partition: place.partition,
        };
        Self {
            events: topic(&lane.events),
            inbound: topic(&lane.inbound),
            snapshots: topic(&lane.snapshots),
            outbound: Arc::clone(&lane.outbound),
        }
    }
}

fn setting(shared: &Shared, place: &LanePartition, store: &Arc<dyn SnapshotStore>) -> Setting {
    Setting {
        place: place.clone(),
        incarnation: shared.incarnation,
        lanes: Arc::clone(&shared.lanes),
        domain: Arc::clone(&shared.domain),
        limits: shared.limits(place),
        lease_ms: shared.config.takeover_wait.ms(),
        explains: shared.config.settings.explains,
        store: Arc::clone(store),
        rules: Default::default(),
        faulted: Default::default(),
        deciding: Default::default(),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
