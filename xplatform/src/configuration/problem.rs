//! A problem of a configuration: which key, where its value was set, and what to do.

use std::fmt;
use std::path::Path;

use figment::error::Kind;

use super::SECRET;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problem {
    /// The key, as in `edge.listen`; empty when it is about a whole file.
    key: String,
    /// Which file, variable or flag said so.
    place: String,
    /// What is wrong and what to do.
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.place.as_str()) {
            ("", place) => write!(f, "{place}: {}", self.what),
            (key, "") => write!(f, "{key}: {}", self.what),
            (key, place) => write!(f, "{key} in {place}: {}", self.what),
        }
    }
}

impl Problem {
    /// A value that can be read but cannot be used.
    pub(crate) fn of(key: &str, place: &str, what: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            place: place.to_owned(),
            what: what.into(),
        }
    }

    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::of(
            "",
            &path.display().to_string(),
            format!("cannot be read: {error}; check the path, or leave --config out"),
        )
    }

    /// The line is shown, unless a secret may stand in it.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let place = path.display().to_string();
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let number = text.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let shown = text.lines().nth(number).unwrap_or_default().to_lowercase();
        let hides = SECRET.iter().chain(&["token", "key"]);
        let what = match hides.clone().any(|word| shown.contains(word)) {
            true => format!(
                "line {}: {} (the line is not shown, as it may hold a secret)",
                number + 1,
                error.message()
            ),
            false => error.to_string(),
        };
        Self::of("", &place, format!("is not TOML: {what}"))
    }

    pub(super) fn variable(name: &str) -> Self {
        let what = "names no key: write XP__SECTION__KEY, as in XP__EDGE__LISTEN for edge.listen";
        Self::of("", &format!("${name}"), what)
    }

    pub(super) fn from_figment(error: &figment::Error, below: &str) -> Self {
        let place = error
            .metadata
            .as_ref()
            .map_or("", |metadata| metadata.name.as_ref());
        let mut key = error.path.clone();
        if key.is_empty() && !below.is_empty() {
            key.push(below.to_owned());
        }
        // A key that is not there has no path of its own.
        if let Kind::UnknownField(name, _) = &error.kind
            && key.last() != Some(name)
            && !is_secret(&key)
        {
            key.push(name.clone());
        }
        if let Kind::MissingField(name) = &error.kind
            && key.last().map(String::as_str) != Some(name)
        {
            key.push(name.to_string());
        }
        let is_secret = is_secret(&key);
        // What stands where the kind of a key belongs may be the key.
        if let Some(keys) = key.iter().position(|word| word == "keys") {
            key.truncate(keys + 2);
        }
        Self::of(&key.join("."), place, what(&error.kind, is_secret))
    }
}

/// Whether the value is a secret, or may hold one: nobody should read it in a message.
fn is_secret(key: &[String]) -> bool {
    let names_one = |word: &String| SECRET.contains(&word.as_str()) || word == "keys";
    key.iter().any(names_one)
}

fn what(kind: &Kind, is_secret: bool) -> String {
    match kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) if is_secret => {
            format!(
                "must be {} (what is there is not shown, as it may be a secret)",
                plain(wanted)
            )
        }
        Kind::UnknownVariant(_, known) if is_secret => {
            format!(
                "must be one of {} (what is there is not shown, as it may be a secret)",
                known.join(", ")
            )
        }
        Kind::UnknownField(_, known) if is_secret => {
            format!(
                "has a key that is not known here; known: {}",
                known.join(", ")
            )
        }
        Kind::Message(_) if is_secret => {
            "cannot be read (what is there is not shown, as it may be a secret)".to_owned()
        }
        Kind::UnknownField(name, known) => unknown("key", name, known),
        Kind::UnknownVariant(name, known) => unknown("choice", name, known),
        Kind::MissingField(_) => {
            "is missing: add it (`xp config reference` describes it)".to_owned()
        }
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("is {found}, and must be {}", plain(wanted))
        }
        Kind::Message(message) if message == SOCKET_ADDRESS => {
            format!("{message}: write ADDRESS:PORT, as in 127.0.0.1:7400")
        }
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    }
}

/// What the standard library says of text that is no address with a port.
const SOCKET_ADDRESS: &str = "invalid socket address syntax";

/// Rust's own types say nothing to the writer of a configuration.
fn plain(wanted: &str) -> &str {
    if wanted.starts_with("struct ") {
        "a table of keys; `xp config reference` names them"
    } else {
        wanted
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|known| distance(name, known));
    let near = near.filter(|near| distance(name, near) <= 2.max(name.len() / 3));
    let hint = near
        .map(|near| format!(" Did you mean {near:?}?"))
        .unwrap_or_default();
    format!(
        "there is no {what} {name:?}; known here: {}.{hint}",
        known.join(", ")
    )
}

/// How many letters have to be changed, added or removed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_near() {
        assert_eq!(distance("listn", "listen"), 1);
        assert_eq!(distance("garce", "grace"), 2);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_likely_one() {
        let said = unknown("key", "listn", &["name", "listen"]);
        assert_eq!(
            said,
            "there is no key \"listn\"; known here: name, listen. Did you mean \"listen\"?"
        );
        assert!(!unknown("key", "zzzzzz", &["name"]).contains("Did you mean"));
    }
}
