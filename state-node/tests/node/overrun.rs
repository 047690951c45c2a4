//! More is said than `inbound` keeps in memory, before the partition has read it (R42).

use bytes::Bytes;
use xp_protocol::inbound::{Inbound, Message};
use xp_protocol::outbound::Item;
use xp_protocol::{TimeMs, codec};
use xp_transport::{Record, TopicPartition};

use crate::edge::Client;
use crate::world::{World, add};

/// Message about tells that nobody told: it means nothing, and weighs much.
fn noise() -> Record {
    let message = Message::TellsTaken {
        taker: xp_protocol::LanePartition {
            lane: "main".into(),
            partition: xp_protocol::PartitionId(0),
        },
        number: 0,
    };
    let header = Inbound {
        time: TimeMs(0),
        trace: None,
        message,
    };
    Record {
        key: Bytes::new(),
        header: codec::encode(&header).into(),
        value: Bytes::from(vec![0; 60_000]),
        ..Record::default()
    }
}

#[tokio::test]
async fn a_partition_that_was_overrun_asks_its_edges_and_goes_on() {
    let mut world = World::new().await;
    let mut edge = world.edge().await;
    let mut ana = Client::new("ledger/1", 1);
    edge.connect(&ana, None).await;
    edge.welcome(&ana).await;
    let partition = world.lanes.locate(&ana.address).unwrap();
    let at = TopicPartition {
        topic: "main.inbound".into(),
        partition: partition.partition,
    };
    // 24 MB, where 16 MiB are kept.
    let flood = vec![noise(); 400];
    drop(world.log().append(&at, flood));
    let asked = |heard: &crate::edge::Heard| matches!(heard.item, Item::StillThere { .. });
    edge.hear(&ana, asked).await;
    assert_eq!(edge.ask(&mut ana, &add("a")).await, "1");
}
