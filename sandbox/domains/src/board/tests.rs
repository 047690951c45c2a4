use std::time::Duration;

use xp_domain_sdk::testkit::{GRACE, Scenario, user};

use super::*;

fn draw(x: i32) -> Command {
    Command::Draw {
        colour: "red".into(),
        points: vec![(x, 0), (x, 9)],
    }
}

fn stroke(by: &str, x: i32) -> Stroke {
    Stroke {
        by: by.into(),
        colour: "red".into(),
        points: vec![(x, 0), (x, 9)],
    }
}

fn drawn(number: u64, by: &str, x: i32) -> Event {
    Event::StrokeDrawn {
        number,
        stroke: stroke(by, x),
    }
}

#[test]
fn a_stroke_is_recorded_and_everybody_sees_it() {
    Scenario::<Board>::new()
        .when(draw(1))
        .from(user("ana"))
        .then_events([drawn(1, "ana", 1)])
        .then_broadcast(drawn(1, "ana", 1).into())
        .then_reply(Reply::Drawn { number: 1 });
}

#[test]
fn a_stroke_without_points_or_with_too_many_is_refused() {
    let line = |points| Command::Draw {
        colour: "red".into(),
        points,
    };
    Scenario::<Board>::new()
        .when(line(vec![]))
        .from("ana")
        .then_rejected(Rejection::StrokeEmpty)
        .when(line(vec![(0, 0); STROKE_POINTS_MAX + 1]))
        .from("ana")
        .then_rejected(Rejection::StrokeTooLong {
            points_max: STROKE_POINTS_MAX,
        })
        .then_nothing();
}

#[test]
fn a_full_board_takes_no_stroke_until_one_is_undone() {
    let full = (1..=STROKES_MAX as u64).map(|number| drawn(number, "ana", 0));
    Scenario::<Board>::given(full)
        .when(draw(1))
        .from("ben")
        .then_rejected(Rejection::BoardFull {
            strokes_max: STROKES_MAX,
        })
        .when(Command::Undo)
        .from("ana")
        .then_events([Event::StrokeRemoved {
            number: STROKES_MAX as u64,
        }])
        .when(draw(1))
        .from("ben")
        .then_events([drawn(STROKES_MAX as u64 + 1, "ben", 1)]);
}

#[test]
fn undo_takes_back_ones_own_last_stroke() {
    Scenario::<Board>::given([drawn(1, "ana", 1), drawn(2, "ana", 2), drawn(3, "ben", 3)])
        .when(Command::Undo)
        .from("ana")
        .then_events([Event::StrokeRemoved { number: 2 }])
        .then_broadcast(Output::StrokeRemoved { number: 2 })
        .when(Command::Undo)
        .from("cleo")
        .then_rejected(Rejection::NothingToUndo);
}

#[test]
fn a_deleted_board_is_gone_for_everybody_and_the_next_one_is_empty() {
    Scenario::<Board>::given([drawn(1, "ana", 1)])
        .connects("ben")
        .when(Command::Delete)
        .from("ana")
        .then_broadcast(Output::Deleted { by: "ana".into() })
        .then_reply(Reply::Done)
        .then_ended()
        .then_terminated("ana")
        .then_terminated("ben")
        .takeover()
        .when(draw(5))
        .from("ben")
        .then_reply(Reply::Drawn { number: 1 });
}

#[test]
fn the_number_of_a_stroke_is_never_used_again() {
    Scenario::<Board>::given([drawn(1, "ana", 1)])
        .when(Command::Clear)
        .from("ben")
        .then_events([Event::Cleared { by: "ben".into() }])
        .takeover()
        .when(draw(5))
        .from("ben")
        .then_reply(Reply::Drawn { number: 2 });
}

#[test]
fn the_strokes_can_be_counted() {
    Scenario::<Board>::given([drawn(1, "ana", 1), drawn(2, "ben", 2)])
        .when_asked(Query::Count)
        .from("cleo")
        .then_reply(Reply::Count { strokes: 2 })
        .then_nothing();
}

#[test]
fn a_cursor_is_glimpsed_by_the_others_and_leaves_no_trace() {
    Scenario::<Board>::new()
        .when_ephemeral(Command::Cursor { x: 3, y: 4 })
        .from("ana")
        .then_events([])
        .then_glimpsed_others(Output::Cursor {
            user: "ana".into(),
            x: 3,
            y: 4,
        });
}

#[test]
fn a_stroke_cannot_be_sent_as_ephemeral() {
    Scenario::<Board>::new()
        .when_ephemeral(draw(1))
        .from("ana")
        .then_fault("records events");
}

#[test]
fn whoever_comes_sees_the_board_and_who_is_here() {
    let shown = |present: &[&str]| Output::Board {
        strokes: BTreeMap::from([(1, stroke("ana", 1))]),
        present: present.iter().map(ToString::to_string).collect(),
    };
    Scenario::<Board>::given([drawn(1, "ana", 1)])
        .connects("ben")
        .then_welcome([shown(&["ben"])])
        .connects("ana")
        .then_welcome([shown(&["ana", "ben"])])
        .then_broadcast_others(Output::Joined { user: "ana".into() })
        .takeover()
        .starts_over("ben")
        .then_welcome([shown(&["ana", "ben"])]);
}

#[test]
fn the_others_see_somebody_go_come_back_and_leave_for_good() {
    Scenario::<Board>::new()
        .connects("ana")
        .disconnects("ana")
        .then_broadcast_others(Output::Away { user: "ana".into() })
        .after(GRACE / 2)
        .then_nothing()
        .reconnects("ana")
        .then_broadcast_others(Output::Back { user: "ana".into() })
        .disconnects("ana")
        .after(GRACE + Duration::from_secs(1))
        .then_terminated("ana")
        .then_broadcast_others(Output::Left { user: "ana".into() });
}

#[test]
fn a_second_window_of_the_same_person_goes_unnoticed() {
    let (desk, phone) = (user("ana").on("desk"), user("ana").on("phone"));
    Scenario::<Board>::new()
        .connects(desk.clone())
        .connects(phone.clone())
        .then_nothing()
        .leaves(phone)
        .then_nothing()
        .leaves(desk)
        .then_broadcast_others(Output::Left { user: "ana".into() });
}

#[test]
fn nonsense_is_a_fault_and_changes_nothing() {
    Scenario::<Board>::given([drawn(1, "ana", 1)])
        .when_frame(r#"{"type":"Paint"}"#)
        .from("ana")
        .then_fault("unknown variant `Paint`")
        .then_nothing();
}
