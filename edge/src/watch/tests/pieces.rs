//! R41: what is too large for one record, in pieces and in portions; and what an edge does that missed records.

use xp_protocol::outbound::Transfer;
use xp_protocol::{Epoch, Offset};

use super::*;

/// The pieces of a welcome, as an owner of `epoch` cuts it.
fn pieces(to: Socket, epoch: u64, number: u64, payload: &str) -> Vec<(Outbound, Bytes)> {
    let whole = welcome(to, 7).deliveries;
    let transfer = Transfer {
        epoch: Epoch(epoch),
        number,
    };
    let last = payload.len() - 1;
    let piece = |(at, byte): (usize, char)| {
        let index = u32::try_from(at).unwrap();
        let item = if at == last {
            let mut deliveries = whole.clone();
            deliveries[0].payload_bytes = u32::try_from(payload.len()).unwrap();
            Item::LastPiece {
                transfer,
                index,
                deliveries,
            }
        } else {
            Item::Piece { transfer, index }
        };
        let record = record(None, vec![(Recipients::Only(vec![to]), item)]);
        (record, Bytes::from(byte.to_string()))
    };
    payload.chars().enumerate().map(piece).collect()
}

fn take(watch: &mut Watch<Socket>, (record, value): &(Outbound, Bytes)) -> Vec<String> {
    let parts = record.split(value).unwrap();
    let effects = watch.on_record(TimeMs(0), record.link, &parts);
    let shown = |effect: &String| !effect.ends_with("coming");
    effects.iter().map(text).filter(shown).collect()
}

fn take_all(watch: &mut Watch<Socket>, pieces: &[&(Outbound, Bytes)]) -> Vec<String> {
    pieces.iter().flat_map(|piece| take(watch, piece)).collect()
}

fn pending(at: Socket) -> Watch<Socket> {
    let mut watch = watch();
    watch.join(at, at).unwrap();
    watch
}

#[test]
fn a_welcome_in_pieces_is_shown_as_one_frame_when_it_is_whole() {
    let ana = socket(1, 1);
    let mut watch = pending(ana);
    let abc = pieces(ana, 40, 1, "abc");
    assert_eq!(
        take_all(&mut watch, &[&abc[0], &abc[1]]),
        [""; 0],
        "not yet"
    );
    assert_eq!(take(&mut watch, &abc[2]), ["1.1: welcome 7 0 fresh abc"]);
    assert_eq!(give(&mut watch, 0, &commit(7, 8)), ["1.1: event 8 x"]);
}

#[test]
fn pieces_that_come_twice_are_taken_once_and_missing_or_reordered_ones_give_the_record_up() {
    let ana = socket(1, 1);
    let abc = pieces(ana, 40, 1, "abc");
    let (a, b, c) = (&abc[0], &abc[1], &abc[2]);
    let whole = ["1.1: welcome 7 0 fresh abc"];
    assert_eq!(take_all(&mut pending(ana), &[a, a, b, a, b, c, c]), whole);
    for broken in [vec![a, c], vec![b, c], vec![a, c, b], vec![b, a, c]] {
        assert_eq!(take_all(&mut pending(ana), &broken), [""; 0]);
    }
}

#[test]
fn pieces_of_two_owners_or_of_two_renderings_never_mix() {
    let ana = socket(1, 1);
    let (old, new) = (pieces(ana, 40, 1, "abc"), pieces(ana, 50, 1, "xyz"));
    let mixed = [&old[0], &old[1], &new[0], &old[2], &new[1], &new[2]];
    let whole = ["1.1: welcome 7 0 fresh xyz"];
    assert_eq!(take_all(&mut pending(ana), &mixed), whole);
    let again = pieces(ana, 40, 2, "xyz");
    let mixed = [&old[0], &again[0], &again[1], &old[1], &again[2], &old[2]];
    assert_eq!(take_all(&mut pending(ana), &mixed), whole);
}

#[test]
fn pieces_for_another_attempt_are_no_pieces_and_their_end_is_answered_by_a_disconnect() {
    let (gone, ana) = (socket(1, 1), socket(1, 2));
    let mut watch = pending(gone);
    let abc = pieces(gone, 40, 1, "abc");
    take(&mut watch, &abc[0]);
    watch.join(ana, ana).unwrap();
    assert_eq!(
        take_all(&mut watch, &[&abc[1], &abc[2]]),
        ["1.1: gone"],
        "R24, R28"
    );
}

