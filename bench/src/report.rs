//! The report of a run: one schema for all workloads, written as JSON and read again to make the page.

mod row;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
pub(crate) use row::{Goal, Row, Series, digits};

/// Rises when a reader of older files would misread a newer one.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    schema: u32,
    pub(crate) commit: String,
    /// Of cargo: `dist` where figures count.
    pub(crate) profile: String,
    pub(crate) seconds_since_1970: u64,
    /// Whether it was only tried that everything works. Then no figure means anything.
    pub(crate) smoke: bool,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    /// What could not be measured, wholly or in part; older files lack it.
    #[serde(default)]
    pub(crate) absent: Vec<Absent>,
}

/// A server that was asked for and has not all figures.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Absent {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Report {
    pub(crate) fn new(commit: String, seconds_since_1970: u64, smoke: bool) -> Self {
        Self {
            schema: SCHEMA,
            commit,
            profile: profile(),
            seconds_since_1970,
            smoke,
            machine: Machine::here(),
            rows: Vec::new(),
            absent: Vec::new(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = || format!("{} is no report", path.display());
        let bytes = std::fs::read(path).with_context(name)?;
        let report: Self = serde_json::from_slice(&bytes).with_context(name)?;
        let schema = report.schema;
        anyhow::ensure!(schema == SCHEMA, "its schema is {schema}, not {SCHEMA}");
        Ok(report)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, bytes).with_context(|| format!("{} is not written", path.display()))
    }

    /// Whether in all of it everything came, once and in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows.iter().all(Row::is_whole)
    }
}

/// The folder that the program was built into is named after it.
fn profile() -> String {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(Path::parent);
    let name = folder.and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = Report::new("abc".to_owned(), 7, true);
        let ours = Series::of("ours", vec![2.0]);
        let row = Row::of("W0", "a case", "p50", "µs", ours);
        let mut row = row.beside(Series::of("floor", vec![1.0]));
        row = row.wanted(Goal::AboveFloorAtMost(1.0));
        row.ours.curve = vec![(0.5, 1.25)];
        report.rows.push(row);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        report.write(&path).unwrap();
        let again = Report::read(&path).unwrap();
        assert_eq!(format!("{again:?}"), format!("{report:?}"));
        std::fs::write(&path, r#"{"schema": 1}"#).unwrap();
        assert!(Report::read(&path).is_err());
    }
}
