//! Small stories about the machine, told in frames; `model` plays it against a server that loses things.

mod model;

use proptest::prelude::*;

use super::*;

/// A machine with its clock. Actions come back as one readable line each.
struct Story {
    machine: Machine,
    now: TimeMs,
}

impl Story {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let mut machine = Machine::new(settings, DialAttempt(6));
        let now = TimeMs(1_000);
        assert_eq!(lines(machine.start(now)), ["dial 7"]);
        machine.on_open(now, DialAttempt(7));
        Self { machine, now }
    }

    /// A client that was welcomed by an entity at revision 3 that has taken nothing from it.
    fn welcomed() -> Self {
        let mut story = Self::new();
        assert_eq!(
            story.hears("welcome 3 0 fresh {}"),
            ["show Welcome 3 {}"],
            "nothing waits"
        );
        story
    }

    fn hears(&mut self, frame: &str) -> Vec<String> {
        let frame = Bytes::from(frame.to_owned());
        lines(
            self.machine
                .on_frame(self.now, self.machine.attempt, &frame, true),
        )
    }

    fn commands(&mut self, text: &str) -> Vec<String> {
        let taken = self.machine.command(self.now, Payload::text(text));
        lines(taken.unwrap().1)
    }

    fn asks(&mut self, text: &str) -> Vec<String> {
        let taken = self.machine.query(self.now, Payload::text(text));
        lines(taken.unwrap().1)
    }

    fn waits(&mut self, ms: u64) -> Vec<String> {
        self.now = self.now.plus_ms(ms);
        lines(self.machine.on_tick(self.now, 0))
    }

    fn loses_its_socket(&mut self, why: Lost) -> Vec<String> {
        lines(
            self.machine
                .on_close(self.now, self.machine.attempt, why, 0),
        )
    }

    /// Breaks the network and dials again; gives what the dial asks for.
    fn dials_again(&mut self) -> Vec<String> {
        self.loses_its_socket(broken());
        let dialled = self.waits(50);
        self.machine.on_open(self.now, self.machine.attempt);
        dialled
    }
}

fn broken() -> Lost {
    Lost::Transport("broken".to_owned())
}

fn lines(actions: Vec<Action>) -> Vec<String> {
    actions.iter().map(line).collect()
}

fn line(action: &Action) -> String {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match action {
        Action::Dial { attempt, since } => {
            let since = since.map_or(String::new(), |since| format!(" since {since}"));
            format!("dial {attempt}{since}")
        }
        Action::Write { frame, .. } => text(frame),
        Action::Hangup { code } => format!("hangup {code}"),
        Action::Answer { call, answered } => format!("answer {} by {}", call.0, answered.id),
        Action::Show(Item::Welcome { revision, shown }) => {
            format!("show Welcome {revision} {}", text(&shown.bytes))
        }
        Action::Show(Item::StartedOver { revision, shown }) => {
            format!("show StartedOver {revision} {}", text(&shown.bytes))
        }
        Action::Show(Item::Resumed { since }) => format!("show Resumed {since}"),
        Action::Show(Item::Event { revision, payload }) => {
            format!("show Event {revision} {}", text(&payload.bytes))
        }
        Action::Show(Item::Ephemeral { payload }) => {
            format!("show Ephemeral {}", text(&payload.bytes))
        }
        Action::Show(Item::Lost { retry_ms, .. }) => format!("lost, retry in {retry_ms}"),
        Action::Show(Item::Closed(end)) => format!("closed: {end}"),
    }
}

#[test]
fn commands_given_before_the_welcome_are_numbered_behind_what_it_says_was_taken() {
    let mut story = Story::new();
    assert!(story.commands("a").is_empty());
    assert!(story.asks("b").is_empty());
    assert_eq!(
        story.hears("welcome 9 4 fresh {}"),
        ["show Welcome 9 {}", "send 5 a", "ask ?q1 b"]
    );
    assert_eq!(story.commands("c"), ["send 6 c"]);
}

