//! A writer of the golden files that are missing, for a new format or a new version. It never touches one that is there:
//! bytes that are stored under a version stay what they are.

#[path = "../tests/golden/samples.rs"]
mod samples;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut out = std::io::stdout();
    for sample in samples::all() {
        let path = directory.join(format!("{}.bin", sample.name));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(&sample.bytes)?;
                writeln!(out, "wrote {}", sample.name)?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        (sample.again)(&sample.bytes).expect("what was stored can be read");
    }
    Ok(())
}
