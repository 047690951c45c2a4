//! Licence expressions (SPDX) against an allow-list.

/// Whether an expression can be satisfied with allowed licences alone; none if it cannot be read.
pub(crate) fn allows(expression: &str, allowed: &[String]) -> Option<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = Words {
        words: spaced.split_whitespace().collect(),
        at: 0,
    };
    let verdict = any_of(&mut words, allowed)?;
    words.peek().is_none().then_some(verdict)
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    fn took(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        self.at += usize::from(is_next);
        is_next
    }
}

fn any_of(words: &mut Words, allowed: &[String]) -> Option<bool> {
    let mut verdict = all_of(words, allowed)?;
    while words.took("OR") {
        verdict |= all_of(words, allowed)?;
    }
    Some(verdict)
}

fn all_of(words: &mut Words, allowed: &[String]) -> Option<bool> {
    let mut verdict = one(words, allowed)?;
    while words.took("AND") {
        verdict &= one(words, allowed)?;
    }
    Some(verdict)
}

/// A licence with an exception is another licence: `X WITH Y` must be in the list as such.
fn one(words: &mut Words, allowed: &[String]) -> Option<bool> {
    if words.took("(") {
        let verdict = any_of(words, allowed)?;
        return words.took(")").then_some(verdict);
    }
    let mut name = words
        .next()
        .filter(|word| !matches!(*word, ")" | "AND" | "OR" | "WITH"))?
        .to_owned();
    if words.took("WITH") {
        name = format!("{name} WITH {}", words.next()?);
    }
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(expression: &str) -> Option<bool> {
        allows(expression, &["MIT".to_owned(), "ISC".to_owned()])
    }

    #[test]
    fn one_of_several_is_enough_and_all_of_several_are_needed() {
        assert_eq!(judged("MIT"), Some(true));
        assert_eq!(judged("Apache-2.0 OR MIT"), Some(true));
        assert_eq!(judged("Apache-2.0/MIT"), Some(true));
        assert_eq!(judged("ISC AND (Apache-2.0 OR MIT)"), Some(true));
        assert_eq!(judged("MIT AND GPL-3.0-only"), Some(false));
        assert_eq!(judged("GPL-3.0-only"), Some(false));
    }

    #[test]
    fn and_binds_more_tightly_than_or() {
        assert_eq!(judged("MIT OR GPL-3.0-only AND AGPL-3.0-only"), Some(true));
    }

    #[test]
    fn a_licence_with_an_exception_is_another_licence() {
        assert_eq!(judged("MIT WITH LLVM-exception"), Some(false));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed_by_accident() {
        for broken in ["", "MIT AND", "(MIT", "MIT MIT", "OR MIT", "MIT)"] {
            assert_eq!(judged(broken), None, "{broken}");
        }
    }
}
