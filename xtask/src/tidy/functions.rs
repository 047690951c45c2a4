//! The beginnings and ends of functions in Rust source.

use super::source::{Source, block_end, identifier};

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Offset of its `fn`.
    pub(crate) at: usize,
    pub(crate) line: usize,
    /// From the line of its `fn` to that of its last bracket.
    pub(crate) lines: usize,
}

/// Functions with a body, nested ones too.
pub(crate) fn functions(source: &Source) -> Vec<Function> {
    source
        .words("fn")
        .filter_map(|at| function(source, at))
        .collect()
}

fn function(source: &Source, at: usize) -> Option<Function> {
    let name = identifier(&source.code, at + 2);
    let open = body(&source.code, at)?;
    let (line, last) = (
        source.line(at),
        source.line(block_end(&source.code, open) - 1),
    );
    (!name.is_empty()).then(|| Function {
        name: name.to_owned(),
        at,
        line,
        lines: last - line + 1,
    })
}

/// The `{` of the body: the first outside round and square brackets, unless a `;` ends the declaration before it.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_runs_to_its_last_bracket_and_a_declaration_is_none() {
        let source = Source::new(
            "a.rs",
            "trait T {\n fn no(&self, n: [u8; 2]);\n fn yes(&self) -> [u8; 2] {\n  {}\n }\n}\ntype F = fn(u8);",
        );
        let found: Vec<_> = functions(&source)
            .into_iter()
            .map(|f| (f.name, f.line, f.lines))
            .collect();
        assert_eq!(found, [("yes".to_owned(), 3, 3)]);
    }
}
