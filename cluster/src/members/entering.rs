//! The offset of the `cluster` log at which a process that joins begins to fold (R37).

use xp_protocol::cluster::Member;
use xp_protocol::codec::{self, Format};
use xp_protocol::{Offset, TimeMs};

use super::Members;

/// The fold of a log of which only `records`, from `from` on, were read: the newest record of the fold that they can
/// continue, and what follows it. `None` when there is none and the log began earlier: then all of it must be read.
#[must_use]
pub fn enter(
    generation: u64,
    (first, from): (Offset, Offset),
    records: &[(Offset, TimeMs, Member)],
) -> Option<Members> {
    let folds = records.iter().rev();
    let mut folds = folds.filter_map(|(_, _, record)| match record {
        Member::Fold { upto, members } if upto.next() >= from => {
            let members = read(members)?;
            (members.generation == generation).then_some(members)
        }
        _ => None,
    });
    let mut members = match folds.next() {
        Some(members) => members,
        None if from <= first => Members::new(generation),
        None => return None,
    };
    for (offset, time, record) in records {
        members.apply(*offset, *time, record);
    }
    Some(members)
}

/// A record of the fold, also one that version 1 wrote: it lacked the map at the end, and an empty one is one byte, its
/// length. What was counted otherwise then makes up for it within three rounds.
#[must_use]
pub fn read(fold: &[u8]) -> Option<Members> {
    match fold.split_first()? {
        (1, rest) => codec::decode(&[&[Members::VERSION], rest, &[0]].concat()).ok(),
        _ => codec::decode(fold).ok(),
    }
}
