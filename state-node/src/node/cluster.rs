//! The node's place in the `cluster` log: it joins, says that it lives, and folds what others say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use xp_cluster::{Lease, Members};
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::lane::CLUSTER_TOPIC;
use xp_protocol::{Incarnation, Offset, PartitionId, codec};
use xp_transport::{Clock, Log, Reader, Record, Stored, TopicPartition};

use crate::config::Config;

/// What is known of the cluster: members change seldom, the lease with every heartbeat read back.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The members, shared until they change.
    pub(crate) members: Arc<Members>,
    /// The node's lease (R13).
    pub(crate) lease: Lease,
}

fn topic() -> TopicPartition {
    TopicPartition {
        topic: CLUSTER_TOPIC.into(),
        partition: PartitionId(0),
    }
}

fn record(member: &Member) -> Record {
    Record {
        header: codec::encode(member).into(),
        ..Record::default()
    }
}

/// Joins, and returns once the join has been read back.
pub(crate) async fn join(
    config: &Config,
    log: &Arc<dyn Log>,
    clock: &Clock,
    incarnation: Incarnation,
) -> Result<(watch::Receiver<View>, JoinHandle<()>), String> {
    let first = log
        .bounds(&topic())
        .await
        .map_err(|error| error.to_string())?
        .first;
    let who = Who {
        name: config.name.as_str().into(),
        kind: Kind::StateNode,
    };
    append(log, &Member::Join { incarnation, who }).await?;
    let (sender, mut view) = watch::channel(View::default());
    let following = Following {
        reader: log.read(&topic(), first),
        incarnation,
        members: Members::default(),
        sender,
    };
    let every = Duration::from_millis(config.heartbeat_ms);
    let task = tokio::spawn(live(following, Arc::clone(log), clock.clone(), every));
    view.wait_for(|view| view.members.is_alive(incarnation))
        .await
        .map_err(|_| "the cluster log cannot be read; the log lines above say why".to_owned())?;
    Ok((view, task))
}

/// Says goodbye, so that nobody waits for this node.
pub(crate) async fn leave(log: &Arc<dyn Log>, incarnation: Incarnation) {
    if let Err(error) = append(log, &Member::Leave { incarnation }).await {
        tracing::warn!(error, "the node could not say that it leaves");
    }
}

async fn append(log: &Arc<dyn Log>, member: &Member) -> Result<(), String> {
    for result in log.append(&topic(), vec![record(member)]).await {
        result.map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Following {
    reader: Box<dyn Reader>,
    incarnation: Incarnation,
    members: Members,
    sender: watch::Sender<View>,
}

/// One heartbeat at a time: a slow log slows the heartbeats down, and the lease runs out, as it must.
async fn live(mut following: Following, log: Arc<dyn Log>, clock: Clock, every: Duration) {
    let Following {
        reader,
        incarnation,
        members,
        sender,
    } = &mut following;
    let incarnation = *incarnation;
    let beat = async {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // Until its Join is read back it has no place yet, and afterwards none when it was replaced.
            let Some((who, joined)) = place(&sender.borrow(), incarnation) else {
                continue;
            };
            let heartbeat = Member::Alive {
                incarnation,
                who,
                joined,
                sent: clock.now(),
            };
            if let Err(error) = append(&log, &heartbeat).await {
                tracing::warn!(error, "a heartbeat was not taken");
            }
        }
    };
    let _: (Result<(), ()>, ()) =
        tokio::join!(follow(reader.as_mut(), incarnation, members, sender), beat);
}

fn place(view: &View, me: Incarnation) -> Option<(Who, Offset)> {
    let (who, joined) = view.members.get(me)?;
    Some((who.clone(), joined))
}

async fn follow(
    reader: &mut dyn Reader,
    incarnation: Incarnation,
    members: &mut Members,
    sender: &watch::Sender<View>,
) -> Result<(), ()> {
    loop {
        match reader.next().await {
            Ok(batch) => fold(&batch, incarnation, members, sender),
            Err(error) => {
                // The lease runs out by itself, so that nothing stale is answered.
                tracing::error!(%error, "the cluster log cannot be read any more");
                return Err(());
            }
        }
    }
}

fn fold(batch: &[Stored], me: Incarnation, members: &mut Members, sender: &watch::Sender<View>) {
    let (mut changed, mut beaten) = (false, None);
    for stored in batch {
        match codec::decode::<Member>(&stored.record.header) {
            Ok(member) => {
                changed |= members.apply(stored.offset, &member);
                if let Member::Alive {
                    incarnation, sent, ..
                } = member
                    && incarnation == me
                {
                    beaten = Some(sent);
                }
            }
            Err(error) => {
                tracing::warn!(offset = %stored.offset, %error, "a cluster record is ignored")
            }
        }
    }
    sender.send_if_modified(|view| {
        if let Some(sent) = beaten {
            view.lease.read_back(sent);
        }
        if changed {
            view.members = Arc::new(members.clone());
        }
        changed
    });
}
