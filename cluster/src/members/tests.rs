use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;
use xp_protocol::PartitionId;
use xp_protocol::cluster::{Definition, Kind, Placement};

use super::*;
use crate::timing::{FOLD_EVERY, STATE_NODE_HEARTBEAT_MS};

fn id(n: u128) -> Incarnation {
    Incarnation(Uuid::from_u128(n))
}

fn edge(name: &str) -> Who {
    let outbound = PartitionId(0);
    Who::new(name, Kind::Edge { outbound })
}

fn state(name: &str) -> Who {
    Who {
        lanes: 1,
        ..Who::new(name, Kind::StateNode)
    }
}

fn join(n: u128, who: Who) -> Member {
    let incarnation = id(n);
    Member::Join { incarnation, who }
}

fn alive(n: u128, who: Who, joined: u64) -> Member {
    Member::Alive {
        incarnation: id(n),
        who,
        joined: Offset(joined),
        sent: TimeMs(0),
        leaving: false,
        warm: Vec::new(),
    }
}

fn warm(mut alive: Member, partitions: &[LanePartition]) -> Member {
    if let Member::Alive { warm, .. } = &mut alive {
        *warm = partitions.to_vec();
    }
    alive
}

fn leaving(mut alive: Member) -> Member {
    if let Member::Alive { leaving, .. } = &mut alive {
        *leaving = true;
    }
    alive
}

fn leave(n: u128) -> Member {
    Member::Leave { incarnation: id(n) }
}

fn lanes(placement: Placement) -> Member {
    let definition = Definition {
        partitions: 8,
        outbound_partitions: 1,
        categories: vec!["board".into()],
        placement,
    };
    Member::Lanes(Definitions {
        version: 1,
        lanes: BTreeMap::from([("main".into(), definition)]),
    })
}

/// A log under construction, and its fold.
#[derive(Default)]
struct Tape {
    members: Members,
    records: Vec<(Offset, TimeMs, Member)>,
    now: u64,
}

impl Tape {
    /// A log of which retention left what is from this offset on.
    fn from(first: u64) -> Self {
        let mut tape = Self::default();
        tape.members.next = Offset(first);
        tape
    }

    fn say(&mut self, after_ms: u64, member: Member) -> bool {
        self.now += after_ms;
        let (at, time) = (self.members.next, TimeMs(1_700_000_000_000 + self.now));
        self.records.push((at, time, member.clone()));
        self.members.apply(at, time, &member)
    }

    fn cluster() -> Self {
        let mut tape = Self::default();
        tape.say(0, lanes(Placement::default()));
        for n in 1..=3 {
            tape.say(1, join(n, state(&format!("state-{n}"))));
        }
        tape
    }

    /// Heartbeats of these state nodes for a while; all of them are warm everywhere.
    fn beat(&mut self, nodes: &[u128], for_ms: u64) {
        let partitions: Vec<_> = self.members.partitions().cloned().collect();
        for _ in 0..for_ms / STATE_NODE_HEARTBEAT_MS {
            for (at, n) in nodes.iter().enumerate() {
                let who = state(&format!("state-{n}"));
                let pause = if at == 0 { STATE_NODE_HEARTBEAT_MS } else { 0 };
                self.say(pause, warm(alive(*n, who, *n as u64), &partitions));
            }
        }
    }

    fn owners(&self) -> Vec<Option<Incarnation>> {
        let partitions = self.members.partitions();
        partitions
            .map(|partition| self.members.owner(partition))
            .collect()
    }
}

#[test]
fn a_new_incarnation_of_a_name_replaces_the_old_one() {
    let mut tape = Tape::default();
    tape.say(0, join(1, edge("a")));
    tape.say(0, join(2, edge("b")));
    tape.say(0, join(3, edge("a")));
    let members = tape.members;
    assert!(members.is_former(id(1)) && members.is_alive(id(2)) && members.is_alive(id(3)));
}

#[test]
fn a_join_that_comes_again_changes_nothing() {
    let mut tape = Tape::default();
    tape.say(0, join(1, edge("a")));
    tape.say(0, join(1, edge("a")));
    assert!(tape.members.is_alive(id(1)) && !tape.members.is_former(id(1)));
    tape.say(0, join(2, edge("a")));
    tape.say(0, join(1, edge("a")));
    assert!(tape.members.is_former(id(1)) && tape.members.is_alive(id(2)));
}

