//! The node's place in the `cluster` log: it joins, says that it lives, and folds what others say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xp_cluster::lanes::Refusal;
use xp_cluster::members::End;
use xp_cluster::timing::BEATS_IN_FLIGHT;
use xp_cluster::{Lease, Members, log as cluster};
use xp_protocol::cluster::{Definitions, Kind, Member, Who};
use xp_protocol::{Incarnation, LanePartition, Offset};
use xp_transport::{AppendError, Clock, Log, ReadError, Reader, Stored};

use super::standing::Standing;
use super::stuck::Stuck;
use super::suspension::Suspension;
use crate::config::Config;

/// What is known of the cluster: members change seldom, the lease with every heartbeat read back.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The members, shared until they change.
    pub(crate) members: Arc<Members>,
    /// The node's lease (R13).
    pub(crate) lease: Lease,
    /// For how much longer nobody is declared gone, in milliseconds of the log's time (R37).
    pub(crate) suspended_ms: u64,
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
        /// The name of the format, such as `events`.
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
        let patience = self.config.settings.start_wait.0;
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
            suspension: Suspension::default(),
            sender,
            log: Arc::clone(self.log),
        };
        let beating = Beating {
            log: Arc::clone(self.log),
            clock: self.clock.clone(),
            standing: Arc::clone(self.standing),
            incarnation,
            view: view.clone(),
            every: self.config.settings.heartbeat.0,
            stuck: self.config.settings.stuck.0,
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
        let settings = &self.config.settings;
        let labels = settings.labels.iter();
        let labels = labels.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        Who {
            address: settings.found_at().into(),
            weight: settings.weight,
            labels: labels.collect(),
            lanes: self.lanes.version,
            ..Who::new(&settings.name, Kind::StateNode)
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

/// A process whose heartbeats are so late has stood still.
const STOOD_STILL: Duration = Duration::from_millis(500);

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
    /// Heartbeats do not wait for each other, up to a bound: where every append is slow, the log would hear of a node too
    /// seldom to judge anybody by (R37). The lease still runs from the sending of each one that is read back (R13).
    async fn beat(&self) {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut failing, mut stuck) = (false, Stuck::default());
        let mut under_way = FuturesUnordered::new();
        let mut last = Instant::now();
        loop {
            tokio::select! {
                _ = interval.tick() => {
                    self.watch_time(&mut last);
                    stuck.see(self.standing.stuck(Instant::now(), self.stuck));
                }
                () = self.standing.changed() => {}
                Some(taken) = under_way.next() => {
                    tell(taken, &mut failing);
                    continue;
                }
            }
            if under_way.len() >= BEATS_IN_FLIGHT || self.is_silenced(&stuck) {
                continue;
            }
            // Until its Join is read back it has no place yet, and afterwards none when it was replaced.
            if let Some(alive) = self.alive() {
                under_way.push(self.say(alive));
            }
        }
    }

    async fn say(&self, alive: Member) -> Result<Offset, AppendError> {
        cluster::append(self.log.as_ref(), &alive).await
    }

    fn alive(&self) -> Option<Member> {
        let view = self.view.borrow();
        let (who, joined) = view.members.get(self.incarnation)?;
        Some(Member::Alive {
            incarnation: self.incarnation,
            who: who.clone(),
            joined,
            sent: self.clock.running(),
            leaving: self.standing.is_leaving(),
            warm: self.standing.warm(Instant::now()),
        })
    }

    /// The whole process may have stood still: what it says of itself is of before, and others may have taken over.
    fn watch_time(&self, last: &mut Instant) {
        let now = Instant::now();
        let late = now.saturating_duration_since(*last);
        *last = now;
        if late < STOOD_STILL {
            return;
        }
        let recently = now.checked_sub(STILL_QUIET).unwrap_or(now);
        if self.standing.has_stood_still(recently).is_none() {
            tracing::warn!(
                ?late,
                "the process stood still: others may have taken its partitions over; look for a machine that is overloaded or was suspended"
            );
        }
        self.standing.stood_still(now, late);
    }

    /// A partition that makes no progress is left to who is warm (R46). When nobody takes it, the node lets others take
    /// over all it has.
    fn is_silenced(&self, stuck: &Stuck) -> bool {
        let (left, before) = (stuck.left(), self.standing.left_to_others());
        for partition in left.difference(&before) {
            tracing::warn!(%partition, "a partition makes no progress; another node that is warm takes it over");
        }
        if left != before {
            self.standing.leave_to_others(left);
        }
        let members = Arc::clone(&self.view.borrow().members);
        let mut nodes = members.iter();
        // Alone it is silent for nobody's sake.
        let others =
            nodes.any(|(other, who, _)| who.kind == Kind::StateNode && other != self.incarnation);
        let owns = |partition: &LanePartition| {
            others && members.owner(partition) == Some(self.incarnation)
        };
        let silenced = stuck.silences(owns);
        let is_news = self.standing.set_silent(silenced.is_some());
        if let Some(partition) = silenced.filter(|_| is_news) {
            tracing::error!(%partition, "a partition makes no progress and nobody was warm to take it over; heartbeats stop, so that another node does; `/status` names what it does, and a restart of this node frees it");
        }
        silenced.is_some()
    }
}

/// For how long a process that stands still again and again is not told of again.
const STILL_QUIET: Duration = Duration::from_secs(10);

/// Tells when heartbeats are not taken, and when they are again.
fn tell(taken: Result<Offset, AppendError>, failing: &mut bool) {
    match &taken {
        Err(error) if !*failing => {
            tracing::warn!(%error, "heartbeats are not taken; queries wait until they are");
        }
        Ok(_) if *failing => tracing::info!("heartbeats are taken again"),
        _ => {}
    }
    *failing = taken.is_err();
}

struct Following {
    reader: Box<dyn Reader>,
    incarnation: Incarnation,
    members: Members,
    suspension: Suspension,
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
                    tracing::warn!(%error, "the cluster log cannot be read any more; the node joins it anew");
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
        let suspended_ms = members.suspended_ms();
        if let Some(news) = self.suspension.see(suspended_ms) {
            news.tell();
        }
        self.sender.send_if_modified(|view| {
            if let Some(sent) = beaten {
                view.lease.read_back(sent);
            }
            view.suspended_ms = suspended_ms;
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
