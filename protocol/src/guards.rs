//! Guards of frames and headers: `cargo xtask guards` counts their instructions.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use xp_guards::counted;

use crate::codec::{self, Format};
use crate::events::{Cause, ChainLink, Change, Commit, Event, Outputs, Routed};
use crate::frame::{ClientFrame, RequestId, ServerFrame};
use crate::ids::{
    ConnectionId, DialAttempt, Epoch, Incarnation, MessageNumber, Offset, PartitionId, Revision,
    Seq, TimeMs,
};
use crate::inbound::{ClientAction, Inbound, Message};
use crate::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket};

/// A command of 100 bytes.
const SEND: &[u8] = br#"send 4711 {"type":"PlaceBid","data":{"amount":1250,"note":"for my sister, who likes old maps, and so do I"}}"#;
const PAYLOAD: &[u8] =
    br#"[{"type":"BidPlaced","data":{"amount":1250,"bidder":"ana","left_ms":30000,"lot":"maps"}}]"#;

fn connection() -> ConnectionId {
    ConnectionId(Uuid::from_u128(7))
}

/// What an edge puts before a client's command.
fn envelope() -> Inbound {
    Inbound {
        time: TimeMs(1_700_000_000_123),
        trace: None,
        message: Message::Client {
            edge: Incarnation(Uuid::from_u128(1)),
            connection: connection(),
            attempt: DialAttempt(3),
            action: ClientAction::Send {
                n: MessageNumber(4711),
                text: true,
            },
        },
    }
}

fn to_everybody_and_the_sender() -> Vec<Delivery> {
    let revision = Revision(78);
    let reply = Item::Reply {
        id: RequestId::Number(MessageNumber(4711)),
        revision,
        text: true,
    };
    let sender = Socket {
        connection: connection(),
        attempt: DialAttempt(3),
    };
    let event = Item::Event {
        revision,
        text: true,
    };
    let delivery = |to, item| Delivery {
        to,
        item,
        payload_bytes: 90,
    };
    vec![
        delivery(Recipients::Everybody, event),
        delivery(Recipients::Only(vec![sender]), reply),
    ]
}

/// What edges get of a command: what it shows everybody, and its answer.
fn outbound() -> Outbound {
    Outbound {
        link: Some(Link {
            revision: Revision(78),
            prev: Revision(77),
        }),
        deliveries: to_everybody_and_the_sender(),
    }
}

/// A command that is answered at once, with one event that everybody is shown.
fn commit() -> Event {
    let deliveries = to_everybody_and_the_sender().into_iter();
    let routed = deliveries.map(|delivery| Routed {
        partition: Some(PartitionId(2)),
        delivery,
    });
    Event::Commit(Arc::new(Commit {
        epoch: Epoch(1000),
        seq: Seq(5),
        sent: Offset(1003),
        cause: Cause::Inbound(Offset(30)),
        now: TimeMs(1_700_000_000_456),
        revision: Revision(78),
        trace: None,
        seed: u64::MAX,
        event_count: 1,
        changes: vec![Change::AnsweredAsShown {
            connection: connection(),
            n: MessageNumber(4711),
            delivery: 1,
        }],
        outputs: Outputs {
            links: vec![ChainLink {
                partition: PartitionId(2),
                prev: Revision(77),
            }],
            deliveries: routed.collect(),
            frames: Bytes::from([PAYLOAD, PAYLOAD].concat()),
        },
        tells: Vec::new(),
    }))
}

fn count_encoding<T: Format>(value: &T) {
    let before = codec::encode(value);
    assert_eq!(counted(|| codec::encode(value)), before);
}

fn count_decoding<T: Format + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value));
    assert_eq!(counted(|| codec::decode::<T>(&bytes)).as_ref(), Ok(value));
}

#[test]
fn a_client_frame_is_parsed() {
    let frame = counted(|| ClientFrame::parse(SEND));
    let expected = ClientFrame::Send {
        n: MessageNumber(4711),
        payload: &SEND["send 4711 ".len()..],
    };
    assert_eq!(frame, Ok(expected));
}

#[test]
fn a_server_frame_is_encoded() {
    let frame = ServerFrame::Event {
        revision: Revision(78),
        payload: PAYLOAD,
    };
    let bytes = counted(|| frame.encode());
    assert_eq!(&bytes[..], [b"event 78 ", PAYLOAD].concat());
}

#[test]
fn an_envelope_is_encoded() {
    count_encoding(&envelope());
}

#[test]
fn an_envelope_is_decoded() {
    count_decoding(&envelope());
}

#[test]
fn an_outbound_header_is_encoded() {
    count_encoding(&outbound());
}

#[test]
fn an_outbound_header_is_decoded() {
    count_decoding(&outbound());
}

#[test]
fn a_commit_is_encoded() {
    count_encoding(&commit());
}

#[test]
fn a_commit_is_decoded() {
    count_decoding(&commit());
}
