//! The page that describes every key, made from the types that are read: their schema has the names, the doc comments
//! and the choices, and the built-in configuration has the values and the order.

mod schema;
mod order;

use std::fmt::Write as _;

use schemars::schema_for;
use serde_json::Value;
use serde_json::value::RawValue;
use xp_runtime::Config;
use xp_runtime::config::Kafka;

use order::{fields, raw};
use schema::{Schemas, Section, Setting};

const HEAD: &str = "\
# Configuration

Written by `xp config reference > docs/configuration.md` from the doc comments of the structs that are read; a test
compares the two.

The built-in values of `xp dev` hold unless the file (`--config FILE`, or `xp.toml` in the working directory) says
otherwise, then the environment (`XP__SECTION__KEY`: `XP__EDGE__LISTEN=0.0.0.0:7400` is `edge.listen`), then the flags.
Durations are written `500ms`, `2s`, `5min`, `1h 30min`; sizes `64 KiB`, `1 MiB`. `xp config check` says which key of which
file cannot be used, `xp config show` prints every value in force and where it came from.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut built_in = Config::development(std::path::Path::new("./data"));
    // Not there unless they are asked for; their keys have values and an order all the same.
    built_in.kafka = Some(Kafka {
        tls: Some(Default::default()),
        sasl: Some(Default::default()),
        ..Default::default()
    });
    let schemas = Schemas::of(schema_for!(Config));
    let mut page = HEAD.to_owned();
    let values = raw(&built_in);
    table(&mut page, &schemas, schemas.root(), "", Some(&values));
    page
}

/// One section: its own keys as a list, then each section in it.
fn table(
    page: &mut String,
    schemas: &Schemas,
    section: Section<'_>,
    path: &str,
    values: Option<&RawValue>,
) {
    heading(page, path, section);
    let values = values.map(fields).unwrap_or_default();
    let value_of = |key: &str| values.iter().find(|(known, _)| known == key);
    let value_of = |key: &str| value_of(key).map(|(_, value)| &**value);
    let mut settings = section.settings(schemas);
    let declared = |key: &str| values.iter().position(|(known, _)| known == key);
    settings.sort_by_key(|setting| declared(setting.key).unwrap_or(values.len()));
    for setting in &settings {
        if setting.section.is_none() || setting.is_list {
            entry(page, setting, value_of(setting.key));
        }
    }
    for setting in &settings {
        let Some(inner) = setting.section else {
            continue;
        };
        let (path, value) = step(path, setting, value_of(setting.key));
        table(page, schemas, inner, &path, value.as_deref());
    }
}

fn heading(page: &mut String, path: &str, section: Section<'_>) {
    let heading = if path.is_empty() {
        "## Top level".to_owned()
    } else {
        format!("## `[{path}]`")
    };
    write!(page, "\n{heading}\n{}\n\n", section.doc()).expect("a String takes all text");
}

fn entry(page: &mut String, setting: &Setting<'_>, value: Option<&RawValue>) {
    let value = value.map(parsed);
    let value = value.as_ref().or(setting.default);
    let value = value.filter(|value| !value.is_null()).map(written);
    let value = value.map_or(String::new(), |value| format!(" = `{value}`"));
    let doc = setting.doc.replace('\n', "\n  ");
    writeln!(page, "- **`{}`**{value}: {doc}", setting.key).expect("a String takes all text");
    for (choice, doc) in &setting.choices {
        let doc = doc.replace('\n', "\n  ");
        writeln!(page, "  - `{choice}`: {doc}").expect("a String takes all text");
    }
}

fn parsed(value: &RawValue) -> Value {
    serde_json::from_str(value.get()).expect("what serde wrote is JSON")
}

/// As in a file.
fn written(value: &Value) -> String {
    let value = toml::Value::try_from(value).expect("a value of the configuration has a TOML form");
    value.to_string()
}

/// A map of sections is shown once, for any name, with the values of its first entry; a list of them as one of them.
fn step(
    path: &str,
    setting: &Setting<'_>,
    value: Option<&RawValue>,
) -> (String, Option<Box<RawValue>>) {
    let joined = if path.is_empty() {
        setting.key.to_owned()
    } else {
        format!("{path}.{}", setting.key)
    };
    if setting.is_list {
        return (format!("[{joined}]"), None);
    }
    if !setting.is_map {
        return (joined, value.map(ToOwned::to_owned));
    }
    let first = value.and_then(|value| fields(value).into_iter().next());
    (format!("{joined}.<name>"), first.map(|(_, value)| value))
}

#[cfg(test)]
mod tests;
