//! The bytes of the fold are pinned: nodes of two builds hand it to each other.
#[path = "golden/sample.rs"]
mod sample;

use std::path::Path;

use xp_cluster::Members;
use xp_protocol::codec;

fn golden(version: u8) -> Vec<u8> {
    let name = format!("tests/golden/members-v{version}.bin");
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .expect("the golden file is there")
}

#[test]
fn the_fold_of_version_1_is_read_still() {
    let read = xp_cluster::members::read(&golden(1)).expect("it is no damage");
    let partitions = |members: &Members| members.partitions().cloned().collect::<Vec<_>>();
    let now = sample::members();
    assert_eq!(
        (read.view(), partitions(&read)),
        (now.view(), partitions(&now))
    );
    assert!(
        partitions(&now)
            .iter()
            .all(|at| read.owner(at) == now.owner(at))
    );
}

#[test]
fn the_fold_reads_and_writes_back_as_the_same_bytes() {
    let golden = golden(2);
    let advice = "other bytes under the same version: raise it, and `cargo run -p xp-cluster --example golden_members` \
                  writes the new file";
    let read: Members = codec::decode(&golden).expect(advice);
    assert_eq!(read, sample::members(), "{advice}");
    assert_eq!(codec::encode(&read), golden, "{advice}");
}
