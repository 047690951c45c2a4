//! SIGSTOP under load: a process that stands still, is taken for dead, and goes on as if nothing had happened.

use std::ops::Range;
use std::time::Duration;

use rand::Rng;
use tokio::time::sleep;

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::seed;

const BOARDS: [&str; 2] = ["near", "far"];
const DRAWERS_PER_BOARD: usize = 2;
/// Commands that each may send between two stops.
const COMMANDS_PER_ROUND: u64 = 60;
/// Longer than a lease; some stops also outlast the silence after which clients say again what was not answered (R32).
const PAUSE_MS: Range<u64> = 400..3_000;

pub(crate) async fn a_process_that_stands_still_for_longer_than_its_lease_loses_and_doubles_nothing<
    I: Installation,
>() {
    let mut rng = seed::rng("pauses");
    let mut installation = I::start().await;
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &installation);
    let victims = installation.victims();
    for victim in victims.iter().cycle().take(I::PACE.pauses * victims.len()) {
        crowd.back().await;
        crowd.within_a_round(&mut rng, COMMANDS_PER_ROUND).await;
        installation.pause(*victim).await;
        // Nothing ends a stop but the time it takes.
        sleep(Duration::from_millis(rng.random_range(PAUSE_MS))).await;
        installation.resume(*victim).await;
    }
    let granted = crowd.load.granted_so_far();
    crowd.answered(granted).await;
    crowd.finish(&mut installation).await;
}