#[test]
fn an_edge_is_lost_only_once_its_join_has_been_folded() {
    let mut tape = Tape::from(4);
    assert!(!Members::default().has_lost(id(1), Offset(0)));
    tape.say(0, join(2, edge("b")));
    assert!(!tape.members.has_lost(id(1), Offset(5)));
    tape.say(0, join(1, edge("a")));
    assert!(!tape.members.has_lost(id(1), Offset(5)));
    tape.say(0, leave(1));
    assert!(tape.members.has_lost(id(1), Offset(5)));
}

#[test]
fn who_joined_before_the_log_begins_is_met_by_its_heartbeat() {
    let mut tape = Tape::from(90);
    tape.say(0, alive(1, edge("a"), 7));
    assert!(tape.members.is_alive(id(1)) && !tape.members.has_lost(id(1), Offset(7)));
}

#[test]
fn the_heartbeat_of_a_replaced_process_brings_it_back_to_nobody() {
    let mut tape = Tape::from(90);
    tape.say(0, alive(2, edge("a"), 8));
    tape.say(0, alive(1, edge("a"), 7));
    tape.say(0, alive(1, edge("a"), 7));
    assert!(tape.members.is_alive(id(2)) && tape.members.is_former(id(1)));
    let mut other = Tape::from(91);
    other.say(0, alive(1, edge("a"), 7));
    other.say(0, alive(2, edge("a"), 8));
    assert!(other.members.is_alive(id(2)) && other.members.is_former(id(1)));
}

#[test]
fn the_same_offset_twice_changes_nothing() {
    let mut tape = Tape::default();
    tape.say(0, join(1, edge("a")));
    let before = tape.members.clone();
    tape.members.apply(Offset(0), TimeMs(9), &leave(1));
    assert_eq!(tape.members, before);
}

#[test]
fn who_is_silent_beyond_its_limit_is_gone_once_three_rounds_of_others_were_heard() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    tape.beat(&[2, 3], 500);
    assert!(tape.members.is_alive(id(1)));
    tape.beat(&[2, 3], 100);
    assert!(tape.members.is_former(id(1)));
    tape.beat(&[1], 100);
    assert!(
        !tape.members.is_alive(id(1)),
        "it comes back under a new name of its process only"
    );
}

#[test]
fn the_last_one_is_never_gone_by_silence() {
    let mut tape = Tape::cluster();
    tape.beat(&[1], 2_000);
    assert!(tape.members.is_former(id(2)) && tape.members.is_former(id(3)));
    tape.say(100, alive(1, state("state-1"), 1));
    tape.now += 60_000;
    tape.say(0, alive(1, state("state-1"), 1));
    assert!(tape.members.is_alive(id(1)));
}

#[test]
fn where_nobody_could_write_nobody_was_silent() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    tape.now += 10_000;
    tape.beat(&[2, 3], 2_800);
    assert!(
        tape.members.is_alive(id(1)),
        "verdicts are suspended after a jump"
    );
    tape.beat(&[2, 3], 300);
    assert!(tape.members.is_former(id(1)));
}

#[test]
fn a_survivor_whose_every_append_is_slow_takes_over_all_the_same() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    for _ in 0..4 {
        tape.say(210, alive(1, state("state-1"), 1));
    }
    assert!(tape.members.is_former(id(2)) && tape.members.is_former(id(3)));
}

#[test]
fn a_log_that_takes_heartbeats_slowly_and_in_turn_condemns_nobody() {
    let mut tape = Tape::cluster();
    for turn in 0..60 {
        let n = turn % 3 + 1;
        // What queued up meanwhile arrives with it, at the same moment.
        for after_ms in [290, 0, 0, 0] {
            tape.say(after_ms, alive(n, state(&format!("state-{n}")), n as u64));
        }
    }
    assert!((1..=3).all(|n| tape.members.is_alive(id(n))));
}

#[test]
fn an_owner_that_stands_still_again_and_again_loses_its_partitions_though_the_log_stutters() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    // The others are held up for a moment now and then, as on a busy machine.
    tape.beat(&[2, 3], 200);
    tape.now += 250;
    tape.beat(&[2, 3], 300);
    assert!(tape.members.is_former(id(1)), "within the takeover's time");
}

/// Who owns the first partition, and who is warm beside it.
fn first(tape: &Tape) -> (LanePartition, u128, u128) {
    let partition = tape
        .members
        .partitions()
        .next()
        .expect("eight of them")
        .clone();
    let number = |incarnation| (1..=3).find(|n| Some(id(*n)) == incarnation);
    let owner = number(tape.members.owner(&partition)).expect("it is owned");
    let mirror = number(tape.members.mirrors(&partition).first().copied());
    (partition, owner, mirror.expect("it is mirrored"))
}

