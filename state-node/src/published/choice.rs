//! The choice of who publishes a partition, and of who restores from what is published.

use xp_cluster::Members;
use xp_protocol::{Incarnation, LanePartition, Offset};
use xp_transport::Bounds;

use crate::snapshot;

/// Who publishes a partition: the first mirror that has it, so that the owner pays nothing; the owner while there is none.
#[must_use]
pub fn publishes(members: &Members, partition: &LanePartition) -> Option<Incarnation> {
    let mut mirrors = members.mirrors(partition).iter().copied();
    let mirror = mirrors.find(|mirror| members.is_warm(partition, *mirror));
    mirror.or_else(|| members.owner(partition))
}

/// R36: whether a node whose own snapshot ends at `local` takes the published one of a log with these `bounds`: where
/// what is on this disk and in the log is not all there was, or more than `replay_max` records would be replayed. A
/// snapshot here that the log needs is not given up for one that would only be newer.
#[must_use]
pub fn restores(local: Option<Offset>, bounds: Bounds, replay_max: u64) -> bool {
    if is_whole(bounds) {
        bounds.next.0.saturating_sub(local.map_or(0, |end| end.0)) > replay_max
    } else {
        !snapshot::covers(local, bounds.first)
    }
}

/// Whether nothing of a log was deleted, so that it can be replayed where no published snapshot can be used.
#[must_use]
pub fn is_whole(bounds: Bounds) -> bool {
    bounds.first == Offset(0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::cluster::{Kind, Member, Who};
    use xp_protocol::{PartitionId, TimeMs};

    use super::*;
    use crate::{Lane, Lanes};

    fn alive(incarnation: Incarnation, warm: &[LanePartition]) -> Member {
        Member::Alive {
            incarnation,
            joined: Offset(1),
            sent: TimeMs(0),
            who: who(incarnation),
            leaving: false,
            warm: warm.to_vec(),
        }
    }

    fn who(incarnation: Incarnation) -> Who {
        Who {
            lanes: 1,
            ..Who::new(&incarnation.to_string(), Kind::StateNode)
        }
    }

    #[test]
    fn a_mirror_publishes_once_it_has_the_partition() {
        let lanes = Lanes::default().with(Lane::new("main", 1, 1), ["ledger"]);
        let partition = LanePartition {
            lane: "main".into(),
            partition: PartitionId(0),
        };
        let nodes = [1, 2].map(|n| Incarnation(Uuid::from_u128(n)));
        let mut told = vec![Member::Lanes(lanes.definitions(1))];
        told.extend(nodes.map(|incarnation| Member::Join {
            incarnation,
            who: who(incarnation),
        }));
        let mut members = Members::default();
        let tell = |members: &mut Members, word: &Member| {
            let next = members.next();
            members.apply(next, TimeMs(0), word);
        };
        for word in &told {
            tell(&mut members, word);
        }
        assert_eq!(publishes(&members, &partition), members.owner(&partition));
        for node in nodes {
            tell(&mut members, &alive(node, std::slice::from_ref(&partition)));
        }
        let mirror = members.mirrors(&partition).first().copied();
        assert!(mirror.is_some());
        assert_eq!(publishes(&members, &partition), mirror);
    }
}
