mod interleaved;
pub(crate) mod fakes;

use futures_util::FutureExt;
use xp_protocol::MessageNumber;

use self::fakes::{Peer, send_queue, text, within};
use super::*;

/// Whether the connection is woken.
fn is_woken(send_queue: &SendQueue) -> bool {
    send_queue.woken().now_or_never().is_some()
}

fn listed(send_queue: &SendQueue) -> usize {
    let mut listed = Vec::new();
    send_queue.ready.take(&mut listed);
    listed.len()
}

fn answer(text: &'static str) -> Item {
    let kind = FrameKind::Accepted(MessageNumber(0));
    Item::Telling(Bytes::from_static(text.as_bytes()), kind)
}

fn frame(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

fn is_slow(send_queue: &SendQueue) -> bool {
    let closing = send_queue.take().and_then(|(taken, _)| taken.closing);
    closing.is_some_and(|closing| closing.code == CloseCode::Slow)
}

#[test]
fn a_client_with_too_many_frames_or_bytes_waiting_is_slow() {
    let many = send_queue(2);
    (0..3).for_each(|_| many.push(frame(1)));
    assert!(is_slow(&many));
    let much = send_queue(100);
    (0..3).for_each(|_| much.push(frame(4)));
    assert!(is_slow(&much));
}

#[test]
fn taken_frames_count_until_the_socket_took_them() {
    let send_queue = send_queue(2);
    send_queue.push(frame(1));
    send_queue.push_now(answer("a"));
    send_queue.push(frame(1));
    assert_eq!(send_queue.take().unwrap().0.items.len(), 3);
    send_queue.written(Wrote {
        frames: 1,
        bytes: 1,
    });
    send_queue.push(frame(1));
    assert!(!is_slow(&send_queue));
    send_queue.push(frame(1));
    assert!(is_slow(&send_queue));
}

#[test]
fn one_frame_alone_passes_however_large() {
    let send_queue = send_queue(100);
    send_queue.push(frame(1_000));
    assert!(!is_slow(&send_queue));
}

#[test]
fn what_a_client_missed_does_not_make_it_slow() {
    let send_queue = send_queue(2);
    for _ in 0..100 {
        send_queue.push_now(Item::Telling(frame(5), FrameKind::Repeated));
    }
    assert!(!is_slow(&send_queue));
}

#[test]
fn news_for_an_idle_connection_is_written_together_and_does_not_wake_it() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(100));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    assert_eq!(listed(&send_queue), 0);
    send_queue.push(text("a"));
    send_queue.push(text("b"));
    assert_eq!(listed(&send_queue), 1, "it is listed once");
    send_queue.flush(7);
    assert_eq!(peer.writes(), ["ab"]);
    assert!(send_queue.was_flushed_in(7));
    assert!(!is_woken(&send_queue));
    send_queue.push(text("c"));
    assert_eq!(listed(&send_queue), 1, "it is listed anew");
}

#[test]
fn an_answer_wakes_the_connection_which_takes_the_news_before_it_along() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(100));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    send_queue.push(text("news"));
    send_queue.push_now(answer("answer"));
    assert!(is_woken(&send_queue));
    send_queue.flush(1);
    assert_eq!(peer.writes(), [""; 0], "the flusher keeps away");
    let (taken, writer) = send_queue.take().unwrap();
    assert_eq!(taken.items.len(), 2);
    assert!(writer.is_some());
}

#[test]
fn news_that_came_while_the_connection_wrote_is_listed_when_it_has_written() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(100));
    send_queue.push(text("a"));
    assert_eq!(
        listed(&send_queue),
        0,
        "the connection has the sending half"
    );
    send_queue.park(Box::new(Writer::new(peer.clone())));
    assert_eq!(listed(&send_queue), 1);
    send_queue.flush(1);
    assert_eq!(peer.writes(), ["a"]);
}

#[test]
fn the_flusher_that_comes_while_the_connection_writes_leaves_all_to_it() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(100));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    send_queue.push(text("a"));
    let writer = send_queue.unpark().unwrap();
    assert_eq!(listed(&send_queue), 1);
    send_queue.flush(1);
    send_queue.park(writer);
    assert_eq!(listed(&send_queue), 1);
    send_queue.flush(2);
    assert_eq!(peer.writes(), ["a"]);
}

#[test]
fn what_a_socket_does_not_take_is_left_to_its_connection_in_order() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(3));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    send_queue.push(text("ab"));
    send_queue.push(text("cd"));
    send_queue.flush(1);
    assert!(is_woken(&send_queue));
    send_queue.push(text("e"));
    let (taken, writer) = send_queue.take().unwrap();
    assert_eq!(taken.items.len(), 1, "the rest is with the sending half");
    peer.0.lock().unwrap().room = 100;
    let mut writer = writer.unwrap();
    let wrote = writer.write_some().now_or_never().unwrap().unwrap();
    assert_eq!(wrote.frames, 1, "the first one was told of before");
    assert_eq!(peer.writes().concat(), "abcd");
}

#[test]
fn the_connection_of_a_broken_socket_learns_of_it() {
    let (send_queue, peer) = (send_queue(100), Peer::with_room(3));
    peer.0.lock().unwrap().is_broken = true;
    send_queue.park(Box::new(Writer::new(peer)));
    send_queue.push(text("a"));
    send_queue.flush(1);
    assert!(is_woken(&send_queue));
    let mut writer = send_queue.take().unwrap().1.unwrap();
    assert!(writer.write_some().now_or_never().unwrap().is_err());
}

#[test]
fn a_flusher_that_is_late_makes_nobody_slow_whose_socket_takes_all() {
    let (send_queue, peer) = (send_queue(2), Peer::with_room(1_000));
    send_queue.park(Box::new(Writer::new(peer.clone())));
    (0..50).for_each(|_| send_queue.push(text("a")));
    assert!(!is_slow(&send_queue));
    send_queue.flush(1);
    assert_eq!(peer.writes().concat().len(), 50);
}

#[test]
fn the_first_reason_to_close_stands_and_nothing_is_queued_behind_it() {
    let send_queue = send_queue(100);
    send_queue.push(frame(1));
    send_queue.close(CloseCode::Terminated, "");
    send_queue.close(CloseCode::Draining, "");
    send_queue.push(frame(1));
    let (taken, _) = send_queue.take().unwrap();
    assert_eq!(taken.items.len(), 1);
    assert_eq!(taken.closing.unwrap().code, CloseCode::Terminated);
}
