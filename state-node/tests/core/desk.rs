//! One partition driven by hand: every record, acknowledgement and millisecond is the test's.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use xp_cluster::{Lease, Members};
use xp_domain_sdk::Domain;
use xp_domain_sdk::host::Registry;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::events::{Commit, Event};
use xp_protocol::frame::Tag;
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::{Item, Outbound, Recipients};
use xp_protocol::rules::AllRules;
use xp_protocol::{
    Address, ConnectionId, DialAttempt, Incarnation, LanePartition, LogIdentity, MessageNumber,
    Offset, PartitionId, Revision, Seq, TimeMs, codec,
};
use xp_state_node::action::{Action, Opening, Telling};
use xp_state_node::anew::FoldingAnew;
use xp_state_node::deciding::Deciding;
use xp_state_node::partition::{Faulted, OpenError, Partition, Setting};
use xp_state_node::store::{Batch, MemoryStore, SnapshotStore};
use xp_state_node::tells::TellId;
use xp_state_node::{Lane, Lanes, Limits};
use xp_transport::{AppendError, Now, Record, Stored};

use crate::grid::Grid;
use crate::ledger::Ledger;
use crate::records::{at, event, partition, words};
use crate::room::Room;

/// An append to `events` that was not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) first: Seq,
    pub(crate) round: u64,
    pub(crate) records: Vec<Record>,
}

/// A record that left for `outbound`; with an id, the partition wants to know that it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) id: Option<u64>,
    pub(crate) partition: PartitionId,
    pub(crate) record: Record,
}

pub(crate) struct Desk {
    pub(crate) core: Partition,
    pub(crate) log: Vec<Record>,
    pub(crate) first: u64,
    /// What its machine's clock says.
    pub(crate) now: TimeMs,
    /// For how long it has been running.
    running: TimeMs,
    pub(crate) store: Arc<dyn SnapshotStore>,
    pub(crate) domain: Registry,
    pub(crate) limits: Limits,
    pub(crate) members: Members,
    pub(crate) appends: VecDeque<Append>,
    pub(crate) left: Vec<Left>,
    /// What left about the partition itself.
    pub(crate) notices: Vec<Left>,
    pub(crate) told: Vec<Record>,
    /// Tells whose appends are not answered.
    pub(crate) telling: Vec<(LanePartition, TellId)>,
    pub(crate) saves: Vec<Batch>,
    pub(crate) gaps: Vec<(Offset, Offset)>,
    pub(crate) rescans: Vec<(u64, Offset, Offset)>,
    /// Entities that are to be folded anew, and up to where the log is read for them.
    pub(crate) anew: Vec<(Offset, Vec<(Address, Revision)>)>,
    pub(crate) reads_inbound: Option<Offset>,
    pub(crate) released_inbound: Option<Offset>,
    /// Entities whose states differ from what the log says of them.
    pub(crate) diverged: Vec<Address>,
    /// What failed in the last life of the partition, for the next in the same process.
    faulted: Faulted,
    pub(crate) deciding: Deciding,
    /// How the partition ended: `lost`, `released`, or why it stopped.
    pub(crate) over: Option<String>,
    claims: VecDeque<Record>,
    /// How many records of `inbound` are behind what was heard, for who asks where it ends.
    pub(crate) waiting: u64,
    pub(crate) lease_ms: u64,
    /// Whether clients hear why their messages faulted, from the next life on.
    pub(crate) explains: bool,
    pub(crate) inbound: u64,
    inbound_log: u128,
    nodes: u128,
    lives: u64,
    cluster: u64,
}

/// A client's socket.
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    pub(crate) entity: &'static str,
    pub(crate) connection: u128,
    pub(crate) attempt: u64,
    pub(crate) edge: u128,
}

impl Socket {
    pub(crate) fn id(self) -> ConnectionId {
        ConnectionId(Uuid::from_u128(self.connection))
    }

    pub(crate) fn socket(self) -> xp_protocol::outbound::Socket {
        xp_protocol::outbound::Socket {
            connection: self.id(),
            attempt: DialAttempt(self.attempt),
        }
    }
}

pub(crate) const ANA: Socket = Socket {
    entity: "ledger/1",
    connection: 1,
    attempt: 1,
    edge: 700,
};

pub(crate) const BEN: Socket = Socket {
    connection: 2,
    ..ANA
};

fn domain() -> Registry {
    Domain::new()
        .host::<Ledger>()
        .host::<Room>()
        .host::<Grid>()
        .registry()
        .clone()
}

