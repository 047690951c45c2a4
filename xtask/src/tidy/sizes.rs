//! Size is a smell, not a law: the longest files and functions are shown on every run, and fail nothing.

use super::functions::functions;
use super::tree::{File, Tree};
use std::fmt::Write;

const SHOWN: usize = 10;

struct Sized {
    lines: usize,
    place: String,
}

pub(crate) fn report(tree: &Tree) -> String {
    let lines = |file: &File| file.text.lines().count();
    let files = tree.rust_files().map(|file| Sized {
        lines: lines(file),
        place: file.path.clone(),
    });
    let functions = tree.rust_files().flat_map(sized_functions);
    let files = table("longest files", files.collect());
    let functions = table("longest functions", functions.collect());
    format!("{files}\n{functions}")
}

fn sized_functions(file: &File) -> Vec<Sized> {
    let place = |name, line| format!("{name} ({}:{line})", file.path);
    functions(file)
        .into_iter()
        .map(|f| Sized {
            lines: f.lines,
            place: place(f.name, f.line),
        })
        .collect()
}

fn table(title: &str, mut sized: Vec<Sized>) -> String {
    sized.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.place.cmp(&b.place)));
    let median = sized.get(sized.len() / 2).map_or(0, |middle| middle.lines);
    let mut out = format!("{title} (of {}, median {median} lines)", sized.len());
    for one in sized.iter().take(SHOWN) {
        write!(out, "\n{:>6}  {}", one.lines, one.place)
            .expect("writing into a string cannot fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_come_first() {
        let tree = Tree::of(&[
            ("a.rs", "fn a() {}\n"),
            ("b.rs", "fn b() {\n\n\n}\n"),
            ("c.md", "1\n2\n3\n4\n5\n6\n"),
        ]);
        let report = report(&tree);
        assert!(
            report.contains("longest files (of 2, median 1 lines)\n     4  b.rs\n     1  a.rs"),
            "{report}"
        );
        assert!(
            report.contains("\n     4  b (b.rs:1)\n     1  a (a.rs:1)"),
            "{report}"
        );
    }
}
