//! A process that stands still, is replaced, and goes on.

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::kafka::{EDGES, Kafka, STATE_NODE};

const BOARDS: [&str; 2] = ["old", "new"];
const DRAWERS_PER_BOARD: usize = 4;
/// Commands that each may send before a process is stopped, and again while it stands still.
const COMMANDS: u64 = 50;

/// What `xp state-node` and `xp edge` end with when another process took their place.
const REPLACED: i32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_process_that_goes_on_ends_and_has_lost_and_doubled_nothing() {
    let mut kafka: Kafka = Kafka::start().await;
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &kafka);
    for victim in [STATE_NODE, EDGES[0], STATE_NODE, EDGES[1]] {
        crowd.back().await;
        let answered = crowd.load.answered_so_far();
        let granted = crowd.load.grant(COMMANDS);
        crowd.answered(answered + granted / 2).await;
        kafka.pause(victim).await;
        let mut zombie = kafka.replace(victim).await;
        // It goes on in the middle of the other's work. As much as one can send is answered without those who wait
        // for an edge that stands still.
        let answered = crowd.load.answered_so_far();
        crowd.load.grant(COMMANDS);
        crowd.answered(answered + COMMANDS).await;
        zombie.signal("CONT").await;
        assert_eq!(zombie.ends().await, Some(REPLACED), "{victim:?}");
        crowd.answered(crowd.load.granted_so_far()).await;
    }
    crowd.finish(&mut kafka).await;
}