#[test]
fn a_command_waits_while_the_oldest_unanswered_is_b_behind() {
    let settings = Settings {
        window: 3,
        ..Settings::default()
    };
    let mut story = Story::with(settings);
    story.hears("welcome 0 0 fresh ");
    for text in ["a", "b", "c"] {
        story.commands(text);
    }
    let refused = story.machine.command(story.now, Payload::text("d"));
    assert_eq!(refused.unwrap_err(), NotNow::Full);
    story.hears("reply 2 1 ");
    story.hears("reply 3 2 ");
    assert!(!story.machine.has_room(), "1 is still unanswered (R30)");
    story.hears("reply 1 3 ");
    assert_eq!(story.commands("d"), ["send 4 d"]);
}

#[test]
fn everything_unanswered_is_sent_again_in_order_after_a_welcome_even_what_was_taken() {
    let mut story = Story::welcomed();
    for text in ["a", "b", "c"] {
        story.commands(text);
    }
    story.asks("d");
    story.hears("reply 2 4 ");
    assert_eq!(story.dials_again(), ["dial 8 since 3"]);
    assert_eq!(
        story.hears("welcome 3 3 resumed"),
        ["show Resumed 3", "send 1 a", "send 3 c", "ask ?q2 d"]
    );
}

#[test]
fn an_answer_that_comes_twice_is_given_once() {
    let mut story = Story::welcomed();
    story.commands("a");
    assert_eq!(story.hears("reject 1 4 no"), ["answer 1 by 1"]);
    assert!(story.hears("reject 1 4 no").is_empty());
    story.asks("b");
    assert_eq!(story.hears("reply ?q1 4 yes"), ["answer 2 by ?q1"]);
    assert!(story.hears("reply ?q1 4 yes").is_empty());
    assert!(story.hears("fault 77 4 panicked").is_empty());
}

#[test]
fn after_two_seconds_of_silence_everything_unanswered_is_sent_again() {
    let mut story = Story::welcomed();
    story.commands("a");
    story.asks("b");
    assert!(story.waits(1_999).is_empty());
    story.hears("event 4 []");
    story.commands("c");
    assert_eq!(story.waits(1), ["send 1 a", "send 2 c", "ask ?q2 b"]);
    assert_eq!(
        story.hears("reply ?q1 4 slow"),
        ["answer 2 by ?q1"],
        "an answer under an older tag of this socket counts"
    );
    assert_eq!(story.machine.next_tick(), Some(story.now.plus_ms(2_000)));
}

#[test]
fn nothing_passes_a_command_that_was_shed() {
    let mut story = Story::welcomed();
    for text in ["a", "b", "c"] {
        story.commands(text);
    }
    assert!(story.hears("busy 2 300").is_empty());
    assert!(story.hears("busy 3 300").is_empty());
    assert!(story.commands("d").is_empty());
    assert_eq!(story.machine.next_tick(), Some(story.now.plus_ms(300)));
    assert!(story.waits(299).is_empty());
    assert_eq!(story.waits(1), ["send 2 b", "send 3 c", "send 4 d"]);
    assert!(story.hears("busy 9 1").is_empty(), "never sent");
}

#[test]
fn a_shed_query_is_asked_again_later_and_holds_nothing_up() {
    let mut story = Story::welcomed();
    story.asks("a");
    story.hears("busy ?q1 300");
    assert_eq!(story.commands("b"), ["send 1 b"]);
    assert_eq!(story.waits(300), ["ask ?q2 a"]);
}

#[test]
fn events_rise_and_resuming_goes_on_behind_the_last_one() {
    let mut story = Story::welcomed();
    assert_eq!(story.hears("event 5 [1]"), ["show Event 5 [1]"]);
    assert!(story.hears("event 5 [1]").is_empty());
    assert!(story.hears("event 4 [0]").is_empty());
    assert_eq!(story.machine.unexpected(), 2);
    assert_eq!(story.dials_again(), ["dial 8 since 5"]);
}

#[test]
fn a_later_fresh_welcome_starts_over() {
    let mut story = Story::welcomed();
    story.dials_again();
    assert_eq!(
        story.hears("welcome 90 0 fresh {}"),
        ["show StartedOver 90 {}"]
    );
    assert_eq!(story.hears("event 91 []"), ["show Event 91 []"]);
}