impl Desk {
    /// A partition that follows an empty log, and a living edge.
    pub(crate) fn following() -> Self {
        Self::with(Limits::default(), Arc::new(MemoryStore::default()))
    }

    /// The same, with this domain.
    pub(crate) fn hosting(domain: Registry) -> Self {
        Self::of(domain, Limits::default(), Arc::new(MemoryStore::default()))
    }

    pub(crate) fn with(limits: Limits, store: Arc<dyn SnapshotStore>) -> Self {
        Self::of(domain(), limits, store)
    }

    pub(crate) fn of(domain: Registry, limits: Limits, store: Arc<dyn SnapshotStore>) -> Self {
        let now = TimeMs(1_000_000);
        let setting = setting(1000, &domain, &limits, &store);
        let core = Partition::open(setting, opening(0, 1, Now::steady(now)), 1).unwrap();
        let mut desk = Self {
            core,
            log: Vec::new(),
            first: 0,
            now,
            running: now,
            store,
            domain,
            limits,
            members: Members::default(),
            appends: VecDeque::new(),
            left: Vec::new(),
            notices: Vec::new(),
            told: Vec::new(),
            telling: Vec::new(),
            saves: Vec::new(),
            gaps: Vec::new(),
            rescans: Vec::new(),
            anew: Vec::new(),
            reads_inbound: None,
            released_inbound: None,
            diverged: Vec::new(),
            faulted: Faulted::default(),
            deciding: Deciding::default(),
            over: None,
            claims: VecDeque::new(),
            waiting: 0,
            lease_ms: 0,
            explains: false,
            inbound: 0,
            inbound_log: 1,
            nodes: 1000,
            lives: 1,
            cluster: 0,
        };
        let lanes = lanes().definitions(1);
        desk.members.apply(Offset(0), now, &Member::Lanes(lanes));
        desk.join_edge(ANA.edge);
        desk
    }

    /// A partition that is owned, with its lease.
    pub(crate) fn owning() -> Self {
        let mut desk = Self::following();
        desk.own();
        desk
    }

    /// The process is gone, and what was not appended with it; another one opens the partition.
    pub(crate) fn crash(&mut self) {
        self.try_reopen().unwrap();
    }

    pub(crate) fn try_reopen(&mut self) -> Result<(), OpenError> {
        self.nodes += 1;
        self.open()
    }

    /// As after the partition was lost: the process lives.
    pub(crate) fn reopen_in_the_same_process(&mut self) {
        self.faulted = self.core.faulted().clone();
        self.open().unwrap();
        self.faulted = Faulted::default();
        self.perform();
    }

    /// Another process opens the partition, whose domain cannot apply what the log holds: what that spoils is kept by
    /// the partition's next life.
    pub(crate) fn crash_and_spoil(&mut self) {
        self.crash();
        self.replay();
        assert_eq!(self.over.as_deref(), Some("lost"), "nothing was spoilt");
        self.reopen_in_the_same_process();
    }

    fn open(&mut self) -> Result<(), OpenError> {
        let mut setting = setting(self.nodes, &self.domain, &self.limits, &self.store);
        setting.lease_ms = self.lease_ms;
        setting.explains = self.explains;
        setting.faulted = self.faulted.clone();
        setting.deciding = self.deciding.clone();
        // Claims are named from it: no two lives may draw the same.
        self.lives += 1;
        let next = self.first.max(self.log.len() as u64);
        let opening = Opening {
            next: Offset(next),
            ..opening(self.first, self.inbound_log, self.at())
        };
        self.core = Partition::open(setting, opening, self.lives)?;
        self.appends.clear();
        self.left.clear();
        self.notices.clear();
        self.telling.clear();
        self.claims.clear();
        self.saves.clear();
        self.anew.clear();
        self.reads_inbound = None;
        self.over = None;
        self.core
            .on_members(Arc::new(self.members.clone()), self.at());
        Ok(())
    }

    /// Also the inbound log is gone: it begins a new life (R4).
    pub(crate) fn lose_inbound(&mut self) {
        self.inbound_log += 1;
        self.inbound = 0;
    }

    /// Hands everything in the log to the follower.
    pub(crate) fn replay(&mut self) {
        let batch: Vec<_> = match self.core.next_event() {
            Some(next) => self.stored(next.0, self.log.len() as u64),
            None => Vec::new(),
        };
        self.core.on_events(&batch, self.at());
        self.perform();
    }

