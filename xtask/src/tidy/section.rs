//! Sections of the configuration as the checks see them: structs that the macro `settings!` declares.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, ItemMacro, Token, Type, Visibility, braced};

/// A struct that `settings!` declares: each field with its type and its built-in value.
pub(super) struct Section {
    pub(super) visibility: Visibility,
    pub(super) name: Ident,
    pub(super) fields: usize,
}

impl Section {
    /// What a call of a macro declares, if the macro is that one.
    pub(super) fn of(call: &ItemMacro) -> Option<Self> {
        let is_one = call.mac.path.is_ident("settings");
        is_one.then(|| call.mac.parse_body().ok()).flatten()
    }
}

impl Parse for Section {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![struct]>()?;
        let name = input.parse()?;
        let body;
        braced!(body in input);
        let fields = Punctuated::<_, Token![,]>::parse_terminated_with(&body, setting)?;
        let fields = fields.len();
        Ok(Self {
            visibility,
            name,
            fields,
        })
    }
}

fn setting(input: ParseStream<'_>) -> syn::Result<()> {
    input.call(Attribute::parse_outer)?;
    input.parse::<Ident>()?;
    input.parse::<Token![:]>()?;
    input.parse::<Type>()?;
    input.parse::<Token![=]>()?;
    input.parse::<Expr>().map(drop)
}
