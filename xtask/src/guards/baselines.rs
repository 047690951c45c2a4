//! The stored counts, in a file whose differences can be read.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How far a count may lie from the stored one, in percent.
const TOLERANCE: f64 = 3.0;

/// What was counted when somebody accepted it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Baselines {
    /// Whose code was counted.
    pub(crate) compiler: String,
    /// By the names of the guards.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What a comparison comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// For people, one for each guard.
    pub(crate) lines: Vec<String>,
    /// How many guards are not kept.
    pub(crate) lost: usize,
}

impl Baselines {
    pub(crate) fn read(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let compiler = value["compiler"].as_str().context("no `compiler`")?;
        let counts = value["instructions"].as_object();
        let counts = counts.context("no `instructions`")?.iter();
        let count = |(name, count): (&String, &Value)| {
            let count = count.as_u64();
            let count = count.with_context(|| format!("`{name}` has no count"))?;
            Ok((name.clone(), count))
        };
        Ok(Self {
            compiler: compiler.to_owned(),
            instructions: counts.map(count).collect::<Result<_>>()?,
        })
    }

    /// One guard in a line.
    pub(crate) fn write(&self) -> String {
        let Self {
            compiler,
            instructions,
        } = self;
        let value = json!({ "compiler": compiler, "instructions": instructions });
        format!("{value:#}\n")
    }

    /// A guard is kept when it takes no more than it took, and was stored at all. One that takes less is kept too, and
    /// its line says that the gain can be.
    pub(crate) fn judge(&self, counts: &BTreeMap<String, u64>) -> Judged {
        let all = self.instructions.keys().chain(counts.keys());
        let mut names: Vec<_> = all.collect();
        names.sort();
        names.dedup();
        let mut judged = Judged {
            lines: Vec::new(),
            lost: 0,
        };
        for name in names {
            let (is_kept, said) = compare(self.instructions.get(name), counts.get(name));
            judged.lost += usize::from(!is_kept);
            judged.lines.push(format!("{name}: {said}"));
        }
        judged
    }
}

/// Whether a guard is kept, and what is said of it.
fn compare(stored: Option<&u64>, counted: Option<&u64>) -> (bool, String) {
    let (stored, counted) = match (stored, counted) {
        (Some(stored), Some(counted)) => (*stored, *counted),
        (None, Some(counted)) => return (false, format!("{counted} instructions, NOT STORED")),
        _ => return (false, "is stored, and there is NO SUCH GUARD".to_owned()),
    };
    let percent = 100.0 * (counted as f64 - stored as f64) / (stored as f64).max(1.0);
    if percent.abs() <= TOLERANCE {
        return (true, format!("{counted} instructions ({percent:+.1} %)"));
    }
    let said = match percent > 0.0 {
        true => "TOO MANY",
        false => "fewer: `cargo xtask guards --accept` keeps it so",
    };
    let said = format!("{counted} instructions, {stored} before ({percent:+.1} %), {said}");
    (percent < 0.0, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
        counts.map(|(name, count)| (name.to_owned(), count)).into()
    }

    fn stored<const N: usize>(stored: [(&str, u64); N]) -> Baselines {
        Baselines {
            compiler: "1.95.0 for x86_64-unknown-linux-gnu".to_owned(),
            instructions: counts(stored),
        }
    }

    fn check(before: u64, now: u64, is_kept: bool, said: &str) {
        let judged = stored([("a: b", before)]).judge(&counts([("a: b", now)]));
        assert_eq!(judged.lines, [format!("a: b: {said}")]);
        assert_eq!(judged.lost, usize::from(!is_kept));
    }

    #[test]
    fn three_percent_more_are_tolerated_and_not_a_bit_beyond() {
        check(1000, 1000, true, "1000 instructions (+0.0 %)");
        check(1000, 1030, true, "1030 instructions (+3.0 %)");
        let said = "1031 instructions, 1000 before (+3.1 %), TOO MANY";
        check(1000, 1031, false, said);
    }

    #[test]
    fn fewer_are_kept_and_pointed_out() {
        let said = "900 instructions, 1000 before (-10.0 %), fewer: `cargo xtask guards --accept` keeps it so";
        check(1000, 900, true, said);
    }

    #[test]
    fn a_guard_that_is_on_one_side_only_is_not_kept() {
        let judged = stored([("gone", 5)]).judge(&counts([("new", 7)]));
        let gone = "gone: is stored, and there is NO SUCH GUARD";
        assert_eq!(judged.lines, [gone, "new: 7 instructions, NOT STORED"]);
        assert_eq!(judged.lost, 2);
    }

    #[test]
    fn what_is_written_reads_back_with_one_guard_in_a_line() {
        let baselines = stored([("edge: b", 5), ("edge: a", 1_000)]);
        let text = baselines.write();
        assert_eq!(Baselines::read(&text).unwrap(), baselines);
        assert!(
            text.contains("\n    \"edge: a\": 1000,\n    \"edge: b\": 5\n"),
            "{text}"
        );
        let said = Baselines::read(r#"{"compiler": "x", "instructions": {"a": "b"}}"#);
        assert_eq!(said.unwrap_err().to_string(), "`a` has no count");
    }
}