#[test]
fn a_welcome_that_resumes_from_elsewhere_ends_the_client() {
    for frame in ["welcome 4 0 resumed", "welcome 2 0 resumed"] {
        let mut story = Story::welcomed();
        story.dials_again();
        assert_eq!(story.hears(frame)[0], "hangup 1002", "{frame}");
    }
    let mut story = Story::new();
    assert_eq!(story.hears("welcome 0 0 resumed")[0], "hangup 1002");
}

#[test]
fn a_server_that_took_other_commands_than_were_sent_ends_the_client() {
    for taken in [0, 3] {
        let mut story = Story::new();
        story.hears("welcome 3 1 fresh {}");
        story.commands("a");
        story.dials_again();
        let said = story.hears(&format!("welcome 3 {taken} resumed"));
        assert_eq!(said[0], "hangup 1002", "{taken}");
        assert!(said[1].contains("this client sent 2 to 2"), "{said:?}");
    }
}

#[test]
fn nothing_is_shown_before_the_welcome() {
    let mut story = Story::new();
    assert!(story.hears("event 1 []").is_empty());
    assert!(story.hears("ephemeral x").is_empty());
    assert_eq!(story.machine.unexpected(), 2);
}

#[test]
fn each_close_code_ends_the_client_or_brings_it_back() {
    for code in CloseCode::ALL {
        let mut story = Story::welcomed();
        let said = story.loses_its_socket(Lost::Code(code.number(), "".into()));
        if code.comes_back() {
            assert_eq!(said, ["lost, retry in 50"], "{code:?}");
            assert_eq!(story.waits(50), ["dial 8 since 3"], "{code:?}");
        } else {
            assert!(said[0].starts_with("closed"), "{said:?}");
            assert_eq!(story.machine.next_tick(), None, "{code:?}");
            assert!(story.waits(1_000_000).is_empty(), "{code:?}");
            let late = story.machine.command(story.now, Payload::text("x"));
            assert_eq!(late.unwrap_err(), NotNow::Ended);
        }
    }
}

#[test]
fn codes_of_websockets_themselves_bring_the_client_back() {
    for code in [1000, 1001, 1006, 1009, 1011, 1012] {
        let mut story = Story::welcomed();
        let said = story.loses_its_socket(Lost::Code(code, "".into()));
        assert_eq!(said, ["lost, retry in 50"], "{code}");
    }
}

#[test]
fn a_refusal_says_what_the_entity_said() {
    let mut story = Story::new();
    assert!(story.hears("reject 0 0 \"members only\"").is_empty());
    let said = story.loses_its_socket(Lost::Code(CloseCode::Refused.number(), "".into()));
    assert_eq!(
        said,
        ["closed: the entity refused the connection: \"members only\""]
    );
}

#[test]
fn what_an_older_socket_says_is_ignored() {
    let mut story = Story::welcomed();
    story.dials_again();
    let frame = Bytes::from_static(b"event 9 []");
    let old = DialAttempt(7);
    assert!(
        story
            .machine
            .on_frame(story.now, old, &frame, true)
            .is_empty()
    );
    assert!(
        story
            .machine
            .on_close(story.now, old, broken(), 0)
            .is_empty()
    );
    assert_eq!(story.machine.have(), Some(Revision(3)));
}

#[test]
fn a_quiet_socket_is_asked_whether_it_lives_and_then_given_up() {
    let mut story = Story::welcomed();
    assert_eq!(story.waits(10_000), ["ping alive"]);
    assert!(story.waits(14_999).is_empty());
    assert_eq!(story.waits(1), ["hangup 1001", "lost, retry in 50"]);
    assert_eq!(story.waits(50), ["dial 8 since 3"]);
}

#[test]
fn a_pong_keeps_a_quiet_socket() {
    let mut story = Story::welcomed();
    story.waits(10_000);
    story.hears("pong alive 17");
    assert!(story.waits(9_999).is_empty());
    assert_eq!(story.waits(1), ["ping alive"]);
}

