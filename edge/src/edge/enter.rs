//! An edge's entry into the cluster: it reads who is a member, chooses its outbound partition, tails that, and joins.

use xp_cluster::Members;
use xp_protocol::PartitionId;
use xp_protocol::cluster::{Kind, formats};
use xp_transport::{Log, Reader, TopicPartition};

use super::StartError;
use crate::config::{self, Config};
use crate::membership::{GENERATION, Joining, Membership};

/// One partition number for all lanes, because a heartbeat names one.
#[derive(Clone, Copy)]
pub(super) enum Outbound {
    /// The partition that the configuration names, whoever else reads it.
    Fixed(PartitionId),
    /// Whichever of so many is read by the fewest edges.
    OneOf(u32),
}

pub(super) fn outbound(config: &Config, lanes: &[config::Lane]) -> Result<Outbound, StartError> {
    let counts = lanes.iter().map(|lane| lane.outbound_partitions);
    let count = counts.min().ok_or(StartError::NoLane)?;
    match config.outbound_partition {
        Some(wanted) if wanted >= count => Err(StartError::Outbound { wanted, count }),
        Some(wanted) => Ok(Outbound::Fixed(PartitionId(wanted))),
        None => Ok(Outbound::OneOf(count)),
    }
}

/// The least used one; where several are, edges that start at the same time spread over them by chance.
fn choose(members: &Members, joining: &Joining<'_>, outbound: Outbound) -> PartitionId {
    let count = match outbound {
        Outbound::Fixed(partition) => return partition,
        Outbound::OneOf(count) => count,
    };
    let taken = outbound_partitions(members, joining.name);
    let chance = joining.incarnation.0.as_u128() % u128::from(count);
    let chance = u32::try_from(chance).expect("below a 32-bit count");
    let partitions = (0..count).map(|step| PartitionId((chance + step) % count));
    let readers = |partition: &PartitionId| taken.iter().filter(|one| *one == partition).count();
    partitions.min_by_key(readers).unwrap_or(PartitionId(0))
}

/// The outbound partitions that other edges read, one for each edge. An earlier process of this name is about to be
/// replaced and does not count.
fn outbound_partitions(members: &Members, name: &str) -> Vec<PartitionId> {
    let others = members.iter().filter(|(_, who, _)| *who.name != *name);
    let outbound = others.filter_map(|(_, who, _)| match who.kind {
        Kind::Edge { outbound } => Some(outbound),
        Kind::StateNode => None,
    });
    outbound.collect()
}

pub(super) type Tailed = (TopicPartition, Box<dyn Reader>);

pub(super) struct Entered {
    pub(super) outbound: PartitionId,
    pub(super) readers: Vec<Tailed>,
    pub(super) membership: Membership,
}

/// R25: its outbound partitions are tailed before it is known to anybody.
pub(super) async fn enter(
    log: &dyn Log,
    joining: &Joining<'_>,
    lanes: &[config::Lane],
    outbound: Outbound,
) -> Result<Entered, StartError> {
    let (members, reader) = xp_cluster::log::enter(log, GENERATION).await?;
    if let Some((member, format, version)) = members.cannot_read(&formats()) {
        return Err(StartError::Format {
            member: member.name.clone(),
            format: format.to_owned(),
            version,
        });
    }
    let outbound = choose(&members, joining, outbound);
    let readers = tail(log, lanes, outbound).await?;
    let membership = joining.join(log, outbound, (members, reader)).await?;
    Ok(Entered {
        outbound,
        readers,
        membership,
    })
}

async fn tail(
    log: &dyn Log,
    lanes: &[config::Lane],
    partition: PartitionId,
) -> Result<Vec<Tailed>, StartError> {
    let mut readers = Vec::new();
    for lane in lanes {
        let topic = xp_protocol::lane::outbound_topic(&lane.name).into();
        let at = TopicPartition { topic, partition };
        let bounds = log.bounds(&at).await?;
        let reader = log.read(&at, bounds.next);
        readers.push((at, reader));
    }
    Ok(readers)
}
