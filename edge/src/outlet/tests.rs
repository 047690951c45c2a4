mod interleaved;
pub(crate) mod fakes;

use futures_util::FutureExt;
use xp_protocol::MessageNumber;

use self::fakes::{Peer, outlet, text, within};
use super::*;

/// Whether the connection is woken.
fn is_woken(outlet: &Outlet) -> bool {
    outlet.woken().now_or_never().is_some()
}

fn listed(outlet: &Outlet) -> usize {
    let mut listed = Vec::new();
    outlet.ready.take(&mut listed);
    listed.len()
}

fn answer(text: &'static str) -> Item {
    let means = Means::Accepted(MessageNumber(0));
    Item::Telling(Bytes::from_static(text.as_bytes()), means)
}

fn frame(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

fn is_slow(outlet: &Outlet) -> bool {
    let closing = outlet.take().and_then(|(taken, _)| taken.closing);
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
    outlet.push_now(answer("a"));
    outlet.push(frame(1));
    assert_eq!(outlet.take().unwrap().0.items.len(), 3);
    outlet.written(Wrote {
        frames: 1,
        bytes: 1,
    });
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
fn news_for_an_idle_connection_is_written_together_and_does_not_wake_it() {
    let (outlet, peer) = (outlet(100), Peer::with_room(100));
    outlet.park(Box::new(Writer::new(peer.clone())));
    assert_eq!(listed(&outlet), 0);
    outlet.push(text("a"));
    outlet.push(text("b"));
    assert_eq!(listed(&outlet), 1, "it is listed once");
    outlet.flush(7);
    assert_eq!(peer.writes(), ["ab"]);
    assert!(outlet.was_flushed_in(7));
    assert!(!is_woken(&outlet));
    outlet.push(text("c"));
    assert_eq!(listed(&outlet), 1, "it is listed anew");
}

#[test]
fn an_answer_wakes_the_connection_which_takes_the_news_before_it_along() {
    let (outlet, peer) = (outlet(100), Peer::with_room(100));
    outlet.park(Box::new(Writer::new(peer.clone())));
    outlet.push(text("news"));
    outlet.push_now(answer("answer"));
    assert!(is_woken(&outlet));
    outlet.flush(1);
    assert_eq!(peer.writes(), [""; 0], "the flusher keeps away");
    let (taken, writer) = outlet.take().unwrap();
    assert_eq!(taken.items.len(), 2);
    assert!(writer.is_some());
}

#[test]
fn news_that_came_while_the_connection_wrote_is_listed_when_it_has_written() {
    let (outlet, peer) = (outlet(100), Peer::with_room(100));
    outlet.push(text("a"));
    assert_eq!(listed(&outlet), 0, "the connection has the sending half");
    outlet.park(Box::new(Writer::new(peer.clone())));
    assert_eq!(listed(&outlet), 1);
    outlet.flush(1);
    assert_eq!(peer.writes(), ["a"]);
}

#[test]
fn the_flusher_that_comes_while_the_connection_writes_leaves_all_to_it() {
    let (outlet, peer) = (outlet(100), Peer::with_room(100));
    outlet.park(Box::new(Writer::new(peer.clone())));
    outlet.push(text("a"));
    let writer = outlet.unpark().unwrap();
    assert_eq!(listed(&outlet), 1);
    outlet.flush(1);
    outlet.park(writer);
    assert_eq!(listed(&outlet), 1);
    outlet.flush(2);
    assert_eq!(peer.writes(), ["a"]);
}

#[test]
fn what_a_socket_does_not_take_is_left_to_its_connection_in_order() {
    let (outlet, peer) = (outlet(100), Peer::with_room(3));
    outlet.park(Box::new(Writer::new(peer.clone())));
    outlet.push(text("ab"));
    outlet.push(text("cd"));
    outlet.flush(1);
    assert!(is_woken(&outlet));
    outlet.push(text("e"));
    let (taken, writer) = outlet.take().unwrap();
    assert_eq!(taken.items.len(), 1, "the rest is with the sending half");
    peer.0.lock().unwrap().room = 100;
    let mut writer = writer.unwrap();
    let wrote = writer.write_some().now_or_never().unwrap().unwrap();
    assert_eq!(wrote.frames, 1, "the first one was told of before");
    assert_eq!(peer.writes().concat(), "abcd");
}

#[test]
fn the_connection_of_a_broken_socket_learns_of_it() {
    let (outlet, peer) = (outlet(100), Peer::with_room(3));
    peer.0.lock().unwrap().is_broken = true;
    outlet.park(Box::new(Writer::new(peer)));
    outlet.push(text("a"));
    outlet.flush(1);
    assert!(is_woken(&outlet));
    let mut writer = outlet.take().unwrap().1.unwrap();
    assert!(writer.write_some().now_or_never().unwrap().is_err());
}

#[test]
fn a_flusher_that_is_late_makes_nobody_slow_whose_socket_takes_all() {
    let (outlet, peer) = (outlet(2), Peer::with_room(1_000));
    outlet.park(Box::new(Writer::new(peer.clone())));
    (0..50).for_each(|_| outlet.push(text("a")));
    assert!(!is_slow(&outlet));
    outlet.flush(1);
    assert_eq!(peer.writes().concat().len(), 50);
}

#[test]
fn the_first_reason_to_close_stands_and_nothing_is_queued_behind_it() {
    let outlet = outlet(100);
    outlet.push(frame(1));
    outlet.close(CloseCode::Terminated, "");
    outlet.close(CloseCode::Draining, "");
    outlet.push(frame(1));
    let (taken, _) = outlet.take().unwrap();
    assert_eq!(taken.items.len(), 1);
    assert_eq!(taken.closing.unwrap().code, CloseCode::Terminated);
}
