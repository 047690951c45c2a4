//! Two installations in one Kafka, told apart by what stands before their topics' names, and by nothing else: their lanes,
//! nodes and entities are called alike.

use serde_json::Value;
use xp_local_kafka::Listener;

use crate::brokers::Brokers;
use crate::installation::Installation;
use crate::kafka::Kafka;
use crate::process::{Talk, end_of};
use crate::together::{BLUE, RED, pipe};

/// The other one has no prefix: its names are the ends of these.
const PREFIX: &str = "shop.";

/// What a command of `xp` prints as JSON, one value or many.
async fn told(at: &Kafka, words: &[&str]) -> Vec<Value> {
    let ended = end_of(&mut at.xp(words)).await;
    assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.out, ended.err);
    let values = serde_json::Deserializer::from_str(&ended.out).into_iter();
    values.map(Result::unwrap).collect()
}

/// Somebody alone draws on a board that also the neighbours have.
async fn draws(at: &Kafka, who: &str, stroke: &str) -> Talk {
    let mut talk = pipe(who, &at.urls()[0], at);
    talk.sees(&["welcome", "fresh"]).await;
    talk.types(stroke).await;
    talk.sees(&["reply 1 ", "Drawn"]).await;
    talk
}

async fn strokes(talk: &mut Talk, tag: u32, count: usize) {
    talk.types(r#"?{"type":"Count"}"#).await;
    let reply = format!("reply ?{tag} ");
    talk.sees(&[&reply, &format!(r#""strokes":{count}"#)]).await;
}

/// Its members are its own, and so is all that its log holds.
async fn is_by_itself(at: &Kafka, prefix: &str, colour: &str) {
    let picture = told(at, &["cluster", "status", "--json"]).await.remove(0);
    let members = picture["members"].as_array().unwrap().iter();
    let mut names: Vec<_> = members.map(|m| m["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["edge-1", "edge-2", "state-node"], "{picture}");

    let cluster = format!("{prefix}cluster");
    let heard = told(at, &["log", "show", "--topic", &cluster, "--json"]).await;
    let joined = heard
        .iter()
        .filter(|line| line["header"]["Join"].is_object());
    assert_eq!(joined.count(), 3, "{heard:#?}");

    let events = told(at, &["log", "show", "--json"]).await;
    let mut drawn = Vec::new();
    for record in &events {
        assert_eq!(record["topic"], format!("{prefix}main.events"), "{record}");
        let all = record["value"].as_array().into_iter().flatten();
        drawn.extend(all.filter_map(|event| event["data"]["stroke"]["colour"].as_str()));
    }
    assert_eq!(drawn, [colour]);
    let verified = end_of(&mut at.xp(&["log", "verify"])).await;
    assert!(verified.out.ends_with(", 1 entity\n"), "{}", verified.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installations_of_different_prefixes_in_one_kafka_never_see_each_other() {
    let brokers = Brokers::one(Listener::Plaintext).await;
    let mut shop: Kafka = Kafka::on(brokers.for_topics(PREFIX)).await;
    let mut yard: Kafka = Kafka::on(brokers.for_topics("")).await;
    let mut ana = draws(&shop, "ana", RED).await;
    let mut bob = draws(&yard, "bob", BLUE).await;
    strokes(&mut ana, 1, 1).await;
    strokes(&mut bob, 1, 1).await;
    is_by_itself(&shop, PREFIX, "red").await;
    is_by_itself(&yard, "", "blue").await;
    let seen = format!("{:?}", ana.seen);
    assert!(!seen.contains("bob") && !seen.contains("blue"), "{seen}");
    let seen = format!("{:?}", bob.seen);
    assert!(!seen.contains("ana") && !seen.contains("red"), "{seen}");

    // One that ends takes nothing from the other.
    assert_eq!(ana.ends().await, Some(0));
    shop.end().await;
    bob.types(BLUE).await;
    bob.sees(&["reply 2 ", "Drawn"]).await;
    strokes(&mut bob, 2, 2).await;
    assert_eq!(bob.ends().await, Some(0));
    yard.end().await;
}
