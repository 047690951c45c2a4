//! `kill -9` under load, again and again.

use std::time::Duration;

use rand::Rng;

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::seed;

const BOARDS: [&str; 3] = ["north", "south", "east"];
const DRAWERS_PER_BOARD: usize = 2;
/// Commands that each may send between two kills, and what the last kill left over.
const COMMANDS_PER_ROUND: u64 = 15;
/// Longer than a start takes on a quiet machine.
const START_MS: u64 = 150;

pub(crate) async fn whatever_was_answered_survives_kills_exactly_once<I: Installation>() {
    let mut rng = seed::rng("kills");
    let mut installation = I::start().await;
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &installation);
    let victims = installation.victims();
    for victim in victims.iter().cycle().take(I::PACE.kills) {
        if rng.random() {
            crowd.back().await;
        }
        crowd.within_a_round(&mut rng, COMMANDS_PER_ROUND).await;
        installation.kill(*victim).await;
        if rng.random_ratio(1, 4) {
            let within = Duration::from_millis(rng.random_range(0..START_MS));
            installation.restart_and_kill(*victim, within).await;
        }
        installation.restart(*victim).await;
    }
    let outcome = crowd.finish(&mut installation).await;
    eprintln!("{} kills, {}", I::PACE.kills, outcome.summary());
    assert!(
        outcome.resumed() > 0,
        "nobody ever resumed: the test did not test it"
    );
}
