use serde_json::json;
use xp_domain_sdk::testkit::{GRACE, Scenario, User, user};

use super::*;

fn thing() -> User {
    user("thermostat-7").claims(json!({ "thing": true }))
}

fn heat(target: i16) -> Settings {
    Settings {
        target,
        mode: Mode::Heat,
    }
}

fn report(wish: u32) -> Report {
    Report {
        wish,
        settings: heat(2_150),
    }
}

#[test]
fn a_wish_reaches_the_thing_in_a_few_bytes() {
    let wish = Output::Wished {
        wish: 1,
        settings: heat(2_150),
    };
    assert_eq!(
        Codec::Binary.write(&wish).unwrap(),
        [1, 1, 251, 0xcc, 0x10, 1]
    );
    Scenario::<Device>::new()
        .connects(thing())
        .when_frame([0, 251, 0xcc, 0x10, 1])
        .from("ana")
        .then_events([Event::Wished(heat(2_150))])
        .then_broadcast(wish)
        .then_reply(());
}

#[test]
fn a_wish_out_of_range_is_refused() {
    Scenario::<Device>::new()
        .when(Command::Wish(heat(3_001)))
        .from("ana")
        .then_rejected(Rejection::OutOfRange {
            min: 500,
            max: 3_000,
        })
        .then_nothing();
}

#[test]
fn people_see_what_the_thing_says_of_itself() {
    Scenario::<Device>::given([Event::Wished(heat(2_150))])
        .connects("ana")
        .when(Command::Report(report(1)))
        .from(thing())
        .then_events([Event::Reported(report(1))])
        .then_broadcast_others(Output::Reported(report(1)))
        .when_ephemeral(Command::Measured { temperature: 1_987 })
        .from(thing())
        .then_glimpsed_others(Output::Measured { temperature: 1_987 });
}

#[test]
fn the_thing_cannot_have_done_what_nobody_wished() {
    Scenario::<Device>::new()
        .when(Command::Report(report(1)))
        .from(thing())
        .then_rejected(Rejection::NoSuchWish);
}

#[test]
fn people_and_things_do_not_speak_for_each_other() {
    Scenario::<Device>::new()
        .when(Command::Report(report(0)))
        .from("ana")
        .then_rejected(Rejection::ForThingsOnly)
        .when(Command::Wish(heat(2_000)))
        .from(thing())
        .then_rejected(Rejection::ForPeopleOnly);
}

#[test]
fn a_thing_that_comes_back_finds_what_was_wished_meanwhile() {
    let twin = |online| Output::Twin {
        wish: 2,
        wished: heat(1_900),
        reported: None,
        online,
    };
    Scenario::<Device>::given([Event::Wished(heat(2_150)), Event::Wished(heat(1_900))])
        .connects("ana")
        .then_welcome([twin(false)])
        .takeover()
        .connects(thing())
        .then_events([Event::CameOnline])
        .then_broadcast_others(Output::Online(true))
        .then_welcome([twin(true)]);
}

#[test]
fn a_twin_knows_whether_its_thing_is_online() {
    Scenario::<Device>::new()
        .connects(thing())
        .disconnects(thing())
        .then_events([Event::WentOffline])
        .reconnects(thing())
        .then_events([Event::CameOnline])
        .disconnects(thing())
        .after(GRACE)
        .then_terminated(thing())
        .then_nothing();
}

#[test]
fn a_thing_has_one_session() {
    Scenario::<Device>::new()
        .connects(thing())
        .connects(thing().on("copy"))
        .then_rejected(Rejection::ConnectedAlready);
}

#[test]
fn a_frame_cut_short_is_a_fault_and_changes_nothing() {
    Scenario::<Device>::new()
        .when_frame([0, 251])
        .from("ana")
        .then_fault("unreadable command")
        .then_nothing();
}
