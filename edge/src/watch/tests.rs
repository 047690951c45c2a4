mod model;
mod rules;
mod pieces;

use xp_protocol::outbound::{Delivery, Item, Outbound, Recipients};
use xp_protocol::rules::AllRules;
use xp_protocol::{CloseCode, FaultCode};

use super::*;

const EDGE: Incarnation = Incarnation(uuid::Uuid::from_u128(1));

fn socket(connection: u128, attempt: u64) -> Socket {
    Socket {
        connection: ConnectionId(uuid::Uuid::from_u128(connection)),
        attempt: DialAttempt(attempt),
    }
}

fn watch() -> Watch<Socket> {
    Watch::new(EDGE, 500, &AllRules)
}

/// A record of deliveries with the payload `x` each.
fn record(link: Option<(u64, u64)>, deliveries: Vec<(Recipients, Item)>) -> Outbound {
    let link = link.map(|(prev, revision)| xp_protocol::outbound::Link {
        prev: Revision(prev),
        revision: Revision(revision),
    });
    let deliveries = deliveries.into_iter().map(|(to, item)| Delivery {
        to,
        item,
        payload_bytes: 1,
    });
    Outbound {
        link,
        deliveries: deliveries.collect(),
    }
}

fn give(watch: &mut Watch<Socket>, now: u64, outbound: &Outbound) -> Vec<String> {
    let value = Bytes::from("x".repeat(outbound.deliveries.len()));
    let parts = outbound.split(&value).unwrap();
    let effects = watch.on_record(TimeMs(now), outbound.link, &parts);
    effects.iter().map(text).collect()
}

fn name(socket: &Socket) -> String {
    format!("{}.{}", socket.connection.0.as_u128(), socket.attempt)
}

fn text(effect: &Effect<Socket>) -> String {
    match effect {
        Effect::Show { to, shown, .. } => {
            let mut to: Vec<_> = to.iter().map(name).collect();
            to.sort();
            let frame = std::str::from_utf8(&shown.bytes).unwrap();
            format!("{}: {frame}", to.join(" "))
        }
        Effect::Close { to, code } => format!("{}: close {}", name(to), code.name()),
        Effect::Resume { of, since } => format!("{}: resume {since}", name(of)),
        Effect::Coming { to } => format!("{}: coming", name(to)),
        Effect::Gone(socket) => format!("{}: gone", name(socket)),
    }
}

fn welcome(to: Socket, revision: u64) -> Outbound {
    let item = Item::Welcome {
        edge: EDGE,
        revision: Revision(revision),
        n: MessageNumber(0),
        text: true,
    };
    record(None, vec![(Recipients::Only(vec![to]), item)])
}

fn still_there(edge: Incarnation, sockets: Vec<Socket>) -> Outbound {
    record(
        None,
        vec![(Recipients::Only(sockets), Item::StillThere { edge })],
    )
}

fn event(revision: u64) -> Item {
    let revision = Revision(revision);
    Item::Event {
        revision,
        text: true,
    }
}

fn commit(prev: u64, revision: u64) -> Outbound {
    record(
        Some((prev, revision)),
        vec![(Recipients::Everybody, event(revision))],
    )
}

fn resumed(to: Socket, since: u64, upto: u64, announce: bool) -> Outbound {
    let only = || Recipients::Only(vec![to]);
    let begin = Item::Resumed {
        edge: EDGE,
        since: Revision(since),
        upto: Revision(upto),
        n: MessageNumber(3),
        announce,
    };
    let events = (since + 1..=upto).map(|revision| (only(), event(revision)));
    let deliveries = std::iter::once((only(), begin)).chain(events);
    record(None, deliveries.collect())
}

/// A watch with one session that was welcomed at `revision`.
fn live(at: Socket, revision: u64) -> Watch<Socket> {
    let mut watch = watch();
    watch.join(at, at).unwrap();
    give(&mut watch, 0, &welcome(at, revision));
    watch
}

#[test]
fn a_session_gets_nothing_before_its_welcome_and_everything_after() {
    let ana = socket(1, 1);
    let mut watch = watch();
    watch.join(ana, ana).unwrap();
    assert!(give(&mut watch, 0, &commit(0, 1)).is_empty());
    assert_eq!(
        give(&mut watch, 0, &welcome(ana, 1)),
        ["1.1: welcome 1 0 fresh x"]
    );
    assert_eq!(give(&mut watch, 0, &commit(1, 2)), ["1.1: event 2 x"]);
}

#[test]
fn a_record_that_overtook_the_welcome_is_asked_for() {
    let ana = socket(1, 1);
    let mut watch = watch();
    watch.join(ana, ana).unwrap();
    give(&mut watch, 0, &commit(1, 2));
    let effects = give(&mut watch, 0, &welcome(ana, 1));
    assert_eq!(effects, ["1.1: welcome 1 0 fresh x", "1.1: resume 1"]);
}

#[test]
fn a_second_welcome_of_the_same_socket_is_ignored() {
    let mut watch = live(socket(1, 1), 4);
    assert!(give(&mut watch, 0, &welcome(socket(1, 1), 9)).is_empty());
}

