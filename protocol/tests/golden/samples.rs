//! One value for each shape of each format, pinned as bytes in this directory.

use std::sync::Arc;

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;
use xp_protocol::cluster::{Definition, Definitions, Kind, Member, Placement, Who};
use xp_protocol::codec::{self, DecodeError, Format};
use xp_protocol::events::*;
use xp_protocol::frame::{RequestId, Tag};
use xp_protocol::inbound::{AnswerKind, ClientAction, Inbound, Message, TellContent};
use xp_protocol::notice::Notice;
use xp_protocol::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket, Transfer};
use xp_protocol::snapshots::{Body, Content, Entry, Head, Piece, Published};
use xp_protocol::*;

/// A value as bytes, and the way from bytes to bytes through the value.
pub(crate) struct Sample {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// The value, encoded by this build.
    pub(crate) bytes: Vec<u8>,
    pub(crate) again: Again,
}

/// Decodes and encodes again.
pub(crate) type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

/// `<format>-<what>-v<version>`.
fn sample<T: Format>(what: &str, value: &T) -> Sample {
    Sample {
        name: format!("{}-{what}-v{}", T::NAME, T::VERSION),
        bytes: codec::encode(value),
        again: |bytes| codec::decode::<T>(bytes).map(|value| codec::encode(&value)),
    }
}

