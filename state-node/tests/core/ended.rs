//! Entities that end: what goes with them, what is remembered for a while, and what begins afterwards (R49).

use std::sync::Arc;

use xp_domain_sdk::Domain;
use xp_protocol::events::{Cause, Commit, Event, TimerKey};
use xp_protocol::inbound::{ClientAction, Message, TellContent};
use xp_protocol::{Address, Revision, codec};
use xp_settings::Span;
use xp_state_node::snapshot;

use crate::desk::{ANA, BEN, Desk, Socket};
use crate::diary::Diary;
use crate::records::{event, partition};
use crate::room::Room;

const WRITER: Socket = Socket {
    entity: "diary/1",
    ..ANA
};
const READER: Socket = Socket {
    entity: "diary/1",
    ..BEN
};

fn owning() -> Desk {
    let domain = Domain::new().host::<Diary>().host::<Room>();
    let mut desk = Desk::hosting(domain.registry().clone());
    desk.limits.sessions.memory = Span::from_millis(60_000);
    desk.crash();
    desk.own();
    desk
}

/// A diary with a page, its writer and a reader.
fn written() -> Desk {
    let mut desk = owning();
    for socket in [WRITER, READER] {
        desk.connect(socket, None);
        desk.settle();
    }
    desk.send(WRITER, 1, r#"{"Write":"secret"}"#);
    desk.settle();
    desk.heard();
    desk
}

/// The same, burnt by its writer.
fn burnt() -> Desk {
    let mut desk = written();
    desk.send(WRITER, 2, r#""Burn""#);
    desk.settle();
    desk
}

/// Time passes until nothing is remembered of the sessions.
fn forget(desk: &mut Desk) {
    desk.pass(desk.limits.sessions.memory.ms() + 1);
    desk.settle();
    // The last one waits until the chain has been heard (R45).
    desk.pass(1000);
    desk.settle();
}

/// Whatever has changed is in the store.
fn save(desk: &mut Desk) {
    while desk.core.is_busy() {
        desk.pass(1000);
        desk.settle();
        desk.save();
    }
}

fn last(desk: &Desk) -> Commit {
    let last = desk
        .log
        .iter()
        .rev()
        .find_map(|record| match event(record) {
            Event::Commit(commit) => Some(Arc::unwrap_or_clone(commit)),
            _ => None,
        });
    last.unwrap()
}

fn stands_at(desk: &mut Desk, address: &str) -> Option<(u64, String)> {
    let address: Address = address.parse().unwrap();
    let (revision, state) = desk.core.inspect(&address).unwrap()?;
    let json = state.iter().position(|byte| *byte == b'{')?;
    Some((
        revision.0,
        String::from_utf8(state[json..].to_vec()).unwrap(),
    ))
}

fn holds(desk: &Desk, address: &str, bytes: &str) -> bool {
    let record = desk.store.entity(&address.parse().unwrap()).unwrap();
    let holds = |record: &[u8]| {
        let mut windows = record.windows(bytes.len());
        windows.any(|window| window == bytes.as_bytes())
    };
    record.is_some_and(|record| holds(&record))
}

#[test]
fn the_end_is_shown_and_answered_before_the_sockets_are_closed() {
    let mut desk = burnt();
    assert_eq!(
        desk.heard(),
        [
            r#"event 4 [\"Burnt\"]"#.replace('\\', ""),
            "reply 2 4 1".to_owned(),
            "close terminated".to_owned(),
        ]
    );
}

#[test]
fn an_entity_that_has_ended_is_what_it_was_before_its_first_event() {
    let mut desk = burnt();
    assert_eq!(
        stands_at(&mut desk, WRITER.entity),
        Some((4, r#"{"pages":[]}"#.into()))
    );
    save(&mut desk);
    assert!(!holds(&desk, WRITER.entity, "secret"));
    // Nobody was asked about the sessions.
    let terminated = desk
        .log
        .iter()
        .any(|record| record.value.ends_with(b"gone\"}]"));
    assert!(!terminated);
    forget(&mut desk);
    assert_eq!(stands_at(&mut desk, WRITER.entity), None);
    save(&mut desk);
    assert_eq!(
        desk.store.entity(&WRITER.entity.parse().unwrap()).unwrap(),
        None
    );
}

#[test]
fn a_follower_comes_to_the_same_from_any_snapshot() {
    for saves in [false, true] {
        let mut desk = written();
        if saves {
            save(&mut desk);
            assert!(holds(&desk, WRITER.entity, "secret"));
        }
        desk.send(WRITER, 2, r#""Burn""#);
        desk.settle();
        let ended = stands_at(&mut desk, WRITER.entity);
        desk.crash();
        desk.replay();
        assert_eq!(stands_at(&mut desk, WRITER.entity), ended);
        desk.claim();
        desk.replay();
        desk.renew();
        forget(&mut desk);
        assert_eq!(stands_at(&mut desk, WRITER.entity), None);
        desk.crash();
        desk.replay();
        assert_eq!(stands_at(&mut desk, WRITER.entity), None);
        assert_eq!(desk.over, None);
    }
}

/// The same bytes come to the same state where it is folded anew for another state version.
#[test]
fn what_was_before_the_end_is_not_folded_into_the_life_after_it() {
    use xp_state_node::anew::FoldingAnew;
    let mut desk = burnt();
    desk.connect(
        Socket {
            attempt: 2,
            ..WRITER
        },
        None,
    );
    desk.settle();
    desk.send(
        Socket {
            attempt: 2,
            ..WRITER
        },
        3,
        r#"{"Write":"new"}"#,
    );
    desk.settle();
    let (revision, state) = stands_at(&mut desk, WRITER.entity).unwrap();
    assert_eq!((revision, state.as_str()), (6, r#"{"pages":["new"]}"#));
    let domain = Arc::new(desk.domain.clone());
    let end = desk.log.len() as u64;
    let wanted = vec![(WRITER.entity.parse().unwrap(), Revision(revision))];
    let mut folding = FoldingAnew::new(&domain, wanted, xp_protocol::Offset(end));
    folding.read(&desk.stored(0, end));
    let (_, folded) = folding.finish().pop().unwrap();
    assert!(
        folded
            .unwrap()
            .encode()
            .unwrap()
            .ends_with(state.as_bytes())
    );
}

#[test]
fn a_command_that_ended_the_entity_is_not_taken_again() {
    let mut desk = burnt();
    let again = Socket {
        attempt: 2,
        ..WRITER
    };
    desk.connect(again, None);
    desk.settle();
    desk.heard();
    let commits = desk.commits().len();
    desk.send(again, 2, r#""Burn""#);
    desk.settle();
    assert_eq!(desk.heard(), ["reply 2 4 1"]);
    assert_eq!(desk.commits().len(), commits);
}

/// A client whose socket broke at the wrong moment, and a dial that the log repeats, must not bring it back to life.
#[test]
fn who_comes_back_by_itself_does_not_begin_a_new_life() {
    let mut desk = burnt();
    desk.heard();
    let commits = desk.commits().len();
    desk.connect(
        Socket {
            attempt: 2,
            ..WRITER
        },
        Some(3),
    );
    desk.connect(WRITER, None);
    desk.settle();
    assert_eq!(desk.heard(), ["close terminated", "close terminated"]);
    assert_eq!(desk.commits().len(), commits);
    // The edge missed the record in which the sockets were closed.
    desk.say(WRITER, ClientAction::Resume { since: Revision(3) }, "");
    assert_eq!(desk.heard(), ["close terminated"]);
    forget(&mut desk);
    desk.connect(
        Socket {
            attempt: 3,
            ..WRITER
        },
        Some(3),
    );
    assert_eq!(desk.heard(), ["close session-expired"]);
}

/// R49, within the memory of the sessions and beyond it, for the owner and for whoever reads the log.
#[test]
fn revisions_of_a_new_life_are_above_those_of_the_last_one() {
    let mut desk = burnt();
    let connect = |desk: &mut Desk, attempt| {
        let socket = Socket { attempt, ..WRITER };
        desk.connect(socket, None);
        desk.settle();
        socket
    };
    let second = connect(&mut desk, 2);
    assert_eq!(last(&desk).revision, Revision(5));
    desk.send(second, 3, r#"{"Write":"more"}"#);
    desk.send(second, 4, r#""Burn""#);
    desk.settle();
    assert_eq!(last(&desk).revision, Revision(7));
    forget(&mut desk);
    assert_eq!(stands_at(&mut desk, WRITER.entity), None);
    // The memory of two sessions has ended since.
    assert_eq!(last(&desk).revision, Revision(9));
    save(&mut desk);
    connect(&mut desk, 3);
    assert_eq!(last(&desk).revision, Revision(10));
    // Another entity of the partition, too, which never was before.
    let other = Socket {
        entity: "room/9",
        ..ANA
    };
    desk.connect(other, None);
    desk.settle();
    assert_eq!(last(&desk).revision, Revision(11));
    for clears in [false, true] {
        if clears {
            desk.store.clear().unwrap();
        }
        desk.crash();
        desk.replay();
        assert_eq!(desk.over, None);
        assert_eq!(stands_at(&mut desk, WRITER.entity).unwrap().0, 10);
        assert_eq!(stands_at(&mut desk, other.entity).unwrap().0, 11);
    }
}

/// The header of a snapshot knows it too: the end itself lies behind it.
#[test]
fn a_takeover_from_a_snapshot_knows_how_far_ended_entities_had_come() {
    let mut desk = burnt();
    forget(&mut desk);
    save(&mut desk);
    desk.crash();
    desk.own();
    desk.connect(
        Socket {
            attempt: 5,
            ..READER
        },
        None,
    );
    desk.settle();
    assert!(
        last(&desk).revision > Revision(6),
        "{:?}",
        last(&desk).revision
    );
}

#[test]
fn timers_and_tickets_end_with_the_entity() {
    let mut desk = written();
    desk.send(WRITER, 2, r#"{"BurnIn":5000}"#);
    desk.send(READER, 1, r#""Wonder""#);
    desk.settle();
    desk.send(WRITER, 3, r#""Burn""#);
    desk.settle();
    let commits = desk.commits().len();
    desk.heard();
    desk.pass(20_000);
    desk.settle();
    assert_eq!(desk.commits().len(), commits, "a timer outlived its entity");
    let again = Socket {
        attempt: 2,
        ..READER
    };
    desk.connect(again, None);
    desk.settle();
    desk.heard();
    desk.send(again, 1, r#""Wonder""#);
    assert_eq!(desk.heard(), [r#"fault 1 6 unanswered"#]);
}

#[test]
fn a_timer_can_end_the_entity() {
    let mut desk = written();
    desk.send(WRITER, 2, r#"{"BurnIn":5000}"#);
    desk.settle();
    desk.heard();
    desk.pass(5000);
    desk.settle();
    assert_eq!(desk.heard(), [r#"event 5 ["Burnt"]"#, "close terminated"]);
    assert_eq!(
        stands_at(&mut desk, WRITER.entity),
        Some((5, r#"{"pages":[]}"#.into()))
    );
}

#[test]
fn an_entity_that_waits_for_an_answer_hears_that_there_is_none() {
    let mut desk = written();
    let asked = Message::Tell {
        source: partition(),
        number: 1,
        from: "diary/2".parse().unwrap(),
        what: TellContent::Signal {
            conversation: Some(7),
        },
    };
    desk.word(asked, WRITER.entity, r#""Wonder""#);
    desk.settle();
    assert!(desk.told.is_empty());
    desk.send(WRITER, 2, r#""Burn""#);
    desk.settle();
    let told: Vec<_> = desk
        .told
        .iter()
        .map(|record| {
            let heard: xp_protocol::inbound::Inbound = codec::decode(&record.header).unwrap();
            heard.message
        })
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        format!("{told:?}").contains("conversation: 7, kind: Fault"),
        "{told:?}"
    );
}

/// What a former life asked is not answered to the one after it.
#[test]
fn an_answer_to_a_former_life_is_not_taken_for_one_to_this() {
    let mut desk = written();
    desk.send(WRITER, 2, r#"{"Ask":"2"}"#);
    desk.settle();
    let conversation = conversation(&desk);
    desk.send(WRITER, 3, r#""Burn""#);
    desk.settle();
    forget(&mut desk);
    let again = Socket {
        attempt: 9,
        ..WRITER
    };
    desk.connect(again, None);
    desk.settle();
    desk.send(again, 1, r#"{"Ask":"2"}"#);
    desk.settle();
    assert_ne!(self::conversation(&desk), conversation);
    let answer = Message::Tell {
        source: partition(),
        number: 1,
        from: "diary/2".parse().unwrap(),
        what: TellContent::Answer {
            conversation,
            kind: xp_protocol::inbound::AnswerKind::Reply,
        },
    };
    desk.word(answer, WRITER.entity, "1");
    desk.settle();
    assert_eq!(
        last(&desk).event_count,
        0,
        "a former life's answer was taken"
    );
}

fn conversation(desk: &Desk) -> u64 {
    let record = desk.told.last().unwrap();
    let heard: xp_protocol::inbound::Inbound = codec::decode(&record.header).unwrap();
    match heard.message {
        Message::Tell {
            what:
                TellContent::Signal {
                    conversation: Some(conversation),
                },
            ..
        } => conversation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_socket_whose_return_ends_the_entity_is_closed_with_it() {
    let mut desk = written();
    desk.send(WRITER, 2, r#""Trap""#);
    desk.say(WRITER, ClientAction::Disconnect { left: false }, "");
    desk.settle();
    desk.heard();
    desk.connect(
        Socket {
            attempt: 2,
            ..WRITER
        },
        Some(2),
    );
    desk.settle();
    // The reader in the chain, and the newcomer, which is not accepted yet, beside it.
    assert_eq!(desk.heard(), ["close terminated", "close terminated"]);
}

#[test]
fn an_entity_that_nobody_uses_ends_after_its_time() {
    let mut desk = owning();
    desk.connect(WRITER, None);
    desk.settle();
    desk.send(WRITER, 1, r#"{"Write":"secret"}"#);
    desk.settle();
    desk.pass(3_600_000);
    desk.settle();
    assert!(
        stands_at(&mut desk, WRITER.entity).is_some(),
        "somebody uses it"
    );
    desk.say(WRITER, ClientAction::Disconnect { left: true }, "");
    desk.settle();
    desk.pass(1);
    desk.settle();
    forget(&mut desk);
    save(&mut desk);
    // Another process has its time from the store.
    desk.crash();
    desk.own();
    let remembered = last(&desk).now;
    desk.pass(3_600_000 - 60_000);
    desk.settle();
    assert!(
        stands_at(&mut desk, WRITER.entity).is_some(),
        "its time is not over"
    );
    desk.pass(60_000);
    desk.settle();
    assert_eq!(stands_at(&mut desk, WRITER.entity), None);
    let ended = last(&desk);
    assert_eq!(ended.cause, Cause::Timer(TimerKey::Retention));
    assert!(ended.ends() && ended.event_count == 0);
    assert!(ended.now.since_ms(remembered) >= 3_600_000);
    save(&mut desk);
    assert_eq!(
        desk.store.entity(&WRITER.entity.parse().unwrap()).unwrap(),
        None
    );
}

/// A build that could not read it need not any more.
#[test]
fn the_end_of_an_entity_in_quarantine_makes_it_sound() {
    let mut desk = written();
    save(&mut desk);
    desk.send(WRITER, 2, r#""Burn""#);
    desk.settle();
    let address: Address = WRITER.entity.parse().unwrap();
    let record = desk.store.entity(&address).unwrap().unwrap();
    let mut stored = snapshot::stored(&record).unwrap();
    stored.state = bytes::Bytes::from_static(b"\x01\0\0\0{\"pages\":7}");
    let batch = xp_state_node::store::Batch {
        header: desk.store.header().unwrap().unwrap(),
        entities: vec![(
            address.clone(),
            Some(snapshot::sealed(&codec::encode(&stored))),
        )],
        ..Default::default()
    };
    desk.store.write(batch).unwrap();
    desk.crash();
    desk.replay();
    assert_eq!(desk.core.quarantined().count(), 0);
    assert_eq!(
        stands_at(&mut desk, WRITER.entity),
        Some((4, r#"{"pages":[]}"#.into()))
    );
}