#[test]
fn a_socket_that_is_not_welcomed_is_given_up() {
    let mut story = Story::new();
    assert!(story.waits(9_999).is_empty());
    assert_eq!(story.waits(1), ["hangup 1001", "lost, retry in 50"]);
    assert_eq!(story.waits(50), ["dial 8"], "there is nothing to resume");
}

#[test]
fn what_is_no_frame_ends_the_client() {
    let mut story = Story::welcomed();
    assert_eq!(
        story.hears("evnt 4 []"),
        [
            "hangup 1002",
            "closed: the server does not speak xp.v1: unknown verb \"evnt\""
        ]
    );
}

#[test]
fn leaving_closes_with_1000_and_is_the_end() {
    let mut story = Story::welcomed();
    assert_eq!(
        lines(story.machine.close()),
        ["hangup 1000", "closed: this client has left"]
    );
    assert!(story.machine.close().is_empty());
    assert!(story.hears("event 4 []").is_empty());
}

#[test]
fn ephemeral_commands_and_tokens_need_a_welcomed_socket() {
    let mut story = Story::new();
    assert!(story.machine.ephemeral(&Payload::text("x")).is_empty());
    assert!(story.machine.token("a.b.c").is_empty());
    story.hears("welcome 0 0 fresh ");
    let said = story.machine.ephemeral(&Payload::text("x"));
    assert_eq!(lines(said), ["ephemeral x"]);
    assert_eq!(lines(story.machine.token("a.b.c")), ["token a.b.c"]);
}

#[test]
fn payloads_keep_their_bytes_and_their_kind() {
    let mut story = Story::welcomed();
    let bytes = Bytes::from_static(b"\x00 \xff");
    let (_, actions) = story
        .machine
        .command(story.now, Payload::binary(bytes.clone()))
        .unwrap();
    let frame = Bytes::from_static(b"send 1 \x00 \xff");
    assert_eq!(actions, [Action::Write { frame, text: false }]);
    let event = Bytes::from_static(b"event 4 \x00 \xff");
    let shown = story
        .machine
        .on_frame(story.now, DialAttempt(7), &event, false);
    let payload = Payload::binary(bytes);
    let revision = Revision(4);
    assert_eq!(shown, [Action::Show(Item::Event { revision, payload })]);
}

#[test]
fn pauses_double_up_to_the_bound_and_begin_anew_after_a_healthy_socket() {
    let mut story = Story::new();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        pauses.push(story.loses_its_socket(broken())[0].clone());
        story.waits(60_000);
    }
    let expected = [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000];
    let expected = expected.map(|ms| format!("lost, retry in {ms}"));
    assert_eq!(pauses, expected);
    story.hears("welcome 0 0 fresh ");
    assert_eq!(story.loses_its_socket(broken()), ["lost, retry in 50"]);
}

#[test]
fn a_server_that_closes_soon_after_each_welcome_is_left_alone_ever_longer() {
    let mut story = Story::new();
    for expected in [50, 100, 200] {
        story.hears("welcome 0 0 fresh ");
        let said = story.loses_its_socket(Lost::Code(CloseCode::TooFast.number(), "".into()));
        assert_eq!(said, [format!("lost, retry in {expected}")]);
        story.waits(expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_pause_is_between_half_and_all_of_its_bound(failures in 0..70_u32, jitter: u64) {
        let mut backoff = Backoff::new(100, 10_000);
        let mut pause = 0;
        for _ in 0..=failures {
            pause = backoff.pause_ms(&broken(), None, jitter);
        }
        let all = 10_000.min(100_u64.saturating_mul(1 << failures.min(32)));
        prop_assert!((all / 2..=all).contains(&pause), "{pause} of {all}");
    }

    #[test]
    fn no_bytes_make_the_machine_panic(frames: Vec<(Vec<u8>, bool)>) {
        let mut story = Story::welcomed();
        for (frame, text) in frames {
            let attempt = story.machine.attempt;
            story.machine.on_frame(story.now, attempt, &Bytes::from(frame), text);
        }
    }
}
