//! Several edges, one board.

use crate::crowd::Crowd;
use crate::installation::Installation;
use crate::process::{Talk, end_of};

pub(crate) const RED: &str = r#"{"type":"Draw","data":{"colour":"red","points":[[1,2]]}}"#;
pub(crate) const BLUE: &str = r#"{"type":"Draw","data":{"colour":"blue","points":[[3,4]]}}"#;

pub(crate) fn pipe<I: Installation>(who: &str, url: &str, at: &I) -> Talk {
    Talk::with(&mut at.xp(&["connect", "board/1", "--as", who, "--url", url]))
}

pub(crate) async fn two_pipes_see_each_other<I: Installation>() {
    let mut installation = I::start().await;
    let urls = installation.urls();
    let mut ana = pipe("ana", &urls[0], &installation);
    ana.sees(&["welcome", "fresh"]).await;
    let mut bob = pipe("bob", &urls[urls.len() - 1], &installation);
    bob.sees(&["welcome", "fresh", "ana"]).await;
    ana.sees(&["event", "Joined", "bob"]).await;
    ana.types(RED).await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    bob.sees(&["event", "StrokeDrawn", "red"]).await;
    bob.types(BLUE).await;
    bob.sees(&["reply 1 ", "Drawn"]).await;
    ana.sees(&["event", "StrokeDrawn", "blue"]).await;
    bob.types(r#"?{"type":"Count"}"#).await;
    bob.sees(&["reply ?1 ", r#""strokes":2"#]).await;
    assert_eq!(ana.ends().await, Some(0));
    bob.sees(&["event", "Left", "ana"]).await;
    assert_eq!(bob.ends().await, Some(0));
    // Also beside whoever writes it.
    let verified = end_of(&mut installation.xp(&["log", "verify"])).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    assert!(verified.out.ends_with(", 1 entity\n"), "{}", verified.out);
    installation.end().await;
}

/// R49: with its strokes, for who was there, who comes afterwards, and who takes over.
pub(crate) async fn a_deleted_board_is_gone_for_everybody_also_after_a_kill<I: Installation>() {
    let mut installation = I::start().await;
    let urls = installation.urls();
    let mut bob = pipe("bob", &urls[urls.len() - 1], &installation);
    bob.sees(&["welcome", "fresh"]).await;
    let mut ana = pipe("ana", &urls[0], &installation);
    ana.sees(&["welcome", "fresh"]).await;
    ana.types(RED).await;
    ana.sees(&["reply 1 ", "Drawn"]).await;
    ana.types(r#"{"type":"Delete"}"#).await;
    ana.sees(&["event", "Deleted", "ana"]).await;
    ana.sees(&["reply 2 ", "Done"]).await;
    bob.sees(&["event", "Deleted", "ana"]).await;
    // Their sockets are closed for good, whoever types.
    for talk in [&mut ana, &mut bob] {
        assert_eq!(talk.gone().await, Some(1));
    }
    for _ in 0..2 {
        let mut eva = pipe("eva", &urls[0], &installation);
        eva.sees(&["welcome", "fresh", r#""strokes":{}"#]).await;
        eva.types(r#"?{"type":"Count"}"#).await;
        eva.sees(&["reply ?1 ", r#""strokes":0"#]).await;
        drop(eva);
        for victim in installation.victims() {
            installation.kill(victim).await;
            installation.restart(victim).await;
        }
    }
    installation.end().await;
}

const DRAWERS: usize = 6;
const COMMANDS: u64 = 100;

pub(crate) async fn a_crowd_over_all_edges_sees_one_board<I: Installation>() {
    let mut installation = I::start().await;
    let crowd = Crowd::start(&["square"], DRAWERS, &installation);
    let granted = crowd.load.grant(COMMANDS);
    crowd.answered(granted).await;
    let outcome = crowd.finish(&mut installation).await;
    for history in &outcome.histories {
        let (name, losses) = (&history.name, &history.view.losses);
        assert!(losses.is_empty(), "{name} lost its socket: {losses:?}");
    }
}
