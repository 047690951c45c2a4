//! The bytes of everything a snapshot store keeps are pinned. A change of them needs a new version, or a new
//! build would take an old store for its own.
#[path = "golden/samples.rs"]
mod samples;

use std::collections::BTreeSet;
use std::path::PathBuf;

use xp_protocol::codec;
use xp_state_node::fold::Fold;
use xp_state_node::snapshot::{self, Pending, Stored};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_stored_format_reads_and_writes_back_as_the_same_bytes() {
    for sample in samples::all() {
        let path = directory().join(format!("{}.bin", sample.name));
        let golden = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}. A new format or version gets its file from `cargo run -p xp-state-node --example golden_snapshots`",
                path.display()
            )
        });
        let advice = format!(
            "{}: this build stores other bytes under the same version. Raise the format's VERSION, so that a \
             store written before is set aside and the log replayed; then `cargo run -p xp-state-node --example \
             golden_snapshots` writes the new file, and the old one is deleted",
            sample.name
        );
        let again = (sample.again)(&golden).unwrap_or_else(|error| panic!("{advice} ({error})"));
        assert_eq!(again, golden, "{advice}");
        assert_eq!(sample.bytes, golden, "{advice}");
    }
}

/// Reads what a former version of a format stored, and stores it as today; `None` for formats that read no former one.
fn again(format: &str, bytes: &[u8]) -> Option<Result<Vec<u8>, String>> {
    let bytes = snapshot::unsealed(bytes).expect("it is not damaged");
    let text = |error: codec::DecodeError| error.to_string();
    match format {
        "pending" => Some(
            codec::decode::<Pending>(bytes)
                .map_err(text)
                .map(|value| codec::encode(&value)),
        ),
        "fold" => Some(
            codec::decode::<Fold>(bytes)
                .map_err(text)
                .map(|value| codec::encode(&value)),
        ),
        "snapshot" => Some(
            codec::decode::<Stored>(bytes)
                .map_err(text)
                .map(|value| codec::encode(&value)),
        ),
        _ => None,
    }
}

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
        let former = std::fs::read(&path).unwrap();
        let again = again(format, &former);
        let again = again.unwrap_or_else(|| panic!("{name} is read by no test"));
        assert!(again.is_ok(), "{name}: {again:?}");
    }
}

/// What a former version stored means today what it meant then.
#[test]
fn a_record_of_the_first_version_is_an_entity_for_which_nothing_waits() {
    for (name, value) in [
        ("snapshot-busy-v1", samples::busy()),
        ("snapshot-idle-v1", samples::idle()),
    ] {
        let former = std::fs::read(directory().join(format!("{name}.bin"))).unwrap();
        assert_eq!(snapshot::stored(&former).unwrap(), value, "{name}");
    }
}

/// What the third version of the header could hold.
fn without_ended(mut header: Fold) -> Fold {
    header.lives = Default::default();
    header
}

#[test]
fn a_header_of_the_third_version_is_one_of_a_log_in_which_nobody_ended() {
    for (name, value) in [
        ("fold-header-full-v3", without_ended(samples::header())),
        ("fold-header-empty-v3", Fold::default()),
    ] {
        let former = std::fs::read(directory().join(format!("{name}.bin"))).unwrap();
        let header = codec::decode::<Fold>(snapshot::unsealed(&former).unwrap()).unwrap();
        assert_eq!(header, value, "{name}");
    }
}

/// What the second version of the header could hold.
fn without_names(header: Fold) -> Fold {
    let mut header = without_ended(header);
    header.suspects.names.clear();
    header.suspects.earlier.clear();
    header
}

#[test]
fn a_header_of_the_second_version_is_one_whose_suspects_have_no_names() {
    for (name, value) in [
        ("fold-header-full-v2", without_names(samples::header())),
        ("fold-header-empty-v2", Fold::default()),
    ] {
        let former = std::fs::read(directory().join(format!("{name}.bin"))).unwrap();
        let header = codec::decode::<Fold>(snapshot::unsealed(&former).unwrap()).unwrap();
        assert_eq!(header, value, "{name}");
    }
}

#[test]
fn the_first_byte_of_every_stored_format_is_its_version() {
    for sample in samples::all() {
        let version = format!("-v{}", sample.bytes[0]);
        assert!(sample.name.ends_with(&version), "{}", sample.name);
    }
}

#[test]
fn an_unknown_version_is_named() {
    let mut stored = samples::all().remove(0).bytes;
    stored[0] = 99;
    let resealed = snapshot::sealed(&stored[..stored.len() - 4]);
    let error = codec::decode::<Fold>(snapshot::unsealed(&resealed).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "fold-header has version 99, and this build reads version 4"
    );
}

#[test]
fn every_flipped_bit_is_found() {
    for sample in samples::all() {
        for bit in 0..sample.bytes.len() * 8 {
            let mut damaged = sample.bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                snapshot::unsealed(&damaged).is_err(),
                "{} bit {bit}",
                sample.name
            );
        }
    }
}

/// Without a wildcard, so that a new phase has to be given its place in the samples.
#[test]
fn the_golden_snapshot_holds_every_phase_of_a_session() {
    use xp_state_node::entity::Phase;
    let all = [samples::busy(), samples::ended()];
    let phases: BTreeSet<_> = all
        .iter()
        .flat_map(|stored| stored.runtime.sessions())
        .map(|session| match session.phase {
            Phase::Attached => 0,
            Phase::Detached { .. } => 1,
            Phase::Ended { .. } => 2,
            Phase::EndedWithEntity { .. } => 3,
        })
        .collect();
    assert_eq!(phases, (0..4).collect());
}
