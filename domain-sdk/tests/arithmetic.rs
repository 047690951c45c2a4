//! The look at a build's arithmetic, from builds of each kind: the compiler is run on two small crates.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::Command;

const MAIN: &str = "fn main() { println!(\"{}\", arithmetic::is_checked::<u8>()); }";

fn compile(arguments: &[&str], checks: &str, dir: &Path) {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let checks = format!("overflow-checks={checks}");
    let compiled = Command::new(rustc)
        .args(["--edition=2024", "-O", "-C", &checks, "-L", "."])
        .args(arguments)
        .current_dir(dir)
        .status();
    assert!(compiled.unwrap().success());
}

/// What a binary sees that was built with these checks, on a library that was built with those.
fn seen(library: &str, binary: &str) -> String {
    let dir = format!("arithmetic-{library}-{binary}");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
    std::fs::create_dir_all(&dir).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arithmetic.rs");
    let source = source.to_str().unwrap();
    let crate_type = "--crate-type=rlib";
    compile(
        &[crate_type, "--crate-name=arithmetic", source],
        library,
        &dir,
    );
    std::fs::write(dir.join("main.rs"), MAIN).unwrap();
    compile(&["main.rs", "--extern", "arithmetic"], binary, &dir);
    let output = Command::new(dir.join("main")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Profiles do not travel with dependencies: what counts is the crate of whoever asks.
#[test]
fn a_release_build_without_checks_is_seen_whatever_the_library_was_built_with() {
    assert_eq!(seen("on", "off"), "false\n");
    assert_eq!(seen("off", "on"), "true\n");
    assert_eq!(seen("off", "off"), "false\n");
}
