//! `kill -9` under load, again and again.

use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::crowd::Crowd;
use crate::process::{Server, signer};
use crate::seed;

const ROUNDS: usize = 80;
const BOARDS: [&str; 3] = ["north", "south", "east"];
const DRAWERS_PER_BOARD: usize = 2;
/// Commands that each may send between two kills, and what the last kill left over.
const COMMANDS_PER_ROUND: u64 = 15;
/// Longer than a start takes on a quiet machine.
const START_MS: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_survives_eighty_kills_exactly_once() {
    let mut rng = seed::rng("kills");
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path()).await;
    let (url, listen) = (server.url(), server.addr.to_string());
    let tokens = signer(data.path());
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &url, &tokens);
    for _ in 0..ROUNDS {
        if rng.random() {
            crowd.back().await;
        }
        within_the_load(&mut rng, &crowd).await;
        server.kill().await;
        if rng.random_ratio(1, 4) {
            let within = Duration::from_millis(rng.random_range(0..START_MS));
            Server::start_and_kill(&listen, data.path(), within).await;
        }
        server = Server::start_on(&listen, data.path()).await;
    }
    let outcome = crowd.finish(&url).await;
    assert_eq!(server.terminate().await, Some(0));
    outcome.is_what_the_log_says(data.path()).await;
    eprintln!("{ROUNDS} kills, {}", outcome.summary());
    assert!(
        outcome.resumed() > 0,
        "nobody ever resumed: the test did not test it"
    );
}

/// Some moment between the first and the last answer of a round; in some rounds at once, while clients still return.
async fn within_the_load(rng: &mut ChaCha8Rng, crowd: &Crowd<'_>) {
    // Counted before: what is granted may be answered at once.
    let answered = crowd.load.answered_so_far();
    let granted = crowd.load.grant(COMMANDS_PER_ROUND);
    let at_once = rng.random_ratio(1, 8);
    let further = if at_once {
        0
    } else {
        rng.random_range(1..granted)
    };
    crowd.answered(answered + further).await;
}
