//! The spread of edges over the outbound partitions.

use std::sync::Arc;

use xp_edge::{Config, Lane, Lanes};
use xp_protocol::cluster::{Kind, Member};
use xp_protocol::{Incarnation, Offset, PartitionId, TimeMs, codec};
use xp_transport::simulated::Simulated;
use xp_transport::{Clock, Log, TopicPartition};

use crate::world::{config, id};

const PARTITIONS: u32 = 3;

fn lanes() -> Lanes {
    let lane = Lane {
        name: "main".to_owned(),
        partitions: 1,
        outbound_partitions: PARTITIONS,
    };
    Lanes::one(&lane, ["board"])
}

/// The partition that each joining edge named.
async fn named(log: &Simulated, edges: usize) -> Vec<PartitionId> {
    let at = TopicPartition {
        topic: "cluster".into(),
        partition: PartitionId(0),
    };
    let mut reader = log.read(&at, Offset(0));
    let mut named = Vec::new();
    while named.len() < edges {
        for stored in reader.next().await.unwrap() {
            if let Ok(Member::Join { who, .. }) = codec::decode(&stored.record.header)
                && let Kind::Edge { outbound } = who.kind
            {
                named.push(outbound);
            }
        }
    }
    named
}

#[tokio::test]
async fn edges_spread_evenly_over_the_outbound_partitions() {
    let topics = [
        ("cluster", 1),
        ("main.inbound", 1),
        ("main.outbound", PARTITIONS),
    ];
    let log = Simulated::new(&topics, TimeMs(0));
    let mut edges = Vec::new();
    for number in 0..PARTITIONS * 2 {
        let config = Config {
            name: format!("edge-{number}"),
            outbound_partition: None,
            ..config()
        };
        // Chance alone would send all of them to one partition.
        let incarnation = Incarnation(id(u128::from((number + 1) * PARTITIONS)));
        let shared: Arc<dyn Log> = Arc::new(log.clone());
        let edge = xp_edge::start(config, lanes(), shared, incarnation, Clock::system()).await;
        edges.push(edge.unwrap());
    }
    let mut named = named(&log, edges.len()).await;
    named.sort_unstable();
    let even: Vec<_> = (0..PARTITIONS)
        .flat_map(|partition| [PartitionId(partition); 2])
        .collect();
    assert_eq!(named, even);
}
