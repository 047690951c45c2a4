use super::*;

const BUDGET: u64 = 32 << 20;
const MIB: u64 = 1 << 20;

fn charge(share: &Arc<Share>, mib: u64) -> Vec<Charge> {
    (0..mib).map(|_| share.charge(MIB)).collect()
}

#[test]
fn ephemerals_go_first_then_queries_then_commands() {
    let account = Account::new(BUDGET);
    let ana = account.share("ana");
    // One part is kept free for whoever comes next, so that ana alone has half of it.
    let rooms = (0..=16).map(|mib| {
        let _waiting = charge(&ana, mib);
        ana.room()
    });
    let rooms: Vec<_> = rooms.collect();
    assert_eq!(rooms[7], Room::Free);
    assert_eq!(rooms[8], Room::NoEphemerals);
    assert_eq!(rooms[12], Room::NoQueries);
    assert_eq!(rooms[16], Room::Nothing);
    assert!(rooms.is_sorted());
}

#[test]
fn a_flood_holds_back_its_own_subject_and_nobody_else() {
    let account = Account::new(BUDGET);
    let (ana, ben) = (account.share("ana"), account.share("ben"));
    let _flood = charge(&ana, 15);
    assert_eq!(ben.room(), Room::Free);
    let _word = charge(&ben, 1);
    assert_eq!(
        (ana.room(), ben.room()),
        (Room::Nothing, Room::NoEphemerals)
    );
}

#[test]
fn who_has_nothing_there_may_say_one_word_although_the_partition_is_full() {
    let account = Account::new(BUDGET);
    let _flood: Vec<_> = (0..34)
        .map(|n| account.share(&n.to_string()).charge(MIB))
        .collect();
    let ana = account.share("ana");
    assert!(account.is_behind());
    assert_eq!(ana.room(), Room::NoEphemerals);
    let _word = ana.charge(MIB);
    assert_eq!(ana.room(), Room::Nothing);
}

/// What an owner that has taken everything need not have said may hold nobody back for ever.
#[test]
fn nothing_is_held_back_of_what_an_owner_need_not_have_spoken_of() {
    let account = Account::new(BUDGET_MIN);
    let many: Vec<_> = (0..1_000).map(|n| account.share(&n.to_string())).collect();
    let _waiting: Vec<_> = many.iter().map(|share| share.charge(1_024)).collect();
    assert!(NOTICE < CALM && many[0].room() == Room::Free);
}

#[test]
fn what_was_taken_waits_no_more() {
    let account = Account::new(BUDGET);
    let ana = account.share("ana");
    let landed = charge(&ana, 3).into_iter().zip(10..);
    account.landed(landed.map(|(charge, offset)| (Offset(offset), charge)));
    account.taken(Offset(12));
    assert_eq!(account.waiting(), MIB);
    account.taken(Offset(11));
    assert_eq!(account.waiting(), MIB, "word that came late");
    account.taken(Offset(20));
    account.landed([(Offset(13), ana.charge(MIB))]);
    assert_eq!(
        account.waiting(),
        0,
        "it was taken before its edge heard that it had landed"
    );
}

#[test]
fn a_log_that_was_made_anew_begins_a_new_account() {
    let account = Account::new(BUDGET);
    let ana = account.share("ana");
    account.landed([(Offset(100), ana.charge(MIB))]);
    account.taken(Offset(90));
    account.landed([(Offset(0), ana.charge(MIB))]);
    assert_eq!(account.waiting(), MIB);
    account.taken(Offset(1));
    assert_eq!(account.waiting(), 0);
}

#[test]
fn nobody_is_remembered_who_is_gone() {
    let account = Account::new(BUDGET);
    for n in 0..10_000 {
        drop(account.share(&n.to_string()));
    }
    assert!(lock(&account.shares).len() < 100);
}
