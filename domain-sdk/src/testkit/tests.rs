//! Tests of the test kit: each silent check can fail, and a story that goes otherwise says so readably.

mod bad;
mod ended;
mod ledger;
mod shop;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bad::{Bad, Command, Event, Signal};
use ledger::Ledger;
use shop::{Scale, Shop};

use super::*;
use crate::entity::Ticket;

fn ticket_number(ticket: Ticket) -> u64 {
    ticket.0.0
}

/// What the story fails with.
fn failure(story: impl FnOnce()) -> String {
    let thrown =
        catch_unwind(AssertUnwindSafe(story)).expect_err("the story should fail, and went through");
    thrown
        .downcast_ref::<String>()
        .expect("failures are formatted")
        .clone()
}

#[track_caller]
fn fails_with(expected: &str, story: impl FnOnce()) {
    let message = failure(story);
    assert!(
        message.contains(expected),
        "expected a failure with {expected:?}, and got\n{message}"
    );
}

fn record(events: impl IntoIterator<Item = Event>) -> Scenario<Bad> {
    Scenario::<Bad>::new()
        .when(Command::Record(events.into_iter().collect()))
        .from("ana")
}

#[test]
fn a_word_that_does_not_survive_its_codec_is_found() {
    fails_with("the Reply null does not survive its codec", || {
        Scenario::<Bad>::new().when(Command::NotANumber).from("ana");
    });
}

#[test]
fn an_upcaster_that_mangles_todays_events_is_found() {
    fails_with("read_event makes 2 events of it", || {
        record([Event::DoubledByUpcaster]);
    });
}

#[test]
fn a_decision_from_a_field_that_is_not_kept_is_found() {
    let skipped = || record([Event::Skipped]);
    fails_with("decides otherwise on reloaded state", || {
        skipped().when(Command::ReadSkipped).from("ana");
    });
    fails_with("answers otherwise on reloaded state", || {
        skipped().when_asked(()).from("ana");
    });
    fails_with("welcomes otherwise on reloaded state", || {
        skipped().starts_over("ana");
    });
}

#[test]
fn a_decision_from_outside_of_the_state_is_found() {
    fails_with("decides otherwise on reloaded state", || {
        Scenario::<Bad>::new()
            .when(Command::CountOutside)
            .from("ana");
    });
}

#[test]
fn a_hash_set_in_the_state_is_found() {
    fails_with("the state of bad/1 is another when it is reloaded", || {
        record((0..40).map(Event::Hashed));
    });
}

#[test]
fn an_apply_that_looks_outside_is_found() {
    fails_with("is another when it is folded anew from the log", || {
        record([Event::CountedOutside]);
    });
}

#[test]
fn a_snapshot_that_lacks_what_the_tail_needs_is_found() {
    fails_with(
        "is another when it is from a snapshot and the tail behind it",
        || {
            record([Event::Skipped])
                .when(Command::Record(vec![Event::SkippedAdded]))
                .from("ana");
        },
    );
}

#[test]
fn a_state_without_an_encoding_is_found() {
    fails_with(
        "bad/1 cannot be kept: unreadable state: key must be a string",
        || {
            record([Event::Paired]);
        },
    );
}

#[test]
fn an_event_that_never_changes_anything_is_named_unless_it_is_declared() {
    fails_with("records Forgotten, which never changed its state", || {
        record([Event::Forgotten]);
    });
    record([Event::Forgotten]).log_only(["Forgotten"]);
}

#[test]
fn a_ticket_answered_twice_or_never_given_is_found() {
    let kept = || {
        Scenario::<Bad>::new()
            .when(Command::Keep)
            .from("ana")
            .then_waiting()
    };
    let ticket = ticket_of_keep();
    kept()
        .when(Command::Answer(ticket))
        .from("ben")
        .then_late_reply("ana", 1.0);
    fails_with("answers the ticket 2 twice", || {
        kept().when(Command::AnswerTwice(ticket)).from("ben");
    });
    fails_with("answers the ticket 2 twice", || {
        kept()
            .when(Command::Answer(ticket))
            .from("ben")
            .when(Command::Answer(ticket))
            .from("ben");
    });
    fails_with("which it never had", || {
        let ticket = Ticket(xp_protocol::TicketId(99));
        Scenario::<Bad>::new()
            .when(Command::Answer(ticket))
            .from("ben");
    });
}

/// The first command of a fresh session is the second message.
fn ticket_of_keep() -> Ticket {
    let ticket = Ticket(xp_protocol::TicketId(2));
    Scenario::<Bad>::new()
        .when(Command::Keep)
        .from("ana")
        .then_broadcast(ticket_number(ticket));
    ticket
}

#[test]
fn a_ticket_that_times_out_is_a_fault_that_must_be_expected() {
    let waiting = || {
        Scenario::<Bad>::new()
            .when(Command::Later)
            .from("ana")
            .then_waiting()
            .after(TICKET_TIMEOUT)
    };
    waiting().then_unanswered("ana");
    fails_with("a ticket went unanswered for 30s", || {
        waiting();
    });
}

#[test]
fn tickets_end_with_their_session() {
    let ticket = ticket_of_keep();
    Scenario::<Bad>::new()
        .when(Command::Keep)
        .from("ana")
        .leaves("ana")
        .then_unanswered("ana")
        .when(Command::Answer(ticket))
        .from("ben")
        .then_nothing();
}

