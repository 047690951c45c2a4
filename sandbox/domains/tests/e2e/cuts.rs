//! Every connection is cut at a random byte, a thousand times.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use xp_client::Tokens;
use xp_domains::board::Board;
use xplatform::sandbox::Sandbox;

use crate::checker::{board, judge};
use crate::drawer::{Drawer, Load};
use crate::proxy::Proxy;
use crate::seed;

const CUTS: u64 = 1_000;
const BOARDS: [&str; 2] = ["left", "right"];
const DRAWERS_PER_BOARD: usize = 4;
/// Commands that are granted at once; more when all of them are answered.
const GRANT: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_at_random_bytes_lose_and_double_nothing() {
    let mut rng = seed::rng("cuts");
    let sandbox = Sandbox::builder().host::<Board>().start().await.unwrap();
    let proxy = Proxy::start(sandbox.addr(), ChaCha8Rng::from_rng(&mut rng), CUTS).await;
    let (cut_url, url) = (
        format!("ws://{}", proxy.addr),
        format!("ws://{}", sandbox.addr()),
    );
    let tokens = |subject: &str| Tokens::from(sandbox.user(subject).token());
    let load = Load::new();
    let mut drawers = Vec::new();
    for name in BOARDS {
        for i in 0..DRAWERS_PER_BOARD {
            let drawer = format!("{name}{i}");
            drawers.push(Drawer::start(
                &drawer,
                name,
                &cut_url,
                tokens(&drawer),
                &load,
            ));
        }
    }
    let mut granted = 0;
    while proxy.cuts() < CUTS {
        load.grant(usize::try_from(GRANT).unwrap());
        granted += GRANT;
        load.answered(granted).await;
    }
    load.end();
    for drawer in &mut drawers {
        drawer.answered().await;
    }
    let mut boards = BTreeMap::new();
    for name in BOARDS {
        boards.insert(name.to_owned(), board(name, &url, tokens("judge")).await);
    }
    let mut histories = Vec::new();
    for drawer in drawers {
        let strokes = boards[drawer.board()].len();
        histories.push(drawer.finish(strokes).await);
    }
    judge(&histories, &boards);
    let resumed: usize = histories.iter().map(|history| history.view.resumed).sum();
    eprintln!(
        "{} cuts, {granted} commands, {resumed} sessions resumed",
        proxy.cuts()
    );
    assert!(resumed > 0, "nobody ever resumed: the test did not test it");
    sandbox.shutdown().await;
}
