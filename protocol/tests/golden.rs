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

/// What a former version wrote is read for ever: later ones only append variants, so that nothing but the version
/// differs when it is written again.
#[test]
fn every_golden_file_belongs_to_a_sample_or_to_a_former_version_that_is_still_read() {
    let known: BTreeSet<_> = samples::all().into_iter().map(|s| s.name).collect();
    let files = std::fs::read_dir(directory()).unwrap();
    for path in files.map(|file| file.unwrap().path()) {
        if path.extension().is_none_or(|ending| ending != "bin") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        if known.contains(name) {
            continue;
        }
        let (format, _) = name.split_once('-').unwrap();
        let again = samples::again(format).unwrap_or_else(|| panic!("{name} is read by no test"));
        let golden = std::fs::read(&path).unwrap();
        let written = again(&golden).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written[1..], golden[1..], "{name}");
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
        Change::Parked(_) => 16,
        Change::Unparked => 17,
        Change::EntityEnded { .. } => 18,
    }
}

#[test]
fn the_golden_commits_hold_every_kind_of_change() {
    let changes = samples::changes().into_iter();
    let changes = changes.chain(samples::later_changes());
    let changes = changes.chain(samples::last_changes());
    let kinds: BTreeSet<_> = changes.map(|change| kind(&change)).collect();
    assert_eq!(kinds, (0..19).collect());
}
