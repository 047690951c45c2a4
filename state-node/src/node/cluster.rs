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
    /// When this node joined, another process of its name was a member (R17).
    pub(crate) replaced: bool,
    /// Another process took this node's name, or it has left: it decides nothing any more (R17, R18).
    pub(crate) evicted: bool,
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
    let patience = Duration::from_millis(config.start_wait_ms);
    let joined = tokio::time::timeout(patience, enter(config, log, clock, incarnation)).await;
    joined.unwrap_or_else(|_| Err(format!("the log has not answered for {patience:?}")))
}

async fn enter(
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
    let who = Who::new(&config.name, Kind::StateNode);
    append(log, &Member::Join { incarnation, who }).await?;
    let (sender, mut view) = watch::channel(View::default());
    let following = Following {
        reader: log.read(&topic(), first),
        incarnation,
        members: Members::default(),
        sender,
    };
    let every = Duration::from_millis(config.heartbeat_ms);
    // Aborted with this future, when nobody waits for it any longer.
    let task = AbortOnDrop(Some(tokio::spawn(live(
        following,
        Arc::clone(log),
        clock.clone(),
        every,
    ))));
    view.wait_for(|view| view.members.is_alive(incarnation))
        .await
        .map_err(|_| "the cluster log cannot be read; the log lines above say why".to_owned())?;
    Ok((view, task.keep()))
}

struct AbortOnDrop(Option<JoinHandle<()>>);

impl AbortOnDrop {
    fn keep(mut self) -> JoinHandle<()> {
        self.0.take().expect("taken only here")
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
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

/// Until the eviction: an evicted node says no longer that it lives.
async fn live(mut following: Following, log: Arc<dyn Log>, clock: Clock, every: Duration) {
    let incarnation = following.incarnation;
    let view = following.sender.subscribe();
    tokio::select! {
        () = following.follow() => {}
        () = beat(&log, &clock, (incarnation, view), every) => {}
    }
}

/// One heartbeat at a time: a slow log slows the heartbeats down, and the lease runs out, as it must.
async fn beat(
    log: &Arc<dyn Log>,
    clock: &Clock,
    (incarnation, view): (Incarnation, watch::Receiver<View>),
    every: Duration,
) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        interval.tick().await;
        // Until its Join is read back it has no place yet, and afterwards none when it was replaced.
        let Some((who, joined)) = place(&view.borrow(), incarnation) else {
            continue;
        };
        let heartbeat = Member::Alive {
            incarnation,
            who,
            joined,
            sent: clock.now(),
            leaving: false,
            warm: Vec::new(),
        };
        let taken = append(log, &heartbeat).await;
        match &taken {
            Err(error) if !failing => {
                tracing::warn!(
                    error,
                    "heartbeats are not taken; queries wait until they are"
                );
            }
            Ok(()) if failing => tracing::info!("heartbeats are taken again"),
            _ => {}
        }
        failing = taken.is_err();
    }
}

fn place(view: &View, me: Incarnation) -> Option<(Who, Offset)> {
    let (who, joined) = view.members.get(me)?;
    Some((who.clone(), joined))
}

impl Following {
    /// To the end of this node's membership. A log that cannot be read only ends the lease, by silence, so that
    /// nothing stale is answered.
    async fn follow(&mut self) {
        loop {
            match self.reader.next().await {
                Ok(batch) if self.fold(&batch) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the cluster log cannot be read any more");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Returns whether this node is a member no longer.
    fn fold(&mut self, batch: &[Stored]) -> bool {
        let (mut changed, mut beaten, mut replaced) = (false, None, false);
        for stored in batch {
            match codec::decode::<Member>(&stored.record.header) {
                Ok(member) => {
                    replaced |= self.replaces(&member);
                    changed |= self.members.apply(stored.offset, stored.time, &member);
                    if let Member::Alive {
                        incarnation, sent, ..
                    } = member
                        && incarnation == self.incarnation
                    {
                        beaten = Some(sent);
                    }
                }
                Err(error) => {
                    tracing::warn!(offset = %stored.offset, %error, "a cluster record is ignored");
                }
            }
        }
        let evicted = self.members.is_former(self.incarnation);
        let members = &self.members;
        self.sender.send_if_modified(|view| {
            if let Some(sent) = beaten {
                view.lease.read_back(sent);
            }
            if changed {
                view.members = Arc::new(members.clone());
                view.replaced |= replaced;
            }
            if evicted {
                view.evicted = true;
                view.lease.end();
            }
            changed
        });
        evicted
    }

    /// Whether this is our join, and another process has our name by then.
    fn replaces(&self, member: &Member) -> bool {
        let Member::Join { incarnation, who } = member else {
            return false;
        };
        let mut others = self.members.iter();
        *incarnation == self.incarnation
            && self.members.get(self.incarnation).is_none()
            && others.any(|(_, other, _)| other.kind == who.kind && other.name == who.name)
    }
}
