use super::*;

const LIMITS: Limits = Limits {
    window: 4,
    asks_max: 2,
    ask: Span::from_millis(2_000),
    pending: Span::from_millis(2_000),
    ping: Span::from_millis(20_000),
    silent: Span::from_millis(45_000),
    retry: Span::from_millis(100),
};

fn at(ms: u64) -> Now {
    Now {
        time: TimeMs(1_000_000 + ms),
        running: TimeMs(ms),
    }
}

fn ana(expires: u64) -> Identity {
    Identity {
        subject: "ana".into(),
        expires: at(expires).time,
        about: r#"{"sub":"ana"}"#.into(),
    }
}

fn pending() -> Session {
    Session::new(at(0), LIMITS, ana(3_600_000))
}

/// A session whose welcome said that `n` was the last command taken.
fn welcomed(n: u64) -> Session {
    let mut session = pending();
    session.accepted(MessageNumber(n));
    session
}

fn say(session: &mut Session, room: bool, frame: &str) -> String {
    let room = if room { Room::Free } else { Room::NothingNew };
    say_with(session, room, frame)
}

fn say_with(session: &mut Session, room: Room, frame: &str) -> String {
    match session.on_frame(at(1), room, true, frame.as_bytes()) {
        Step::Pass {
            action,
            trace,
            payload,
        } => {
            let payload = std::str::from_utf8(payload).unwrap().to_owned();
            let trace = trace.map_or(String::new(), |trace| format!(" traced {trace}"));
            match action {
                ClientAction::Send { n, .. } => format!("send {n} {payload}{trace}"),
                ClientAction::Ask { tag, .. } => format!("ask {} {payload}{trace}", tag.0),
                ClientAction::Ephemeral { .. } => format!("ephemeral {payload}{trace}"),
                other => format!("{other:?}"),
            }
        }
        Step::Answer(frame) => String::from_utf8(frame.to_vec()).unwrap(),
        Step::Verify(token) => format!("verify {token}"),
        Step::Hold => "hold".to_owned(),
        Step::Nothing => "nothing".to_owned(),
        Step::Close(code, detail) => format!("close {}: {detail}", code.name()),
    }
}

fn answer(session: &mut Session, n: u64) {
    session.answered(&RequestId::Number(MessageNumber(n)));
}

#[test]
fn frames_wait_for_the_welcome() {
    let mut session = pending();
    assert_eq!(say(&mut session, true, "send 1 x"), "hold");
    session.accepted(MessageNumber(0));
    assert_eq!(say(&mut session, true, "send 1 x"), "send 1 x");
}

#[test]
fn numbers_run_ahead_of_the_oldest_unanswered_by_the_window_and_no_further() {
    let mut session = welcomed(0);
    for n in 1..=4 {
        assert_eq!(
            say(&mut session, true, &format!("send {n} x")),
            format!("send {n} x")
        );
    }
    let refused = say(&mut session, true, "send 5 x");
    assert!(
        refused.starts_with("close protocol-error: 5 is not below"),
        "{refused}"
    );
    answer(&mut session, 1);
    assert_eq!(say(&mut session, true, "send 5 x"), "send 5 x");
}

#[test]
fn what_was_answered_may_be_sent_again_but_not_in_any_number() {
    let mut session = welcomed(100);
    for n in 1..=4 {
        assert_eq!(
            say(&mut session, true, &format!("send {n} x")),
            format!("send {n} x")
        );
    }
    assert!(say(&mut session, true, "send 6 x").starts_with("close protocol-error"));
}

/// R32: after a welcome everything unanswered is sent again, while a resume already brings its answers (R21).
#[test]
fn a_command_that_crossed_its_answer_does_not_hold_the_window_back() {
    let mut session = welcomed(4);
    answer(&mut session, 1);
    answer(&mut session, 2);
    for n in 1..=4 {
        assert_eq!(
            say(&mut session, true, &format!("send {n} x")),
            format!("send {n} x")
        );
    }
    assert_eq!(say(&mut session, true, "send 5 x"), "send 5 x");
    assert_eq!(say(&mut session, true, "send 6 x"), "send 6 x");
    assert!(say(&mut session, true, "send 7 x").starts_with("close protocol-error"));
}

