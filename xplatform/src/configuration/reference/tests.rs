use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn keys(value: &Value, into: &mut BTreeSet<String>) {
    if let Value::Object(table) = value {
        for (key, value) in table {
            into.insert(key.clone());
            keys(value, into);
        }
    }
}

#[test]
fn every_key_that_is_written_is_described() {
    let values = serde_json::to_value(Config::development(Path::new("./data"))).unwrap();
    let mut written = BTreeSet::new();
    keys(&values, &mut written);
    written.remove("main");
    let page = page();
    for key in written {
        let forms = [
            format!("**`{key}`**"),
            format!("{key}]`"),
            format!("{key}]]`"),
            format!("{key}.<name>]`"),
        ];
        assert!(
            forms.iter().any(|form| page.contains(form)),
            "{key} is not described"
        );
    }
}

#[test]
fn no_key_is_without_a_description() {
    for line in page().lines().filter(|line| line.starts_with("- **`")) {
        assert!(
            !line.ends_with("**: ") && !line.ends_with("`: "),
            "no doc comment: {line}"
        );
    }
}

#[test]
fn the_committed_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/configuration.md is not current: write it with `cargo run -- config reference > docs/configuration.md`"
    );
}
