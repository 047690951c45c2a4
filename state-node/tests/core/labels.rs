//! Labels of records: what strangers read of them, and what they take of the record's size (R9).

use std::sync::Arc;

use xp_protocol::events::Event;
use xp_protocol::inbound::ClientAction;
use xp_protocol::{Offset, PartitionId};
use xp_settings::Size;
use xp_state_node::store::MemoryStore;
use xp_transport::Record;

use crate::desk::{ANA, BEN, Desk, Socket, bounded};
use crate::records::{add, event};
use crate::tells::tell_to;

fn connect(desk: &mut Desk, socket: Socket, subject: &str) {
    let action = ClientAction::Connect {
        subject: subject.into(),
        since: None,
        outbound: PartitionId(0),
        joined: Offset(1),
    };
    desk.say(socket, action, r#"{"sub":"somebody"}"#);
}

/// What the labels of the records since then say about whose messages they were: all of them, and the rest checked.
fn senders(desk: &mut Desk, from: usize) -> Vec<Option<String>> {
    desk.settle();
    let labels = desk.log[from..].iter().filter_map(|record| {
        let label = record.label.as_deref();
        match event(record) {
            Event::Commit(commit) => {
                let label = label.expect("every commit has one");
                assert_eq!((label.time, label.revision), (commit.now, commit.revision));
                Some(label.subject.as_deref().map(str::to_owned))
            }
            _ => {
                assert_eq!(label, None, "the platform's own records have none");
                None
            }
        }
    });
    labels.collect()
}

/// Does something, and says whose its commits are.
fn whose(desk: &mut Desk, deed: impl FnOnce(&mut Desk)) -> Vec<Option<String>> {
    let from = desk.log.len();
    deed(desk);
    senders(desk, from)
}

#[test]
fn a_commit_is_labelled_with_its_time_its_revision_and_whose_message_it_was() {
    let mut desk = Desk::owning();
    let ana = [Some("ana".to_owned())];
    let ben = [Some("ben".to_owned())];
    let nobody = [None];
    assert_eq!(whose(&mut desk, |desk| connect(desk, ANA, "ana")), ana);
    assert_eq!(whose(&mut desk, |desk| connect(desk, BEN, "ben")), ben);
    assert_eq!(whose(&mut desk, |desk| desk.send(BEN, 1, &add("b"))), ben);
    assert_eq!(whose(&mut desk, |desk| desk.send(ANA, 1, "damaged")), ana);
    let claims = r#"{"sub":"ben","role":"judge"}"#;
    let renewed = whose(&mut desk, |desk| {
        desk.say(BEN, ClientAction::Claims, claims)
    });
    assert_eq!(renewed, ben);
    assert_eq!(
        whose(&mut desk, |desk| tell_to(desk, 1, ANA.entity)),
        nobody
    );
    let back = Socket { attempt: 2, ..ANA };
    assert_eq!(whose(&mut desk, |desk| connect(desk, back, "ana")), ana);
    let left = ClientAction::Disconnect { left: false };
    assert_eq!(whose(&mut desk, |desk| desk.say(BEN, left, "")), ben);
    // The end of a grace is a timer's, and the end of an edge is nobody's message.
    let grace_ms = desk.limits.sessions.grace.ms();
    assert_eq!(whose(&mut desk, |desk| desk.pass(grace_ms)), nobody);
    assert_eq!(whose(&mut desk, |desk| desk.lose_edge(ANA.edge)), nobody);
}

/// The record of a command that is as large as the one here.
fn appended(record_bytes_max: usize) -> Record {
    let limits = bounded(|limits| limits.records.bytes_max = Size(record_bytes_max));
    let mut desk = Desk::with(limits, Arc::new(MemoryStore::default()));
    desk.own();
    desk.connect(ANA, None);
    desk.settle();
    desk.send(ANA, 1, &add(&"x".repeat(1000)));
    desk.settle();
    desk.log.pop().unwrap()
}

/// R9: a record that a log would refuse could never be committed, and its partition would wait for ever.
#[test]
fn a_record_that_is_too_large_as_text_only_is_too_large() {
    let fits = appended(1 << 20);
    let bytes = fits.header.len() + fits.value.len();
    assert!(bytes < fits.bytes() && !fits.value.is_empty());
    assert_eq!(appended(fits.bytes()).value, fits.value);
    assert!(appended(fits.bytes() - 1).value.is_empty(), "it faults");
    assert!(appended(bytes).value.is_empty(), "it faults");
}
