//! Every connection is cut at a random byte, a thousand times.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use xp_client::Tokens;
use xp_domains::board::Board;
use xplatform::sandbox::Sandbox;

use crate::crowd::Crowd;
use crate::proxy::Proxy;
use crate::seed;

const CUTS: u64 = 1_500;
const BOARDS: [&str; 2] = ["left", "right"];
const DRAWERS_PER_BOARD: usize = 4;
/// Commands that are granted to each at once; more when all of them are answered.
const GRANT: u64 = 2;

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
    let crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &cut_url, &tokens);
    let mut granted = 0;
    while proxy.cuts().all < CUTS {
        granted += crowd.load.grant(GRANT);
        crowd.answered(granted).await;
    }
    let outcome = crowd.finish(&url).await;
    let cuts = proxy.cuts();
    eprintln!("{cuts:?}, {}", outcome.summary());
    assert!(
        outcome.resumed() > 0,
        "nobody ever resumed: the test did not test it"
    );
    for kind in [
        cuts.in_handshakes,
        cuts.while_sending,
        cuts.while_receiving,
        cuts.resets,
    ] {
        assert!(kind > CUTS / 20, "too few of a kind: {cuts:?}");
    }
    sandbox.shutdown().await;
}
