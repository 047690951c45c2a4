//! Tests of the record of a step: it answers each question once, and of the right one.

use uuid::Uuid;

use super::*;

const STEP: Message = Message(2);
const EARLIER: Message = Message(1);

fn lamp(id: &str) -> Address {
    Address::new("lamp", id).expect("a category and an id")
}

fn session(n: u128) -> ConnectionId {
    ConnectionId(Uuid::from_u128(n))
}

fn reply(text: &'static str) -> Received {
    Received::Answer(Outcome::Reply(Bytes::from_static(text.as_bytes())))
}

fn show(to: Audience, output: &'static str, volatile: bool) -> Show {
    let output = Bytes::from_static(output.as_bytes());
    Show {
        to,
        output,
        volatile,
    }
}

fn shown(observed: &mut Observed, to: ShownTo, volatile: bool) -> Option<Bytes> {
    let show = observed.take_show(&lamp("1"), to, volatile)?;
    Some(show.output)
}

#[test]
fn the_answer_of_the_step_is_the_one_to_its_own_message() {
    let mut observed = Observed::default();
    observed.sent(STEP);
    observed.answered(EARLIER, Some(session(1)), reply("late"));
    assert_eq!(observed.answer(), None);
    observed.answered(STEP, Some(session(1)), reply("now"));
    assert_eq!(observed.answer(), Some(&reply("now")));
    let mut late = || observed.take_late_answer(session(1));
    assert_eq!(late(), Some(reply("late")));
    assert_eq!(late(), None, "what came in time is not late too");
}

#[test]
fn late_answers_are_taken_by_session_and_in_order() {
    let mut observed = Observed::default();
    for (to, text) in [(1, "first"), (2, "other"), (1, "second")] {
        observed.answered(EARLIER, Some(session(to)), reply(text));
    }
    let mut late = |to| observed.take_late_answer(session(to));
    assert_eq!(late(1), Some(reply("first")));
    assert_eq!(late(1), Some(reply("second")));
    assert_eq!(late(2), Some(reply("other")));
    assert_eq!(late(2), None);
}

#[test]
fn an_answer_to_the_test_itself_that_comes_late_is_nobodys() {
    let mut observed = Observed::default();
    observed.answered(EARLIER, None, reply("late"));
    assert_eq!(observed.answer(), None);
}

#[test]
fn outputs_are_taken_in_order_within_their_audience() {
    let only = Audience::Only(vec![session(1), session(2)]);
    let shows = vec![
        show(Audience::Everybody, "a", false),
        show(only, "b", false),
        show(Audience::Everybody, "c", true),
        show(Audience::Except(session(1)), "d", false),
        show(Audience::Everybody, "e", false),
    ];
    let mut observed = Observed::default();
    observed.committed(
        &lamp("2"),
        vec![],
        vec![show(Audience::Everybody, "x", false)],
    );
    observed.committed(&lamp("1"), vec![], shows);
    let to_ben = ShownTo::Session(session(2));
    assert_eq!(shown(&mut observed, to_ben, false), Some("b".into()));
    assert_eq!(shown(&mut observed, to_ben, false), None);
    let everybody = ShownTo::Everybody;
    assert_eq!(shown(&mut observed, everybody, false), Some("a".into()));
    assert_eq!(shown(&mut observed, everybody, false), Some("e".into()));
    assert_eq!(shown(&mut observed, everybody, false), None);
    assert_eq!(shown(&mut observed, everybody, true), Some("c".into()));
    let left: Vec<_> = observed
        .shows_of(&lamp("1"))
        .map(|show| &show.output)
        .collect();
    assert_eq!(left, ["d"]);
    assert_eq!(observed.show_count(), 2, "one is of the other entity");
    assert_eq!(
        shown(&mut observed, ShownTo::Others, false),
        Some("d".into())
    );
}

#[test]
fn events_are_those_of_one_entity_over_all_its_commits() {
    let mut observed = Observed::default();
    for (id, events) in [("1", vec!["a", "b"]), ("2", vec!["x"]), ("1", vec!["c"])] {
        let events = events.into_iter().map(Bytes::from).collect();
        observed.committed(&lamp(id), events, vec![]);
    }
    let of_first: Vec<_> = observed.events_of(&lamp("1")).collect();
    assert_eq!(of_first, ["a", "b", "c"]);
    assert_eq!(observed.event_count(), 4);
}

#[test]
fn a_tell_is_taken_once_and_is_no_ask() {
    let mut observed = Observed::default();
    observed.told(SentTell {
        from: lamp("1"),
        to: lamp("2"),
        signal: Bytes::from_static(b"on"),
        asked: false,
    });
    assert!(!observed.take_tell(&lamp("2"), b"on", true));
    assert!(!observed.take_tell(&lamp("2"), b"off", false));
    assert!(!observed.take_tell(&lamp("1"), b"on", false));
    assert!(observed.take_tell(&lamp("2"), b"on", false));
    assert!(!observed.take_tell(&lamp("2"), b"on", false));
    assert!(observed.tells().is_empty());
}

#[test]
fn a_fault_is_taken_by_its_text_and_the_others_stay() {
    let mut observed = Observed::default();
    for text in ["one", "two"] {
        observed.faulted(&lamp("1"), Fault::Misuse(text.to_owned()));
    }
    assert!(!observed.take_fault(|fault| fault.contains("three")));
    assert!(observed.take_fault(|fault| fault.contains("two")));
    assert_eq!(
        observed.faults(),
        [(lamp("1"), Fault::Misuse("one".to_owned()))]
    );
}

#[test]
fn ends_are_of_one_session_and_of_one_entity() {
    let mut observed = Observed::default();
    observed.session_ended(session(1));
    observed.entity_ended(&lamp("1"));
    assert!(observed.has_session_ended(session(1)) && !observed.has_session_ended(session(2)));
    assert!(observed.has_entity_ended(&lamp("1")) && !observed.has_entity_ended(&lamp("2")));
}