    /// Gives the partition to this process, and appends its claim.
    pub(crate) fn claim(&mut self) {
        self.join_node();
        self.append_claim();
    }

    pub(crate) fn append_claim(&mut self) {
        let claim = self.claims.pop_front().expect("a follower may claim");
        self.log.push(claim);
    }

    /// Whether the partition has claimed, and nobody has appended it.
    pub(crate) fn has_claimed(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Placement gives the partition to this process: there is no other node.
    pub(crate) fn join_node(&mut self) {
        let incarnation = Incarnation(Uuid::from_u128(self.nodes));
        let who = Who {
            lanes: 1,
            ..Who::new("node", Kind::StateNode)
        };
        self.member(&Member::Join { incarnation, who });
    }

    /// Replays, claims, reads the claim back, and has its lease.
    pub(crate) fn own(&mut self) {
        self.replay();
        self.claim();
        self.replay();
        assert!(self.core.is_owner(), "the claim was not accepted");
        self.renew();
    }

    pub(crate) fn renew(&mut self) {
        let mut lease = Lease::default();
        lease.read_back(self.running);
        self.core.on_lease(lease, self.at());
        self.perform();
    }

    pub(crate) fn join_edge(&mut self, edge: u128) {
        self.join_edge_reading(edge, PartitionId(0));
    }

    pub(crate) fn join_edge_reading(&mut self, edge: u128, outbound: PartitionId) {
        let who = Who::new(&format!("edge-{edge}"), Kind::Edge { outbound });
        let incarnation = Incarnation(Uuid::from_u128(edge));
        self.member(&Member::Join { incarnation, who });
    }

    pub(crate) fn lose_edge(&mut self, edge: u128) {
        let incarnation = Incarnation(Uuid::from_u128(edge));
        self.member(&Member::Leave { incarnation });
    }

    /// Another node, which could own the partition at once.
    pub(crate) fn other_node(&self) -> Member {
        Member::Alive {
            incarnation: Incarnation(Uuid::from_u128(77)),
            who: Who {
                lanes: 1,
                ..Who::new("other", Kind::StateNode)
            },
            joined: Offset(self.cluster),
            sent: self.running,
            leaving: false,
            warm: vec![partition()],
        }
    }

    pub(crate) fn leave_node(&self) -> Member {
        let incarnation = Incarnation(Uuid::from_u128(self.nodes));
        Member::Leave { incarnation }
    }

    pub(crate) fn member(&mut self, member: &Member) {
        self.cluster += 1;
        self.members.apply(Offset(self.cluster), self.now, member);
        let members = Arc::new(self.members.clone());
        self.core.on_members(members, self.at());
        self.perform();
    }

    pub(crate) fn at(&self) -> Now {
        Now {
            time: self.now,
            running: self.running,
        }
    }

    /// The time passes, and the partition looks at the clock.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.running = self.running.plus_ms(ms);
        self.core.tick(self.at());
        self.perform();
    }

