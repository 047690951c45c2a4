//! The node's place in the `cluster` log: it joins, says that it lives, and folds what others say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xp_cluster::lanes::Refusal;
use xp_cluster::members::End;
use xp_cluster::{Lease, Members, log as cluster};
use xp_protocol::Incarnation;
use xp_protocol::cluster::{Definitions, Kind, Member, Who};
use xp_transport::{Clock, Log, ReadError, Reader, Stored};

use super::standing::Standing;
use crate::config::Config;

/// What is known of the cluster: members change seldom, the lease with every heartbeat read back.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The members, shared until they change.
    pub(crate) members: Arc<Members>,
    /// The node's lease (R13).
    pub(crate) lease: Lease,
    /// Why this node is a member no longer: it decides nothing any more (R17, R18).
    pub(crate) ended: Option<End>,
}

/// Why a node did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The log does not answer.
    #[error("the log has not answered for {0:?}")]
    Silence(Duration),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log does not take the Join.
    #[error(transparent)]
    Append(#[from] xp_transport::AppendError),
    /// Its lanes are not those of the cluster.
    #[error(transparent)]
    Lanes(#[from] Refusal),
    /// R38: what this build writes, an older member could not read.
    #[error(
        "this build writes version {version} of the format {format:?}, which {member} does not read: upgrade {member} first"
    )]
    Format {
        /// The member's name.
        member: Box<str>,
        /// The format.
        format: String,
        /// The version that this build writes.
        version: u8,
    },
    /// The reader ended.
    #[error("the cluster log cannot be read; the log lines above say why")]
    Unreadable,
}

/// A node as it joins.
pub(crate) struct Joining<'a> {
    pub(crate) config: &'a Config,
    pub(crate) lanes: Definitions,
    pub(crate) log: &'a Arc<dyn Log>,
    pub(crate) clock: &'a Clock,
    pub(crate) incarnation: Incarnation,
    pub(crate) standing: &'a Arc<Standing>,
}

type Joined = (watch::Receiver<View>, JoinHandle<()>);

impl Joining<'_> {
    /// Joins, and returns once the join has been read back.
    pub(crate) async fn join(self) -> Result<Joined, JoinError> {
        let patience = Duration::from_millis(self.config.start_wait_ms);
        let joined = tokio::time::timeout(patience, self.enter()).await;
        joined.unwrap_or(Err(JoinError::Silence(patience)))
    }

    async fn enter(self) -> Result<Joined, JoinError> {
        let (log, incarnation) = (self.log.as_ref(), self.incarnation);
        let (members, reader) = cluster::enter(log, self.config.generation).await?;
        let who = self.who();
        if let Some((member, format, version)) = members.cannot_read(&who.formats) {
            return Err(JoinError::Format {
                member: member.name.clone(),
                format: format.to_owned(),
                version,
            });
        }
        if members.admit_lanes(&self.lanes)? {
            cluster::append(log, &Member::Lanes(self.lanes.clone())).await?;
        }
        cluster::append(log, &Member::Join { incarnation, who }).await?;
        let (sender, mut view) = watch::channel(View::default());
        let following = Following {
            reader,
            incarnation,
            members,
            sender,
            log: Arc::clone(self.log),
        };
        let beating = Beating {
            log: Arc::clone(self.log),
            clock: self.clock.clone(),
            standing: Arc::clone(self.standing),
            incarnation,
            view: view.clone(),
            every: Duration::from_millis(self.config.heartbeat_ms),
            stuck: Duration::from_millis(self.config.stuck_ms),
        };
        // Aborted with this future, when nobody waits for it any longer.
        let task = AbortOnDrop(Some(tokio::spawn(live(following, beating))));
        let joined =
            view.wait_for(|view| view.members.is_alive(incarnation) || view.ended.is_some());
        let joined = joined.await.map_err(|_| JoinError::Unreadable)?;
        // Another node may have brought other lanes meanwhile.
        joined.members.admit_lanes(&self.lanes)?;
        drop(joined);
        Ok((view, task.keep()))
    }

    fn who(&self) -> Who {
        let config = self.config;
        let labels = config.labels.iter();
        let labels = labels.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        Who {
            address: config.address.as_str().into(),
            weight: config.weight,
            labels: labels.collect(),
            lanes: self.lanes.version,
            ..Who::new(&config.name, Kind::StateNode)
        }
    }
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
    if let Err(error) = cluster::append(log.as_ref(), &Member::Leave { incarnation }).await {
        tracing::warn!(%error, "the node could not say that it leaves");
    }
}

