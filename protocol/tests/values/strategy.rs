//! Any value of every format and frame.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;
use xp_protocol::cluster::{Definition, Definitions, Kind, Member, Placement, Who};
use xp_protocol::events::*;
use xp_protocol::frame::{RequestId, Tag};
use xp_protocol::inbound::{AnswerKind, ClientAction, Inbound, Message, TellContent};
use xp_protocol::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket, Transfer};
use xp_protocol::*;

macro_rules! ids {
    ($($name:ident -> $type:ident;)*) => {
        $(fn $name() -> impl Strategy<Value = $type> + Clone { any::<u64>().prop_map($type) })*
    };
}

ids! {
    attempt -> DialAttempt;
    claim_attempt -> ClaimAttempt;
    revision -> Revision;
    offset -> Offset;
    epoch -> Epoch;
    seq -> Seq;
    n -> MessageNumber;
    ticket -> TicketId;
    time -> TimeMs;
}

fn number() -> impl Strategy<Value = u64> + Clone {
    any::<u64>()
}

fn small() -> impl Strategy<Value = u32> + Clone {
    any::<u32>()
}

fn flag() -> impl Strategy<Value = bool> + Clone {
    any::<bool>()
}

fn uuid() -> impl Strategy<Value = Uuid> + Clone {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn connection() -> impl Strategy<Value = ConnectionId> + Clone {
    uuid().prop_map(ConnectionId)
}

fn node() -> impl Strategy<Value = Incarnation> + Clone {
    uuid().prop_map(Incarnation)
}

fn partition() -> impl Strategy<Value = PartitionId> + Clone {
    any::<u32>().prop_map(PartitionId)
}

fn slice() -> impl Strategy<Value = LanePartition> + Clone {
    (text(), partition()).prop_map(|(lane, partition)| LanePartition { lane, partition })
}

fn text() -> impl Strategy<Value = Box<str>> + Clone {
    "\\PC{0,12}".prop_map(String::into_boxed_str)
}

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

pub(crate) fn address() -> impl Strategy<Value = Address> + Clone {
    ("[a-z][a-z0-9-]{0,9}", "[^/\\pC]{1,20}")
        .prop_map(|(category, id)| Address::new(&category, &id).expect("both parts are right"))
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> + Clone {
    "[!-~]{1,64}".prop_map(|text| text.parse().expect("a word of at most 64 characters"))
}

pub(crate) fn request() -> impl Strategy<Value = RequestId> + Clone {
    prop_oneof![
        n().prop_map(RequestId::Number),
        tag().prop_map(RequestId::Tag)
    ]
}

pub(crate) fn fault() -> impl Strategy<Value = FaultCode> + Clone {
    prop::sample::select(FaultCode::ALL)
}

pub(crate) fn inbound() -> impl Strategy<Value = Inbound> {
    (time(), option::of(text()), message()).prop_map(|(time, trace, message)| Inbound {
        time,
        trace,
        message,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let client = (node(), connection(), attempt(), action());
    let tell = (slice(), number(), address(), told());
    prop_oneof![
        client.prop_map(|(edge, connection, attempt, action)| Message::Client {
            edge,
            connection,
            attempt,
            action
        }),
        tell.prop_map(|(source, number, from, what)| Message::Tell {
            source,
            number,
            from,
            what
        }),
        (slice(), number()).prop_map(|(taker, number)| Message::TellsTaken { taker, number }),
    ]
}

fn action() -> impl Strategy<Value = ClientAction> {
    let connect = (text(), option::of(revision()), partition(), offset());
    prop_oneof![
        connect.prop_map(|(subject, since, outbound, joined)| ClientAction::Connect {
            subject,
            since,
            outbound,
            joined
        }),
        any::<bool>().prop_map(|left| ClientAction::Disconnect { left }),
        (n(), flag()).prop_map(|(n, text)| ClientAction::Send { n, text }),
        (tag(), flag()).prop_map(|(tag, text)| ClientAction::Ask { tag, text }),
        any::<bool>().prop_map(|text| ClientAction::Ephemeral { text }),
        Just(ClientAction::Claims),
        revision().prop_map(|since| ClientAction::Resume { since }),
    ]
}

fn told() -> impl Strategy<Value = TellContent> {
    let kinds = [AnswerKind::Reply, AnswerKind::Rejection, AnswerKind::Fault];
    let kind = prop::sample::select(kinds.to_vec());
    prop_oneof![
        any::<Option<u64>>().prop_map(|conversation| TellContent::Signal { conversation }),
        (number(), kind)
            .prop_map(|(conversation, kind)| TellContent::Answer { conversation, kind }),
    ]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let trying = || {
        let parts = (epoch(), seq(), offset(), cause());
        parts.prop_map(|(epoch, seq, sent, cause)| Trying {
            epoch,
            seq,
            sent,
            cause,
        })
    };
    prop_oneof![
        1 => claim().prop_map(Event::Claim),
        6 => commit().prop_map(|commit| Event::Commit(std::sync::Arc::new(commit))),
        2 => checkpoint().prop_map(Event::Checkpoint),
        1 => trying().prop_map(Event::Trying),
        1 => (trying(), message_name()).prop_map(|(trying, name)| Event::TryingNamed(trying, name)),
        1 => (epoch(), seq()).prop_map(|(epoch, seq)| Event::Release { epoch, seq }),
    ]
}

fn message_name() -> impl Strategy<Value = MessageName> {
    let command = (address(), connection(), n());
    let query = (address(), connection(), tag());
    prop_oneof![
        command.prop_map(|(address, connection, n)| MessageName::Command {
            address,
            connection,
            n
        }),
        query.prop_map(|(address, connection, tag)| MessageName::Query {
            address,
            connection,
            tag
        }),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    let view = (number(), offset()).prop_map(|(generation, offset)| View { generation, offset });
    let all = (uuid(), node(), view, claim_attempt(), small(), uuid());
    all.prop_map(|(id, incarnation, view, attempt, rules, inbound)| Claim {
        id: ClaimId(id),
        incarnation,
        view,
        attempt,
        rules,
        inbound: LogIdentity(inbound),
    })
}

fn commit() -> impl Strategy<Value = Commit> {
    let head = (epoch(), seq(), offset(), cause(), time(), revision());
    let rest = (option::of(text()), number(), small(), vec(change(), 0..4));
    let links = vec((partition(), revision()), 0..3);
    let routed = vec((option::of(partition()), delivery()), 0..3);
    let out = (links, routed, bytes(), vec(tell(), 0..3));
    (head, rest, out).prop_map(
        |(
            (epoch, seq, sent, cause, now, revision),
            (trace, seed, event_count, changes),
            (links, routed, frames, tells),
        )| {
            let link = |(partition, prev)| ChainLink { partition, prev };
            let route = |(partition, delivery)| Routed {
                partition,
                delivery,
            };
            Commit {
                epoch,
                seq,
                sent,
                cause,
                now,
                revision,
                trace,
                seed,
                event_count,
                changes,
                outputs: Outputs {
                    links: links.into_iter().map(link).collect(),
                    deliveries: routed.into_iter().map(route).collect(),
                    frames,
                },
                tells,
            }
        },
    )
}

fn tell() -> impl Strategy<Value = Tell> {
    let all = (slice(), number(), address(), address(), told(), bytes());
    all.prop_map(|(target, number, from, to, what, payload)| Tell {
        target,
        number,
        from,
        to,
        what,
        payload,
    })
}

fn cause() -> impl Strategy<Value = Cause> {
    let timer = prop_oneof![
        text().prop_map(TimerKey::Domain),
        connection().prop_map(TimerKey::Grace),
        connection().prop_map(TimerKey::Forget),
        ticket().prop_map(TimerKey::Ticket),
        Just(TimerKey::Parked),
        Just(TimerKey::Retention),
    ];
    prop_oneof![
        offset().prop_map(Cause::Inbound),
        timer.prop_map(Cause::Timer),
        node().prop_map(|edge| Cause::Verdict { edge }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![session_change(), ticket_change(), other_change()]
}

fn session_change() -> impl Strategy<Value = Change> {
    let endings = vec![Ending::Lost, Ending::Left, Ending::ByEntity];
    let detached = (connection(), time(), prop::sample::select(endings));
    let answer = prop_oneof![
        bytes().prop_map(Answer::Reply),
        bytes().prop_map(Answer::Reject),
        fault().prop_map(Answer::Fault),
    ];
    prop_oneof![
        attachment().prop_map(|it| Change::SessionBegun(Box::new(it))),
        attachment().prop_map(|it| Change::SessionAttached(Box::new(it))),
        detached.prop_map(|(connection, until, why)| Change::SessionDetached {
            connection,
            until,
            why
        }),
        (connection(), time())
            .prop_map(|(connection, until)| Change::SessionEnded { connection, until }),
        connection().prop_map(Change::SessionForgotten),
        (connection(), bytes())
            .prop_map(|(connection, claims)| Change::ClaimsChanged { connection, claims }),
        (connection(), n()).prop_map(|(connection, n)| Change::Taken { connection, n }),
        (connection(), n(), answer).prop_map(|(connection, n, answer)| Change::Answered {
            connection,
            n,
            answer
        }),
        (connection(), n(), small()).prop_map(|(connection, n, delivery)| {
            Change::AnsweredAsShown {
                connection,
                n,
                delivery,
            }
        }),
    ]
}

fn ticket_change() -> impl Strategy<Value = Change> {
    let awaiter = prop_oneof![
        (connection(), n()).prop_map(|(connection, n)| Awaiter::Session { connection, n }),
        (address(), number()).prop_map(|(address, conversation)| Awaiter::Entity {
            address,
            conversation
        }),
    ];
    let opened = (ticket(), awaiter, time());
    prop_oneof![
        opened.prop_map(|(ticket, awaiter, until)| Change::TicketOpened {
            ticket,
            awaiter,
            until
        }),
        ticket().prop_map(Change::TicketClosed),
    ]
}

fn other_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (text(), time(), bytes()).prop_map(|(name, due, signal)| Change::TimerSet {
            name,
            due,
            signal
        }),
        text().prop_map(Change::TimerCleared),
        (number(), bytes()).prop_map(|(conversation, continuation)| Change::Asked {
            conversation,
            continuation
        }),
        number().prop_map(Change::AskClosed),
        (slice(), number()).prop_map(|(source, number)| Change::TellTaken { source, number }),
        parked().prop_map(|parked| Change::Parked(Box::new(parked))),
        Just(Change::Unparked),
        time().prop_map(|until| Change::EntityEnded { until }),
    ]
}

fn parked() -> impl Strategy<Value = Parked> {
    let endings = vec![Ending::Lost, Ending::Left, Ending::ByEntity];
    let gone = (connection(), attempt(), prop::sample::select(endings));
    let waiting = prop_oneof![
        (address(), told(), bytes()).prop_map(|(from, what, payload)| Waiting::Told {
            from,
            what,
            payload
        }),
        gone.prop_map(|(connection, attempt, why)| Waiting::Disconnect {
            connection,
            attempt,
            why
        }),
    ];
    (time(), waiting).prop_map(|(at, what)| Parked { at, what })
}

fn attachment() -> impl Strategy<Value = Attachment> {
    let client = (connection(), attempt(), text(), bytes());
    let edge = (node(), offset(), partition());
    (client, edge).prop_map(
        |((connection, attempt, subject, claims), (edge, joined, outbound))| Attachment {
            connection,
            attempt,
            subject,
            claims,
            edge,
            joined,
            outbound,
        },
    )
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let hash = (address(), revision(), small(), small());
    let hash = hash.prop_map(|(address, revision, state_version, hash)| StateHash {
        address,
        revision,
        state_version,
        hash,
    });
    let taken = vec((slice(), number()), 0..3);
    let all = (epoch(), seq(), offset(), offset(), taken, vec(hash, 0..3));
    all.prop_map(
        |(epoch, seq, sent, inbound, tells_taken, hashes)| Checkpoint {
            epoch,
            seq,
            sent,
            inbound,
            tells_taken,
            hashes,
        },
    )
}

pub(crate) fn outbound() -> impl Strategy<Value = Outbound> {
    let link = (revision(), revision()).prop_map(|(revision, prev)| Link { revision, prev });
    (option::of(link), vec(delivery(), 0..5))
        .prop_map(|(link, deliveries)| Outbound { link, deliveries })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (recipients(), item(), small()).prop_map(|(to, item, payload_bytes)| Delivery {
        to,
        item,
        payload_bytes,
    })
}

fn recipients() -> impl Strategy<Value = Recipients> {
    let socket = (connection(), attempt()).prop_map(|(connection, attempt)| Socket {
        connection,
        attempt,
    });
    let sockets = vec(socket, 0..4);
    prop_oneof![
        Just(Recipients::Everybody),
        sockets.clone().prop_map(Recipients::Except),
        sockets.prop_map(Recipients::Only),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let answer = (request(), revision(), flag());
    let close = prop::sample::select(CloseCode::ALL);
    let resumed = (node(), revision(), revision(), n(), flag());
    let portion = (resumed.clone(), revision());
    let transfer = (small(), small()).prop_map(|(epoch, number)| Transfer {
        epoch: Epoch(epoch.into()),
        number: number.into(),
    });
    let piece = (transfer, small());
    prop_oneof![
        (revision(), flag()).prop_map(|(revision, text)| Item::Event { revision, text }),
        any::<bool>().prop_map(|text| Item::Ephemeral { text }),
        answer
            .clone()
            .prop_map(|(id, revision, text)| Item::Reply { id, revision, text }),
        answer.prop_map(|(id, revision, text)| Item::Reject { id, revision, text }),
        (request(), revision(), fault()).prop_map(|(id, revision, code)| Item::Fault {
            id,
            revision,
            code
        }),
        (node(), revision(), n(), flag()).prop_map(|(edge, revision, n, text)| Item::Welcome {
            edge,
            revision,
            n,
            text
        }),
        resumed.prop_map(|(edge, since, upto, n, announce)| Item::Resumed {
            edge,
            since,
            upto,
            n,
            announce
        }),
        close.prop_map(|code| Item::Close { code }),
        (partition(), offset()).prop_map(|(partition, upto)| Item::Taken { partition, upto }),
        node().prop_map(|edge| Item::StillThere { edge }),
        piece
            .clone()
            .prop_map(|(transfer, index)| Item::Piece { transfer, index }),
        piece.prop_map(|(transfer, index)| Item::LastPiece {
            transfer,
            index,
            deliveries: Vec::new()
        }),
        portion.prop_map(|((edge, since, upto, n, announce), until)| Item::Resuming {
            edge,
            since,
            upto,
            until,
            n,
            announce
        }),
    ]
}

pub(crate) fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        (node(), who()).prop_map(|(incarnation, who)| Member::Join { incarnation, who }),
        alive(),
        node().prop_map(|incarnation| Member::Leave { incarnation }),
        definitions().prop_map(Member::Lanes),
        (offset(), bytes()).prop_map(|(upto, members)| Member::Fold { upto, members }),
        (text(), any::<bool>()).prop_map(|(name, drained)| Member::Drain { name, drained }),
        (slice(), prop::option::of(text()))
            .prop_map(|(partition, to)| Member::Move { partition, to }),
    ]
}

fn alive() -> impl Strategy<Value = Member> {
    let warm = prop::collection::vec(slice(), 0..4);
    let fields = (node(), who(), offset(), time(), any::<bool>(), warm);
    fields.prop_map(
        |(incarnation, who, joined, sent, leaving, warm)| Member::Alive {
            incarnation,
            who,
            joined,
            sent,
            leaving,
            warm,
        },
    )
}

fn who() -> impl Strategy<Value = Who> {
    let kind = prop_oneof![
        Just(Kind::StateNode),
        partition().prop_map(|outbound| Kind::Edge { outbound }),
    ];
    let formats = prop::collection::btree_map(text(), any::<u8>(), 0..3);
    let fields = (
        text(),
        kind,
        text(),
        any::<u16>(),
        labels(),
        formats,
        any::<u32>(),
    );
    fields.prop_map(
        |(name, kind, address, weight, labels, formats, lanes)| Who {
            name,
            kind,
            address,
            weight,
            labels,
            formats,
            lanes,
        },
    )
}

fn labels() -> impl Strategy<Value = BTreeMap<Box<str>, Box<str>>> {
    prop::collection::btree_map(text(), text(), 0..3)
}

fn definitions() -> impl Strategy<Value = Definitions> {
    let placement = (labels(), any::<u8>(), prop::option::of(text()));
    let placement = placement.prop_map(|(labels, standbys, pin)| Placement {
        labels,
        standbys,
        pin,
    });
    let categories = prop::collection::vec(text(), 0..3);
    let definition = (any::<u32>(), any::<u32>(), categories, placement);
    let definition =
        definition.prop_map(|(partitions, outbound_partitions, categories, placement)| {
            Definition {
                partitions,
                outbound_partitions,
                categories,
                placement,
            }
        });
    let lanes = prop::collection::btree_map(text(), definition, 0..3);
    (any::<u32>(), lanes).prop_map(|(version, lanes)| Definitions { version, lanes })
}
