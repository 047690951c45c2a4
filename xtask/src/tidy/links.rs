//! Links in the documents lead somewhere: to a file of the repository, and to a heading if they name one.

use super::problem::Problem;
use super::tree::{File, Tree};

/// What a reader opens first.
const FIRST_PAGES: [&str; 2] = ["README.md", "ARCHITECTURE.md"];

struct Link<'a> {
    line: usize,
    target: &'a str,
}

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let missing = FIRST_PAGES
        .into_iter()
        .filter(|page| tree.file(page).is_none());
    let missing = missing.map(|page| {
        Problem::new(
            page,
            1,
            "the page is missing",
            "write it; it is where a reader begins",
        )
    });
    let pages = tree.files().filter(|file| file.path.ends_with(".md"));
    missing
        .chain(pages.flat_map(|page| check_page(page, tree)))
        .collect()
}

fn check_page(page: &File, tree: &Tree) -> Vec<Problem> {
    let links = links(&page.text);
    let broken = links.into_iter().filter_map(|link| {
        let (what, mend) = broken(&page.path, link.target, tree)?;
        Some(Problem::new(&page.path, link.line, what, mend))
    });
    broken.collect()
}

/// Links of both forms, `[text](target)` and `[name]: target`; code is no link.
fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            found.extend(
                targets(text)
                    .into_iter()
                    .map(|target| Link { line, target }),
            );
        }
    }
    found
}

fn targets(line: &str) -> Vec<&str> {
    let mut found: Vec<&str> = definition(line).into_iter().collect();
    for (at, _) in line.match_indices("](") {
        let is_code = line[..at].matches('`').count() % 2 == 1;
        let end = line[at..].find(')').map(|end| at + end);
        found.extend(end.filter(|_| !is_code).map(|end| line[at + 2..end].trim()));
    }
    // A target may be followed by a title, and stand in angle brackets.
    let bare = |target: &'_ str| target.split(' ').next().unwrap_or_default().len();
    found
        .iter()
        .map(|target| target[..bare(target)].trim_matches(['<', '>']))
        .collect()
}

fn definition(line: &str) -> Option<&str> {
    let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
    (!name.contains(']') && !name.starts_with('^')).then(|| target.trim())
}

fn broken(page: &str, target: &str, tree: &Tree) -> Option<(String, String)> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let Some(file) = resolve(page, path) else {
        return Some((
            format!("the link `{target}` leaves the repository"),
            "link to what a clone of the repository has".to_owned(),
        ));
    };
    if !tree.holds(&file) {
        return Some((
            format!("the link `{target}` leads nowhere"),
            format!("there is no {file}; links are relative to the page they stand in"),
        ));
    }
    broken_anchor(target, &file, anchor?, tree)
}

/// The path from the repository's root; none if it leads out of it.
fn resolve(page: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(page.to_owned());
    }
    let folder = if path.starts_with('/') {
        ""
    } else {
        page.rsplit_once('/').map_or("", |(folder, _)| folder)
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn broken_anchor(target: &str, file: &str, anchor: &str, tree: &Tree) -> Option<(String, String)> {
    let Some(text) = tree.text(file).filter(|_| file.ends_with(".md")) else {
        let mend = "link to the file, and name the item in the text: lines move".to_owned();
        return Some((
            format!("the link `{target}` names a line or a place in a file that has no headings"),
            mend,
        ));
    };
    let anchors = anchors(text);
    let mend = || format!("the headings of {file} are {}", anchors.join(", "));
    (!anchors.iter().any(|known| known == anchor))
        .then(|| (format!("the link `{target}` names no heading"), mend()))
}

/// Headings as the web links them; the second of a name is `name-1`.
fn anchors(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if !in_code && title.len() < line.len() && title.starts_with(' ') {
            names.push(anchor(title.trim()));
        }
    }
    let earlier = |at: usize| {
        names[..at]
            .iter()
            .filter(|name| **name == names[at])
            .count()
    };
    let numbered = |(at, name): (usize, &String)| match earlier(at) {
        0 => name.clone(),
        earlier => format!("{name}-{earlier}"),
    };
    names.iter().enumerate().map(numbered).collect()
}

/// Small letters, white space as hyphens, no punctuation.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [(&str, &str); 3] = [
        ("README.md", "# Quick start: `xp dev`\n## Twice\n## Twice\n"),
        ("ARCHITECTURE.md", ""),
        ("edge/src/lib.rs", ""),
    ];

    fn found(page: &str) -> Vec<String> {
        let files: Vec<_> = OTHERS.into_iter().chain([("docs/page.md", page)]).collect();
        check(&Tree::of(&files))
            .into_iter()
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.what))
            .collect()
    }

    #[test]
    fn links_to_files_folders_headings_and_the_web_are_fine() {
        let page = "# Top\n[a](../README.md#quick-start-xp-dev) [b](../edge/src) ![c](/edge/src/lib.rs) [d](#top)\n[e](https://x.example/y) [f](../README.md#twice-1 \"title\")\n\n[g]: ../ARCHITECTURE.md\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        assert_eq!(
            found("text\n[a](../edge/src/gone.rs) and\n\n[b]: gone.md"),
            [
                "docs/page.md:2 the link `../edge/src/gone.rs` leads nowhere",
                "docs/page.md:4 the link `gone.md` leads nowhere",
            ]
        );
    }

    #[test]
    fn a_link_to_a_missing_heading_or_a_line_is_found() {
        assert_eq!(
            found("[a](../README.md#gone)"),
            ["docs/page.md:1 the link `../README.md#gone` names no heading"]
        );
        let line = found("[a](../edge/src/lib.rs#L10)");
        assert_eq!(
            line,
            [
                "docs/page.md:1 the link `../edge/src/lib.rs#L10` names a line or a place in a file that has no headings"
            ]
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        assert_eq!(
            found("[a](../../else.md)"),
            ["docs/page.md:1 the link `../../else.md` leaves the repository"]
        );
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(
            found("```\n[a](gone.md)\n```\nand `[b](gone.md)`"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_missing_first_page_is_found() {
        assert_eq!(
            check(&Tree::of(&[("README.md", "")]))[0].path,
            "ARCHITECTURE.md"
        );
    }
}
