//! Owners record their positions also when they are never left in peace (R15).

use xp_protocol::TimeMs;
use xp_protocol::events::Event as Written;

use super::book::Valid;
use super::{Case, Findings};
use crate::partition_name::PartitionName;

/// For how long an owner may commit without recording its positions, in milliseconds: so often it is due, several times
/// over, as the log may be bad.
const LATE_MS: u64 = 2_500;
/// Who commits less often than this was not busy, but stood still.
const PAUSE_MS: u64 = 200;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    for (partition, valid) in &case.book.valid {
        late(*partition, valid, &mut found);
    }
    found
}

fn late(partition: PartitionName, valid: &[Valid], found: &mut Findings) {
    let (mut recorded, mut last) = (TimeMs(0), TimeMs(0));
    for record in valid {
        let is_position = matches!(record.event, Written::Checkpoint(_) | Written::Claim(_));
        if is_position || record.time.since_ms(last) > PAUSE_MS {
            recorded = record.time;
        }
        last = record.time;
        let since_ms = record.time.since_ms(recorded);
        if since_ms > LATE_MS {
            let what = format!("its owner has not recorded its positions for {since_ms} ms");
            found.push((format!("events of {partition} @ {}", record.offset), what));
            recorded = record.time;
        }
    }
}
