//! A writer of the golden file of the fold, for a new version of it. It never touches one that is there.

#[path = "../tests/golden/sample.rs"]
mod sample;

use std::io::Write as _;
use std::path::Path;

use xp_cluster::Members;
use xp_protocol::codec::{self, Format};

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = directory.join(format!("{}-v{}.bin", Members::NAME, Members::VERSION));
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(&codec::encode(&sample::members()))
}
