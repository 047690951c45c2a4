//! A person ends a subject's sockets at all edges of an installation.

use tokio::time::timeout;
use xp_client::{Client, Item, Options};
use xp_protocol::CloseCode;

use crate::installation::Installation;
use crate::kafka::{EDGES, Kafka};
use crate::process::{Ended, PATIENCE, end_of};

/// Whoever may choose his name.
const STRANGE: &str = "ana\n\u{1b}[2J#";

async fn welcomed(at: &Kafka, who: &str, url: &str) -> Client {
    let address = "board/red".parse().unwrap();
    let options = Options::new(url, address, at.signer().tokens(who));
    let mut client = Client::connect(options).unwrap();
    let first = next(&mut client).await;
    assert!(matches!(first, Item::Welcome { .. }), "{first:?}");
    client
}

async fn next(client: &mut Client) -> Item {
    let next = timeout(PATIENCE, client.next()).await;
    next.expect("something happens").expect("it is not over")
}

/// It loses its socket by that code, and comes back with all that it had.
async fn was_disconnected_and_resumes(client: &mut Client) {
    let mut lost = false;
    loop {
        match next(client).await {
            Item::Lost { why, .. } => {
                assert_eq!(why.code(), Some(CloseCode::Disconnected.number()));
                lost = true;
            }
            Item::Resumed { .. } if lost => return,
            Item::Event { .. } => {}
            other => panic!("it is no {other:?} that follows"),
        }
    }
}

async fn disconnect(at: &Kafka, words: &[&str]) -> Ended {
    end_of(&mut at.xp(&[&["disconnect"], words].concat())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_ends_a_subjects_sockets_at_every_edge_and_hears_which_edge_is_silent() {
    let mut at: Kafka = Kafka::start().await;
    let urls = EDGES.map(|edge| at.address(edge));
    let mut left = welcomed(&at, STRANGE, &urls[0]).await;
    let mut right = welcomed(&at, STRANGE, &urls[1]).await;
    let mut other = welcomed(&at, "ana", &urls[1]).await;
    let ended = disconnect(&at, &["--subject", STRANGE]).await;
    let said = "ana\\n\\u001b[2J#: 2 sockets ended at 2 edges (edge-1 1, edge-2 1)\n";
    assert_eq!((ended.code, &*ended.out), (Some(0), said), "{}", ended.err);
    was_disconnected_and_resumes(&mut left).await;
    was_disconnected_and_resumes(&mut right).await;

    let nobody = disconnect(&at, &["--subject", ""]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("1 to 255 bytes"), "{}", nobody.err);

    at.pause(EDGES[1]).await;
    let silent = disconnect(&at, &["--subject", STRANGE, "--wait", "2s"]).await;
    at.resume(EDGES[1]).await;
    assert_eq!(silent.code, Some(1));
    assert!(
        silent.out.contains("1 socket ended at 1 edge"),
        "{}",
        silent.out
    );
    let says = "edge-2 has not answered within 2s";
    assert!(silent.err.contains(says), "{}", silent.err);
    // Late, and all the same.
    was_disconnected_and_resumes(&mut right).await;

    other.handle().close().await;
    while let Some(item) = other.next().await {
        assert!(!matches!(item, Item::Lost { .. }), "{item:?}");
    }
    let cluster = end_of(&mut at.xp(&["log", "show", "--topic", "cluster"])).await;
    let shown = "notice {\"Disconnect\":{";
    assert!(cluster.out.contains(shown), "{}", cluster.out);
    at.end().await;
}
