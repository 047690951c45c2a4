//! The seam, driven with bytes as a node drives it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xp_protocol::{MessageNumber, Revision, TicketId, TimeMs};

use super::*;
use crate::entity::{Answer, Category, Shown, Ticket};
use crate::host::{Audience, Reply, Show, Termination};
use crate::word::Never;

/// Does in one command whatever a test wants to see encoded.
#[derive(Default, Serialize, Deserialize)]
struct Probe {
    words: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Role {
    role: String,
}

#[derive(Serialize, Deserialize)]
enum Command {
    Say(String),
    Whisper(String),
    Ask { inspect: bool, forget: bool },
    Later,
    Burst,
    Panic,
    Twice,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Signal {
    Tick,
    Held {
        note: String,
        ticket: Ticket,
        answer: Answer<Probe>,
    },
    Wait,
}

impl Entity for Probe {
    const CATEGORY: Category = Category::new("probe");
    const STATE_VERSION: u32 = 3;
    type Claims = Role;
    type Command = Command;
    type Query = bool;
    type Signal = Signal;
    type Event = String;
    type Output = String;
    type Reply = u64;
    type Rejection = String;

    fn decide(&self, command: Command, cx: &Cx<'_, Self>) -> crate::entity::Outcome<Self> {
        Ok(match command {
            Command::Say(word) if word.is_empty() => return Err("say something".into()),
            Command::Say(word) => cx.decision().publish(word).reply(7),
            Command::Whisper(subject) => cx.decision().whisper(subject.as_str(), "psst".into()),
            Command::Ask { inspect, forget } => {
                let (note, ticket) = ("\"quoted\"".to_owned(), cx.ticket());
                cx.decision()
                    .later()
                    .ask(Probe::at("2"), Signal::Tick, |answer| {
                        if inspect {
                            let _ = answer.result();
                        }
                        if forget {
                            Signal::Tick
                        } else {
                            Signal::Held {
                                note,
                                ticket,
                                answer,
                            }
                        }
                    })
            }
            Command::Later => cx.decision().later(),
            Command::Burst => cx
                .decision()
                .glimpse_others("cursor".into())
                .schedule("tick", Duration::from_secs(2), Signal::Tick)
                .cancel("tock")
                .terminate(cx.subject()),
            Command::Panic => panic!("no {}", "way"),
            Command::Twice => cx.decision().reply(1).later(),
        })
    }

    fn apply(&mut self, word: String) {
        assert!(word != "poison", "poisoned");
        self.words.push(word);
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<'_, Self>) -> crate::entity::Outcome<Self> {
        match signal {
            Signal::Tick => Err("no ticks".into()),
            Signal::Wait => Ok(cx.decision().later()),
            Signal::Held {
                note,
                ticket,
                answer,
            } => Ok(cx
                .decision()
                .record(note)
                .answer(ticket, answer.result().map_err(|no| format!("{no:?}")))),
        }
    }

    fn answer(&self, loud: bool, cx: &Cx<'_, Self>) -> Result<u64, String> {
        if loud {
            Ok(self.words.len() as u64)
        } else {
            Err(cx.claims().role.clone())
        }
    }

    fn welcome(&self, _: &Cx<'_, Self>) -> Shown<Self> {
        self.words.clone()
    }

    fn connected(&self, cx: &Cx<'_, Self>) -> crate::entity::Outcome<Self> {
        match cx.claims().role.as_str() {
            "stranger" => Err("members only".into()),
            "liar" => Ok(cx.decision().record("seen".into()).refuse("go".into())),
            _ => Ok(cx.decision()),
        }
    }