#[test]
fn what_is_larger_than_the_edge_holds_is_given_up() {
    let ana = socket(1, 1);
    let mut watch = pending(ana).holding(2);
    let abc = pieces(ana, 40, 1, "abc");
    assert_eq!(take_all(&mut watch, &[&abc[0], &abc[1], &abc[2]]), [""; 0]);
    let ab = pieces(ana, 40, 2, "ab");
    let whole = ["1.1: welcome 7 0 fresh ab"];
    assert_eq!(take_all(&mut watch, &[&ab[0], &ab[1]]), whole);
}

fn portion(to: Socket, (since, upto, until): (u64, u64, u64), announce: bool) -> Outbound {
    let mut record = resumed(to, since, upto, announce);
    record.deliveries[0].item = Item::Resuming {
        edge: EDGE,
        since: Revision(since),
        upto: Revision(upto),
        until: Revision(until),
        n: MessageNumber(3),
        announce,
    };
    record
}

#[test]
fn a_resume_in_portions_is_shown_as_it_comes_and_the_session_is_live_after_the_last() {
    let ana = socket(1, 1);
    let mut watch = pending(ana);
    let first = give(&mut watch, 0, &portion(ana, (2, 4, 5), true));
    let shown = [
        "1.1: welcome 2 3 resumed",
        "1.1: event 3 x",
        "1.1: event 4 x",
        "1.1: coming",
    ];
    assert_eq!(first, shown);
    assert_eq!(give(&mut watch, 0, &commit(5, 6)), [""; 0]);
    let last = give(&mut watch, 0, &portion(ana, (4, 5, 5), false));
    assert_eq!(last, ["1.1: event 5 x", "1.1: resume 5"], "6 was not shown");
}

#[test]
fn a_lost_portion_is_asked_for_from_where_the_one_before_it_ended() {
    let ana = socket(1, 1);
    let mut watch = pending(ana);
    give(&mut watch, 0, &portion(ana, (2, 4, 9), true));
    assert_eq!(
        give(&mut watch, 100, &portion(ana, (6, 8, 9), false)),
        [""; 0]
    );
    assert!(watch.repairs(TimeMs(499), 9).is_empty());
    let asked: Vec<_> = watch.repairs(TimeMs(500), 9).iter().map(text).collect();
    assert_eq!(asked, ["1.1: resume 4"]);
    let again = give(&mut watch, 510, &resumed(ana, 4, 9, false));
    assert_eq!(again.len(), 5, "{again:?}");
    assert_eq!(give(&mut watch, 520, &commit(9, 10)), ["1.1: event 10 x"]);
}

/// Of what an edge missed, the chain tells what is lacking: nobody need be closed.
#[test]
fn after_a_hole_each_session_is_resumed_from_what_it_has_some_at_a_time() {
    let (ana, ben) = (socket(1, 1), socket(2, 1));
    let mut watch = live(ana, 3);
    watch.join(ben, ben).unwrap();
    give(&mut watch, 0, &welcome(ben, 3));
    watch.missed();
    assert_eq!(watch.repairs(TimeMs(900), 1).len(), 1);
    assert_eq!(watch.repairs(TimeMs(901), 9).len(), 1, "the other one");
    let shown = give(&mut watch, 910, &resumed(ana, 3, 4, false));
    assert_eq!(shown, ["1.1: event 4 x"]);
    let nothing = give(&mut watch, 910, &resumed(ben, 3, 3, false));
    assert_eq!(nothing, [""; 0]);
    assert!(!watch.is_repairing());
}

/// R42's item about a partition stands in no entity's way.
#[test]
fn other_notices_between_pieces_change_nothing() {
    let ana = socket(1, 1);
    let mut watch = pending(ana);
    let ab = pieces(ana, 40, 1, "ab");
    take(&mut watch, &ab[0]);
    let taken = Item::Taken {
        partition: xp_protocol::PartitionId(0),
        upto: Offset(3),
    };
    give(
        &mut watch,
        0,
        &record(None, vec![(Recipients::Everybody, taken)]),
    );
    assert_eq!(take(&mut watch, &ab[1]), ["1.1: welcome 7 0 fresh ab"]);
}

/// R28: what nobody waits for is told to the owner, also where it comes in pieces.
#[test]
fn a_welcome_in_pieces_for_a_socket_that_is_gone_names_it() {
    let (ana, edge) = (socket(1, 1), EDGE);
    let abc = pieces(ana, 40, 1, "abc");
    let named = abc.iter().map(|(record, _)| strangers(edge, record));
    assert_eq!(named.collect::<Vec<_>>(), [vec![], vec![], vec![ana]]);
}
