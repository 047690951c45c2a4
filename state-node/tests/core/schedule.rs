//! The schedule of a shell: what it does next, whatever it hears (R15).

use std::collections::BTreeSet;

use xp_protocol::rules::{AllRules, Rule, Rules};
use xp_state_node::schedule::{Schedule, Source};

use crate::desk::{ANA, Desk};
use crate::records::add;

/// Each word heard moves the ticks.
#[derive(Debug)]
struct Moved;

impl Rules for Moved {
    fn holds(&self, rule: Rule) -> bool {
        rule != Rule::DueTicks
    }
}

/// How often it ticks in a second in which it hears something every ten milliseconds.
fn ticks(desk: &mut Desk, rules: &'static dyn Rules) -> usize {
    let mut schedule = Schedule::new(desk.at(), rules);
    let mut ticks = 0;
    for _ in 0..100 {
        desk.pass(10);
        if schedule.wait_ms(&desk.core, desk.at()) == 0 {
            schedule.ticked(desk.at());
            ticks += 1;
        }
        schedule.heard(Source::Inbound, desk.at());
    }
    ticks
}

#[test]
fn who_is_never_left_in_peace_ticks_all_the_same() {
    let mut desk = Desk::owning();
    assert_eq!(ticks(&mut desk, &AllRules), 5);
    desk.connect(ANA, None);
    desk.send(ANA, 1, &add("a"));
    assert_eq!(ticks(&mut desk, &AllRules), 50, "something waits");
    assert_eq!(ticks(&mut desk, &Moved), 0);
}

#[test]
fn what_is_always_due_leaves_time_for_what_has_come() {
    let desk = Desk::owning();
    let mut schedule = Schedule::new(desk.at(), &AllRules);
    schedule.ticked(desk.at());
    assert!(schedule.wait_ms(&desk.core, desk.at()) > 0);
}

#[test]
fn no_source_waits_for_more_than_one_word_of_each_other() {
    let desk = Desk::owning();
    let mut schedule = Schedule::new(desk.at(), &AllRules);
    let mut heard = Vec::new();
    for _ in 0..10 {
        let next = schedule.order()[0];
        schedule.heard(next, desk.at());
        heard.push(format!("{next:?}"));
    }
    let (first, second) = heard.split_at(5);
    assert_eq!(first, second);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 5);
}
