//! Every close code and fault code has a page, and every page a code: the table in `protocol/src/codes.rs` and the
//! files of `docs/codes/` say the same.

use super::problem::Problem;
use super::syntax::items;
use super::tree::{File, Tree};
use proc_macro2::Ident;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, LitInt, LitStr, Macro, Token};

const TABLE: &str = "protocol/src/codes.rs";
const PAGES: &str = "docs/codes/";

#[derive(Debug, PartialEq, Eq)]
struct Code {
    name: String,
    /// Close codes have one, fault codes are words.
    number: Option<String>,
    line: usize,
}

impl Code {
    /// Fault codes share names with close codes, so their pages say which they are.
    fn page(&self) -> String {
        let family = if self.number.is_some() { "" } else { "fault-" };
        format!("{family}{}", self.name)
    }
}

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(table) = tree.file(TABLE) else {
        return vec![Problem::new(
            TABLE,
            1,
            "the table of codes is missing",
            "put all codes there, or tell xtask/src/tidy/codes.rs where they are",
        )];
    };
    let mut problems = Vec::new();
    let mut codes = Vec::new();
    for family in ["close_codes", "fault_codes"] {
        let found = family_of(table, family);
        if found.is_empty() {
            let mend = "keep the codes as `Variant = 4000, \"name\";` in that macro, or teach xtask/src/tidy/codes.rs their new form";
            problems.push(Problem::new(
                TABLE,
                1,
                format!("no code stands in `{family}! {{ … }}`"),
                mend,
            ));
        }
        codes.extend(found);
    }
    problems.extend(codes.iter().filter_map(|code| page_problem(tree, code)));
    problems.extend(tree.files().filter_map(|page| orphan(page, &codes)));
    problems
}

/// The lines of one invocation.
fn family_of(table: &File, family: &str) -> Vec<Code> {
    let invocations = items(table).into_iter().filter_map(|item| match item {
        Item::Macro(item) if item.mac.path.is_ident(family) => Some(item.mac),
        _ => None,
    });
    let read = |invocation: Macro| {
        let codes = invocation.parse_body_with(Punctuated::<Code, Token![;]>::parse_terminated);
        codes.into_iter().flatten()
    };
    invocations.flat_map(read).collect()
}

impl Parse for Code {
    /// `Variant = 4000, "name"` or `Variant = "name"`.
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Attribute::parse_outer(input)?;
        let variant: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let number: Option<LitInt> = input.peek(LitInt).then(|| input.parse()).transpose()?;
        if number.is_some() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self {
            name: input.parse::<LitStr>()?.value(),
            number: number.map(|number| number.base10_digits().to_owned()),
            line: variant.span().start().line,
        })
    }
}

fn page_problem(tree: &Tree, code: &Code) -> Option<Problem> {
    let page = format!("{PAGES}{}.md", code.page());
    let Some(text) = tree.text(&page) else {
        let mend = format!("write {page}: what it means, why a client gets it, what to do");
        return Some(Problem::new(
            TABLE,
            code.line,
            format!("the code `{}` has no page", code.name),
            mend,
        ));
    };
    let title = text.lines().next().unwrap_or_default();
    let mut named = [Some(&code.name), code.number.as_ref()]
        .into_iter()
        .flatten();
    let missing = named.find(|name| !title.contains(name.as_str()))?;
    let mend = format!(
        "begin the page with `# {}`",
        [code.number.as_deref().unwrap_or_default(), &code.name]
            .join(" ")
            .trim()
    );
    Some(Problem::new(
        &page,
        1,
        format!("the first line does not name `{missing}`"),
        mend,
    ))
}

fn orphan(page: &File, codes: &[Code]) -> Option<Problem> {
    let name = page.path.strip_prefix(PAGES)?.strip_suffix(".md")?;
    let known = name == "README" || codes.iter().any(|code| code.page() == name);
    let mend = format!("delete the page, or name its code in {TABLE}");
    (!known).then(|| Problem::new(&page.path, 1, format!("there is no code `{name}`"), mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_TEXT: &str = "macro_rules! close_codes { ($x:tt) => {} }\nclose_codes! {\n    /// A doc.\n    BadToken = 4001, \"bad-token\";\n}\nfault_codes! {\n    Panicked = \"panicked\";\n}\n";

    fn found(table: &str, pages: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = [(TABLE, table)]
            .into_iter()
            .chain(pages.iter().copied())
            .collect();
        check(&Tree::of(&files))
            .into_iter()
            .map(|problem| format!("{}:{} {}", problem.path, problem.line, problem.what))
            .collect()
    }

    const GOOD: [(&str, &str); 2] = [
        ("docs/codes/bad-token.md", "# 4001 bad-token\n"),
        ("docs/codes/fault-panicked.md", "# fault `panicked`\n"),
    ];

    #[test]
    fn a_page_for_each_code_and_an_index_are_fine() {
        assert_eq!(
            found(
                TABLE_TEXT,
                &[GOOD[0], GOOD[1], ("docs/codes/README.md", "")]
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_code_without_a_page_is_found_where_it_is_defined() {
        assert_eq!(
            found(TABLE_TEXT, &GOOD[..1]),
            ["protocol/src/codes.rs:7 the code `panicked` has no page"]
        );
    }

    #[test]
    fn a_page_with_another_number_is_found() {
        let pages = [("docs/codes/bad-token.md", "# 4999 bad-token\n"), GOOD[1]];
        assert_eq!(
            found(TABLE_TEXT, &pages),
            ["docs/codes/bad-token.md:1 the first line does not name `4001`"]
        );
    }

    #[test]
    fn a_page_without_a_code_is_found() {
        let pages = [GOOD[0], GOOD[1], ("docs/codes/gone.md", "# gone")];
        assert_eq!(
            found(TABLE_TEXT, &pages),
            ["docs/codes/gone.md:1 there is no code `gone`"]
        );
    }

    #[test]
    fn a_table_that_cannot_be_read_is_a_problem_and_not_an_empty_list() {
        assert_eq!(
            found("", &[]),
            [
                "protocol/src/codes.rs:1 no code stands in `close_codes! { … }`",
                "protocol/src/codes.rs:1 no code stands in `fault_codes! { … }`"
            ]
        );
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