/// Until the eviction: an evicted node says no longer that it lives.
async fn live(mut following: Following, beating: Beating) {
    tokio::select! {
        () = following.follow() => {}
        () = beating.beat() => {}
    }
}

/// For how many heartbeats a partition must have been seen to make no progress.
const STUCK_BEATS: u32 = 5;

struct Beating {
    log: Arc<dyn Log>,
    clock: Clock,
    standing: Arc<Standing>,
    incarnation: Incarnation,
    view: watch::Receiver<View>,
    every: Duration,
    stuck: Duration,
}

impl Beating {
    /// One heartbeat at a time: a slow log slows the heartbeats down, and the lease runs out, as it must.
    async fn beat(&self) {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut failing, mut stuck) = (false, 0);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = self.standing.changed() => {}
            }
            // Until its Join is read back it has no place yet, and afterwards none when it was replaced.
            let Some(alive) = self.alive() else {
                continue;
            };
            if self.is_stuck(&mut stuck) {
                continue;
            }
            let taken = cluster::append(self.log.as_ref(), &alive).await;
            match &taken {
                Err(error) if !failing => {
                    tracing::warn!(%error, "heartbeats are not taken; queries wait until they are");
                }
                Ok(_) if failing => tracing::info!("heartbeats are taken again"),
                _ => {}
            }
            failing = taken.is_err();
        }
    }

    fn alive(&self) -> Option<Member> {
        let view = self.view.borrow();
        let (who, joined) = view.members.get(self.incarnation)?;
        Some(Member::Alive {
            incarnation: self.incarnation,
            who: who.clone(),
            joined,
            sent: self.clock.now(),
            leaving: self.standing.is_leaving(),
            warm: self.standing.warm(),
        })
    }

    /// A node whose partitions make no progress lets others take over. After the whole process stood still, its
    /// partitions go on within some heartbeats.
    fn is_stuck(&self, beats: &mut u32) -> bool {
        let Some(place) = self.standing.stuck(Instant::now(), self.stuck) else {
            *beats = 0;
            return false;
        };
        *beats += 1;
        if *beats == STUCK_BEATS {
            tracing::error!(%place, "a partition makes no progress; heartbeats stop, so that another node takes over");
        }
        *beats >= STUCK_BEATS
    }
}

struct Following {
    reader: Box<dyn Reader>,
    incarnation: Incarnation,
    members: Members,
    sender: watch::Sender<View>,
    log: Arc<dyn Log>,
}

impl Following {
    /// To the end of this node's membership. Who cannot read the log any more (it was away for longer than the log
    /// keeps its records) cannot know what became of it, and joins anew like one that was silent.
    async fn follow(&mut self) {
        loop {
            match self.reader.next().await {
                Ok(batch) if self.fold(&batch) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "the cluster log cannot be read any more; the node joins it anew");
                    return self.sender.send_modify(|view| {
                        view.ended = Some(End::Silent);
                        view.lease.end();
                    });
                }
            }
        }
    }

    /// Returns whether this node is a member no longer.
    fn fold(&mut self, batch: &[Stored]) -> bool {
        let (mut changed, mut beaten) = (false, None);
        for stored in batch {
            let Some(member) = cluster::member(stored) else {
                continue;
            };
            changed |= self.members.apply(stored.offset, stored.time, &member);
            if let Member::Alive {
                incarnation, sent, ..
            } = member
                && incarnation == self.incarnation
            {
                beaten = Some(sent);
                self.record_fold();
            }
        }
        let ended = self.members.end(self.incarnation);
        let members = &self.members;
        self.sender.send_if_modified(|view| {
            if let Some(sent) = beaten {
                view.lease.read_back(sent);
            }
            if changed {
                view.members = Arc::new(members.clone());
            }
            if ended.is_some() {
                view.ended = ended;
                view.lease.end();
            }
            changed
        });
        ended.is_some()
    }

    /// R37: may be lost; whoever is folded next makes up for it.
    fn record_fold(&self) {
        if let Some(fold) = self.members.fold_due() {
            let record = cluster::record(&fold);
            drop(self.log.append(&cluster::topic(), vec![record]));
        }
    }
}
