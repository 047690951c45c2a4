//! The actual owner of each partition, beside the one who should own it: the claim that the newest records of its
//! `events` name (R2).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;
use xp_protocol::events::Event;
use xp_protocol::lane::events_topic;
use xp_protocol::{Incarnation, LanePartition, Offset, codec};
use xp_transport::{Log, TopicPartition};

/// Partitions that are looked at together.
const TOGETHER: usize = 16;
/// Newest records of a partition that are looked at: a process that does not know that it has lost may write late ones.
const NEWEST: u64 = 32;

/// Who decides in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// Nobody has claimed it yet, or the last owner has released it.
    Nobody,
    /// The process that made the latest claim; it may have died since.
    By(Incarnation),
    /// It cannot be said, and why.
    Unknown(String),
}

pub(super) type Claims = BTreeMap<LanePartition, Claimed>;

/// Looks at the log of each. What does not answer within `patience` is unknown.
pub(super) async fn claims(
    log: &dyn Log,
    partitions: impl Iterator<Item = LanePartition>,
    patience: Duration,
) -> Claims {
    let asked = stream::iter(partitions).map(|partition| async move {
        let asked = timeout(patience, claimed(log, &partition)).await;
        let asked = asked.unwrap_or_else(|_| Ok(Claimed::Unknown("no answer".to_owned())));
        let claimed = asked.unwrap_or_else(|error| Claimed::Unknown(format!("{error:#}")));
        (partition, claimed)
    });
    asked.buffer_unordered(TOGETHER).collect().await
}

async fn claimed(log: &dyn Log, partition: &LanePartition) -> Result<Claimed> {
    let topic = events_topic(&partition.lane);
    let partitions = log.partitions(&topic).await;
    if partitions.is_none_or(|count| partition.partition.0 >= count) {
        return Ok(Claimed::Unknown("its topic is not there".to_owned()));
    }
    let at = TopicPartition {
        topic: topic.into(),
        partition: partition.partition,
    };
    let bounds = log.bounds(&at).await?;
    let from = Offset(bounds.next.0.saturating_sub(NEWEST)).max(bounds.first);
    let newest = events(log, &at, from, bounds.next).await?;
    let Some(epoch) = newest.iter().filter_map(epoch).max() else {
        return Ok(Claimed::Nobody);
    };
    let released = |(_, event): &(Offset, Event)| matches!(event, Event::Release { epoch: of, .. } if of.0 == epoch.0);
    if newest.iter().any(released) {
        return Ok(Claimed::Nobody);
    }
    if epoch < bounds.first {
        return Ok(Claimed::Unknown("its claim is no longer kept".to_owned()));
    }
    let claim = events(log, &at, epoch, epoch.next()).await?;
    match claim.first().context("its claim is not there")? {
        (_, Event::Claim(claim)) => Ok(Claimed::By(claim.incarnation)),
        _ => Ok(Claimed::Unknown(
            "its epoch begins with no claim".to_owned(),
        )),
    }
}

/// The epoch that a record belongs to, or begins.
fn epoch((offset, event): &(Offset, Event)) -> Option<Offset> {
    match event {
        Event::Claim(_) => Some(*offset),
        event => event.epoch_and_seq().map(|(epoch, _)| Offset(epoch.0)),
    }
}

/// Those of `from..end` that this build can read.
async fn events(
    log: &dyn Log,
    at: &TopicPartition,
    from: Offset,
    end: Offset,
) -> Result<Vec<(Offset, Event)>> {
    let mut reader = log.read(at, from);
    let mut events = Vec::new();
    let mut next = from;
    while next < end {
        for stored in reader.next().await? {
            next = stored.offset.next();
            let event = codec::decode::<Event>(&stored.record.header);
            events.extend(event.ok().map(|event| (stored.offset, event)));
        }
    }
    Ok(events)
}