#[test]
fn a_socket_that_is_gone_gets_its_disconnect() {
    let mut watch = live(socket(1, 2), 4);
    assert_eq!(
        give(&mut watch, 0, &welcome(socket(1, 1), 4)),
        ["1.1: gone"]
    );
    assert_eq!(
        give(&mut watch, 0, &welcome(socket(7, 1), 4)),
        ["7.1: gone"]
    );
}

#[test]
fn a_welcome_of_another_edge_is_not_ours_to_answer() {
    let mut watch = live(socket(1, 2), 4);
    let mut other = welcome(socket(1, 1), 4);
    if let Item::Welcome { edge, .. } = &mut other.deliveries[0].item {
        *edge = Incarnation(uuid::Uuid::from_u128(2));
    }
    assert!(give(&mut watch, 0, &other).is_empty());
}

#[test]
fn what_a_session_has_is_dropped_and_a_gap_is_asked_for_every_half_second() {
    let mut watch = live(socket(1, 1), 4);
    assert!(give(&mut watch, 0, &commit(3, 4)).is_empty());
    assert_eq!(give(&mut watch, 0, &commit(6, 7)), ["1.1: resume 4"]);
    assert!(give(&mut watch, 10, &commit(7, 8)).is_empty());
    assert!(watch.repairs(TimeMs(499), 9).is_empty());
    assert_eq!(watch.repairs(TimeMs(500), 9).len(), 1);
    assert!(watch.repairs(TimeMs(501), 9).is_empty());
}

#[test]
fn a_repair_goes_on_until_the_highest_dropped_revision() {
    let mut watch = live(socket(1, 1), 4);
    give(&mut watch, 0, &commit(5, 6));
    give(&mut watch, 0, &commit(6, 7));
    let effects = give(&mut watch, 0, &resumed(socket(1, 1), 4, 6, false));
    assert_eq!(
        effects,
        ["1.1: event 5 x", "1.1: event 6 x", "1.1: resume 6"]
    );
    let effects = give(&mut watch, 0, &resumed(socket(1, 1), 6, 7, false));
    assert_eq!(effects, ["1.1: event 7 x"]);
    assert!(!watch.is_repairing());
}

#[test]
fn a_repeated_answer_to_a_resume_shows_nothing_twice() {
    let mut watch = live(socket(1, 1), 4);
    give(&mut watch, 0, &commit(5, 6));
    let answer = resumed(socket(1, 1), 4, 6, false);
    assert_eq!(give(&mut watch, 0, &answer).len(), 2);
    assert!(give(&mut watch, 0, &answer).is_empty());
}

#[test]
fn a_session_whose_missed_commits_are_gone_starts_over() {
    let mut watch = live(socket(1, 1), 4);
    give(&mut watch, 0, &commit(5, 6));
    let effects = give(&mut watch, 0, &welcome(socket(1, 1), 6));
    assert_eq!(effects, ["1.1: welcome 6 0 fresh x"]);
    assert!(!watch.is_repairing());
}

#[test]
fn a_late_copy_of_the_first_welcome_does_not_end_a_repair() {
    let mut watch = live(socket(1, 1), 4);
    give(&mut watch, 0, &commit(5, 6));
    assert!(give(&mut watch, 0, &welcome(socket(1, 1), 4)).is_empty());
    assert!(watch.is_repairing());
}

#[test]
fn a_resume_of_a_new_socket_is_announced_once() {
    let ana = socket(1, 2);
    let mut watch = watch();
    watch.join(ana, ana).unwrap();
    let answer = resumed(ana, 4, 5, true);
    let effects = give(&mut watch, 0, &answer);
    assert_eq!(effects, ["1.2: welcome 4 3 resumed", "1.2: event 5 x"]);
    assert!(give(&mut watch, 0, &answer).is_empty());
}

#[test]
fn an_answer_of_a_resumed_commit_comes_after_its_event() {
    let ana = socket(1, 2);
    let mut watch = watch();
    watch.join(ana, ana).unwrap();
    let mut answer = resumed(ana, 4, 5, true);
    let fault = Item::Fault {
        id: RequestId::Number(MessageNumber(3)),
        revision: Revision(5),
        code: FaultCode::Panicked,
    };
    answer.deliveries.push(Delivery {
        to: Recipients::Only(vec![ana]),
        item: fault,
        payload_bytes: 1,
    });
    let effects = give(&mut watch, 0, &answer);
    assert_eq!(
        effects[1..],
        ["1.2: event 5 x", "1.2: fault 3 5 panicked x"]
    );
}

#[test]
fn a_stored_answer_that_is_here_before_its_commit_is_a_gap() {
    let ana = socket(1, 1);
    let mut watch = live(ana, 4);
    let stored = |revision| {
        let item = Item::Fault {
            id: RequestId::Number(MessageNumber(3)),
            revision: Revision(revision),
            code: FaultCode::Panicked,
        };
        record(None, vec![(Recipients::Only(vec![ana]), item)])
    };
    let effects = give(&mut watch, 0, &stored(4));
    assert_eq!(effects, ["1.1: fault 3 4 panicked x"]);
    assert_eq!(give(&mut watch, 0, &stored(5)), ["1.1: resume 4"]);
    let effects = give(&mut watch, 0, &resumed(ana, 4, 5, false));
    assert_eq!(effects, ["1.1: event 5 x"]);
    let effects = give(&mut watch, 0, &stored(5));
    assert_eq!(effects, ["1.1: fault 3 5 panicked x"]);
}