/// Decodes and encodes again what a former version of a format wrote; `None` for formats that read no former one.
pub(crate) fn again(format: &str) -> Option<Again> {
    match format {
        Event::NAME => {
            Some(|bytes| codec::decode::<Event>(bytes).map(|value| codec::encode(&value)))
        }
        Outbound::NAME => {
            Some(|bytes| codec::decode::<Outbound>(bytes).map(|value| codec::encode(&value)))
        }
        _ => None,
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    let mut all = inbounds();
    all.extend(events());
    all.push(sample("every-item", &outbound(newest_items())));
    all.push(sample("empty", &Outbound::default()));
    all.extend(members());
    all.extend(notices());
    all.extend(snapshots());
    all
}

fn uuid(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn connection() -> ConnectionId {
    ConnectionId(uuid(0xc0))
}

fn edge() -> Incarnation {
    Incarnation(uuid(0xed))
}

fn address(text: &str) -> Address {
    text.parse().expect("the samples' addresses are right")
}

fn slice(partition: u32) -> LanePartition {
    LanePartition {
        lane: "main".into(),
        partition: PartitionId(partition),
    }
}

fn inbounds() -> Vec<Sample> {
    let mut all: Vec<_> = actions()
        .into_iter()
        .map(|(what, action)| sample(what, &inbound(client(action))))
        .collect();
    for (what, told) in tolds() {
        let message = Message::Tell {
            source: slice(3),
            number: 9,
            from: address("auction/7"),
            what: told,
        };
        all.push(sample(what, &inbound(message)));
    }
    let taken = Message::TellsTaken {
        taker: slice(4),
        number: 300,
    };
    all.push(sample("tells-taken", &inbound(taken)));
    all
}

fn inbound(message: Message) -> Inbound {
    Inbound {
        time: TimeMs(1_700_000_000_123),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        message,
    }
}

fn client(action: ClientAction) -> Message {
    Message::Client {
        edge: edge(),
        connection: connection(),
        attempt: DialAttempt(70_000),
        action,
    }
}

fn actions() -> Vec<(&'static str, ClientAction)> {
    let connect = ClientAction::Connect {
        subject: "ana".into(),
        since: Some(Revision(5)),
        outbound: PartitionId(2),
        joined: Offset(17),
    };
    let (n, text) = (MessageNumber(12), true);
    let tag = Tag("q7".into());
    let since = Revision(251);
    vec![
        ("connect", connect),
        ("disconnect", ClientAction::Disconnect { left: true }),
        ("send", ClientAction::Send { n, text }),
        ("ask", ClientAction::Ask { tag, text: false }),
        ("ephemeral", ClientAction::Ephemeral { text }),
        ("claims", ClientAction::Claims),
        ("resume", ClientAction::Resume { since }),
    ]
}

fn tolds() -> Vec<(&'static str, TellContent)> {
    let conversation = Some(65_536);
    let answer = |kind| TellContent::Answer {
        conversation: 65_536,
        kind,
    };
    vec![
        ("tell", TellContent::Signal { conversation: None }),
        ("tell-asking", TellContent::Signal { conversation }),
        ("tell-reply", answer(AnswerKind::Reply)),
        ("tell-rejection", answer(AnswerKind::Rejection)),
        ("tell-fault", answer(AnswerKind::Fault)),
    ]
}

fn events() -> Vec<Sample> {
    let (epoch, seq) = (Epoch(1000), Seq(65_537));
    let checkpoint = Event::Checkpoint(Checkpoint {
        epoch,
        seq,
        sent: Offset(999),
        inbound: Offset(4_294_967_297),
        tells_taken: vec![(slice(1), 8)],
        hashes: vec![StateHash {
            address: address("board/kitchen"),
            revision: Revision(77),
            state_version: 2,
            hash: 0xdead_beef,
        }],
    });
    let trying = Event::Trying(Trying {
        epoch,
        seq,
        sent: Offset(999),
        cause: Cause::Inbound(Offset(31)),
    });
    let trying_named = |name| {
        let trying = Trying {
            epoch,
            seq,
            sent: Offset(999),
            cause: Cause::Inbound(Offset(31)),
        };
        Event::TryingNamed(trying, name)
    };
    let command = MessageName::Command {
        address: address("board/kitchen"),
        connection: connection(),
        n: MessageNumber(12),
    };
    let query = MessageName::Query {
        address: address("board/kitchen"),
        connection: connection(),
        tag: Tag("t1".into()),
    };
    vec![
        sample("claim", &Event::Claim(claim())),
        sample("commit", &Event::Commit(Arc::new(commit()))),
        sample("checkpoint", &checkpoint),
        sample("trying", &trying),
        sample("trying-command", &trying_named(command)),
        sample("trying-query", &trying_named(query)),
        sample("release", &Event::Release { epoch, seq }),
        sample("verdict", &caused(Cause::Verdict { edge: edge() })),
        sample("domain-timer", &fired(TimerKey::Domain("close".into()))),
        sample("grace-timer", &fired(TimerKey::Grace(connection()))),
        sample("forget-timer", &fired(TimerKey::Forget(connection()))),
        sample("ticket-timer", &fired(TimerKey::Ticket(TicketId(3)))),
        sample("parked-timer", &fired(TimerKey::Parked)),
        sample("retention-timer", &fired(TimerKey::Retention)),
        sample("parking", &changing(later_changes())),
        sample("ended", &changing(last_changes())),
    ]
}

fn claim() -> Claim {
    Claim {
        id: ClaimId(uuid(0xc1)),
        incarnation: Incarnation(uuid(0x0d)),
        view: View {
            generation: 1,
            offset: Offset(40),
        },
        attempt: ClaimAttempt(2),
        rules: RULES,
        inbound: LogIdentity(uuid(0x1d)),
    }
}

fn caused(cause: Cause) -> Event {
    let commit = Commit {
        cause,
        trace: None,
        event_count: 0,
        changes: Vec::new(),
        outputs: Outputs::default(),
        tells: Vec::new(),
        ..commit()
    };
    Event::Commit(Arc::new(commit))
}

fn changing(changes: Vec<Change>) -> Event {
    let mut event = caused(Cause::Inbound(Offset(30)));
    if let Event::Commit(commit) = &mut event {
        Arc::make_mut(commit).changes = changes;
    }
    event
}

fn fired(timer: TimerKey) -> Event {
    caused(Cause::Timer(timer))
}

fn commit() -> Commit {
    Commit {
        epoch: Epoch(1000),
        seq: Seq(1),
        sent: Offset(999),
        cause: Cause::Inbound(Offset(30)),
        now: TimeMs(1_700_000_000_456),
        revision: Revision(78),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        seed: u64::MAX,
        event_count: 2,
        changes: changes(),
        outputs: Outputs {
            links: vec![ChainLink {
                partition: PartitionId(2),
                prev: Revision(77),
            }],
            deliveries: routed(),
            frames: Bytes::from_static(b"[1][2]"),
        },
        tells: vec![Tell {
            target: slice(5),
            number: 10,
            from: address("auction/7"),
            to: address("wallet/ana"),
            what: TellContent::Signal { conversation: None },
            payload: Bytes::from_static(b"{\"type\":\"Reserve\"}"),
        }],
    }
}

fn routed() -> Vec<Routed> {
    let delivery = |to| Delivery {
        to,
        item: Item::Event {
            revision: Revision(78),
            text: true,
        },
        payload_bytes: 3,
    };
    vec![
        Routed {
            partition: None,
            delivery: delivery(Recipients::Everybody),
        },
        Routed {
            partition: Some(PartitionId(2)),
            delivery: delivery(Recipients::Only(vec![socket()])),
        },
    ]
}

fn socket() -> Socket {
    Socket {
        connection: connection(),
        attempt: DialAttempt(70_000),
    }
}

/// Each kind of change, in the order of their declaration.
pub(crate) fn changes() -> Vec<Change> {
    let (connection, n, until) = (connection(), MessageNumber(12), TimeMs(1_700_000_060_000));
    let attachment = Attachment {
        connection,
        attempt: DialAttempt(70_000),
        subject: "ana".into(),
        claims: Bytes::from_static(b"{\"sub\":\"ana\"}"),
        edge: edge(),
        joined: Offset(17),
        outbound: PartitionId(2),
    };
    let detached = |why| Change::SessionDetached {
        connection,
        until,
        why,
    };
    let answered = |answer| Change::Answered {
        connection,
        n,
        answer,
    };
    let opened = |awaiter| Change::TicketOpened {
        ticket: TicketId(3),
        awaiter,
        until,
    };
    vec![
        Change::SessionBegun(Box::new(attachment.clone())),
        Change::SessionAttached(Box::new(attachment)),
        detached(Ending::Lost),
        detached(Ending::Left),
        detached(Ending::ByEntity),
        Change::SessionEnded { connection, until },
        Change::SessionForgotten(connection),
        Change::ClaimsChanged {
            connection,
            claims: Bytes::from_static(b"{}"),
        },
        Change::Taken { connection, n },
        answered(Answer::Reply(Bytes::from_static(b"null"))),
        answered(Answer::Reject(Bytes::from_static(b"\"no\""))),
        answered(Answer::Fault(FaultCode::Unanswered)),
        opened(Awaiter::Session { connection, n }),
        opened(Awaiter::Entity {
            address: address("auction/7"),
            conversation: 4,
        }),
        Change::TicketClosed(TicketId(3)),
        Change::TimerSet {
            name: "close".into(),
            due: until,
            signal: Bytes::from_static(b"\"Close\""),
        },
        Change::TimerCleared("close".into()),
        Change::Asked {
            conversation: 4,
            continuation: Bytes::from_static(b"{}"),
        },
        Change::AskClosed(4),
        Change::TellTaken {
            source: slice(3),
            number: 9,
        },
        Change::AnsweredAsShown {
            connection,
            n,
            delivery: 1,
        },
    ]
}

/// What version 3 of `events` added.
pub(crate) fn last_changes() -> Vec<Change> {
    let until = TimeMs(1_700_000_060_000);
    vec![Change::EntityEnded { until }]
}

/// What version 2 of `events` added.
pub(crate) fn later_changes() -> Vec<Change> {
    let at = TimeMs(1_700_000_060_000);
    let told = Waiting::Told {
        from: address("auction/7"),
        what: TellContent::Signal {
            conversation: Some(4),
        },
        payload: Bytes::from_static(b"\"Reserve\""),
    };
    let gone = Waiting::Disconnect {
        connection: connection(),
        attempt: DialAttempt(70_000),
        why: Ending::Lost,
    };
    let parked = |what| Change::Parked(Box::new(Parked { at, what }));
    vec![parked(told), parked(gone), Change::Unparked]
}

/// The close codes up to this one stand in records of version 2; edges alone say the later ones.
const CLOSES: usize = 20;

/// Every item, every close code and every fault code: their order is part of the format.
fn outbound(newest: Vec<Item>) -> Outbound {
    let closes = CloseCode::ALL[..CLOSES]
        .iter()
        .map(|code| Item::Close { code: *code });
    let faults = FaultCode::ALL.iter().map(|code| Item::Fault {
        id: RequestId::Number(MessageNumber(12)),
        revision: Revision(78),
        code: *code,
    });
    let recipients = [
        Recipients::Everybody,
        Recipients::Except(vec![socket()]),
        Recipients::Only(vec![socket(), socket()]),
    ];
    let all = items().into_iter().chain(faults).chain(closes);
    let all = all.chain(newest);
    let deliveries =
        all.zip(recipients.iter().cycle())
            .zip(0..)
            .map(|((item, to), payload_bytes)| Delivery {
                to: to.clone(),
                item,
                payload_bytes,
            });
    Outbound {
        link: Some(Link {
            revision: Revision(78),
            prev: Revision(77),
        }),
        deliveries: deliveries.collect(),
    }
}

/// Those that version 1 did not have.
fn newest_items() -> Vec<Item> {
    let (edge, revision, n, text) = (edge(), Revision(78), MessageNumber(12), true);
    let transfer = Transfer {
        epoch: Epoch(40),
        number: 3,
    };
    vec![
        Item::Taken {
            partition: PartitionId(3),
            upto: Offset(40),
        },
        Item::StillThere { edge },
        Item::Piece { transfer, index: 0 },
        Item::LastPiece {
            transfer,
            index: 1,
            deliveries: vec![Delivery {
                to: Recipients::Only(vec![socket()]),
                item: Item::Event { revision, text },
                payload_bytes: 2,
            }],
        },
        Item::Resuming {
            edge,
            since: Revision(70),
            upto: Revision(74),
            until: revision,
            n,
            announce: true,
        },
    ]
}

fn items() -> Vec<Item> {
    let (edge, revision, n, text) = (edge(), Revision(78), MessageNumber(12), true);
    vec![
        Item::Event { revision, text },
        Item::Ephemeral { text: false },
        Item::Reply {
            id: RequestId::Number(n),
            revision,
            text,
        },
        Item::Reject {
            id: RequestId::Tag(Tag("q7".into())),
            revision,
            text,
        },
        Item::Welcome {
            edge,
            revision,
            n,
            text,
        },
        Item::Resumed {
            edge,
            since: Revision(70),
            upto: revision,
            n,
            announce: true,
        },
    ]
}

fn notices() -> Vec<Sample> {
    let id = uuid(0x1d);
    let disconnect = Notice::Disconnect {
        id,
        subject: "ana".into(),
    };
    let disconnected = Notice::Disconnected {
        id,
        edge: edge(),
        sockets: 300,
    };
    vec![
        sample("disconnect", &disconnect),
        sample("disconnected", &disconnected),
    ]
}

fn members() -> Vec<Sample> {
    let incarnation = Incarnation(uuid(0x0d));
    let outbound = PartitionId(2);
    let who = |kind| Who {
        name: "node-1".into(),
        kind,
        address: "10.0.0.7:9100".into(),
        weight: 200,
        labels: BTreeMap::from([("region".into(), "eu".into())]),
        formats: BTreeMap::from([("cluster".into(), 2), ("events".into(), 1)]),
        lanes: 3,
    };
    let join = |kind| Member::Join {
        incarnation,
        who: who(kind),
    };
    let partition = LanePartition {
        lane: "main".into(),
        partition: PartitionId(5),
    };
    let alive = Member::Alive {
        incarnation,
        who: who(Kind::StateNode),
        joined: Offset(70_000),
        sent: TimeMs(1_700_000_000_790),
        leaving: true,
        warm: vec![partition.clone()],
    };
    let definition = Definition {
        partitions: 64,
        outbound_partitions: 4,
        categories: vec!["board".into()],
        placement: Placement {
            labels: BTreeMap::from([("region".into(), "eu".into())]),
            standbys: 2,
            pin: Some("node-1".into()),
        },
    };
    let lanes = Member::Lanes(Definitions {
        version: 7,
        lanes: BTreeMap::from([("main".into(), definition)]),
    });
    let fold = Member::Fold {
        upto: Offset(70_100),
        members: Bytes::from_static(b"fold"),
    };
    let drain = Member::Drain {
        name: "node-1".into(),
        drained: true,
    };
    let moved = Member::Move {
        partition,
        to: Some("node-2".into()),
    };
    vec![
        sample("join-state-node", &join(Kind::StateNode)),
        sample("join-edge", &join(Kind::Edge { outbound })),
        sample("alive", &alive),
        sample("leave", &Member::Leave { incarnation }),
        sample("lanes", &lanes),
        sample("fold", &fold),
        sample("drain", &drain),
        sample("move", &moved),
    ]
}

fn entry(content: Content) -> Published {
    Published::Entity(Entry {
        epoch: Offset(4),
        round: 2,
        address: address("board/7"),
        as_of: Offset(1_000_000),
        replaces: Some(Offset(70_000)),
        content,
    })
}

fn snapshots() -> Vec<Sample> {
    let head = Head {
        epoch: Offset(4),
        round: 2,
        position: Offset(999_999),
        records: 3,
        digest: 1 << 100,
        crc: 0xdead_beef,
    };
    let piece = Piece {
        epoch: Offset(4),
        write: 9,
        address: address("board/7"),
        index: 300,
    };
    let body = |pending| Body {
        record: Bytes::from_static(b"record"),
        pending,
    };
    let id = ClaimId(uuid(0x5a));
    let pieces = Content::Pieces {
        write: 9,
        count: 2,
        crc: 7,
    };
    vec![
        sample("mark", &Published::Mark { id }),
        sample("head", &Published::Head(head)),
        sample("entity", &entry(Content::Here { crc: 7 })),
        sample("pieces", &entry(pieces)),
        sample("removed", &entry(Content::Removed)),
        sample("piece", &Published::Piece(piece)),
        sample("gone", &Published::Gone),
        sample("idle", &body(None)),
        sample("waiting", &body(Some(Bytes::from_static(b"pending")))),
    ]
}