impl Tape {
    /// Heartbeats of all three, of which one is not warm there.
    fn beat_cold(&mut self, cold: u128, partition: &LanePartition, for_ms: u64) {
        let partitions: Vec<_> = self.members.partitions().cloned().collect();
        let others: Vec<_> = partitions
            .iter()
            .filter(|at| *at != partition)
            .cloned()
            .collect();
        for _ in 0..for_ms / STATE_NODE_HEARTBEAT_MS {
            for n in 1..=3 {
                let pause = if n == 1 { STATE_NODE_HEARTBEAT_MS } else { 0 };
                let word = alive(n, state(&format!("state-{n}")), n as u64);
                let its_own = if n == cold { &others } else { &partitions };
                self.say(pause, warm(word, its_own));
            }
        }
    }
}

#[test]
fn an_owner_that_is_not_warm_for_longer_than_a_moment_yields_to_one_that_is() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    let (partition, owner, mirror) = first(&tape);
    tape.beat_cold(owner, &partition, 500);
    assert_eq!(tape.members.owner(&partition), Some(id(owner)), "a moment");
    tape.beat_cold(owner, &partition, 200);
    assert_eq!(tape.members.owner(&partition), Some(id(mirror)));
    assert!(
        tape.members.is_alive(id(owner)),
        "it serves the others still"
    );
    tape.beat_cold(owner, &partition, 5_000);
    assert_eq!(
        tape.members.owner(&partition),
        Some(id(mirror)),
        "it stays there"
    );
    tape.beat(&[1, 2, 3], 100);
    assert_eq!(
        tape.members.owner(&partition),
        Some(id(owner)),
        "and comes back"
    );
}

#[test]
fn an_owner_that_is_cold_stays_where_nobody_is_warm() {
    let mut tape = Tape::default();
    tape.say(0, lanes(Placement::default()));
    tape.say(0, join(1, state("state-1")));
    tape.say(0, join(2, state("state-2")));
    for _ in 0..20 {
        tape.say(100, alive(1, state("state-1"), 1));
        tape.say(0, alive(2, state("state-2"), 2));
    }
    assert_eq!(tape.owners(), [Some(id(1)); 8]);
    assert_eq!(tape.members.cold().count(), 8);
    let partitions: Vec<_> = tape.members.partitions().cloned().collect();
    tape.say(0, warm(alive(2, state("state-2"), 2), &partitions));
    assert_eq!(tape.owners(), [Some(id(2)); 8]);
    assert_eq!(tape.members.cold().count(), 0);
}

#[test]
fn two_that_both_fail_do_not_pass_a_partition_to_and_fro() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 500);
    let (partition, owner, mirror) = first(&tape);
    tape.beat_cold(owner, &partition, 700);
    let others: Vec<_> = tape
        .members
        .partitions()
        .filter(|at| **at != partition)
        .cloned()
        .collect();
    for _ in 0..50 {
        for n in 1..=3 {
            let word = alive(n, state(&format!("state-{n}")), n as u64);
            tape.say(34, warm(word, &others));
        }
        assert_eq!(tape.members.owner(&partition), Some(id(mirror)));
    }
}

#[test]
fn an_edge_may_be_silent_for_five_seconds() {
    let mut tape = Tape::cluster();
    tape.say(0, join(9, edge("edge-1")));
    tape.beat(&[1, 2, 3], 4_900);
    assert!(tape.members.is_alive(id(9)));
    tape.beat(&[1, 2, 3], 200);
    assert!(tape.members.is_former(id(9)));
}

#[test]
fn every_partition_has_an_owner_and_a_mirror() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 200);
    for partition in tape.members.partitions() {
        let owner = tape.members.owner(partition).expect("placed");
        assert_eq!(tape.members.duty(partition, owner), Some(Duty::Own));
        let [mirror] = tape.members.mirrors(partition) else {
            panic!("one standby")
        };
        assert_eq!(tape.members.duty(partition, *mirror), Some(Duty::Mirror));
    }
    let all: usize = (1..=3).map(|n| tape.members.duties(id(n)).len()).sum();
    assert_eq!(all, 16);
}

