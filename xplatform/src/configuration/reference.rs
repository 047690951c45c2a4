//! The page that describes every key, made from the doc comments of the structs that are read.

mod source;

use std::fmt::Write as _;

use source::{Field, Item, Items};
use toml::Value;
use xp_runtime::Config;

/// Where the structs stand; their doc comments are the documentation.
const SOURCES: &[(&str, &str)] = &[
    ("xp_runtime", include_str!("../../../runtime/src/config.rs")),
    (
        "xp_runtime",
        include_str!("../../../runtime/src/config/kafka.rs"),
    ),
    (
        "xp_runtime",
        include_str!("../../../runtime/src/config/lane.rs"),
    ),
    (
        "xp_state_node",
        include_str!("../../../state-node/src/config.rs"),
    ),
    (
        "xp_state_node",
        include_str!("../../../state-node/src/limits.rs"),
    ),
    (
        "xp_state_node",
        include_str!("../../../state-node/src/pace.rs"),
    ),
    ("xp_edge", include_str!("../../../edge/src/config.rs")),
    ("xp_edge", include_str!("../../../edge/src/config/key.rs")),
    (
        "xp_edge",
        include_str!("../../../edge/src/config/limits.rs"),
    ),
    (
        "xp_edge",
        include_str!("../../../edge/src/config/timing.rs"),
    ),
];

const HEAD: &str = "\
# Configuration

Written by `xp config reference > docs/configuration.md` from the doc comments of the structs that are read; a test
compares the two.

The built-in values of `xp dev` hold unless the file (`--config FILE`, or `xp.toml` in the working directory) says
otherwise, then the environment (`XP__SECTION__KEY`: `XP__EDGE__LISTEN=0.0.0.0:7400` is `edge.listen`), then the flags.
Durations are written `500ms`, `2s`, `5min`, `1h`; sizes `64 KiB`, `1 MiB`. `xp config check` says which key of which
file cannot be used, `xp config show` prints every value in force and where it came from.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut built_in = Config::development(std::path::Path::new("./data"));
    // Not there unless it is asked for; its keys have values all the same.
    built_in.kafka = Some(Default::default());
    let values =
        Value::try_from(built_in).expect("the configuration has a TOML form: a test writes it");
    let items = Items::read(SOURCES);
    let mut page = HEAD.to_owned();
    table(&mut page, &items, "xp_runtime", "Config", "", Some(&values));
    page
}

/// One struct: its own keys as a list, then each struct in it as a section.
fn table(
    page: &mut String,
    items: &Items,
    home: &str,
    name: &str,
    path: &str,
    values: Option<&Value>,
) {
    let item = items
        .get(home, name)
        .expect("every struct of the configuration stands in SOURCES: a test reads all keys");
    heading(page, path, item);
    let nested = |field: &Field| items.of_type(home, &field.kind).is_some();
    for field in &item.fields {
        if is_list(field) || !nested(field) {
            entry(page, items, home, field, value_of(values, &field.key));
        }
    }
    for field in &item.fields {
        let Some((home, name)) = items.of_type(home, &field.kind) else {
            continue;
        };
        let (path, values) = step(path, field, value_of(values, &field.key));
        table(page, items, home, name, &path, values.as_ref());
    }
}

fn heading(page: &mut String, path: &str, item: &Item) {
    let heading = if path.is_empty() {
        "## Top level".to_owned()
    } else {
        format!("## `[{path}]`")
    };
    write!(page, "\n{heading}\n{}\n\n", item.doc).expect("a String takes all text");
}

fn entry(page: &mut String, items: &Items, home: &str, field: &Field, value: Option<&Value>) {
    let value = value.map_or(String::new(), |value| format!(" = `{value}`"));
    writeln!(page, "- **`{}`**{value}: {}", field.key, field.doc).expect("a String takes all text");
    for choice in items.choices(home, &field.kind) {
        writeln!(page, "  - `{}`: {}", choice.key, choice.doc).expect("a String takes all text");
    }
}

fn is_list(field: &Field) -> bool {
    field.kind.starts_with("Vec")
}

/// A map of structs is shown once, for any name, with the values of its first entry; a list of them as one of them.
fn step(path: &str, field: &Field, value: Option<&Value>) -> (String, Option<Value>) {
    let joined = if path.is_empty() {
        field.key.clone()
    } else {
        format!("{path}.{}", field.key)
    };
    if is_list(field) {
        return (format!("[{joined}]"), None);
    }
    if !field.kind.starts_with("BTreeMap") {
        return (joined, value.cloned());
    }
    let first = value
        .and_then(Value::as_table)
        .and_then(|table| table.values().next().cloned());
    (format!("{joined}.<name>"), first)
}

fn value_of<'a>(values: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    values?.get(key)
}

#[cfg(test)]
mod tests;