#[test]
fn a_fault_that_nobody_expected_fails_at_the_next_step_and_at_the_end() {
    let panics = || Scenario::<Bad>::new().when(Command::Panic).from("ana");
    panics().then_fault("on purpose");
    fails_with(
        "a fault that nobody expected: decide panicked: on purpose",
        || {
            panics();
        },
    );
    fails_with("step 2: ana sends", || {
        panics().takeover();
    });
}

#[test]
fn a_panic_in_apply_is_a_fault_and_leaves_the_entity_as_it_was() {
    Scenario::<Bad>::given([Event::Added(3)])
        .when(Command::Record(vec![Event::Added(4), Event::Poison]))
        .from("ana")
        .then_fault("apply panicked: poisoned")
        .then_nothing()
        .when(Command::Record(vec![Event::Added(1)]))
        .from("ana")
        .then_broadcast(3);
}

#[test]
fn an_answer_looked_at_too_early_is_found() {
    fails_with("look at it in `fn signal`", || {
        Scenario::<Bad>::new().when(Command::Inspect).from("ana");
    });
}

#[test]
fn entities_that_keep_each_other_busy_for_ever_are_found() {
    fails_with("keep each other busy", || {
        Scenario::<Bad>::new().when(Command::Loop).from("ana");
    });
}

#[test]
fn an_ask_is_answered_by_an_entity_on_stage() {
    Scenario::<Bad>::new()
        .when(Command::Ask)
        .from("ana")
        .then_asked(Bad::at("2"), Signal::Question)
        .then_reply(42.0);
}

#[test]
fn words_on_their_way_survive_a_takeover() {
    Scenario::<Bad>::new()
        .hold_words()
        .when(Command::Ask)
        .from("ana")
        .then_waiting()
        .takeover()
        .deliver()
        .then_late_reply("ana", 42.0);
}

#[test]
fn a_session_without_a_socket_stays_until_its_grace_is_over() {
    Scenario::<Bad>::new()
        .grace(Duration::from_secs(5))
        .connects("ana")
        .disconnects("ana")
        .then_broadcast(1)
        .after(Duration::from_secs(4))
        .then_nothing()
        .after(Duration::from_secs(1))
        .then_terminated("ana");
    fails_with("ana has no socket just now", || {
        Scenario::<Bad>::new()
            .connects("ana")
            .disconnects("ana")
            .when(Command::Later)
            .from("ana");
    });
}

#[test]
fn a_story_that_went_otherwise_shows_both_sides_and_the_step() {
    let story = || record([Event::Added(2)]);
    let message = failure(|| {
        story().then_events([Event::Added(3)]);
    });
    assert_eq!(
        message,
        "bad/1, step 2: ana sends {\"Record\":[{\"Added\":2}]}\n\
         expected the events of bad/1 [{\"Added\":3}]\n     got [{\"Added\":2}]"
    );
    fails_with("expected the reply 1.5\n     got the reply 0.0", || {
        story().then_reply(1.5);
    });
    fails_with("expected to be shown 7\n                  got 0", || {
        story().then_broadcast(7);
    });
    fails_with(
        "expected to be shown 0\n                  got nothing of the kind",
        || {
            story().then_whispered("ana", 0);
        },
    );
    fails_with("expected: nothing", || {
        story().then_nothing();
    });
    fails_with("expected: somebody tells bad/2 \"Again\"", || {
        story().then_told(Bad::at("2"), Signal::Again);
    });
    fails_with("expected: no answer yet\n     got: the reply 0.0", || {
        story().then_waiting();
    });
    fails_with("expected: a fault that contains \"x\"", || {
        story().then_fault("x");
    });
    fails_with("expected the welcome [1]\n                 got [0]", || {
        Scenario::<Bad>::new().connects("ana").then_welcome([1]);
    });
    fails_with("ana has no session here", || {
        Scenario::<Bad>::new().leaves("ana");
    });
}

#[test]
fn a_binary_entity_answers_a_json_one_whatever_the_asker_is_called() {
    Scenario::<Shop>::new()
        .with::<Scale>("1", [500])
        .when(400)
        .from("the answer will stand here")
        .then_events([r#"the answer will stand here: Ok((500, "\"g\""))"#.to_owned()])
        .when(501)
        .from("ana")
        .then_events([r#"ana: Err(Rejected("only 500 g"))"#.to_owned()]);
}

#[test]
fn events_of_older_builds_are_read_as_todays() {
    let stored = [
        r#"{"type":"Moved","data":{"gave":2,"got":5}}"#,
        r#"{"type":"PageTurned"}"#,
        r#"{"type":"Booked","data":{"cents":7}}"#,
    ];
    Scenario::<Ledger>::given_stored(stored)
        .log_only(["PageTurned"])
        .when(1)
        .from("ana")
        .then_events([ledger::Event::Booked { cents: 1 }])
        .takeover()
        .when_asked(())
        .from("ana")
        .then_reply(308);
    fails_with(
        "cannot apply what is given: unreadable event: unknown variant `Burnt`",
        || {
            let _ = Scenario::<Ledger>::given_stored([r#"{"type":"Burnt"}"#]);
        },
    );
}
