//! The drain of an edge: it sends its clients away, tells their entities, and leaves the cluster.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xp_protocol::cluster::Member;
use xp_protocol::inbound::ClientAction;
use xp_protocol::{CloseCode, Offset, PartitionId, codec};
use xp_transport::{Log, TopicPartition};

use crate::world::client::Dial;
use crate::world::{World, id, token};

#[tokio::test]
async fn a_draining_edge_sends_everybody_away_tells_the_entities_and_says_goodbye() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for number in 1..=5 {
        clients.push(world.join("ana", number).await);
    }
    let addr = world.edge.addr();
    let draining = tokio::spawn(world.edge.drain());
    for client in &mut clients {
        assert_eq!(client.closed().await, CloseCode::Draining);
    }
    draining.await.unwrap();
    let gone = world.owner.heard(|heard| {
        matches!(heard.action, ClientAction::Disconnect { left: false }).then_some(())
    });
    assert_eq!(gone.len(), 5);
    assert!(TcpStream::connect(addr).await.is_err());
    assert_eq!(
        last_word(&world.log).await,
        Member::Leave {
            incarnation: xp_protocol::Incarnation(id(1))
        }
    );
}

/// A load balancer sees why, and whoever restarts processes sees one that lives.
#[tokio::test]
async fn a_draining_edge_answers_probes_and_sends_newcomers_elsewhere() {
    let world = World::new().await;
    // One that does not answer its close frame, so that leaving takes a while.
    let _still = world.join("ana", 1).await;
    let addr = world.edge.addr();
    let draining = tokio::spawn(world.edge.drain());
    let ready = loop {
        let answer = get(addr, "/ready").await;
        if !answer.contains("200 OK") {
            break answer;
        }
    };
    assert!(
        ready.contains("503") && ready.contains("draining"),
        "{ready}"
    );
    assert!(get(addr, "/health").await.contains("200 OK"));
    let newcomer = Dial::to(addr).connection(2).bearer(&token("ben"));
    let refused = tokio_tungstenite::connect_async(newcomer.request()).await;
    let refused = refused.expect_err("it takes nobody").to_string();
    assert!(refused.contains("503"), "{refused}");
    draining.await.unwrap();
}

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: edge\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn last_word(log: &dyn Log) -> Member {
    let at = TopicPartition {
        topic: "cluster".into(),
        partition: PartitionId(0),
    };
    let next = log.bounds(&at).await.unwrap().next;
    let last = Offset(next.0 - 1);
    let batch = log.read(&at, last).next().await.unwrap();
    codec::decode(&batch[0].record.header).unwrap()
}

#[tokio::test]
async fn an_edge_joins_before_it_takes_anybody_and_says_that_it_is_alive() {
    let world = World::new().await;
    let at = TopicPartition {
        topic: "cluster".into(),
        partition: PartitionId(0),
    };
    let mut reader = world.log.read(&at, Offset(0));
    let mut members = Vec::new();
    while members.len() < 3 {
        for stored in reader.next().await.unwrap() {
            members.push(codec::decode::<Member>(&stored.record.header).unwrap());
        }
    }
    assert!(matches!(&members[0], Member::Join { who, .. } if &*who.name == "edge"));
    assert!(matches!(members[1], Member::Alive { .. }));
    assert!(matches!(members[2], Member::Alive { .. }));
}
