use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;
use xp_protocol::PartitionId;

use super::*;

fn place(partition: u32) -> LanePartition {
    LanePartition {
        lane: "main".into(),
        partition: PartitionId(partition),
    }
}

fn candidate((id, (name, weight)): (usize, &(String, u16))) -> Candidate<'_> {
    Candidate {
        incarnation: Incarnation(Uuid::from_u128(id as u128 + 1)),
        name,
        weight: *weight,
        warm: false,
    }
}

fn ranked(partition: u32, members: &[(String, u16)]) -> Vec<&str> {
    let candidates = members.iter().enumerate().map(candidate).collect();
    let ranked = rank(&place(partition), candidates, None);
    ranked.into_iter().map(|candidate| candidate.name).collect()
}

fn named(weights: &[u16]) -> Vec<(String, u16)> {
    let named = weights.iter().enumerate();
    named
        .map(|(id, weight)| (format!("state-{}", id + 1), *weight))
        .collect()
}

fn shares(members: &[(String, u16)], partitions: u32) -> BTreeMap<String, u32> {
    let mut shares = BTreeMap::new();
    for partition in 0..partitions {
        *shares
            .entry(ranked(partition, members)[0].to_owned())
            .or_default() += 1;
    }
    shares
}

#[test]
fn the_logarithm_is_the_one_of_floating_point() {
    for value in [1, 2, 3, 1000, 1 << 40, u64::MAX / 3, u64::MAX] {
        let exact = (value as f64).log2();
        let ours = log2(value) as f64 / 2_f64.powi(FRACTION as i32);
        assert!((exact - ours).abs() < 1e-6, "{value}: {ours} for {exact}");
    }
}

#[test]
fn the_order_is_the_same_in_every_build() {
    let members = named(&[100, 100, 100]);
    let owners: Vec<_> = (0..12)
        .map(|partition| &ranked(partition, &members)[0][6..])
        .collect();
    // Written down when this was built: another order would let nodes of two versions both own a partition.
    assert_eq!(owners.concat(), "311122113231");
}

#[test]
fn whoever_is_named_comes_first_and_the_rest_keeps_its_order() {
    let members = named(&[100, 100, 100]);
    let candidates: Vec<_> = members.iter().enumerate().map(candidate).collect();
    let before = ranked(3, &members);
    let last = before[2];
    let after = rank(&place(3), candidates, Some(last));
    let after: Vec<_> = after.iter().map(|candidate| candidate.name).collect();
    assert_eq!(after, [last, before[0], before[1]]);
}

#[test]
fn a_living_owner_is_displaced_only_by_a_member_that_is_warm() {
    let members = named(&[100, 100, 100]);
    let candidates = members.iter().enumerate().map(candidate).collect();
    let mut ranked = rank(&place(0), candidates, None);
    let [first, second, third] = [0, 1, 2].map(|at: usize| ranked[at].incarnation);
    use Hold::{Cold, Firm, Leaving};
    let owned = |by, hold| Some((by, hold));
    assert_eq!(owner(&ranked, owned(second, Firm)), Some(second));
    assert_eq!(owner(&ranked, owned(second, Cold)), Some(second));
    assert_eq!(owner(&ranked, owned(third, Leaving)), Some(third));
    assert_eq!(owner(&ranked, None), Some(first));
    ranked[1].warm = true;
    assert_eq!(owner(&ranked, owned(third, Firm)), Some(third));
    assert_eq!(owner(&ranked, owned(third, Cold)), Some(second));
    assert_eq!(owner(&ranked, owned(first, Cold)), Some(second));
    assert_eq!(owner(&ranked, owned(third, Leaving)), Some(second));
    assert_eq!(owner(&ranked, None), Some(second));
    ranked[0].warm = true;
    assert_eq!(owner(&ranked, owned(third, Firm)), Some(first));
    assert_eq!(owner(&[], owned(third, Leaving)), None);
}

proptest! {
    /// A member that goes moves only what it owned; one that comes takes only for itself.
    #[test]
    fn only_the_partitions_of_who_comes_or_goes_move(weights in prop::collection::vec(1_u16..1000, 2..8), gone: prop::sample::Index) {
        let before = named(&weights);
        let gone = gone.index(before.len());
        let mut after = before.clone();
        let (name, _) = after.remove(gone);
        for partition in 0..64 {
            let rest: Vec<_> = ranked(partition, &before).into_iter().filter(|other| *other != name).collect();
            prop_assert_eq!(rest, ranked(partition, &after));
        }
    }

    /// Over many partitions a share is within five standard deviations of the weight's.
    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(20_u16..200, 2..6)) {
        let partitions = 4096;
        let members = named(&weights);
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let shares = shares(&members, partitions);
        for (name, weight) in &members {
            let p = f64::from(*weight) / total;
            let expected = p * f64::from(partitions);
            let bound = 5.0 * (expected * (1.0 - p)).sqrt();
            let share = f64::from(shares.get(name).copied().unwrap_or_default());
            prop_assert!((share - expected).abs() <= bound, "{name}: {share} of {expected} ± {bound}");
        }
    }
}
