//! SIGTERM: clients are sent to come back, and nothing is lost on the way.

use xp_client::Lost;
use xp_protocol::CloseCode;

use crate::crowd::Crowd;
use crate::process::{Server, signer};

const BOARDS: [&str; 2] = ["up", "down"];
const DRAWERS_PER_BOARD: usize = 3;
const DRAINS: usize = 5;
/// Commands that each may send between two drains.
const COMMANDS_PER_DRAIN: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_process_sends_everybody_away_and_keeps_all_that_was_answered() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path()).await;
    let (url, listen) = (server.url(), server.addr.to_string());
    let tokens = signer(data.path());
    let crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &url, &tokens);
    for _ in 0..DRAINS {
        // Half of what may be sent is still to be answered, or to be sent, when the signal comes.
        // Counted before: what is granted may be answered at once.
        let answered = crowd.load.answered_so_far();
        let granted = crowd.load.grant(COMMANDS_PER_DRAIN);
        crowd.answered(answered + granted / 2).await;
        assert_eq!(server.terminate().await, Some(0));
        server = Server::start_on(&listen, data.path()).await;
    }
    let outcome = crowd.finish(&url).await;
    assert_eq!(server.terminate().await, Some(0));
    outcome.is_what_the_log_says(data.path()).await;
    for history in &outcome.histories {
        let (name, losses) = (&history.name, &history.view.losses);
        let told = |lost: &&Lost| matches!(lost, Lost::Code(_));
        let codes: Vec<_> = losses.iter().filter(told).collect();
        let draining = Lost::Code(CloseCode::Draining.number());
        assert!(
            codes.iter().all(|code| **code == draining),
            "{name}: {codes:?}"
        );
        assert!(
            !codes.is_empty(),
            "{name} was never told that the node is leaving"
        );
    }
}
