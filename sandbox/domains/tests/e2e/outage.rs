//! Faults of brokers under load: sockets outlive them, and nothing acknowledged is lost or doubled.

use std::time::Duration;

use tokio::time::sleep;
use xp_local_kafka::{Listener, LocalKafka};
use xp_protocol::Address;
use xp_protocol::lane::events_topic;

use crate::brokers::Brokers;
use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::kafka::{Kafka, LANE, PARTITIONS, STATE_NODE};

const BOARDS: [&str; 2] = ["upper", "lower"];
const DRAWERS_PER_BOARD: usize = 4;
/// Commands that each may send around one fault.
const COMMANDS: u64 = 60;
/// Longer than an append may take, and than a leader may be silent.
const PAUSE: Duration = Duration::from_secs(4);

/// Load on all boards while one fault after the other happens; then everybody is judged.
struct Storm {
    kafka: Kafka,
    crowd: Crowd<'static>,
}

impl Storm {
    async fn on(brokers: Brokers) -> Self {
        let kafka: Kafka = Kafka::on(brokers).await;
        let crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &kafka);
        let mut storm = Self { kafka, crowd };
        storm.crowd.back().await;
        storm
    }

    /// Half of what is granted is not answered yet when this returns.
    async fn rises(&self) -> u64 {
        let answered = self.crowd.load.answered_so_far();
        let granted = self.crowd.load.grant(COMMANDS);
        self.crowd.answered(answered + granted / 2).await;
        self.crowd.load.granted_so_far()
    }

    async fn kill_and_restart(&self, broker: usize) {
        let granted = self.rises().await;
        let faulted = move |kafka: &LocalKafka| {
            kafka.kill(broker)?;
            kafka.restart(broker)
        };
        self.kafka.brokers.does(faulted).await;
        self.crowd.answered(granted).await;
    }

    async fn stop_and_go_on(&self, broker: usize) {
        let granted = self.rises().await;
        self.kafka
            .brokers
            .does(move |kafka| kafka.pause(broker))
            .await;
        // Nothing ends a stop but the time it takes.
        sleep(PAUSE).await;
        self.kafka
            .brokers
            .does(move |kafka| kafka.resume(broker))
            .await;
        self.crowd.answered(granted).await;
    }

    /// The state node dies as well, with all that it could not append.
    async fn kill_with_the_state_node(&mut self, broker: usize) {
        let granted = self.rises().await;
        self.kafka
            .brokers
            .does(move |kafka| kafka.kill(broker))
            .await;
        self.kafka.kill(STATE_NODE).await;
        self.kafka
            .brokers
            .does(move |kafka| kafka.restart(broker))
            .await;
        self.kafka.restart(STATE_NODE).await;
        self.crowd.answered(granted).await;
    }

    /// Who leads what is decided about the first board.
    async fn leader(&self) -> usize {
        let address: Address = format!("board/{}", BOARDS[0]).parse().unwrap();
        let (topic, partition) = (events_topic(LANE), address.partition(PARTITIONS));
        let leads = move |kafka: &LocalKafka| kafka.leader(&topic, partition.0);
        self.kafka.brokers.does(leads).await
    }

    /// Everybody kept the socket, and saw what is right.
    async fn calms_down(mut self) {
        let outcome = self.crowd.finish(&mut self.kafka).await;
        eprintln!("{}", outcome.summary());
        for history in &outcome.histories {
            let (name, losses) = (&history.name, &history.view.losses);
            assert!(losses.is_empty(), "{name} lost its socket: {losses:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_outlive_the_only_broker_which_loses_and_doubles_nothing() {
    let mut storm = Storm::on(Brokers::one(Listener::Plaintext).await).await;
    storm.kill_and_restart(0).await;
    storm.stop_and_go_on(0).await;
    storm.kill_with_the_state_node(0).await;
    storm.calms_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_outlive_the_leader_among_three_brokers_which_loses_and_doubles_nothing() {
    let storm = Storm::on(Brokers::three().await).await;
    storm.kill_and_restart(storm.leader().await).await;
    storm.stop_and_go_on(storm.leader().await).await;
    storm.calms_down().await;
}
