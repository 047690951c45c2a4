//! SIGTERM: clients are sent to come back, and nothing is lost on the way.

use xp_client::Lost;
use xp_protocol::CloseCode;

use crate::checker::History;
use crate::crowd::Crowd;
use crate::installation::Installation;

const BOARDS: [&str; 2] = ["up", "down"];
const DRAWERS_PER_BOARD: usize = 3;
/// Commands that each may send between two drains.
const COMMANDS_PER_DRAIN: u64 = 30;

pub(crate) async fn a_terminated_process_sends_everybody_away_and_keeps_all_that_was_answered<
    I: Installation,
>() {
    let mut installation = I::start().await;
    let mut crowd = Crowd::start(&BOARDS, DRAWERS_PER_BOARD, &installation);
    crowd.back().await;
    let edges = installation.edges();
    for edge in edges.iter().cycle().take(I::PACE.drains) {
        // Half of what may be sent is still to be answered, or to be sent, when the signal comes.
        // Counted before: what is granted may be answered at once.
        let answered = crowd.load.answered_so_far();
        let granted = crowd.load.grant(COMMANDS_PER_DRAIN);
        crowd.answered(answered + granted / 2).await;
        assert_eq!(installation.terminate(*edge).await, Some(0));
        installation.restart(*edge).await;
    }
    let outcome = crowd.finish(&mut installation).await;
    outcome.histories.iter().for_each(was_told);
}

/// That the node is leaving, and nothing else.
fn was_told(history: &History) {
    let (name, losses) = (&history.name, &history.view.losses);
    let codes: Vec<_> = losses.iter().filter_map(Lost::code).collect();
    let draining = CloseCode::Draining.number();
    assert!(
        codes.iter().all(|code| *code == draining),
        "{name}: {codes:?}"
    );
    assert!(
        !codes.is_empty(),
        "{name} was never told that the node is leaving"
    );
}
