//! Guards of a turn and its replay: `cargo xtask guards` counts their instructions.

use xp_guards::counted;

use crate::counter::Counting;

#[test]
fn a_command_is_decided_applied_and_committed() {
    let mut counting = Counting::watched_by(3);
    let command = counting.command();
    let now = counting.desk.at();
    counted(|| counting.desk.core.on_inbound(&[command], now));
    let append = counting.append();
    let results = counting.desk.append(&append.records);
    counting.desk.answer(&append, results);
    counting.finish();
}

#[test]
fn a_commit_that_is_acknowledged_leaves_the_gate() {
    let mut counting = Counting::watched_by(3);
    let command = counting.command();
    let now = counting.desk.at();
    counting.desk.core.on_inbound(&[command], now);
    let append = counting.append();
    let results = counting.desk.append(&append.records);
    let core = &mut counting.desk.core;
    counted(|| core.appended(append.first, append.round, &results, now));
    counting.finish();
}

#[test]
fn a_follower_folds_a_commit() {
    let mut counting = Counting::watched_by(3);
    let mut follower = Counting::watched_by(3);
    // Another process, so that the claim in the log is not its own.
    follower.desk.crash();
    follower.desk.log = counting.desk.log.clone();
    follower.desk.replay();
    let known = follower.desk.log.len() as u64;
    counting.count();
    let batch = counting.desk.stored(known, known + 1);
    assert_eq!(batch.len(), 1);
    let now = follower.desk.at();
    counted(|| follower.desk.core.on_events(&batch, now));
    assert_eq!(follower.desk.state(), counting.desk.state());
}
