//! Every code has its page, and the table leads to it.

use std::fs;
use std::path::PathBuf;

use xp_protocol::{CloseCode, FaultCode};

fn page(name: &str) -> String {
    // Asked at run time: the test program may run in another clone than it was built in.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let path = package.join("../docs/codes").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_close_code_has_a_page_with_its_number() {
    let table = page("README.md");
    for code in CloseCode::ALL {
        let (name, number) = (code.name(), code.number());
        assert!(page(&format!("{name}.md")).starts_with(&format!("# {number} `{name}`")));
        let row = format!("| {number} | [`{name}`]({name}.md) |");
        assert!(table.contains(&row), "{row}");
    }
}

#[test]
fn every_fault_code_has_a_page() {
    let table = page("README.md");
    for code in FaultCode::ALL {
        let name = code.name();
        assert!(page(&format!("fault-{name}.md")).starts_with(&format!("# fault `{name}`")));
        assert!(
            table.contains(&format!("[`{name}`](fault-{name}.md)")),
            "{name}"
        );
    }
}
