//! `kill -9` under load, again and again.

use std::collections::BTreeMap;

use rand::Rng;
use xp_client::Tokens;
use xp_transport::Clock;
use xplatform::sandbox::config::secret_file;
use xplatform::sandbox::{Grant, Secret};

use crate::checker::{board, judge, logged};
use crate::drawer::{Drawer, Load};
use crate::process::Server;
use crate::seed;

const ROUNDS: usize = 60;
const BOARDS: [&str; 3] = ["north", "south", "east"];
const DRAWERS_PER_BOARD: usize = 2;
/// Commands that may be sent between two kills.
const COMMANDS_PER_ROUND: u64 = 90;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_survives_sixty_kills_exactly_once() {
    let mut rng = seed::rng("kills");
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path()).await;
    let (url, listen) = (server.url(), server.addr.to_string());
    let secret = Secret::load(&secret_file(data.path()))
        .unwrap()
        .expect("xp dev makes one");
    let tokens =
        |subject: &str| Tokens::from(secret.sign(&Grant::of(subject), Clock::system().now()));
    let load = Load::new();
    let mut drawers = Vec::new();
    for name in BOARDS {
        for i in 0..DRAWERS_PER_BOARD {
            let drawer = format!("{name}{i}");
            drawers.push(Drawer::start(&drawer, name, &url, tokens(&drawer), &load));
        }
    }
    for _ in 0..ROUNDS {
        load.grant(usize::try_from(COMMANDS_PER_ROUND).unwrap());
        // In some rounds at once, while the clients still come back; else somewhere within the load.
        let further = if rng.random_ratio(1, 8) {
            0
        } else {
            rng.random_range(1..COMMANDS_PER_ROUND)
        };
        load.answered(load.answered_so_far() + further.min(COMMANDS_PER_ROUND))
            .await;
        server.kill().await;
        server = Server::start_on(&listen, data.path()).await;
    }
    load.end();
    let mut boards = BTreeMap::new();
    let mut histories = Vec::new();
    for drawer in &mut drawers {
        drawer.answered().await;
    }
    for name in BOARDS {
        boards.insert(name.to_owned(), board(name, &url, tokens("judge")).await);
    }
    for drawer in drawers {
        let strokes = boards[drawer.board()].len();
        histories.push(drawer.finish(strokes).await);
    }
    judge(&histories, &boards);
    assert_eq!(server.terminate().await, Some(0));
    for (name, board) in &boards {
        assert!(
            logged(name, data.path()).await == *board,
            "board {name} is not what the log says"
        );
    }
    let resumed: usize = histories.iter().map(|history| history.view.resumed).sum();
    let over: usize = histories
        .iter()
        .map(|history| history.view.started_over)
        .sum();
    let strokes: usize = boards.values().map(BTreeMap::len).sum();
    eprintln!(
        "{ROUNDS} kills, {strokes} commands, {resumed} sessions resumed, {over} started over"
    );
    assert!(resumed > 0, "nobody ever resumed: the test did not test it");
}
