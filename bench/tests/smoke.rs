//! A smoke run of the whole suite: everything comes, once and in order, and the figures become a page. What the figures
//! are is not judged.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::Command;

fn bench(words: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_xp-bench"))
        .args(words)
        .output()
        .unwrap();
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (says(&output.stdout), says(&output.stderr));
    assert!(output.status.success(), "{words:?}: {said}{complained}");
}

fn workloads(json: &Path) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(report["smoke"], true);
    let rows = report["rows"].as_array().unwrap().iter();
    let mut names: Vec<_> = rows
        .map(|row| row["workload"].as_str().unwrap().to_owned())
        .collect();
    names.dedup();
    names
}

/// Measures, and looks at the file and the page.
fn check(asked: &[&str], measured: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let (file, pages) = (json.to_str().unwrap(), dir.path().join("page"));
    bench(&[asked, &["--smoke", "--json", file]].concat());
    assert_eq!(workloads(&json), measured);
    bench(&["page", file, "--into", pages.to_str().unwrap()]);
    let page = std::fs::read_to_string(pages.join("README.md")).unwrap();
    let rows = measured.iter().map(|name| format!("| {name} |"));
    for row in rows {
        assert!(page.contains(&row), "no {row} in {page}");
    }
}

/// One after the other: each wants both cores for itself.
#[test]
fn nothing_is_lost_and_everything_is_in_order() {
    check(
        &["w1", "w2", "w3", "w4", "w7"],
        &["W1", "W2", "W3", "W4", "W7"],
    );
    check(&["w5", "w6"], &["W5", "W6"]);
}