    pub(crate) fn connect(&mut self, socket: Socket, since: Option<u64>) {
        self.connect_as(socket, since, r#"{"sub":"ana"}"#);
    }

    pub(crate) fn connect_as(&mut self, socket: Socket, since: Option<u64>, claims: &str) {
        let action = ClientAction::Connect {
            subject: "ana".into(),
            since: since.map(Revision),
            outbound: PartitionId(0),
            joined: Offset(1),
        };
        self.say(socket, action, claims);
    }

    /// All of them in one batch.
    pub(crate) fn connect_together(&mut self, sockets: &[Socket]) {
        let mut batch = Vec::new();
        for socket in sockets {
            let action = ClientAction::Connect {
                subject: "ana".into(),
                since: None,
                outbound: PartitionId(0),
                joined: Offset(1),
            };
            let inbound = Inbound {
                time: self.now,
                trace: None,
                message: client(*socket, action),
            };
            let record = Record {
                key: Bytes::copy_from_slice(socket.entity.as_bytes()),
                header: codec::encode(&inbound).into(),
                value: Bytes::from_static(br#"{"sub":"ana"}"#),
                ..Record::default()
            };
            batch.push(at(self.inbound, record));
            self.inbound += 1;
        }
        self.core.on_inbound(&batch, self.at());
        self.perform();
    }

    pub(crate) fn send(&mut self, socket: Socket, n: u64, payload: &str) {
        let n = MessageNumber(n);
        self.say(socket, ClientAction::Send { n, text: true }, payload);
    }

    pub(crate) fn ask(&mut self, socket: Socket, tag: &str) {
        let tag: Tag = tag.parse().unwrap();
        self.say(socket, ClientAction::Ask { tag, text: true }, "null");
    }

    pub(crate) fn say(&mut self, socket: Socket, action: ClientAction, value: &str) {
        self.word(client(socket, action), socket.entity, value);
    }

    pub(crate) fn word(&mut self, message: Message, key: &str, value: &str) {
        let record = self.inbound_record(message, key, value);
        self.hear(record);
    }

    fn inbound_record(&self, message: Message, key: &str, value: &str) -> Record {
        let inbound = Inbound {
            time: self.now,
            trace: None,
            message,
        };
        Record {
            key: Bytes::copy_from_slice(key.as_bytes()),
            header: codec::encode(&inbound).into(),
            value: Bytes::copy_from_slice(value.as_bytes()),
            ..Record::default()
        }
    }

    /// What a client does, as the next record of `inbound`: for who hands it to the partition.
    pub(crate) fn heard_from(
        &mut self,
        socket: Socket,
        action: ClientAction,
        value: &str,
    ) -> Stored {
        let record = self.inbound_record(client(socket, action), socket.entity, value);
        self.inbound += 1;
        at(self.inbound - 1, record)
    }

    /// A record of `inbound`.
    pub(crate) fn hear(&mut self, record: Record) {
        let stored = at(self.inbound, record);
        self.inbound += 1;
        self.core.on_inbound(&[stored], self.at());
        self.perform();
    }

    /// Appends everything that waits, acknowledges it, and all chain records that leave.
    pub(crate) fn settle(&mut self) {
        while let Some(append) = self.appends.pop_front() {
            let results = self.append(&append.records);
            self.answer(&append, results);
        }
        self.arrive();
    }

    /// What went to `outbound` so far arrived.
    pub(crate) fn arrive(&mut self) {
        let left = self.notices.iter().chain(&self.left);
        let ids: Vec<_> = left.filter_map(|left| left.id).collect();
        for id in ids {
            self.core.emitted(id, true, self.at());
        }
        self.perform();
    }

    /// Puts records into the log, and gives their offsets.
    pub(crate) fn append(&mut self, records: &[Record]) -> Vec<Result<Offset, AppendError>> {
        let mut results = Vec::new();
        for record in records {
            results.push(Ok(Offset(self.log.len() as u64)));
            self.log.push(record.clone());
        }
        results
    }

    pub(crate) fn answer(&mut self, append: &Append, results: Vec<Result<Offset, AppendError>>) {
        self.core
            .appended(append.first, append.round, &results, self.at());
        self.perform();
    }

    /// Reads the gap that the partition asked for.
    pub(crate) fn read_gap(&mut self) {
        let (from, upto) = self.gaps.remove(0);
        let batch = self.stored(from.0, upto.0 + 1);
        self.core.gap(&batch, self.at());
        self.perform();
    }

    /// Folds entities anew, as the shell would.
    pub(crate) fn fold_anew(&mut self) {
        let domain = Arc::new(self.domain.clone());
        for (upto, entities) in std::mem::take(&mut self.anew) {
            let mut folding = FoldingAnew::new(&domain, entities, upto);
            folding.read(&self.stored(0, self.log.len() as u64));
            assert!(folding.is_done());
            self.core.folded_anew(folding.finish(), self.at());
        }
        self.perform();
    }

    pub(crate) fn stored(&self, from: u64, end: u64) -> Vec<Stored> {
        let records = self.log.iter().enumerate().map(|(o, r)| (o as u64, r));
        let wanted = records.filter(|(offset, _)| (from..end).contains(offset));
        wanted.map(|(o, record)| at(o, record.clone())).collect()
    }

    pub(crate) fn perform(&mut self) {
        let mut asks_end = false;
        for action in self.core.actions() {
            match action {
                Action::Claim(record) => self.claims.push_back(record),
                Action::Append {
                    first,
                    round,
                    records,
                } => self.appends.push_back(Append {
                    first,
                    round,
                    records,
                }),
                Action::ReadGap { from, upto } => self.gaps.push((from, upto)),
                Action::Emit {
                    id,
                    partition,
                    record,
                } if record.key.is_empty() => {
                    self.notices.push(Left {
                        id: Some(id),
                        partition,
                        record,
                    });
                }
                Action::Emit {
                    id,
                    partition,
                    record,
                } => self.left.push(Left {
                    id: Some(id),
                    partition,
                    record,
                }),
                Action::Speak { partition, record } => self.left.push(Left {
                    id: None,
                    partition,
                    record,
                }),
                Action::Tell(telling) => {
                    let Telling { target, id, record } = *telling;
                    self.telling.extend(id.map(|id| (target, id)));
                    self.told.push(record);
                }
                Action::ReadInbound { from } => self.reads_inbound = Some(from),
                Action::ReleaseInbound { before } => self.released_inbound = Some(before),
                Action::Rescan { id, from, upto, .. } => self.rescans.push((id, from, upto)),
                Action::FoldAnew { upto, entities } => self.anew.push((upto, entities)),
                Action::Save(batch) => self.saves.push(batch),
                Action::Diverged(address) => self.diverged.push(address),
                // What was to be written before is written before, or never.
                Action::Clear => {
                    self.saves.clear();
                    self.store.clear().unwrap();
                }
                Action::Lost(_) => self.over = Some("lost".to_owned()),
                Action::Follow { .. } => self.over = Some("released".to_owned()),
                Action::FindInboundEnd => asks_end = true,
                Action::Stop(reason) => self.over = Some(reason),
            }
        }
        if asks_end {
            let end = Offset(self.inbound + self.waiting);
            self.core.inbound_end(end, self.at());
            self.perform();
        }
    }

    /// What left since the last call, one word per delivery.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        let left = std::mem::take(&mut self.left);
        left.iter().flat_map(|left| words(&left.record)).collect()
    }

    /// The commits in the log, whatever they are worth.
    /// The sockets that an edge is asked for by what has left.
    pub(crate) fn asked(&self) -> Vec<(u128, u64)> {
        let header = |left: &Left| codec::decode::<Outbound>(&left.record.header).unwrap();
        let deliveries = self.left.iter().flat_map(|left| header(left).deliveries);
        let mut sockets = Vec::new();
        for delivery in deliveries {
            if let (Item::StillThere { edge }, Recipients::Only(only)) =
                (delivery.item, delivery.to)
            {
                assert_eq!(edge.0.as_u128(), ANA.edge);
                let name = |socket: &xp_protocol::outbound::Socket| {
                    (socket.connection.0.as_u128(), socket.attempt.0)
                };
                sockets.extend(only.iter().map(name));
            }
        }
        sockets
    }

    pub(crate) fn commits(&self) -> Vec<Commit> {
        let events = self.log.iter().map(event);
        let commits = events.filter_map(|event| match event {
            Event::Commit(commit) => Some(Arc::unwrap_or_clone(commit)),
            _ => None,
        });
        commits.collect()
    }

    /// The state of the entity, as the partition has it.
    pub(crate) fn state(&mut self) -> (u64, String) {
        let address: Address = ANA.entity.parse().unwrap();
        let (revision, state) = self.core.inspect(&address).unwrap().expect("it exists");
        // The state's version stands before its JSON.
        let json = state.iter().position(|byte| *byte == b'{').unwrap();
        (
            revision.0,
            String::from_utf8(state[json..].to_vec()).unwrap(),
        )
    }

    /// Writes the snapshots that the partition wants written.
    pub(crate) fn save(&mut self) {
        for batch in std::mem::take(&mut self.saves) {
            self.store.write(batch).unwrap();
            self.core.saved(true);
        }
        self.perform();
    }
}

fn client(socket: Socket, action: ClientAction) -> Message {
    Message::Client {
        edge: Incarnation(Uuid::from_u128(socket.edge)),
        connection: socket.id(),
        attempt: DialAttempt(socket.attempt),
        action,
    }
}

/// The usual bounds, but for some.
pub(crate) fn bounded(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn lanes() -> Lanes {
    Lanes::default().with(Lane::new("main", 1, 1), ["ledger", "room", "grid", "diary"])
}

fn setting(
    node: u128,
    domain: &Registry,
    limits: &Limits,
    store: &Arc<dyn SnapshotStore>,
) -> Setting {
    Setting {
        partition: partition(),
        incarnation: Incarnation(Uuid::from_u128(node)),
        lanes: Arc::new(lanes()),
        domain: Arc::new(domain.clone()),
        limits: Arc::new(limits.clone()),
        store: Arc::clone(store),
        lease_ms: 0,
        explains: false,
        rules: &AllRules,
        faulted: Default::default(),
        deciding: Default::default(),
    }
}

fn opening(first: u64, inbound: u128, now: Now) -> Opening {
    Opening {
        inbound: LogIdentity(Uuid::from_u128(inbound)),
        first: Offset(first),
        next: Offset(first),
        now,
    }
}
