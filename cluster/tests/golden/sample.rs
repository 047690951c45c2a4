//! A fold that has something in each of its fields.

use std::collections::BTreeMap;

use uuid::Uuid;
use xp_cluster::Members;
use xp_protocol::cluster::{Definition, Definitions, Kind, Member, Placement, Who};
use xp_protocol::{Incarnation, LanePartition, Offset, PartitionId, TimeMs};

fn incarnation(n: u128) -> Incarnation {
    Incarnation(Uuid::from_u128(n))
}

fn state_node(n: u128) -> Who {
    Who {
        address: format!("10.0.0.{n}:9100").into(),
        labels: BTreeMap::from([("region".into(), "eu".into())]),
        // Written down, so that a later build with other formats gives the same bytes.
        formats: BTreeMap::from([("events".into(), 1)]),
        lanes: 1,
        ..Who::new(&format!("state-{n}"), Kind::StateNode)
    }
}

fn join(n: u128) -> Member {
    Member::Join {
        incarnation: incarnation(n),
        who: state_node(n),
    }
}

fn alive(n: u128, partition: &LanePartition) -> Member {
    Member::Alive {
        incarnation: incarnation(n),
        who: state_node(n),
        joined: Offset(n as u64),
        sent: TimeMs(0),
        leaving: n == 2,
        warm: vec![partition.clone()],
    }
}

pub(crate) fn members() -> Members {
    let partition = LanePartition {
        lane: "main".into(),
        partition: PartitionId(1),
    };
    let definition = Definition {
        partitions: 2,
        outbound_partitions: 1,
        categories: vec!["board".into()],
        placement: Placement::default(),
    };
    let lanes = Definitions {
        version: 1,
        lanes: BTreeMap::from([("main".into(), definition)]),
    };
    let records = [
        Member::Lanes(lanes),
        join(1),
        join(2),
        join(3),
        alive(1, &partition),
        alive(2, &partition),
        Member::Leave {
            incarnation: incarnation(3),
        },
        Member::Drain {
            name: "state-3".into(),
            drained: true,
        },
        Member::Move {
            partition,
            to: Some("state-1".into()),
        },
    ];
    let mut members = Members::new(2);
    for (offset, record) in (0..).zip(&records) {
        let time = TimeMs(1_700_000_000_000 + offset * 300);
        members.apply(Offset(offset), time, record);
    }
    members
}
