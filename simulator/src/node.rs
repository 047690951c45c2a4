//! A state node's process: drives the partitions' cores as the real shell does, in virtual time.

mod membership;
mod opening;
mod restoring;
mod publication;
mod turns;
mod actions;
mod answers;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xp_cluster::{Lease, Members};
use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, Incarnation, Offset, Revision, Seq, TimeMs};
use xp_state_node::partition::Partition;
use xp_state_node::read_ahead::ReadAhead;
use xp_state_node::schedule::Schedule;
use xp_state_node::timekeeper::Timekeeper;
use xp_state_node::{Lane, Lanes};
use xp_transport::simulated::{Cursor, ProducerId};
use xp_transport::{AppendError, Now};

use super::agenda::{Due as Planned, NodeDue as Due, Part};
use super::build::read;
use super::disk::Disk;
use super::names::NodeId;
use super::place::Place;
use super::plan::{LANES, limits};
use super::stage::Stage;

use publication::Publication;
use restoring::Restoring;

/// How often it looks what placement gives it, in milliseconds.
const TICK_MS: u64 = 20;

struct Flight {
    first: Seq,
    round: u64,
    results: Vec<Option<Result<Offset, AppendError>>>,
}

struct Held {
    part: Part,
    core: Partition,
    /// Where it reads `events`: a place that notices when the log was truncated below it.
    cursor: Option<Cursor>,
    /// The next inbound offset, while it reads inbound; a mirror keeps what it reads.
    reads: Option<Offset>,
    ahead: ReadAhead,
    /// Until then it is busy with what it has read, where partitions are slow.
    busy_until: TimeMs,
    flights: BTreeMap<u64, Flight>,
    schedule: Schedule,
    publication: Publication,
    /// It was restored from what is published when it was opened.
    restored: bool,
    /// The turn that is planned; what was planned before it is so no longer.
    turn: u64,
}

pub(super) struct Node {
    id: NodeId,
    pub(super) name: String,
    pub(super) incarnation: Incarnation,
    pub(super) producer: ProducerId,
    pub(super) alive: bool,
    pub(super) frozen_until: TimeMs,
    /// Until then it does not hear what is said on the `cluster` log.
    pub(super) deaf_until: TimeMs,
    /// A message has killed the process; nothing that it decided with it is done.
    pub(super) doomed: bool,
    domain: Arc<Registry>,
    lanes: Arc<Lanes>,
    disk: Disk,
    members: Option<Members>,
    seen: Arc<Members>,
    lease: Lease,
    /// How many heartbeats are under way, and whether there is news for the next.
    beats: usize,
    news: bool,
    /// Since when it hands over what it owns.
    leaving: Option<TimeMs>,
    partitions: BTreeMap<Place, Held>,
    /// Partitions that are being restored from what is published.
    restoring: BTreeMap<Place, Restoring>,
    /// Partitions for which what was restored could not be used: it would not be better a second time.
    spoilt: BTreeSet<Place>,
    /// Partitions that need a person.
    stopped: BTreeSet<Place>,
    /// Partitions whose snapshots are cleared before they are opened anew.
    clears: BTreeSet<Place>,
    /// By how much its machine's clock is wrong, and until when.
    pub(super) wrong: Option<(i64, TimeMs)>,
    timekeeper: Timekeeper,
    /// When it was started.
    started: TimeMs,
    skew_ms: u64,
    lives: u64,
}

pub(super) fn lanes() -> Lanes {
    LANES.iter().fold(Lanes::default(), |lanes, planned| {
        let lane = Lane::new(
            planned.name,
            planned.partitions,
            planned.outbound_partitions,
        );
        lanes.with(lane, planned.categories.iter().copied())
    })
}

impl Node {
    pub(super) fn start(
        id: NodeId,
        name: String,
        domain: Arc<Registry>,
        disk: Disk,
        stage: &mut Stage,
    ) -> Self {
        let incarnation = Incarnation(stage.uuid());
        let producer = ProducerId(stage.name());
        stage.after(1, Planned::Node(id, Due::Join));
        let skew_ms = stage.up_to(200);
        let began = Now {
            time: stage.now.plus_ms(skew_ms),
            running: TimeMs(0),
        };
        Self {
            wrong: None,
            timekeeper: Timekeeper::new(began),
            id,
            name,
            incarnation,
            producer,
            alive: true,
            frozen_until: TimeMs(0),
            deaf_until: TimeMs(0),
            doomed: false,
            domain,
            lanes: Arc::new(lanes()),
            disk,
            members: None,
            seen: Arc::default(),
            lease: Lease::default(),
            beats: 0,
            news: false,
            leaving: None,
            partitions: BTreeMap::new(),
            restoring: BTreeMap::new(),
            spoilt: BTreeSet::new(),
            stopped: BTreeSet::new(),
            clears: BTreeSet::new(),
            started: stage.now,
            skew_ms,
            lives: 0,
        }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The partitions that it decides for.
    pub(super) fn owned(&self) -> impl Iterator<Item = Place> + '_ {
        let owned = self.partitions.iter();
        let owned = owned.filter(|(_, held)| self.alive && held.core.is_owner());
        owned.map(|(place, _)| *place)
    }