    fn terminated(&self, why: Termination, cx: &Cx<'_, Self>) -> Decision<Self> {
        cx.decision().broadcast_others(format!("{why:?}"))
    }
}

const ANA: ConnectionId = ConnectionId(Uuid::from_u128(1));
const BEN: ConnectionId = ConnectionId(Uuid::from_u128(2));

fn address() -> Address {
    "probe/1".parse().unwrap()
}

fn scene(address: &Address) -> SceneData<'_> {
    SceneData {
        address,
        revision: Revision(4),
        now: TimeMs(1_000),
        seed: 9,
        ticket: TicketId(5),
    }
}

/// A probe with Ana and Ben in its roster.
fn probe() -> Box<dyn Instance> {
    let mut probe = Hosted::<Probe>::new().fresh();
    for (connection, subject) in [(ANA, "ana"), (BEN, "ben")] {
        let claims = br#"{"sub":"x","role":"guest"}"#.as_slice();
        probe
            .roster(&RosterChange::Attached {
                connection,
                subject,
                claims,
            })
            .unwrap();
    }
    probe
}

fn decide(input: &Input<'_>) -> Result<Decided, Fault> {
    probe().decide(input, &scene(&address()))
}

fn text(bytes: &[u8]) -> Payload<'_> {
    Payload { bytes, text: true }
}

fn send(command: &[u8]) -> Result<Decided, Fault> {
    decide(&Input::Command {
        by: ANA,
        n: Some(MessageNumber(1)),
        payload: text(command),
    })
}