#[test]
fn a_node_that_joins_owns_nothing_before_it_is_warm() {
    let mut tape = Tape::default();
    tape.say(0, lanes(Placement::default()));
    tape.say(0, join(1, state("state-1")));
    tape.say(0, join(2, state("state-2")));
    assert_eq!(tape.owners(), [Some(id(1)); 8]);
    let wanted: Vec<_> = tape.members.duties(id(2)).into_keys().collect();
    assert_eq!(wanted.len(), 8, "with one standby both follow everything");
    tape.say(0, warm(alive(2, state("state-2"), 2), &wanted));
    let moved = tape
        .owners()
        .iter()
        .filter(|owner| **owner == Some(id(2)))
        .count();
    assert!(0 < moved && moved < 8, "{moved}");
}

#[test]
fn an_owner_that_is_gone_or_leaves_hands_over_to_its_mirror() {
    for end in [leave(1), leaving(alive(1, state("state-1"), 1))] {
        let mut tape = Tape::cluster();
        tape.beat(&[1, 2, 3], 300);
        let partitions: Vec<_> = tape.members.partitions().cloned().collect();
        let before = tape.members.clone();
        tape.say(0, end);
        for partition in &partitions {
            let expected = match before.owner(partition) {
                Some(owner) if owner == id(1) => before.mirrors(partition).first().copied(),
                other => other,
            };
            assert_eq!(tape.members.owner(partition), expected, "{partition}");
        }
    }
}

#[test]
fn who_leaves_serves_until_somebody_is_warm() {
    let mut tape = Tape::default();
    tape.say(0, lanes(Placement::default()));
    tape.say(0, join(1, state("state-1")));
    tape.say(0, join(2, state("state-2")));
    tape.say(0, leaving(alive(1, state("state-1"), 1)));
    assert_eq!(tape.owners(), [Some(id(1)); 8]);
    let partitions: Vec<_> = tape.members.partitions().cloned().collect();
    tape.say(0, warm(alive(2, state("state-2"), 2), &partitions));
    assert_eq!(tape.owners(), [Some(id(2)); 8]);
    tape.say(0, leaving(alive(2, state("state-2"), 2)));
    assert_eq!(tape.owners(), [None; 8], "nobody is left to hand over to");
}

#[test]
fn a_drained_node_owns_nothing_as_long_as_others_can() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 200);
    let drain = |drained| Member::Drain {
        name: "state-1".into(),
        drained,
    };
    let before = tape.owners();
    tape.say(0, drain(true));
    assert!(!tape.owners().contains(&Some(id(1))));
    tape.say(0, drain(false));
    tape.beat(&[1, 2, 3], 200);
    assert_eq!(tape.owners(), before);
    tape.say(0, drain(true));
    tape.say(0, leave(2));
    tape.say(0, leave(3));
    assert_eq!(tape.owners(), [Some(id(1)); 8]);
}

#[test]
fn a_moved_partition_stays_where_it_was_moved_as_long_as_it_can() {
    let mut tape = Tape::cluster();
    tape.beat(&[1, 2, 3], 200);
    let partition = tape
        .members
        .partitions()
        .next()
        .expect("eight of them")
        .clone();
    let before = tape.members.owner(&partition);
    let other = (1..=3)
        .find(|n| Some(id(*n)) != before)
        .expect("three nodes");
    let to = Some(format!("state-{other}").into());
    tape.say(
        0,
        Member::Move {
            partition: partition.clone(),
            to,
        },
    );
    tape.beat(&[1, 2, 3], 100);
    assert_eq!(tape.members.owner(&partition), Some(id(other)));
    tape.say(
        0,
        Member::Move {
            partition: partition.clone(),
            to: None,
        },
    );
    tape.beat(&[1, 2, 3], 100);
    assert_eq!(tape.members.owner(&partition), before);
}

#[test]
fn placement_asks_for_labels_and_a_lane_without_a_candidate_is_told_of() {
    let mut tape = Tape::default();
    let eu = || BTreeMap::from([("region".into(), "eu".into())]);
    tape.say(
        0,
        lanes(Placement {
            labels: eu(),
            ..Placement::default()
        }),
    );
    tape.say(0, join(1, state("state-1")));
    assert_eq!(tape.members.unplaced().count(), 8);
    let labelled = Who {
        labels: eu(),
        ..state("state-2")
    };
    tape.say(0, join(2, labelled));
    assert_eq!(tape.owners(), [Some(id(2)); 8]);
    assert_eq!(tape.members.unplaced().count(), 0);
}