#[test]
fn without_room_only_what_is_new_to_the_owner_is_shed() {
    let mut session = welcomed(3);
    assert_eq!(say(&mut session, false, "send 3 x"), "send 3 x");
    assert_eq!(say(&mut session, false, "send 4 x"), "busy 4 100");
    assert_eq!(say(&mut session, false, "ask ?q x"), "busy ?q 100");
    assert_eq!(say(&mut session, false, "ephemeral x"), "nothing");
}

#[test]
fn nothing_later_passes_before_a_shed_number_is_sent_again() {
    let mut session = welcomed(0);
    assert_eq!(say(&mut session, false, "send 1 x"), "busy 1 100");
    assert_eq!(say(&mut session, true, "send 2 x"), "busy 2 100");
    assert_eq!(say(&mut session, true, "send 1 x"), "send 1 x");
    assert_eq!(say(&mut session, true, "send 2 x"), "send 2 x");
}

#[test]
fn a_number_that_passed_is_never_shed_when_it_is_sent_again() {
    let mut session = welcomed(0);
    assert_eq!(say(&mut session, true, "send 1 x"), "send 1 x");
    assert_eq!(say(&mut session, false, "send 1 x"), "send 1 x");
}

#[test]
fn queries_without_an_answer_are_bounded_and_forgotten_in_time() {
    let mut session = welcomed(0);
    assert_eq!(say(&mut session, true, "ask ?a x"), "ask a x");
    assert_eq!(say(&mut session, true, "ask ?b x"), "ask b x");
    assert_eq!(say(&mut session, true, "ask ?c x"), "busy ?c 100");
    session.answered(&RequestId::Tag(Tag("a".into())));
    assert_eq!(say(&mut session, true, "ask ?c x"), "ask c x");
    assert_eq!(session.outstanding(), 2);
    let later = session.on_frame(at(2_001), Room::Free, true, b"ask ?d x");
    assert!(matches!(later, Step::Pass { .. }));
    assert_eq!(session.outstanding(), 1);
}

#[test]
fn a_trace_belongs_to_the_next_command_alone() {
    let mut session = welcomed(0);
    assert_eq!(say(&mut session, true, "trace 00-ab-cd-01"), "nothing");
    assert_eq!(
        say(&mut session, true, "send 1 x"),
        "send 1 x traced 00-ab-cd-01"
    );
    assert_eq!(say(&mut session, true, "send 2 x"), "send 2 x");
}

#[test]
fn a_ping_is_answered_with_the_time_of_the_edge() {
    assert_eq!(
        say(&mut welcomed(0), true, "ping tick"),
        "pong tick 1000001"
    );
}

#[test]
fn what_is_no_frame_is_a_protocol_error_that_says_why() {
    for (frame, reason) in [
        ("shout 1", "unknown verb \"shout\""),
        ("send one x", "send takes <n>"),
        ("send 0 x", "send takes <n>"),
        ("ask tag x", "ask takes ?<tag>"),
        ("", "unknown verb"),
    ] {
        let closed = say(&mut welcomed(0), true, frame);
        assert!(
            closed.starts_with("close protocol-error"),
            "{frame}: {closed}"
        );
        assert!(closed.contains(reason), "{frame}: {closed}");
    }
}

#[test]
fn a_socket_without_a_welcome_is_closed_after_two_seconds() {
    let mut session = pending();
    assert_eq!(session.due_in_ms(at(500)), 1_500);
    assert_eq!(session.on_time(at(1_999)), Due::Nothing);
    assert!(matches!(
        session.on_time(at(2_000)),
        Due::Close(CloseCode::ComeBack, _)
    ));
}

#[test]
fn a_token_ends_on_the_live_socket() {
    let mut session = Session::new(at(0), LIMITS, ana(5_000));
    session.accepted(MessageNumber(0));
    assert_eq!(session.due_in_ms(at(1_000)), 4_000);
    assert_eq!(session.on_time(at(4_999)), Due::Nothing);
    assert!(matches!(
        session.on_time(at(5_000)),
        Due::Close(CloseCode::TokenExpired, _)
    ));
}

