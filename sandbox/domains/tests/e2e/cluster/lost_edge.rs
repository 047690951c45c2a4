//! An edge that is gone for good: whoever was on it is away at once, and has left after the grace, once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::timeout;
use xp_client::{Client, Item, Options};
use xp_local_kafka::Listener;

use super::STATE_NODES;
use crate::brokers::Brokers;
use crate::installation::{Installation, Victim};
use crate::kafka::{EDGES, Kafka, Shape};
use crate::owners::Owners;
use crate::process::PATIENCE;

const BOARD: &str = "red";
const VISITORS: [&str; 4] = ["ana", "ben", "cleo", "dan"];

/// A grace that a test can wait for.
const SOON: Shape = Shape {
    state_nodes: &STATE_NODES,
    severable: None,
    more: "[state-node.limits.sessions]\ngrace = \"3s\"\n",
};

/// Who was shown to be away or to have left, in which commit.
#[derive(Debug, Default)]
struct Seen {
    away: BTreeMap<String, Vec<u64>>,
    left: BTreeMap<String, Vec<u64>>,
    is_drawn: bool,
}

impl Seen {
    fn see(&mut self, item: &Item) {
        let Item::Event { revision, payload } = item else {
            return;
        };
        let outputs: Vec<Value> = payload.read().unwrap();
        for output in outputs {
            let book = match output["type"].as_str() {
                Some("Away") => &mut self.away,
                Some("Left") => &mut self.left,
                other => {
                    self.is_drawn |= other == Some("StrokeDrawn");
                    continue;
                }
            };
            let user = output["data"]["user"].as_str().unwrap().to_owned();
            book.entry(user).or_default().push(revision.0);
        }
    }
}

fn client(at: &Kafka, who: &str, url: &str) -> Client {
    let address = format!("board/{BOARD}").parse().unwrap();
    let options = Options::new(url, address, at.signer().tokens(who));
    Client::connect(options).unwrap()
}

/// Reads on until it `holds`.
async fn until(client: &mut Client, seen: &mut Seen, holds: impl Fn(&Seen, &Item) -> bool) {
    let reading = async {
        while let Some(item) = client.next().await {
            seen.see(&item);
            if holds(seen, &item) {
                return;
            }
        }
        panic!("the watcher was sent away");
    };
    let read = timeout(PATIENCE, reading).await;
    read.unwrap_or_else(|_| panic!("it did not come to that: {seen:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_on_an_edge_that_is_gone_for_good_is_away_in_one_commit_and_leaves_once() {
    let brokers = Brokers::one(Listener::Plaintext).await;
    let mut at: Kafka = Kafka::shaped(SOON, brokers).await;
    let owners = Owners::of(at.victims(), &at.brokers.bootstrap()).await;
    let mut watcher = client(&at, "watcher", &at.address(EDGES[1]));
    let mut visitors = Vec::new();
    for who in VISITORS {
        let mut visitor = client(&at, who, &at.address(EDGES[0]));
        let welcome = timeout(PATIENCE, visitor.next()).await.unwrap();
        assert!(matches!(welcome, Some(Item::Welcome { .. })), "{welcome:?}");
        visitors.push(visitor);
    }
    at.kill(EDGES[0]).await;
    let mut seen = Seen::default();
    until(&mut watcher, &mut seen, |seen, _| {
        seen.left.len() == VISITORS.len()
    })
    .await;
    let owner: Victim = owners.of_board(BOARD).await;
    at.kill(owner).await;
    // The next owner says it again to nobody: what it decides is seen after all that it might have repeated.
    let stroke = json!({"type": "Draw", "data": {"colour": "red", "points": [[0, 0]]}});
    let handle = watcher.handle();
    let answered = tokio::spawn(async move { handle.command(&stroke).await });
    let drawn = |seen: &Seen, _: &Item| seen.is_drawn;
    until(&mut watcher, &mut seen, drawn).await;
    answered.await.unwrap().unwrap();
    for who in VISITORS {
        assert_eq!(seen.left[who].len(), 1, "{who} left: {seen:?}");
        assert_eq!(seen.away[who].len(), 1, "{who} was away: {seen:?}");
    }
    let commits: Vec<_> = seen.away.values().flatten().collect();
    assert!(
        commits.iter().all(|commit| *commit == commits[0]),
        "{seen:?}"
    );
    watcher.close().await;
    at.end().await;
}
