//! The configuration in force, line by line, with where each value came from. The lines are TOML again.

use std::fmt::Write as _;

use toml::Value;

use super::Loaded;

/// All values, as dotted keys in the order of their names.
pub(crate) fn show(loaded: &Loaded) -> String {
    let values = Value::try_from(&loaded.config)
        .expect("the configuration has a TOML form: a test writes it");
    let mut lines = Vec::new();
    flatten("", &values, &mut lines);
    let width = lines
        .iter()
        .map(|(path, value)| path.len() + value.len() + 3)
        .max()
        .unwrap_or(0)
        .min(72);
    let mut page = String::new();
    for (path, value) in lines {
        let line = format!("{path} = {value}");
        writeln!(page, "{line:width$}  # {}", loaded.place(&path))
            .expect("a String takes all text");
    }
    page
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) if !table.is_empty() || path.is_empty() => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, lines);
            }
        }
        value => lines.push((path.to_owned(), value.to_string())),
    }
}
