//! A replay from nothing with another build, before it is deployed: what it cannot read is named.

use std::sync::Arc;

use bytes::Bytes;
use xp_domain_sdk::Domain;
use xp_domain_sdk::host::{Fault, Registry};
use xp_protocol::{Offset, Revision};
use xp_state_node::verification::{Bounds, Finding, Late, Reason, Report, Verification};

use crate::desk::{ANA, BEN, Desk, Socket};
use crate::forgotten;
use crate::game::{BUG, FIRST, Game, NEW_FIELD, NO_EVENTS, NO_SIGNALS};
use crate::grid::Grid;
use crate::ledger::Ledger;
use crate::records::{add, partition};
use crate::room::Room;

const WIDE: Bounds = Bounds {
    bytes_max: 1 << 30,
    named_max: 100,
};

fn build<const B: u8>() -> Registry {
    Domain::new().host::<Game<B>>().registry().clone()
}

fn usual() -> Registry {
    let domain = Domain::new().host::<Ledger>().host::<Room>().host::<Grid>();
    domain.registry().clone()
}

fn verified_within(bounds: Bounds, domain: Registry, desk: &Desk) -> Report {
    let verification = Verification::new(Arc::new(domain), bounds, partition(), Offset(0));
    let mut verification = verification.unwrap();
    loop {
        let log = desk.stored(0, desk.log.len() as u64);
        log.iter().for_each(|stored| verification.read(stored));
        if !verification.ended() {
            return verification.report().clone();
        }
    }
}

fn verified(domain: Registry, desk: &Desk) -> Report {
    verified_within(WIDE, domain, desk)
}

fn game(nth: u128) -> Socket {
    const NAMES: [&str; 4] = ["ledger/1", "ledger/2", "ledger/3", "ledger/4"];
    Socket {
        entity: NAMES[usize::try_from(nth).unwrap()],
        connection: nth + 1,
        ..ANA
    }
}

