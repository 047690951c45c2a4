//! Every value survives its bytes, and no bytes take a decoder down. A failure prints its seed, and
//! `proptest-regressions` replays it.

#[path = "values/strategy.rs"]
mod strategy;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use xp_protocol::cluster::Member;
use xp_protocol::codec::{self, DecodeError, Format};
use xp_protocol::events::Event;
use xp_protocol::frame::{ClientFrame, ServerFrame};
use xp_protocol::inbound::Inbound;
use xp_protocol::notice::Notice;
use xp_protocol::outbound::{Outbound, Recipients};
use xp_protocol::snapshots::Published;
use xp_protocol::{Address, Revision, TimeMs};

/// What holds for each value of each format.
fn check<T: Format + PartialEq + std::fmt::Debug>(value: &T, cut: usize) {
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value));

    let mut longer = bytes.clone();
    longer.push(0);
    let error = codec::decode::<T>(&longer).expect_err("trailing bytes are refused");
    assert!(error.to_string().ends_with("1 bytes left over"), "{error}");

    let shorter = &bytes[..cut % bytes.len()];
    let cut = codec::decode::<T>(shorter);
    assert!(cut.is_err(), "{} of {} bytes", shorter.len(), bytes.len());
}

/// Decoding gives a value or an error, and a value writes back.
fn survive<T: Format + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(version) = bytes.first_mut() {
        *version = T::VERSION;
    }
    if let Ok(value) = codec::decode::<T>(&bytes) {
        assert_eq!(codec::decode::<T>(&codec::encode(&value)), Ok(value));
    }
}

fn damage(bytes: &mut [u8], at: usize, with: u8) {
    let at = at % bytes.len();
    bytes[at] = with;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_inbound_header_survives(value in strategy::inbound(), cut: usize) {
        check(&value, cut);
    }

    #[test]
    fn every_event_header_survives(value in strategy::event(), cut: usize) {
        check(&value, cut);
    }

    #[test]
    fn every_outbound_header_survives(value in strategy::outbound(), cut: usize) {
        check(&value, cut);
    }

    #[test]
    fn every_cluster_record_survives(value in strategy::member(), cut: usize) {
        check(&value, cut);
    }

    #[test]
    fn no_bytes_take_a_decoder_down(bytes: Vec<u8>) {
        survive::<Inbound>(&bytes);
        survive::<Event>(&bytes);
        survive::<Outbound>(&bytes);
        survive::<Member>(&bytes);
        survive::<Notice>(&bytes);
        survive::<Published>(&bytes);
    }

    #[test]
    fn no_damage_takes_a_decoder_down(event in strategy::event(), at: usize, with: u8) {
        let mut bytes = codec::encode(&event);
        damage(&mut bytes, at, with);
        survive::<Event>(&bytes);
    }

    #[test]
    fn no_bytes_take_a_frame_parser_down(
        verb in "(send|ask|ephemeral|token|trace|ping|welcome|event|reply|reject|fault|busy|pong|)",
        rest: Vec<u8>,
    ) {
        let frame = [verb.as_bytes(), b" ", &rest].concat();
        let _ = ClientFrame::parse(&frame);
        let _ = ServerFrame::parse(&frame);
        let _ = ClientFrame::parse(&rest);
        let _ = ServerFrame::parse(&rest);
    }

    #[test]
    fn every_client_frame_survives(
        n in 1_u64..,
        tag in strategy::tag(),
        payload in strategy::bytes(),
        word in "[!-~]{1,64}",
        token in "\\PC{0,40}",
    ) {
        let payload = payload.as_ref();
        let n = xp_protocol::MessageNumber(n);
        let frames = [
            ClientFrame::Send { n, payload },
            ClientFrame::Ask { tag, payload },
            ClientFrame::Ephemeral { payload },
            ClientFrame::Token(&token),
            ClientFrame::Trace(&word),
            ClientFrame::Ping(&word),
        ];
        for frame in frames {
            let bytes = frame.encode();
            prop_assert_eq!(ClientFrame::parse(&bytes), Ok(frame.clone()));
        }
    }

    #[test]
    fn every_server_frame_survives(
        numbers: (u64, u64),
        id in strategy::request(),
        code in strategy::fault(),
        payload in strategy::bytes(),
        echo in "[!-~]{1,64}",
        said in any::<String>(),
    ) {
        let payload = payload.as_ref();
        let (revision, n) = (Revision(numbers.0), xp_protocol::MessageNumber(numbers.1));
        let frames = [
            ServerFrame::Welcome { revision, n, fresh: Some(payload) },
            ServerFrame::Welcome { revision, n, fresh: None },
            ServerFrame::Event { revision, payload },
            ServerFrame::Ephemeral { payload },
            ServerFrame::Reply { id: id.clone(), revision, payload },
            ServerFrame::Reject { id: id.clone(), revision, payload },
            ServerFrame::Fault { id: id.clone(), revision, code, said: "" },
            ServerFrame::Fault { id: id.clone(), revision, code, said: &said },
            ServerFrame::Busy { id, retry_ms: n.0 },
            ServerFrame::Pong { echo: &echo, time: TimeMs(n.0) },
        ];
        for frame in frames {
            let bytes = frame.encode();
            prop_assert_eq!(ServerFrame::parse(&bytes), Ok(frame.clone()));
        }
    }

    #[test]
    fn every_address_survives_and_no_text_takes_it_down(address in strategy::address(), text: String) {
        prop_assert_eq!(address.as_str().parse::<Address>(), Ok(address.clone()));
        prop_assert_eq!(Address::new(address.category(), address.id()), Ok(address.clone()));
        prop_assert!(address.partition(7).0 < 7);
        if let Ok(parsed) = text.parse::<Address>() {
            prop_assert_eq!(parsed.as_str(), text);
        }
    }

    #[test]
    fn payloads_come_back_one_by_one(payloads: Vec<Vec<u8>>, extra in 1..9_usize) {
        let (mut outbound, mut value) = (Outbound::default(), BytesMut::new());
        let item = || xp_protocol::outbound::Item::Ephemeral { text: false };
        for payload in &payloads {
            outbound.deliver(&mut value, Recipients::Everybody, item(), payload);
        }
        let value = value.freeze();
        let split = outbound.split(&value).expect("the lengths fit");
        let back: Vec<Vec<u8>> = split.into_iter().map(|(_, payload)| payload.to_vec()).collect();
        prop_assert_eq!(&back, &payloads);
        let longer = [value.as_ref(), &vec![0; extra]].concat();
        prop_assert!(outbound.split(&Bytes::from(longer)).is_none());
        let shorter = value.slice(..value.len().saturating_sub(extra));
        prop_assert!(value.is_empty() || outbound.split(&shorter).is_none());
    }
}