#[test]
fn recipients_are_everybody_some_or_all_but_some() {
    let (ana, ben) = (socket(1, 1), socket(2, 1));
    let mut watch = live(ana, 0);
    watch.join(ben, ben).unwrap();
    give(&mut watch, 0, &welcome(ben, 0));
    let deliveries = vec![
        (Recipients::Everybody, event(1)),
        (Recipients::Except(vec![ana]), event(1)),
        (Recipients::Only(vec![ana, socket(9, 9)]), event(1)),
    ];
    let effects = give(&mut watch, 0, &record(Some((0, 1)), deliveries));
    assert_eq!(
        effects,
        ["1.1 2.1: event 1 x", "2.1: event 1 x", "1.1: event 1 x"]
    );
}

#[test]
fn whoever_is_left_out_is_so_with_its_next_socket_too() {
    let mut watch = live(socket(1, 2), 0);
    let others = Recipients::Except(vec![socket(1, 1)]);
    let cursor = record(None, vec![(others, Item::Ephemeral { text: true })]);
    assert!(give(&mut watch, 0, &cursor).is_empty());
}

#[test]
fn a_frame_of_an_older_attempt_is_dropped() {
    let mut watch = live(socket(1, 2), 0);
    let old = vec![(Recipients::Only(vec![socket(1, 1)]), event(1))];
    assert!(give(&mut watch, 0, &record(Some((0, 1)), old)).is_empty());
}

#[test]
fn a_close_in_the_chain_comes_after_what_precedes_and_ends_the_watching() {
    let ana = socket(1, 1);
    let mut watch = live(ana, 0);
    let code = CloseCode::Terminated;
    let deliveries = vec![
        (Recipients::Everybody, event(1)),
        (Recipients::Only(vec![ana]), Item::Close { code }),
        (Recipients::Everybody, event(1)),
    ];
    let effects = give(&mut watch, 0, &record(Some((0, 1)), deliveries));
    assert_eq!(effects, ["1.1: event 1 x", "1.1: close terminated"]);
    assert!(watch.is_empty());
}

#[test]
fn a_refused_connect_hears_the_reason_and_is_closed() {
    let ana = socket(1, 1);
    let mut watch = watch();
    watch.join(ana, ana).unwrap();
    let reject = Item::Reject {
        id: RequestId::Number(MessageNumber(0)),
        revision: Revision(0),
        text: true,
    };
    let code = CloseCode::Refused;
    let only = || Recipients::Only(vec![ana]);
    let refusal = record(None, vec![(only(), reject), (only(), Item::Close { code })]);
    let effects = give(&mut watch, 0, &refusal);
    assert_eq!(effects, ["1.1: reject 0 0 x", "1.1: close refused"]);
}

#[test]
fn a_newer_socket_replaces_the_older_and_an_older_one_cannot_come_in() {
    let mut watch = watch();
    assert_eq!(watch.join(socket(1, 2), socket(1, 2)), Ok(None));
    let late = watch.join(socket(1, 1), socket(1, 1));
    assert_eq!(late, Err(Overtaken::By(DialAttempt(2))));
    let newer = watch.join(socket(1, 3), socket(1, 3));
    assert_eq!(newer, Ok(Some(socket(1, 2))));
    watch.leave(socket(1, 2));
    assert!(
        !watch.is_empty(),
        "the older one's end does not end the newer"
    );
}

#[test]
fn volatile_outputs_reach_nobody_who_waits_for_a_repair() {
    let (ana, ben) = (socket(1, 1), socket(2, 1));
    let mut watch = live(ana, 0);
    give(&mut watch, 0, &commit(1, 2));
    watch.join(ben, ben).unwrap();
    give(&mut watch, 0, &welcome(ben, 2));
    let cursor = record(
        None,
        vec![(Recipients::Everybody, Item::Ephemeral { text: true })],
    );
    assert_eq!(give(&mut watch, 0, &cursor), ["2.1: ephemeral x"]);
}

/// R42: an owner that may have missed what this edge said asks for the sockets that it takes for attached.
#[test]
fn an_edge_that_is_asked_for_its_sockets_reports_those_that_it_does_not_hold() {
    let mut watch = live(socket(1, 2), 5);
    watch.join(socket(2, 1), socket(2, 1)).unwrap();
    let asked = vec![socket(1, 1), socket(1, 2), socket(2, 1), socket(3, 1)];
    let effects = give(&mut watch, 0, &still_there(EDGE, asked.clone()));
    assert_eq!(effects, ["1.1: gone", "3.1: gone"]);
    let other = Incarnation(uuid::Uuid::from_u128(9));
    assert!(give(&mut watch, 0, &still_there(other, asked)).is_empty());
}