/// As many games, each with two moves: revision 1 is a connection, 2 and 3 have events.
fn games(count: u128) -> Desk {
    let mut desk = Desk::hosting(build::<FIRST>());
    desk.own();
    for nth in 0..count {
        desk.connect(game(nth), None);
        for (n, to) in [(1, "d4"), (2, "e4")] {
            let play = format!(r#"{{"type":"Move","data":{{"to":"{to}"}}}}"#);
            desk.send(game(nth), n, &play);
        }
    }
    desk.settle();
    desk
}

/// The offset of the record that brings a revision of an entity.
fn offset_of(desk: &Desk, address: &str, revision: u64) -> Offset {
    let nth = usize::try_from(revision).unwrap() - 1;
    let records = desk.log.iter().enumerate();
    let mut of_entity = records.filter(|(_, record)| record.key == address);
    Offset(of_entity.nth(nth).unwrap().0 as u64)
}

fn only(report: &Report) -> &Finding {
    assert_eq!(
        (report.unread, report.findings.len()),
        (1, 1),
        "{report:#?}"
    );
    &report.findings[0]
}

#[test]
fn the_build_that_wrote_a_log_reads_it() {
    let desk = games(2);
    let report = verified(build::<FIRST>(), &desk);
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(
        (
            report.records,
            report.entities,
            report.ignored,
            report.readings
        ),
        (desk.log.len() as u64, 2, 0, 1)
    );
}

#[test]
fn events_that_a_build_cannot_read_are_named_once_for_each_entity_with_their_offset() {
    let desk = games(2);
    let report = verified(build::<NO_EVENTS>(), &desk);
    assert_eq!(report.unread, 2);
    for (nth, finding) in report.findings.iter().enumerate() {
        let address = game(nth as u128).entity;
        assert_eq!(finding.address.as_str(), address);
        assert_eq!(finding.revision, Revision(2));
        assert_eq!(finding.offset, offset_of(&desk, address, 2));
        let said = finding.to_string();
        assert!(said.contains("moves have another form now"), "{said}");
    }
}

#[test]
fn an_apply_that_panics_is_named_and_its_neighbours_are_read_on() {
    let desk = games(1);
    let report = verified(build::<BUG>(), &desk);
    let finding = only(&report);
    assert_eq!(finding.revision, Revision(3));
    assert!(
        matches!(&finding.reason, Reason::Events(Fault::Panicked { message, .. }) if message == "a bug in apply")
    );
}

#[test]
fn a_state_that_cannot_be_encoded_at_the_end_is_named() {
    let mut desk = Desk::owning();
    let painter = Socket {
        entity: "grid/1",
        ..ANA
    };
    desk.connect(painter, None);
    desk.send(painter, 1, r#"{"type":"Mark","data":{"text":"m"}}"#);
    desk.send(painter, 2, r#"{"type":"Divide","data":{"by":0.0}}"#);
    desk.settle();
    let report = verified(usual(), &desk);
    let finding = only(&report);
    assert!(
        matches!(finding.reason, Reason::Unencodable(_)),
        "{finding}"
    );
    assert_eq!(finding.offset, offset_of(&desk, "grid/1", 3));
    // What it becomes on the way is of no concern.
    desk.crash();
    desk.own();
    desk.send(painter, 3, r#"{"type":"Reset"}"#);
    desk.settle();
    let report = verified(usual(), &desk);
    assert!(report.is_clean(), "{report:#?}");
}

#[test]
fn a_state_that_cannot_be_read_again_is_named() {
    let desk = games(1);
    let report = verified(build::<NEW_FIELD>(), &desk);
    let finding = only(&report);
    assert!(matches!(finding.reason, Reason::Unloadable(_)), "{finding}");
    assert!(finding.to_string().contains("clock"), "{finding}");
}

/// It would be quarantined when the timer is due.
#[test]
fn a_timer_that_a_build_cannot_read_is_named() {
    let mut desk = games(1);
    desk.send(ANA, 3, r#"{"type":"Clock","data":{"ms":5000}}"#);
    desk.settle();
    assert!(verified(build::<FIRST>(), &desk).is_clean());
    let report = verified(build::<NO_SIGNALS>(), &desk);
    let finding = only(&report);
    assert!(
        matches!(&finding.reason, Reason::Timer { name, .. } if &**name == "flag"),
        "{finding}"
    );
    desk.pass(5000);
    desk.settle();
    assert!(verified(build::<NO_SIGNALS>(), &desk).is_clean());
}

/// R45: former builds went on from what they had forgotten.
#[test]
fn a_forgotten_entity_of_an_old_log_is_read() {
    let mut desk = forgotten::owning();
    for attempt in 1..=3 {
        forgotten::visit(&mut desk, attempt, true);
    }
    desk.connect(
        Socket {
            attempt: 4,
            ..forgotten::VISITOR
        },
        None,
    );
    desk.settle();
    forgotten::rewrite(&mut desk, &[1, 2, 3, 4, 1, 2, 3, 4, 4, 5, 6, 7, 4]);
    let report = verified(usual(), &desk);
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!(report.entities, 1);
}

#[test]
fn revisions_that_jump_elsewhere_are_named() {
    let mut desk = forgotten::owning();
    desk.connect(forgotten::VISITOR, None);
    desk.send(forgotten::VISITOR, 1, r#"{"Say":"one"}"#);
    desk.send(forgotten::VISITOR, 2, r#"{"Say":"two"}"#);
    desk.settle();
    forgotten::rewrite(&mut desk, &[1, 2, 2]);
    let report = verified(usual(), &desk);
    let found = Revision(2);
    assert_eq!(only(&report).reason, Reason::Contradiction { found });
}

#[test]
fn a_log_whose_beginning_is_gone_is_not_verified() {
    let refused = Verification::new(Arc::new(usual()), WIDE, partition(), Offset(7));
    let first = Offset(7);
    let late = refused.err();
    assert_eq!(
        late,
        Some(Late {
            partition: partition(),
            first
        })
    );
    let said = late.unwrap().to_string();
    assert!(said.contains("main/0 begins at offset 7"), "{said}");
}

#[test]
fn what_this_build_does_not_host_is_named_if_it_ever_had_an_event() {
    let mut desk = Desk::owning();
    desk.connect(forgotten::VISITOR, None);
    desk.connect(BEN, None);
    desk.send(BEN, 1, &add("b"));
    desk.settle();
    let report = verified(Registry::default(), &desk);
    let finding = only(&report);
    assert_eq!(finding.reason, Reason::NotHosted);
    assert_eq!(finding.address.as_str(), BEN.entity);
}

/// This build would ignore them, and so all that its owner decided after them.
#[test]
fn records_of_a_newer_build_are_told_of_and_foreign_ones_are_not() {
    let mut desk = games(1);
    let last = desk.log.len() - 1;
    let mut header = desk.log[last].header.to_vec();
    header[0] = 99;
    desk.log[last].header = header.into();
    let report = verified(build::<FIRST>(), &desk);
    let newer = report.newer.clone().unwrap();
    assert_eq!((newer.first, newer.count), (Offset(last as u64), 1));
    assert!(!report.is_clean());
    desk.log[last].header = Bytes::new();
    let report = verified(build::<FIRST>(), &desk);
    assert_eq!((report.ignored, report.is_clean()), (1, true));
}

#[test]
fn more_findings_than_are_named_are_counted() {
    let bounds = Bounds {
        named_max: 1,
        ..WIDE
    };
    let report = verified_within(bounds, build::<NO_EVENTS>(), &games(3));
    assert_eq!((report.unread, report.findings.len()), (3, 1));
    assert_eq!(report.findings[0].address.as_str(), "ledger/1");
}

#[test]
fn what_does_not_fit_into_memory_is_read_in_further_readings_of_the_log() {
    let desk = games(4);
    let whole = verified(build::<BUG>(), &desk);
    // Room for less than two.
    let bounds = Bounds {
        bytes_max: 1500,
        ..WIDE
    };
    let divided = verified_within(bounds, build::<BUG>(), &desk);
    assert!(divided.readings > 1, "it fitted");
    let readings = whole.readings;
    assert_eq!(
        Report {
            readings,
            ..divided
        },
        whole
    );
}
