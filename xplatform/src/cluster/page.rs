//! The tables that people read.

use std::fmt::Write as _;

use xp_protocol::plain::plain;

use super::picture::{MemberRow, MirrorRow, PartitionRow, Picture, State, counted, written};

/// One screen: lanes, members, and what should be looked at.
pub(super) fn status(picture: &Picture) -> String {
    let mut page = lanes(picture);
    page.push('\n');
    page.push_str(&members(&picture.members));
    if picture.problems.is_empty() {
        page.push_str("\neverything has an owner, and somebody who could take over at once\n");
    } else {
        page.push('\n');
    }
    for problem in &picture.problems {
        let how = if problem.fatal { "fatal" } else { "warning" };
        writeln!(page, "{how}: {}", problem.what).expect("a String takes all text");
    }
    page
}

fn lanes(picture: &Picture) -> String {
    let head = [
        "LANE",
        "PARTITIONS",
        "WITHOUT OWNER",
        "WITHOUT STANDBY",
        "CATEGORIES",
    ];
    let rows = picture.lanes.iter().map(|lane| {
        vec![
            lane.name.clone(),
            lane.partitions.to_string(),
            lane.unplaced.to_string(),
            lane.alone.to_string(),
            lane.categories.join(", "),
        ]
    });
    let table = table(&head, rows.collect());
    format!("lanes of version {}\n{table}", picture.lanes_version)
}

pub(super) fn members(rows: &[MemberRow]) -> String {
    let head = [
        "NAME", "KIND", "STATE", "OWNS", "MIRRORS", "WARM", "WEIGHT", "LANES", "ADDRESS", "LABELS",
    ];
    let rows = rows.iter().map(|row| {
        let only = |text: String| match row.is_state_node() {
            true => text,
            false => String::new(),
        };
        vec![
            row.name.clone(),
            kind(row),
            state(row.state).to_owned(),
            only(row.owns.to_string()),
            only(row.mirrors.to_string()),
            only(row.warm.to_string()),
            only(row.weight.to_string()),
            only(row.lanes_version.to_string()),
            row.address.clone(),
            written(row.labels.iter()),
        ]
    });
    table(&head, rows.collect())
}

fn kind(row: &MemberRow) -> String {
    match row.outbound_partition {
        Some(outbound) => format!("edge (outbound {outbound})"),
        None => row.kind.to_owned(),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Alive => "alive",
        State::Leaving => "leaving",
        State::Drained => "drained",
    }
}

pub(super) fn partitions(rows: &[PartitionRow]) -> String {
    let head = ["PARTITION", "OWNER", "IN FACT", "MIRRORS", "MOVED TO"];
    let unowned = rows.iter().filter(|row| row.owner.is_none()).count();
    let rows = rows.iter().map(|row| {
        vec![
            row.partition.clone(),
            row.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
            row.owner_in_fact.clone(),
            row.mirrors
                .iter()
                .map(mirror)
                .collect::<Vec<_>>()
                .join(", "),
            row.moved_to.clone().unwrap_or_default(),
        ]
    });
    let mut page = table(&head, rows.collect());
    if unowned > 0 {
        let unowned = counted(unowned, "partition");
        writeln!(
            page,
            "\n{unowned} without an owner; `xp cluster status` says why"
        )
        .expect("a String takes all text");
    }
    page
}

pub(super) fn mirror(mirror: &MirrorRow) -> String {
    match mirror.warm {
        true => mirror.name.clone(),
        false => format!("{} (reading)", mirror.name),
    }
}

/// Columns as wide as their widest cell; the last one as it is.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    let plain = |cell: String| plain(&cell).into_owned();
    let rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(plain).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..rows[0].len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut page = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}
