//! Every connection is cut at a random byte, again and again.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::proxy::{Cuts, Proxy};
use crate::seed;

const BOARDS: [&str; 2] = ["left", "right"];
const DRAWERS_PER_BOARD: usize = 4;
/// Commands that are granted to each at once; more when all of them are answered.
const GRANT: u64 = 2;

pub(crate) async fn cuts_at_random_bytes_lose_and_double_nothing<I: Installation>() {
    let mut rng = seed::rng("cuts");
    let mut installation = I::start().await;
    let proxies = Proxies::before(&installation, &mut rng).await;
    let crowd = Crowd::through(&proxies.urls(), &BOARDS, DRAWERS_PER_BOARD, &installation);
    let mut granted = 0;
    while !proxies.are_done() {
        granted += crowd.load.grant(GRANT);
        crowd.answered(granted).await;
    }
    let outcome = crowd.finish(&mut installation).await;
    let cuts = proxies.cuts();
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
        assert!(kind > cuts.all / 20, "too few of a kind: {cuts:?}");
    }
}

/// One before each edge.
struct Proxies {
    each: Vec<Proxy>,
    cuts_each: u64,
}

impl Proxies {
    async fn before<I: Installation>(installation: &I, rng: &mut ChaCha8Rng) -> Self {
        let urls = installation.urls();
        let cuts_each = I::PACE.cuts / urls.len() as u64;
        let mut each = Vec::new();
        for url in urls {
            let upstream = url.strip_prefix("ws://").expect("no TLS").parse().unwrap();
            each.push(Proxy::start(upstream, ChaCha8Rng::from_rng(rng), cuts_each).await);
        }
        Self { each, cuts_each }
    }

    fn urls(&self) -> Vec<String> {
        let url = |proxy: &Proxy| format!("ws://{}", proxy.addr);
        self.each.iter().map(url).collect()
    }

    fn are_done(&self) -> bool {
        let is_done = |proxy: &Proxy| proxy.cuts().all >= self.cuts_each;
        self.each.iter().all(is_done)
    }

    fn cuts(&self) -> Cuts {
        self.each.iter().map(Proxy::cuts).sum()
    }
}
