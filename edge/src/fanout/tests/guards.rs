//! Guards of fan-out: `cargo xtask guards` counts their instructions.

use xp_guards::counted;

use super::*;

#[test]
fn a_record_is_fanned_out_to_a_hundred_sockets() {
    let mut audience = Audience::of(100);
    audience.written();
    let event = audience.event();
    counted(|| audience.hear(&event));
    audience.flush();
    assert_eq!(audience.written(), 100 * frame_bytes(audience.revision));
}

#[test]
fn news_is_put_into_a_send_queue() {
    let mut audience = Audience::of(1);
    audience.written();
    let frame = Bytes::from_static(EVENT);
    counted(|| audience.send_queues[0].push(frame));
    audience.flush();
    assert_eq!(audience.written(), EVENT.len());
}

#[test]
fn a_connection_with_one_frame_is_flushed() {
    check_flush(1);
}

#[test]
fn a_connection_with_ten_frames_is_flushed() {
    check_flush(10);
}

fn check_flush(frames: usize) {
    let audience = Audience::of(1);
    let send_queue = &audience.send_queues[0];
    for period in 0..2 {
        audience.written();
        (0..frames).for_each(|_| send_queue.push(Bytes::from_static(EVENT)));
        counted_in(period == 1, || send_queue.flush(period));
        assert_eq!(audience.written(), frames * EVENT.len());
    }
}

/// The first time prepares.
fn counted_in(is_counted: bool, run: impl FnOnce()) {
    match is_counted {
        true => counted(run),
        false => run(),
    }
}
