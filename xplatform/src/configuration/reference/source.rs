//! A reader of structs, enums and their doc comments in Rust source: as much of the language as configuration structs
//! use, which a test holds against the keys that serde writes.

use std::collections::BTreeMap;

/// All structs and enums of the configuration, by crate and name.
pub(super) struct Items(BTreeMap<(&'static str, String), Item>);

/// One struct or enum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) doc: String,
    pub(super) fields: Vec<Field>,
    is_enum: bool,
}

/// One field of a struct, or one variant of an enum, named as in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) doc: String,
    pub(super) kind: String,
}

impl Items {
    pub(super) fn read(sources: &[(&'static str, &str)]) -> Self {
        let read = |(home, text): &(&'static str, &str)| {
            let home = *home;
            items(text)
                .into_iter()
                .map(move |(name, item)| ((home, name), item))
                .collect::<Vec<_>>()
        };
        Self(sources.iter().flat_map(read).collect())
    }

    pub(super) fn get(&self, home: &str, name: &str) -> Option<&Item> {
        self.0
            .iter()
            .find(|((crate_, item), _)| *crate_ == home && item == name)
            .map(|(_, item)| item)
    }

    /// The struct that a field's type is, or holds in an `Option` or a map.
    pub(super) fn of_type<'a>(&self, home: &'a str, kind: &'a str) -> Option<(&'a str, &'a str)> {
        let (home, name) = resolve(home, kind);
        self.get(home, name)
            .filter(|item| !item.is_enum)
            .map(|_| (home, name))
    }

    /// The variants of a field's type, if it is an enum or a list of one.
    pub(super) fn choices(&self, home: &str, kind: &str) -> &[Field] {
        let (home, name) = resolve(home, kind);
        self.get(home, name)
            .filter(|item| item.is_enum)
            .map_or(&[], |item| &item.fields)
    }
}

/// `Option<Tls>` of a crate is that crate's `Tls`; `xp_edge::Config` is another crate's `Config`.
fn resolve<'a>(home: &'a str, kind: &'a str) -> (&'a str, &'a str) {
    let inner = kind
        .rsplit(['<', ' '])
        .next()
        .unwrap_or(kind)
        .trim_end_matches('>');
    match inner.split_once("::") {
        Some((home, _)) => (home, inner.rsplit("::").next().unwrap_or(inner)),
        None => (home, inner),
    }
}

fn items(text: &str) -> Vec<(String, Item)> {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let mut found: Vec<(String, Item)> = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    let mut renamed: Option<&str> = None;
    let mut open = false;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            doc.push(comment.trim());
        } else if let Some((name, is_enum)) = opens(line) {
            found.push((
                name,
                Item {
                    doc: doc.join("\n"),
                    fields: Vec::new(),
                    is_enum,
                },
            ));
            (doc, open) = (Vec::new(), true);
        } else if line.starts_with('}') {
            open = false;
        } else if open && !line.starts_with("#[") {
            if let Some((_, item)) = found.last_mut() {
                let mut field = field(line, &doc, item.is_enum);
                if let (Some(field), Some(name)) = (&mut field, renamed.take()) {
                    field.key = name.to_owned();
                }
                item.fields.extend(field);
            }
            doc.clear();
        } else if !line.starts_with("#[") {
            doc.clear();
        } else if let Some(name) = line.strip_prefix("#[serde(rename = \"") {
            renamed = name.strip_suffix("\")]");
        }
    }
    found
}

/// `pub struct Name {`, `pub enum Name {`, or `Name {` inside a macro that makes a struct of it.
fn opens(line: &str) -> Option<(String, bool)> {
    let name = line.strip_suffix('{')?.trim();
    let is_enum = name.starts_with("pub enum ");
    let name = name
        .trim_start_matches("pub struct ")
        .trim_start_matches("pub enum ");
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(char::is_alphanumeric);
    is_name.then(|| (name.to_owned(), is_enum))
}

/// `pub name: Type,`, `name: Type = default,` in such a macro, or a variant.
fn field(line: &str, doc: &[&str], is_enum: bool) -> Option<Field> {
    let doc = doc.join("\n  ");
    if is_enum {
        let name = line.split(['(', ',', '{']).next()?.trim();
        return is_word(name).then(|| Field {
            key: kebab(name),
            doc,
            kind: String::new(),
        });
    }
    let (name, kind) = line.trim_start_matches("pub ").split_once(": ")?;
    let kind = kind.split(" = ").next()?.trim_end_matches(',');
    is_word(name).then(|| Field {
        key: kebab(name),
        doc,
        kind: kind.to_owned(),
    })
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// As serde's `rename_all = "kebab-case"`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(if c == '_' {
            '-'
        } else {
            c.to_ascii_lowercase()
        });
    }
    out
}