#[test]
fn a_decision_becomes_one_array_of_events_one_output_and_the_reply() {
    let decided = send(br#"{"Say":"hi"}"#).unwrap();
    assert_eq!(
        (decided.events.as_ref(), decided.event_count),
        (br#"["hi"]"#.as_slice(), 1)
    );
    assert_eq!(decided.reply, Reply::Now(Outcome::Reply("7".into())));
    assert_eq!(
        decided.shows,
        [Show {
            to: Audience::Everybody,
            output: "\"hi\"".into(),
            volatile: false
        }]
    );
}

/// What a state keeps of it must be readable again, with all that the state puts around it.
#[test]
fn a_command_or_query_that_nests_too_deep_is_unreadable() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let says = |fault: &Fault| fault.to_string().contains("deeper than 64");
    assert!(says(&send(deep.as_bytes()).unwrap_err()));
    let address = address();
    let asked = probe().answer(ANA, &text(deep.as_bytes()), &scene(&address));
    assert!(says(&asked.unwrap_err()));
}

#[test]
fn a_no_records_nothing() {
    let decided = send(br#"{"Say":""}"#).unwrap();
    assert_eq!((decided.event_count, decided.events.len()), (0, 0));
    assert_eq!(
        decided.reply,
        Reply::Now(Outcome::Rejection("\"say something\"".into()))
    );
}

#[test]
fn a_whisper_reaches_the_sessions_of_a_subject_and_nobody_else() {
    let decided = send(br#"{"Whisper":"ben"}"#).unwrap();
    assert_eq!(decided.shows[0].to, Audience::Only(vec![BEN]));
    assert_eq!(send(br#"{"Whisper":"cleo"}"#).unwrap().shows, []);
}

#[test]
fn timers_glimpses_and_terminations_are_resolved_against_the_scene() {
    let decided = send(br#""Burst""#).unwrap();
    let tick = Some((TimeMs(3_000), Bytes::from_static(br#"{"type":"Tick"}"#)));
    assert_eq!(
        decided.timers,
        [("tick".to_owned(), tick), ("tock".to_owned(), None)]
    );
    assert_eq!(decided.terminate, [ANA]);
    assert_eq!(
        (decided.shows[0].to.clone(), decided.shows[0].volatile),
        (Audience::Except(ANA), true)
    );
}

#[test]
fn an_answer_stands_where_the_closure_put_it() {
    let decided = send(br#"{"Ask":{"inspect":false,"forget":false}}"#).unwrap();
    assert_eq!(decided.reply, Reply::Later);
    let continuation = decided.tells[0].continuation.clone().unwrap();
    for (outcome, answer) in [
        (Outcome::Reply("12".into()), Outcome::Reply("12".into())),
        (
            Outcome::Rejection("\"no\"".into()),
            Outcome::Rejection(r#""Rejected(\"no\")""#.into()),
        ),
        (Outcome::Fault, Outcome::Rejection("\"Faulted\"".into())),
    ] {
        let from = address();
        let decided = decide(&Input::Answer {
            from: &from,
            continuation: &continuation,
            outcome: &outcome,
        })
        .unwrap();
        assert_eq!(decided.events, r#"["\"quoted\""]"#);
        assert_eq!(decided.answers, [(TicketId(5), answer)]);
    }
}

#[test]
fn an_answer_that_the_closure_inspects_or_forgets_is_a_fault_that_says_what_to_do() {
    let fault = |json: &[u8]| send(json).unwrap_err().to_string();
    let inspected = fault(br#"{"Ask":{"inspect":true,"forget":false}}"#);
    assert!(
        inspected.contains("look at it in `fn signal`"),
        "{inspected}"
    );
    let forgotten = fault(br#"{"Ask":{"inspect":false,"forget":true}}"#);
    assert!(
        forgotten.contains("must put its answer into the signal"),
        "{forgotten}"
    );
}

#[test]
fn a_damaged_continuation_is_unreadable() {
    for continuation in [b"".as_slice(), b"\x01\xff\xff\xff\xff{}", b"\x01\0\0"] {
        let from = address();
        let input = Input::Answer {
            from: &from,
            continuation,
            outcome: &Outcome::Fault,
        };
        assert!(matches!(decide(&input), Err(Fault::Unreadable { .. })));
    }
}

#[test]
fn later_opens_a_ticket_only_where_somebody_waits() {
    assert_eq!(send(br#""Later""#).unwrap().reply, Reply::Later);
    let from = address();
    for (asked, reply) in [
        (true, Reply::Later),
        (false, Reply::Now(Outcome::Reply("0".into()))),
    ] {
        let origin = Origin::Entity { from: &from, asked };
        let decided = decide(&Input::Signal {
            origin,
            payload: br#"{"type":"Wait"}"#,
        })
        .unwrap();
        assert_eq!(decided.reply, reply);
    }
}

#[test]
fn domain_code_that_panics_is_a_fault_that_names_the_handler() {
    let fault = Fault::Panicked {
        handler: "decide",
        message: "no way".into(),
    };
    assert_eq!(send(br#""Panic""#), Err(fault));
    let fault = Fault::Panicked {
        handler: "apply",
        message: "poisoned".into(),
    };
    assert_eq!(probe().apply(br#"["fine","poison"]"#), Err(fault));
}

#[test]
fn an_ephemeral_may_only_glimpse() {
    let ephemeral = |payload| {
        decide(&Input::Command {
            by: ANA,
            n: None,
            payload: text(payload),
        })
    };
    for (command, what) in [
        (br#"{"Say":"hi"}"#.as_slice(), "records events"),
        (br#"{"Whisper":"ben"}"#, "must not be lost"),
        (br#""Later""#, "answers"),
        (br#""Burst""#, "timer"),
    ] {
        let fault = ephemeral(command).unwrap_err().to_string();
        assert!(fault.contains(what), "{fault}");
    }
    assert!(
        ephemeral(br#"{"Whisper":"nobody"}"#).is_err(),
        "not even a whisper that nobody hears"
    );
}

#[test]
fn one_message_is_answered_once() {
    let fault = send(br#""Twice""#).unwrap_err().to_string();
    assert!(fault.contains("answers its message twice"), "{fault}");
}

#[test]
fn a_payload_that_is_no_command_says_why() {
    let fault = send(br#"{"Shout":1}"#).unwrap_err().to_string();
    assert!(fault.contains("unknown variant `Shout`"), "{fault}");
    let payload = Payload {
        bytes: br#""Later""#,
        text: false,
    };
    let fault = decide(&Input::Command {
        by: ANA,
        n: Some(MessageNumber(1)),
        payload,
    })
    .unwrap_err()
    .to_string();
    assert!(fault.contains("send a text frame"), "{fault}");
}

#[test]
fn claims_are_decoded_once_and_refused_with_a_reason() {
    let address = address();
    let no = probe().answer(ANA, &text(b"false"), &scene(&address));
    assert_eq!(no, Ok(Outcome::Rejection("\"guest\"".into())));
    let change = RosterChange::Attached {
        connection: ANA,
        subject: "ana",
        claims: b"{}",
    };
    let fault = probe().roster(&change).unwrap_err().to_string();
    assert!(
        fault.contains("missing field `role`") && fault.ends_with("(claims that are kept: role)"),
        "{fault}"
    );
    assert!(read_claims::<()>(br#"{"sub":"ana"}"#, &[]).is_ok());
    assert!(
        read_claims::<()>(b"{", &[]).is_err(),
        "broken JSON is refused even where nothing is needed"
    );
    assert!(read_claims::<Never>(b"{}", &[]).is_err());
}

#[test]
fn a_claim_that_is_not_kept_is_not_read() {
    type All = std::collections::BTreeMap<String, String>;
    let token = br#"{"email":"ana@example.org","role":"guest","sub":"ana"}"#;
    let read = |kept| read_claims::<All>(token, kept).unwrap();
    assert_eq!(
        read(&["role", "team"]).into_keys().collect::<Vec<_>>(),
        ["role"]
    );
    assert!(read(&[]).is_empty());
    let Err(fault) = read_claims::<Role>(token, &["email"]) else {
        panic!("a claim that is not kept was read")
    };
    let fault = fault.to_string();
    assert!(fault.contains("(claims that are kept: email)"), "{fault}");
    assert_eq!(Hosted::<Probe>::new().claims(), ["role"]);
}

#[test]
fn state_survives_a_reload_and_another_version_is_refused() {
    let mut live = probe();
    live.apply(br#"["a","b"]"#).unwrap();
    let mut bytes = live.encode().unwrap();
    let host = Hosted::<Probe>::new();
    assert_eq!(host.load(&bytes).unwrap().encode().unwrap(), bytes);
    bytes[0] = 2;
    let Err(fault) = host.load(&bytes) else {
        panic!("another version was loaded")
    };
    assert!(
        fault
            .to_string()
            .contains("the state has version 2, this build has 3 and no `read_state`"),
        "{fault}"
    );
    assert!(host.load(b"").is_err());
}

#[test]
fn a_session_that_ended_is_nobody() {
    let mut probe = probe();
    let address = address();
    let goodbye = probe
        .decide(&Input::Terminated(ANA, Termination::Left), &scene(&address))
        .unwrap();
    assert_eq!(
        (
            goodbye.shows[0].to.clone(),
            goodbye.shows[0].output.as_ref()
        ),
        (Audience::Except(ANA), b"\"Left\"".as_slice())
    );
    probe.roster(&RosterChange::Ended(ANA)).unwrap();
    assert!(matches!(
        probe.welcome(ANA, &scene(&address)),
        Err(Fault::Misuse(_))
    ));
}

#[test]
fn a_welcome_is_a_sequence_like_an_event_frame() {
    let mut probe = probe();
    probe.apply(br#"["a","b"]"#).unwrap();
    let welcome = probe.welcome(ANA, &scene(&address())).unwrap();
    assert!(welcome.for_all, "it asks nothing about the session");
    let shown = welcome.shown;
    assert_eq!(shown, r#"["a","b"]"#);
    assert_eq!(
        Hosted::<Probe>::new().sequence(&[b"\"a\"", b"\"b\""]),
        shown
    );
    assert_eq!(Hosted::<Probe>::new().default_reply(), "0");
}

#[test]
fn a_session_is_refused_by_an_error_alone() {
    let connect = |claims: &[u8]| {
        let mut probe = probe();
        let change = RosterChange::Attached {
            connection: ANA,
            subject: "ana",
            claims,
        };
        probe.roster(&change).unwrap();
        probe.decide(&Input::Connected(ANA), &scene(&address()))
    };
    let refused = connect(br#"{"role":"stranger"}"#).unwrap();
    assert_eq!(
        refused.reply,
        Reply::Now(Outcome::Rejection("\"members only\"".into()))
    );
    let fault = connect(br#"{"role":"liar"}"#).unwrap_err().to_string();
    assert!(fault.contains("refuses a session with `Err`"), "{fault}");
}