/// What comes just then, before anybody has looked at the time, came too late.
#[test]
fn nothing_passes_once_its_token_has_ended() {
    let mut session = Session::new(at(0), LIMITS, ana(5_000));
    session.accepted(MessageNumber(0));
    let mut say = |ms, n| {
        let frame = format!("send {n} x");
        let step = session.on_frame(at(ms), Room::Free, true, frame.as_bytes());
        matches!(step, Step::Close(CloseCode::TokenExpired, _))
    };
    assert!(!say(4_999, 1));
    assert!(say(5_000, 2));
}

#[test]
fn a_silent_client_is_pinged_once_and_then_closed() {
    let mut session = welcomed(0);
    assert_eq!(session.on_time(at(20_000)), Due::Ping);
    assert_eq!(session.on_time(at(20_001)), Due::Nothing);
    assert_eq!(session.due_in_ms(at(20_001)), 24_999);
    assert!(matches!(
        session.on_time(at(45_000)),
        Due::Close(CloseCode::Silent, _)
    ));
}

#[test]
fn whoever_answers_a_ping_stays() {
    let mut session = welcomed(0);
    assert_eq!(session.on_time(at(20_000)), Due::Ping);
    session.heard(at(21_000));
    assert_eq!(session.on_time(at(45_000)), Due::Ping);
}

#[test]
fn a_fresh_token_of_the_same_user_moves_the_end_and_is_no_news() {
    let mut session = Session::new(at(0), LIMITS, ana(5_000));
    session.accepted(MessageNumber(0));
    assert_eq!(say(&mut session, true, "token abc"), "verify abc");
    assert_eq!(session.refreshed(ana(9_000), b"{}"), Step::Nothing);
    assert_eq!(session.on_time(at(5_000)), Due::Nothing);
}

#[test]
fn other_claims_reach_the_entity() {
    let mut session = welcomed(0);
    let promoted = Identity {
        about: r#"{"sub":"ana","role":"judge"}"#.into(),
        ..ana(9_000)
    };
    let step = session.refreshed(promoted, b"{...}");
    let expected = Step::Pass {
        action: ClientAction::Claims,
        trace: None,
        payload: b"{...}",
    };
    assert_eq!(step, expected);
}

#[test]
fn a_fresh_token_of_another_subject_closes_the_socket() {
    let mut session = welcomed(0);
    let ben = Identity {
        subject: "ben".into(),
        ..ana(9_000)
    };
    assert!(matches!(
        session.refreshed(ben, b"{}"),
        Step::Close(CloseCode::BadToken, _)
    ));
}

/// R42: what is missed least goes first.
#[test]
fn a_partition_that_is_behind_takes_less_and_less() {
    let rooms = [
        (Room::Free, ["ephemeral x", "ask a x", "send 1 x"]),
        (Room::NoEphemerals, ["nothing", "ask a x", "send 1 x"]),
        (Room::NoQueries, ["nothing", "busy ?a 100", "send 1 x"]),
        (Room::NothingNew, ["nothing", "busy ?a 100", "busy 1 100"]),
        (Room::Nothing, ["nothing", "busy ?a 100", "busy 1 100"]),
    ];
    for (room, expected) in rooms {
        let mut session = welcomed(0);
        let frames = ["ephemeral x", "ask ?a x", "send 1 x"];
        let said = frames.map(|frame| say_with(&mut session, room, frame));
        assert_eq!(said, expected, "{room:?}");
    }
}

/// What was passed waits in the log: the client's repetitions would add to what the owner is behind by.
#[test]
fn a_repetition_is_not_passed_to_a_partition_that_takes_nothing() {
    let mut session = welcomed(0);
    assert_eq!(say(&mut session, true, "send 1 x"), "send 1 x");
    assert_eq!(say_with(&mut session, Room::Nothing, "send 1 x"), "nothing");
    assert_eq!(say(&mut session, true, "send 1 x"), "send 1 x");
}
