use xp_protocol::{Attempt, ConnectionId, MessageNumber};

use super::*;

fn outlet(frames_max: usize) -> Outlet {
    let socket = Socket {
        connection: ConnectionId(uuid::Uuid::from_u128(1)),
        attempt: Attempt(1),
    };
    let bounds = Bounds {
        bytes_max: 10,
        frames_max,
    };
    let address = "board/1".parse().unwrap();
    let peer = "127.0.0.1:1".parse().unwrap();
    Outlet::new(
        address,
        socket,
        "ana".into(),
        peer,
        crate::jwt::KeyId(1),
        bounds,
    )
}

fn frame(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

fn waiting(outlet: &Outlet) -> usize {
    outlet.take().map_or(0, |taken| taken.items.len())
}

fn is_slow(outlet: &Outlet) -> bool {
    let closing = outlet.take().and_then(|taken| taken.closing);
    closing.is_some_and(|closing| closing.code == CloseCode::Slow)
}

#[test]
fn a_client_with_too_many_frames_or_bytes_waiting_is_slow() {
    let many = outlet(2);
    (0..3).for_each(|_| many.push(frame(1)));
    assert!(is_slow(&many));
    let much = outlet(100);
    (0..3).for_each(|_| much.push(frame(4)));
    assert!(is_slow(&much));
}

#[test]
fn taken_frames_count_until_the_socket_took_them() {
    let outlet = outlet(2);
    outlet.push(frame(1));
    outlet.push(frame(1));
    assert_eq!(waiting(&outlet), 2);
    outlet.written(1, 1);
    outlet.push(frame(1));
    assert!(!is_slow(&outlet));
    outlet.push(frame(1));
    assert!(is_slow(&outlet));
}

#[test]
fn one_frame_alone_passes_however_large() {
    let outlet = outlet(100);
    outlet.push(frame(1_000));
    assert!(!is_slow(&outlet));
}

#[test]
fn what_a_client_missed_does_not_make_it_slow() {
    let outlet = outlet(2);
    for _ in 0..100 {
        outlet.push_now(Item::Telling(frame(5), Means::Repeated));
    }
    assert!(!is_slow(&outlet));
}

#[test]
fn while_dozing_news_waits_and_an_answer_brings_it_along() {
    let outlet = outlet(100);
    outlet.doze();
    outlet.push(frame(1));
    assert_eq!(waiting(&outlet), 0);
    outlet.push_now(Item::Telling(frame(1), Means::Accepted(MessageNumber(0))));
    assert_eq!(waiting(&outlet), 2);
}

#[test]
fn an_answer_that_came_before_the_doze_keeps_the_connection_awake() {
    let outlet = outlet(100);
    outlet.push_now(Item::Telling(frame(1), Means::Repeated));
    outlet.doze();
    assert_eq!(waiting(&outlet), 1);
}

#[test]
fn the_first_reason_to_close_stands_and_nothing_is_queued_behind_it() {
    let outlet = outlet(100);
    outlet.push(frame(1));
    outlet.close(CloseCode::Terminated, "");
    outlet.close(CloseCode::Draining, "");
    outlet.push(frame(1));
    let taken = outlet.take().unwrap();
    assert_eq!(taken.items.len(), 1);
    assert_eq!(taken.closing.unwrap().code, CloseCode::Terminated);
}
