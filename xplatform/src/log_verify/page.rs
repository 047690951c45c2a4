//! The output of a verification, for people.

use std::fmt::Write as _;

use xp_protocol::LanePartition;
use xp_protocol::plain::plain;
use xp_state_node::verification::{Late, Report};

/// What this build cannot read of one partition, a line each; nothing when there is nothing.
pub(super) fn found(partition: &LanePartition, report: &Report) -> String {
    let mut page = String::new();
    let mut line = |text: String| {
        writeln!(page, "{partition} {}", plain(&text)).expect("a String takes all text")
    };
    for finding in &report.findings {
        line(finding.to_string());
    }
    let more = report.unread - report.findings.len() as u64;
    if more > 0 {
        line(format!(
            "and {more} more that this binary cannot read; --named N names N of each partition"
        ));
    }
    if let Some(newer) = &report.newer {
        line(newer.to_string());
    }
    page
}

/// Of a partition that cannot be replayed.
pub(super) fn late(late: &Late) -> String {
    format!("{}\n", plain(&late.to_string()))
}

/// All partitions together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    partitions: u64,
    late: u64,
    records: u64,
    entities: u64,
    unread: u64,
    newer: u64,
}

impl Totals {
    pub(super) fn count(&mut self, report: &Report) {
        self.partitions += 1;
        self.records += report.records;
        self.entities += report.entities;
        self.unread += report.unread;
        self.newer += report.newer.as_ref().map_or(0, |newer| newer.count);
    }

    pub(super) fn count_late(&mut self) {
        self.late += 1;
    }

    /// Why this binary must not be deployed, if it must not.
    pub(super) fn unread(&self) -> Option<String> {
        let Self {
            unread,
            entities,
            newer,
            ..
        } = self;
        let entities = counted(*entities, "entity", "entities");
        match (unread, newer) {
            (0, 0) => None,
            (0, newer) => Some(format!(
                "{} of a newer build that this binary does not read; see above",
                counted(*newer, "record is", "records are")
            )),
            (unread, _) => Some(format!(
                "this binary cannot read {unread} of {entities}; see above. Deployed, it would quarantine what it cannot read as \
                 soon as no snapshot hides it: give the domain a `read_event`, or mend what is named, and verify again"
            )),
        }
    }

    /// Why nothing can be said, if so.
    pub(super) fn late(&self) -> Option<String> {
        let all = counted(self.partitions + self.late, "partition", "partitions");
        let late = self.late;
        (late > 0).then(|| format!("{late} of {all} cannot be replayed from nothing; see above"))
    }

    pub(super) fn clean(&self) -> String {
        format!(
            "this binary reads all of it: {}, {}, {}\n",
            counted(self.partitions, "partition", "partitions"),
            counted(self.records, "record", "records"),
            counted(self.entities, "entity", "entities"),
        )
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unreadable_weighs_more_than_what_cannot_be_said() {
        let mut totals = Totals::default();
        totals.count_late();
        assert_eq!((totals.unread(), totals.late().is_some()), (None, true));
        totals.count(&Report {
            entities: 3,
            unread: 1,
            ..Report::default()
        });
        let said = totals.unread().unwrap();
        assert!(said.contains("cannot read 1 of 3 entities"), "{said}");
        assert!(totals.late().unwrap().starts_with("1 of 2 partitions"));
    }
}
