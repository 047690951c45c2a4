//! A state node that stands still, is replaced, and goes on.

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::kafka::{Kafka, STATE_NODE};

const BOARDS: [&str; 2] = ["old", "new"];
const DRAWERS_PER_BOARD: usize = 4;
const COMMANDS: u64 = 100;

/// What `xp state-node` and `xp edge` end with when another process took their place.
const REPLACED: i32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_state_node_that_goes_on_ends_and_has_lost_and_doubled_nothing() {
    let mut kafka: Kafka = Kafka::start().await;
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &kafka);
    crowd.back().await;
    for _ in 0..2 {
        let answered = crowd.load.answered_so_far();
        let granted = crowd.load.grant(COMMANDS);
        crowd.answered(answered + granted / 2).await;
        kafka.pause(STATE_NODE).await;
        let mut zombie = kafka.replace_state_node().await;
        // In the middle of the other's work.
        crowd.answered(answered + granted * 3 / 4).await;
        zombie.signal("CONT").await;
        assert_eq!(zombie.ends().await, Some(REPLACED));
        crowd.answered(crowd.load.granted_so_far()).await;
    }
    crowd.finish(&mut kafka).await;
}
