//! A checker of outputs: everything that a commit says outside of the log has gone out at least once, whoever sent it
//! (R8, R14).

use std::collections::BTreeSet;

use xp_protocol::outbound::Outbound;
use xp_protocol::{Address, Revision, codec};

use super::{Case, Findings};
use crate::partition_name::PartitionName;
use crate::plan::{CHAINED_MAX, EPOCH_MS};

/// What was committed so shortly before the end need not have gone out, in milliseconds.
const UNDER_WAY_MS: u64 = 3_000;

/// How many records of a partition may be under way to an `outbound` that is away: so many, and the one that always may,
/// so that somebody learns when it is back.
const UNDER_WAY_MAX: usize = CHAINED_MAX + 1;

type Said = BTreeSet<(PartitionName, Address, Revision)>;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let plan = case.outcome.plan;
    let until = EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS;
    let said = said(case);
    let mut found = Findings::new();
    if case.outcome.chained_max > UNDER_WAY_MAX {
        let what = format!(
            "{} records were under way at once",
            case.outcome.chained_max
        );
        found.push(("outbound".to_owned(), what));
    }
    for page in case.book.all().filter(|page| page.time.0 < until) {
        for link in &page.commit.outputs.links {
            let partition = PartitionName {
                partition: link.partition,
                ..page.lane
            };
            let key = (partition, page.address.clone(), page.commit.revision);
            if !said.contains(&key) {
                let what = format!("its record for outbound of {partition} never went out");
                found.push((page.location(), what));
            }
        }
    }
    found
}

fn said(case: &Case<'_>) -> Said {
    let mut said = Said::new();
    for (partition, records) in &case.outcome.outbound {
        for stored in records {
            let key = std::str::from_utf8(&stored.record.key).ok();
            let address = key.and_then(|key| key.parse::<Address>().ok());
            let header = codec::decode::<Outbound>(&stored.record.header).ok();
            let link = header.and_then(|header| header.link);
            if let (Some(address), Some(link)) = (address, link) {
                said.insert((*partition, address, link.revision));
            }
        }
    }
    said
}