    /// The partitions that it follows and has read up to the end that they had when it began.
    pub(super) fn mirrored(&self) -> impl Iterator<Item = Place> + '_ {
        let warm = self
            .partitions
            .iter()
            .filter(|(_, held)| self.alive && !held.core.is_owner() && held.core.is_warm());
        warm.map(|(place, _)| *place)
    }

    /// An entity's revision and state, as this process has them once it has read what the log holds.
    pub(super) fn inspect(
        &mut self,
        address: &Address,
        stage: &Stage,
    ) -> Option<(Revision, Vec<u8>)> {
        let place = Place::of(address);
        let now = self.clock(stage);
        let held = self.partitions.get_mut(&place)?;
        if let Some(from) = held.core.next_event() {
            let tail = stage.read(&super::stage::events(place), from, usize::MAX);
            held.core.on_events(&tail, now);
        }
        let whole = stage.read(&super::stage::events(place), Offset(0), usize::MAX);
        read(&mut held.core, address, (&self.domain, &whole), now)
    }

    /// Whether it has stopped a partition.
    pub(super) fn has_stopped(&self, place: Place) -> bool {
        self.alive && self.stopped.contains(&place)
    }

    /// A partition's memory is gone with its shell, which is started again as soon as anybody looks.
    pub(super) fn panic(&mut self, place: Place, stage: &mut Stage) {
        self.partitions.remove(&place);
        self.tell(stage);
    }

    /// A partition ends here, for a reason that concerns this process alone.
    pub(super) fn give_up(&mut self, place: Place, stage: &mut Stage) {
        self.partitions.remove(&place);
        self.stopped.insert(place);
        self.tell(stage);
    }

    /// What it has folded of the cluster.
    pub(super) fn members(&self) -> Option<&Members> {
        self.members.as_ref()
    }

    fn clock(&mut self, stage: &Stage) -> Now {
        let read = self.read(stage);
        self.timekeeper.judge(read, &limits(&stage.plan))
    }

    /// What its machine's clock says.
    fn read(&self, stage: &Stage) -> Now {
        let wrong_ms = match self.wrong {
            Some((by_ms, until)) if until > stage.now => by_ms,
            _ => 0,
        };
        let time = stage.now.plus_ms(self.skew_ms).0;
        Now {
            time: TimeMs(time.saturating_add_signed(wrong_ms)),
            running: TimeMs(stage.now.since_ms(self.started)),
        }
    }

    fn plan(&self, stage: &mut Stage, after_ms: u64, due: Due) {
        stage.after(after_ms, Planned::Node(self.id, due));
    }

    fn part(&mut self, part: Part) -> Option<&mut Held> {
        let held = self.partitions.get_mut(&part.place);
        held.filter(|held| held.part == part)
    }

    fn running(&self) -> Vec<Place> {
        self.partitions.keys().copied().collect()
    }

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        match due {
            Due::Join => self.join(stage),
            Due::Beat => self.beat(stage),
            Due::News => self.tell_news(stage),
            Due::Tick => self.tick(stage),
            Due::Turn(part, turn) => self.turn(part, turn, stage),
            Due::PollCluster => self.read_cluster(stage),
            Due::PollEvents(place) => self.read_events(place, stage),
            Due::PollInbound(place) => self.read_inbound(place, stage),
            Due::Answer(ack, offset) => self.answered(ack, offset, stage),
            Due::Gap(part, from, upto) => self.gap(part, (from, upto), stage),
            Due::InboundEnd(part) => self.inbound_end(part, stage),
            Due::Rescan(part, scan) => self.rescan(part, scan, stage),
            Due::Save(part, batch) => self.save(part, batch, stage),
            Due::FoldAnew(part, upto, entities) => self.fold_anew(part, upto, entities, stage),
            Due::Publish(part, epoch) => self.publish(part, epoch, stage),
            Due::Restore(place, attempt) => self.restore(place, attempt, stage),
            Due::Reopen(place, faulted) => self.reopen(place, faulted, stage),
        }
    }

    fn tick(&mut self, stage: &mut Stage) {
        self.look(stage);
        self.plan(stage, TICK_MS, Due::Tick);
    }
}
