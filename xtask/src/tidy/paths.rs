//! Paths in code: `crate::a::{b, c::D as E}` is two of them.

use super::source::{identifier, words};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Offset of its first word.
    pub(crate) at: usize,
    /// `["crate", "a", "b"]`; a glob ends with `*`.
    pub(crate) names: Vec<String>,
    /// The name it has here: after `as`, else its last.
    pub(crate) known_as: String,
}

/// Every path that starts with `crate` or `super`, wherever it stands.
pub(crate) fn within_crate(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    for start in ["crate", "super"] {
        for at in words(code, start) {
            // The second `super` of `super::super` was read with the first.
            if code[at..].starts_with(&format!("{start}::")) && !code[..at].ends_with("::") {
                found.extend(read(code, at));
            }
        }
    }
    found
}

/// What the `use` lines of a file bring into it.
pub(crate) fn used(code: &str) -> Vec<Path> {
    words(code, "use")
        .flat_map(|at| read(code, at + 3))
        .collect()
}

fn read(code: &str, at: usize) -> Vec<Path> {
    let mut reader = Reader {
        code,
        at,
        found: Vec::new(),
    };
    reader.skip_space();
    let start = reader.at;
    reader.tree(start, Vec::new());
    reader.found
}

struct Reader<'a> {
    code: &'a str,
    at: usize,
    found: Vec<Path>,
}

impl Reader<'_> {
    fn tree(&mut self, start: usize, mut names: Vec<String>) {
        loop {
            self.skip_space();
            if self.took("{") {
                return self.group(&names);
            }
            let name = if self.took("*") { "*" } else { self.word() };
            if name.is_empty() {
                return self.add(start, names);
            }
            names.push(name.to_owned());
            if !self.took("::") {
                return self.add(start, names);
            }
        }
    }

    fn group(&mut self, names: &[String]) {
        loop {
            self.skip_space();
            if self.took("}") || self.at >= self.code.len() {
                return;
            }
            let before = self.at;
            self.tree(before, names.to_vec());
            self.skip_space();
            self.took(",");
            if self.at == before {
                return;
            }
        }
    }

    /// `self` in a group means the path so far.
    fn add(&mut self, at: usize, mut names: Vec<String>) {
        if names.len() > 1 && names.last().is_some_and(|name| name == "self") {
            names.pop();
        }
        let Some(last) = names.last().cloned() else {
            return;
        };
        let known_as = self.renamed().unwrap_or(last);
        self.found.push(Path {
            at,
            names,
            known_as,
        });
    }

    fn renamed(&mut self) -> Option<String> {
        self.skip_space();
        let mut words = self.code[self.at..].split_whitespace();
        words.next().filter(|word| *word == "as")?;
        self.at += 2;
        self.skip_space();
        Some(self.word().to_owned())
    }

    fn word(&mut self) -> &str {
        let rest = &self.code[self.at..];
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        let name = if rest.starts_with(char::is_whitespace) {
            ""
        } else {
            identifier(rest, raw)
        };
        self.at += raw + name.len();
        name
    }

    fn took(&mut self, token: &str) -> bool {
        let is_next = self.code[self.at..].starts_with(token);
        self.at += if is_next { token.len() } else { 0 };
        is_next
    }

    fn skip_space(&mut self) {
        let rest = &self.code[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: Vec<Path>) -> Vec<String> {
        paths
            .into_iter()
            .map(|path| format!("{} as {}", path.names.join("::"), path.known_as))
            .collect()
    }

    #[test]
    fn groups_are_unfolded() {
        let code = "use crate::{\n    a::{self, B},\n    c::D as E,\n    f::*,\n};\nuse std::fmt;";
        assert_eq!(
            names(within_crate(code)),
            [
                "crate::a as a",
                "crate::a::B as B",
                "crate::c::D as E",
                "crate::f::* as *"
            ]
        );
        assert_eq!(
            names(used("pub use x::{Y, z};")),
            ["x::Y as Y", "x::z as z"]
        );
    }

    #[test]
    fn paths_in_expressions_count_too() {
        let code = "fn f(x: super::super::A<u8>) -> crate::b::C { crate::d::e(x) as u8 }\npub(crate) fn g() {}";
        assert_eq!(
            names(within_crate(code)),
            [
                "crate::b::C as C",
                "crate::d::e as e",
                "super::super::A as A"
            ]
        );
    }
}
