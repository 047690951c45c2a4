//! How an edge leaves.

use xp_protocol::cluster::Member;
use xp_protocol::inbound::ClientAction;
use xp_protocol::{CloseCode, Offset, PartitionId, codec};
use xp_transport::{Log, TopicPartition};

use crate::world::{World, id};

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
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    assert_eq!(
        last_word(&world.log).await,
        Member::Leave {
            incarnation: xp_protocol::Incarnation(id(1))
        }
    );
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
