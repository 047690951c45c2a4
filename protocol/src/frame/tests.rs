//! Tests of the frames: everything that a client may send, what it is read as, and the error for what is malformed.

use super::*;

fn send(n: u64, payload: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    let n = MessageNumber(n);
    Ok(ClientFrame::Send { n, payload })
}

fn refused(frame: &[u8]) -> String {
    let error = ClientFrame::parse(frame).expect_err("this is no frame");
    error.to_string()
}

#[test]
fn a_command_is_a_verb_a_number_and_the_rest() {
    let bid = br#"send 1 {"type":"PlaceBid","data":{"amount":120}}"#;
    let payload = br#"{"type":"PlaceBid","data":{"amount":120}}"#;
    assert_eq!(ClientFrame::parse(bid), send(1, payload));
}

#[test]
fn a_payload_may_be_empty_with_or_without_the_space_before_it() {
    for frame in ["send 1", "send 1 "] {
        assert_eq!(ClientFrame::parse(frame.as_bytes()), send(1, b""));
    }
    for frame in ["ephemeral", "ephemeral "] {
        let expected = Ok(ClientFrame::Ephemeral { payload: b"" });
        assert_eq!(ClientFrame::parse(frame.as_bytes()), expected);
    }
    for frame in ["welcome 4 2 fresh", "welcome 4 2 fresh "] {
        let expected = Ok(ServerFrame::Welcome {
            revision: Revision(4),
            n: MessageNumber(2),
            fresh: Some(b""),
        });
        assert_eq!(ServerFrame::parse(frame.as_bytes()), expected);
    }
}

#[test]
fn a_payload_is_passed_on_unread() {
    for payload in [&b" two  spaces "[..], b"\x00\xff\xfe \n", b"\xc3\x28"] {
        let frame = [b"send 18446744073709551615 ", payload].concat();
        assert_eq!(ClientFrame::parse(&frame), send(u64::MAX, payload));
        let frame = [b"event 7 ", payload].concat();
        let revision = Revision(7);
        assert_eq!(
            ServerFrame::parse(&frame),
            Ok(ServerFrame::Event { revision, payload })
        );
    }
}

#[test]
fn numbers_are_written_in_one_way() {
    for wrong in [
        "0",
        "01",
        "+1",
        "-1",
        "1.0",
        "0x1",
        "1_000",
        "",
        "١",
        "18446744073709551616",
        "1\n",
    ] {
        let frame = format!("send {wrong} x");
        assert_eq!(
            refused(frame.as_bytes()),
            "send takes <n> counted from 1, and a payload",
            "{frame:?}"
        );
    }
    for wrong in ["01", "+1", "-1", "", "x"] {
        let frame = format!("event {wrong} []");
        assert!(ServerFrame::parse(frame.as_bytes()).is_err(), "{frame:?}");
    }
}

#[test]
fn the_connection_itself_is_answered_as_number_0() {
    let refusal = ServerFrame::Reject {
        id: RequestId::Number(MessageNumber(0)),
        revision: Revision(0),
        payload: b"\"members only\"",
    };
    let frame = b"reject 0 0 \"members only\"";
    assert_eq!(ServerFrame::parse(frame), Ok(refusal.clone()));
    assert_eq!(refusal.encode().as_ref(), frame);
}

#[test]
fn a_missing_or_wrong_argument_is_named_with_what_the_verb_takes() {
    let long = format!("ask ?{} x", "t".repeat(TAG_BYTES_MAX + 1));
    let bad_token = b"token \xff".as_slice();
    for (frame, verb) in [
        (b"send".as_slice(), "send"),
        (b"send  1", "send"),
        (b"ask", "ask"),
        (b"ask x", "ask"),
        (b"ask ? x", "ask"),
        (b"ask ?\xff x", "ask"),
        (long.as_bytes(), "ask"),
        (bad_token, "token"),
        (b"trace", "trace"),
        (b"trace a b", "trace"),
        (b"ping", "ping"),
        (b"ping a b", "ping"),
    ] {
        let expected = format!("{verb} takes ");
        assert!(refused(frame).starts_with(&expected), "{frame:?}");
    }
}

#[test]
fn an_unknown_verb_is_quoted_in_part() {
    assert_eq!(refused(b"SEND 1 x"), r#"unknown verb "SEND""#);
    assert_eq!(refused(b""), r#"unknown verb """#);
    assert_eq!(refused(b" send 1 x"), r#"unknown verb """#);
    let long = refused(&[b'x'; 10_000]);
    assert_eq!(long.len(), r#"unknown verb """#.len() + 32);
}

#[test]
fn what_the_server_says_to_a_client_is_nothing_a_client_may_say() {
    for frame in ["welcome 1 0 fresh", "event 1 []", "reply 1 1", "busy 1 5"] {
        assert!(refused(frame.as_bytes()).starts_with("unknown verb"));
    }
    for frame in ["send 1 x", "ask ?a x", "token x", "ping x"] {
        let error = ServerFrame::parse(frame.as_bytes());
        assert!(matches!(error, Err(FrameError::Verb(_))), "{frame}");
    }
}

#[test]
fn server_frames_with_other_arguments_are_refused() {
    for frame in [
        "welcome",
        "welcome 1",
        "welcome 1 2",
        "welcome 1 2 stale",
        "welcome 1 2 resumed x",
        "reply 1",
        "reply x 1 ",
        "reject ? 1 ",
        "fault 1 2",
        "fault 1 2 nonsense",
        "fault 1 2 ",
        "busy 1",
        "busy 1 2 3",
        "pong x",
        "pong x y",
    ] {
        let error = ServerFrame::parse(frame.as_bytes());
        assert!(
            matches!(error, Err(FrameError::Argument { .. })),
            "{frame}: {error:?}"
        );
    }
}

#[test]
fn frames_are_written_as_documented() {
    let id = RequestId::Tag(Tag("q1".into()));
    let n = MessageNumber(12);
    let revision = Revision(9);
    let frames = [
        (
            ClientFrame::Send { n, payload: b"{}" }.encode(),
            "send 12 {}",
        ),
        (
            ServerFrame::Fault {
                id: id.clone(),
                revision,
                code: FaultCode::Panicked,
                said: "",
            }
            .encode(),
            "fault ?q1 9 panicked",
        ),
        (
            ServerFrame::Fault {
                id: id.clone(),
                revision,
                code: FaultCode::Unreadable,
                said: "#0000007f unreadable command: it has no `type`",
            }
            .encode(),
            "fault ?q1 9 unreadable #0000007f unreadable command: it has no `type`",
        ),
        (
            ServerFrame::Busy { id, retry_ms: 250 }.encode(),
            "busy ?q1 250",
        ),
        (
            ServerFrame::Welcome {
                revision,
                n,
                fresh: None,
            }
            .encode(),
            "welcome 9 12 resumed",
        ),
    ];
    for (bytes, text) in frames {
        assert_eq!(bytes, text);
    }
}

#[test]
fn a_tag_is_one_short_word() {
    assert!("a".parse::<Tag>().is_ok());
    for wrong in ["", "two words", "ümlaut", "line\n"] {
        assert!(wrong.parse::<Tag>().is_err(), "{wrong:?}");
    }
}