#[test]
fn a_lane_can_be_bound_to_one_name_or_prefer_one() {
    let named = BTreeMap::from([("name".into(), "state-2".into())]);
    let bound = Placement {
        labels: named,
        ..Placement::default()
    };
    let pinned = Placement {
        pin: Some("state-2".into()),
        ..Placement::default()
    };
    for (placement, without) in [(bound, None), (pinned, Some(id(1)))] {
        let mut tape = Tape::default();
        tape.say(0, lanes(placement));
        tape.say(0, join(2, state("state-2")));
        tape.say(0, join(1, state("state-1")));
        assert_eq!(tape.owners(), [Some(id(2)); 8]);
        tape.say(0, leave(2));
        assert_eq!(tape.owners(), [without; 8]);
    }
}

#[test]
fn who_was_started_before_a_lane_existed_is_not_asked_to_serve_it() {
    let mut tape = Tape::default();
    tape.say(0, lanes(Placement::default()));
    tape.say(
        0,
        join(
            1,
            Who {
                lanes: 0,
                ..state("state-1")
            },
        ),
    );
    assert_eq!(tape.members.unplaced().count(), 8);
}

#[test]
fn the_common_format_is_the_lowest_that_anybody_reads() {
    let mut tape = Tape::default();
    assert_eq!(tape.members.common_format("events"), None);
    let newer = Who {
        formats: BTreeMap::from([("events".into(), 3)]),
        ..state("state-1")
    };
    tape.say(0, join(1, newer));
    assert_eq!(tape.members.common_format("events"), Some(3));
    let older = Who {
        formats: BTreeMap::from([("events".into(), 1)]),
        ..state("state-2")
    };
    tape.say(0, join(2, older));
    assert_eq!(tape.members.common_format("events"), Some(1));
    let written = BTreeMap::from([("events".into(), 2)]);
    let (who, format, version) = tape
        .members
        .cannot_read(&written)
        .expect("state-2 does not");
    assert_eq!((&*who.name, format, version), ("state-2", "events", 2));
    let written = BTreeMap::from([("events".into(), 1)]);
    assert_eq!(tape.members.cannot_read(&written), None);
}

#[test]
fn who_joins_begins_at_the_newest_fold_it_can_continue() {
    let mut tape = Tape::cluster();
    while tape.members.fold_due().is_none() {
        tape.beat(&[1, 2, 3], 100);
    }
    let fold = tape.members.fold_due().expect("just asked");
    assert!(tape.records.len() as u64 >= FOLD_EVERY);
    tape.beat(&[1, 2, 3], 100);
    tape.say(0, fold);
    tape.beat(&[2, 3], 700);
    let near = tape.records.len() - 40;
    let from = tape.records[near].0;
    assert_eq!(
        enter(1, (Offset(0), from), &tape.records[near..]),
        Some(tape.members.clone())
    );
    assert_eq!(
        enter(1, (Offset(0), Offset(0)), &tape.records),
        Some(tape.members.clone())
    );
    let last = tape.records.len() - 2;
    let from = tape.records[last].0;
    assert_eq!(enter(1, (Offset(0), from), &tape.records[last..]), None);
    assert!(enter(1, (from, from), &tape.records[last..]).is_some());
}

proptest! {
    /// Owners are always living members, and nothing moves between records that change nobody.
    #[test]
    fn whatever_is_said_an_owner_is_alive_and_no_living_owner_moves_to_who_is_cold(
        words in prop::collection::vec((0_u8..8, 1_u128..6, 0_u64..400), 1..120)
    ) {
        let mut tape = Tape::cluster();
        for (word, n, after_ms) in words {
            let before = tape.members.clone();
            let partitions: Vec<_> = before.partitions().cloned().collect();
            let who = state(&format!("state-{}", n % 4));
            let joined = before.get(id(n)).map_or(before.next().0, |(_, joined)| joined.0);
            let member = match word {
                0 => join(n, who),
                1 => leave(n),
                2 => alive(n, who, joined),
                3 => leaving(alive(n, who, joined)),
                4 => Member::Drain { name: who.name, drained: after_ms > 200 },
                5 => Member::Move { partition: partitions[after_ms as usize % 8].clone(), to: Some(who.name) },
                _ => warm(alive(n, who, joined), &partitions),
            };
            tape.say(after_ms, member);
            let after = &tape.members;
            for partition in after.partitions() {
                let (was, is) = (before.owner(partition), after.owner(partition));
                if let Some(owner) = is {
                    prop_assert!(after.is_alive(owner));
                }
                if let (Some(was), Some(is)) = (was, is) && was != is && after.is_alive(was) {
                    prop_assert!(after.is_warm(partition, is), "{partition} moved from a living owner to a cold one");
                }
            }
        }
        let again = enter(1, (Offset(0), Offset(0)), &tape.records);
        prop_assert_eq!(again.as_ref(), Some(&tape.members));
    }
}
