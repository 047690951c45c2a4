//! The bytes of every platform format are pinned. A change of them needs a new version.
#[path = "golden/samples.rs"]
mod samples;

use std::collections::BTreeSet;
use std::path::PathBuf;

use xp_protocol::events::Change;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_golden_file_reads_and_writes_back_as_the_same_bytes() {
    for sample in samples::all() {
        let path = directory().join(format!("{}.bin", sample.name));
        let golden = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}. A new format or version gets its file from `cargo run -p xp-protocol --example golden`",
                path.display()
            )
        });
        let again =
            (sample.again)(&golden).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        assert_eq!(again, golden, "{}", sample.name);
        assert_eq!(
            sample.bytes, golden,
            "{}: this build writes other bytes under the same version",
            sample.name
        );
    }
}

#[test]
fn what_former_versions_wrote_is_read_as_what_it_was() {
    for sample in samples::former() {
        let path = directory().join(format!("{}.bin", sample.name));
        let golden = std::fs::read(&path).unwrap();
        let again = (sample.again)(&golden).unwrap();
        assert_eq!(again, sample.bytes, "{}", sample.name);
    }
}

#[test]
fn every_golden_file_belongs_to_a_sample() {
    let versions = |s: samples::Sample| {
        s.versions
            .map(move |version| format!("{}-v{version}", s.of))
    };
    let samples = samples::all().into_iter().chain(samples::former());
    let known: BTreeSet<_> = samples.flat_map(versions).collect();
    let files = std::fs::read_dir(directory()).unwrap();
    for path in files.map(|file| file.unwrap().path()) {
        if path.extension().is_some_and(|ending| ending == "bin") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(known.contains(name), "{name} is decoded by no test");
        }
    }
}

#[test]
fn what_the_versions_before_wrote_is_read_on() {
    for sample in samples::all() {
        for version in sample
            .versions
            .clone()
            .filter(|v| v != sample.versions.end())
        {
            let path = directory().join(format!("{}-v{version}.bin", sample.of));
            // A shape that came with a later version has no file of this one.
            let Ok(golden) = std::fs::read(&path) else {
                continue;
            };
            let again = (sample.again)(&golden);
            let again = again.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(again[1..], golden[1..], "{}", path.display());
        }
    }
}

/// Without a wildcard, so that a new kind of change has to be given its place in the samples.
fn kind(change: &Change) -> usize {
    match change {
        Change::SessionBegun(_) => 0,
        Change::SessionAttached(_) => 1,
        Change::SessionDetached { .. } => 2,
        Change::SessionEnded { .. } => 3,
        Change::SessionForgotten(_) => 4,
        Change::ClaimsChanged { .. } => 5,
        Change::Taken { .. } => 6,
        Change::Answered { .. } => 7,
        Change::TicketOpened { .. } => 8,
        Change::TicketClosed(_) => 9,
        Change::TimerSet { .. } => 10,
        Change::TimerCleared(_) => 11,
        Change::Asked { .. } => 12,
        Change::AskClosed(_) => 13,
        Change::TellTaken { .. } => 14,
        Change::AnsweredAsShown { .. } => 15,
    }
}

#[test]
fn the_golden_commit_holds_every_kind_of_change() {
    let kinds: BTreeSet<_> = samples::changes().iter().map(kind).collect();
    assert_eq!(kinds, (0..16).collect());
}
