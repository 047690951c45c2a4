//! Damaged snapshot stores: whatever is in them, nothing panics, and the log has the last word (R35, R36).

use bytes::Bytes;
use proptest::prelude::*;
use xp_protocol::Address;
use xp_state_node::snapshot::{sealed, unsealed};
use xp_state_node::store::Batch;

use crate::desk::{ANA, Desk};
use crate::records::add;
use crate::snapshots::{entries, stored};

/// What is wrong with one record.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Gone,
    /// Other bytes, with a checksum that does not fit.
    Bytes(Vec<u8>),
    /// Other bytes behind the right version, with a checksum that fits: no disk does that, an older build might.
    Sealed(Vec<u8>),
    /// The right bytes but for one, with a checksum that fits.
    Changed(usize, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        Just(Damage::None),
        Just(Damage::Gone),
        bytes().prop_map(Damage::Bytes),
        bytes().prop_map(Damage::Sealed),
        (any::<usize>(), 1..=u8::MAX).prop_map(|(at, by)| Damage::Changed(at, by)),
    ]
}

impl Damage {
    fn is_found_by_checksum(&self) -> bool {
        matches!(self, Self::None | Self::Gone | Self::Bytes(_))
    }

    fn of(&self, record: Bytes) -> Option<Bytes> {
        match self {
            Self::None => Some(record),
            Self::Gone => None,
            Self::Bytes(bytes) => Some(bytes.clone().into()),
            Self::Sealed(bytes) => Some(sealed(&[&[1], &bytes[..]].concat())),
            Self::Changed(at, by) => {
                let mut bytes = unsealed(&record).unwrap().to_vec();
                let at = at % bytes.len();
                bytes[at] ^= by;
                Some(sealed(&bytes))
            }
        }
    }
}

/// Rewrites the store with these damages to the header, the entity's record and its index.
fn rewrite(desk: &Desk, header: &Damage, entity: &Damage, pending: &Damage) {
    let address: Address = ANA.entity.parse().unwrap();
    let former = desk.store.header().unwrap().unwrap();
    let record = desk.store.entity(&address).unwrap().unwrap();
    let (_, index) = desk.store.pending().unwrap().remove(0);
    desk.store.clear().unwrap();
    if let Some(header) = header.of(former) {
        let batch = Batch {
            header,
            entities: vec![(address.clone(), entity.of(record))],
            pending: vec![(address, pending.of(index))],
            ahead: None,
        };
        desk.store.write(batch).unwrap();
    }
}

/// Opens the partition until it decides, as its shell would; `None` when a person must look.
fn live(desk: &mut Desk) -> Option<()> {
    for _ in 0..6 {
        desk.try_reopen().ok()?;
        desk.replay();
        if desk.over.is_none() {
            desk.join_node();
            // A header that says that somebody with a later view owns the partition is believed.
            if !desk.has_claimed() {
                return None;
            }
            desk.append_claim();
            desk.replay();
            desk.send(ANA, 2, &add("b"));
            desk.settle();
        }
        match desk.over.as_deref() {
            Some("lost") => {}
            Some(_) => return None,
            None => return desk.core.is_owner().then_some(()),
        }
    }
    panic!("it is thrown away again and again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_store_is_replaced_by_the_log(header in damage(), entity in damage(), pending in damage()) {
        let mut desk = stored();
        rewrite(&desk, &header, &entity, &pending);
        let lives = live(&mut desk);
        let found = [&header, &entity, &pending].iter().all(|damage| damage.is_found_by_checksum());
        let lost = matches!(entity, Damage::Gone) && !matches!(header, Damage::Gone | Damage::Bytes(_));
        if found && !lost {
            prop_assert_eq!(lives, Some(()));
            prop_assert_eq!(entries(&mut desk), r#"{"entries":["a","b"]"#);
        }
    }

    #[test]
    fn arbitrary_records_in_the_log_are_ignored(records in proptest::collection::vec(
        (proptest::collection::vec(any::<u8>(), 0..60), proptest::collection::vec(any::<u8>(), 0..60)), 1..8)) {
        let mut desk = Desk::owning();
        desk.connect(ANA, None);
        desk.settle();
        for (key, header) in records {
            let header = [&[1], &header[..]].concat().into();
            desk.log.push(xp_transport::Record { key: key.into(), header, ..Default::default() });
        }
        desk.crash();
        desk.replay();
        prop_assert_eq!(desk.state().0, 1);
    }

    #[test]
    fn arbitrary_inbound_records_decide_nothing(records in proptest::collection::vec(
        (proptest::collection::vec(any::<u8>(), 0..60), proptest::collection::vec(any::<u8>(), 0..60)), 1..8)) {
        let mut desk = Desk::owning();
        desk.connect(ANA, None);
        desk.settle();
        for (key, header) in records {
            let header = [&[1], &header[..]].concat().into();
            desk.hear(xp_transport::Record { key: key.into(), header, ..Default::default() });
        }
        desk.send(ANA, 1, &add("a"));
        desk.settle();
        prop_assert_eq!(desk.state().0, 2);
    }
}
