//! The placement of partitions: who should own one, by weighted rendezvous over the stable names of the members. What
//! the fold of the members makes of it is in docs/adr/0009-ownership-is-part-of-the-members-fold.md.
//!
//! Fixed-point, so that every build agrees. A member's score for a partition is `weight / -log2(u)`, where `u` is
//! uniform in (0, 1) and made from both names: the highest one owns, each member owns a share in proportion to its
//! weight, and when a member comes or goes only its own partitions move (Thaler and Ravishankar 1998; the weights as in
//! Schindelhauer and Schomaker 2005).

use std::cmp::Reverse;

use twox_hash::XxHash3_64;
use xp_protocol::{Incarnation, LanePartition};

/// What a member has to do with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It should decide for it.
    Own,
    /// It follows the partition and can take over at once.
    Mirror,
}

/// A member that may own the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The process, by which owner and mirrors are named.
    pub incarnation: Incarnation,
    /// Its stable name.
    pub name: &'a str,
    /// Its share, beside the weights of the others.
    pub weight: u16,
    /// Whether it has folded the partition up to its end.
    pub warm: bool,
}

/// Fractional bits of a logarithm.
const FRACTION: u32 = 32;

/// The candidates in the order in which they should own `partition`; whoever is called `first` comes first.
pub fn rank<'a>(
    partition: &LanePartition,
    mut candidates: Vec<Candidate<'a>>,
    first: Option<&str>,
) -> Vec<Candidate<'a>> {
    candidates.sort_by_cached_key(|candidate| {
        let preferred = first == Some(candidate.name);
        let score = score(partition, candidate.name, candidate.weight);
        Reverse((preferred, score, Reverse(candidate.name.to_owned())))
    });
    candidates
}

/// How an owner that lives holds on to its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It serves, or will in a moment: only the first member displaces it, once that is warm.
    Firm,
    /// It has not been warm for longer than a moment: any member that is warm displaces it (R46).
    Cold,
    /// It is no candidate any more, and hands over to any member that is warm.
    Leaving,
}

/// Who owns a partition whose candidates are `ranked`: a living `owner` is displaced only by a member that is warm.
#[must_use]
pub fn owner(ranked: &[Candidate<'_>], owner: Option<(Incarnation, Hold)>) -> Option<Incarnation> {
    let best = ranked.first()?;
    let warm = ranked.iter().find(|candidate| candidate.warm);
    match owner {
        Some((_, Hold::Firm)) if best.warm => Some(best.incarnation),
        Some((owner, Hold::Firm)) => Some(owner),
        // It lives and serves, or may yet, until somebody can go on at once.
        Some((owner, Hold::Cold | Hold::Leaving)) => {
            Some(warm.map_or(owner, |warm| warm.incarnation))
        }
        None => Some(warm.unwrap_or(best).incarnation),
    }
}

fn score(partition: &LanePartition, name: &str, weight: u16) -> u128 {
    // Neither a lane's nor a node's name holds the byte between them.
    let hash = XxHash3_64::oneshot(format!("{partition}\0{name}").as_bytes());
    let below_one = (64_u64 << FRACTION) - log2(hash.max(1));
    (u128::from(weight) << 64) / u128::from(below_one.max(1))
}

/// log2 with [`FRACTION`] fractional bits, by squaring: each square doubles the logarithm of the mantissa, and its
/// overflow over 2 is the next bit.
fn log2(value: u64) -> u64 {
    let whole = u64::from(value.ilog2());
    // The mantissa in [1, 2), as a fraction of 2^63.
    let mut mantissa = u128::from(value) << (63 - value.ilog2());
    let mut bits = whole;
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        let overflow = mantissa >> 64;
        mantissa >>= overflow;
        bits = bits << 1 | u64::from(overflow == 1);
    }
    bits
}

#[cfg(test)]
mod tests;