#[test]
fn no_bytes_are_no_value() {
    let error = codec::decode::<Event>(&[]).expect_err("there is not even a version");
    assert_eq!(error.to_string(), "empty events");
}

#[test]
fn an_unknown_version_is_an_error_that_names_both() {
    let leave = codec::encode(&Outbound::default());
    let known = Outbound::OLDEST..=Outbound::VERSION;
    for version in (1..=u8::MAX).filter(|version| !known.contains(version)) {
        let bytes = [&[version], &leave[1..]].concat();
        let error = codec::decode::<Outbound>(&bytes).expect_err("a version from elsewhere");
        let newest = Outbound::VERSION;
        let text = format!("outbound has version {version}, and this build reads version {newest}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn what_a_log_could_not_read_is_damaged_and_of_no_version() {
    let bytes = [codec::UNREADABLE, b'?'];
    let error = codec::decode::<Outbound>(&bytes).expect_err("it is nothing of ours");
    let text = "damaged outbound: it is neither base64 nor bytes of ours";
    assert_eq!(error.to_string(), text);
}

/// A claims payload that says it is `length` bytes long, in a record that has none of them.
fn boasting(length: u64) -> Vec<u8> {
    let claims = xp_protocol::events::Answer::Reply(Bytes::new());
    let change = xp_protocol::events::Change::Answered {
        connection: xp_protocol::ConnectionId(uuid::Uuid::nil()),
        n: xp_protocol::MessageNumber(1),
        answer: claims,
    };
    let mut commit = empty_commit();
    commit.changes = vec![change];
    let honest = codec::encode(&Event::Commit(std::sync::Arc::new(commit)));
    // The empty payload's length, then links, deliveries, frames and tells, which are empty as well.
    let (head, _) = honest.split_at(honest.len() - 5);
    [head, &[253], &length.to_le_bytes()].concat()
}

fn empty_commit() -> xp_protocol::events::Commit {
    xp_protocol::events::Commit {
        epoch: xp_protocol::Epoch(0),
        seq: xp_protocol::Seq(1),
        sent: xp_protocol::Offset(0),
        cause: xp_protocol::events::Cause::Inbound(xp_protocol::Offset(0)),
        now: TimeMs(0),
        revision: Revision(1),
        trace: None,
        seed: 0,
        event_count: 0,
        changes: Vec::new(),
        outputs: Default::default(),
        tells: Vec::new(),
    }
}

#[test]
fn a_huge_length_in_few_bytes_is_refused_before_memory_is_taken() {
    for length in [1 << 17, 1 << 25, 1 << 40, u64::MAX] {
        let error = codec::decode::<Event>(&boasting(length)).expect_err("the bytes are not there");
        let DecodeError::Damaged { reason, .. } = &error else {
            panic!("{error}")
        };
        assert!(reason.contains("LimitExceeded"), "{length}: {reason}");
    }
    let error = codec::decode::<Event>(&boasting(5)).expect_err("the bytes are not there");
    assert!(error.to_string().contains("UnexpectedEnd"), "{error}");
}

#[test]
fn long_values_are_read_too() {
    for length in [4_000, 5_000, 300_000, 20 << 20] {
        let mut commit = empty_commit();
        commit.outputs.frames = Bytes::from(vec![7; length]);
        let event = Event::Commit(std::sync::Arc::new(commit));
        assert_eq!(codec::decode(&codec::encode(&event)), Ok(event), "{length}");
    }
}

#[test]
fn many_small_numbers_are_read_too() {
    for count in [100, 4_000, 100_000] {
        let mut commit = empty_commit();
        let link = xp_protocol::events::ChainLink {
            partition: xp_protocol::PartitionId(0),
            prev: Revision(0),
        };
        commit.outputs.links = vec![link; count];
        let event = Event::Commit(std::sync::Arc::new(commit));
        assert_eq!(codec::decode(&codec::encode(&event)), Ok(event), "{count}");
    }
}
