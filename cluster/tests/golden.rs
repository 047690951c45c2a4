//! The bytes of the fold are pinned: nodes of two builds hand it to each other.
#[path = "golden/sample.rs"]
mod sample;

use std::path::Path;

use xp_cluster::Members;
use xp_protocol::codec;

#[test]
fn the_fold_reads_and_writes_back_as_the_same_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/members-v1.bin");
    let golden = std::fs::read(path).unwrap();
    let advice = "other bytes under the same version: raise it, and `cargo run -p xp-cluster --example golden_members` \
                  writes the new file";
    let read: Members = codec::decode(&golden).expect(advice);
    assert_eq!(read, sample::members(), "{advice}");
    assert_eq!(codec::encode(&read), golden, "{advice}");
}
