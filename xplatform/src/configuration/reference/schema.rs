//! The schema of the configuration, as far as the page needs it: sections, their settings, and the choices of these.

use schemars::Schema;
use serde_json::Value;

/// The schema of everything that is read.
pub(super) struct Schemas(Value);

/// A table of keys.
#[derive(Clone, Copy)]
pub(super) struct Section<'a>(&'a Value);

/// One key of a section.
pub(super) struct Setting<'a> {
    pub(super) key: &'a str,
    pub(super) doc: &'a str,
    /// What holds where nothing is said, if that does not depend on anything else.
    pub(super) default: Option<&'a Value>,
    /// What it may be, and what each means, where that is a few words.
    pub(super) choices: Vec<(&'a str, &'a str)>,
    /// What its value is, or is a list or a map of.
    pub(super) section: Option<Section<'a>>,
    pub(super) is_list: bool,
    pub(super) is_map: bool,
}

impl Schemas {
    pub(super) fn of(schema: Schema) -> Self {
        Self(schema.into())
    }

    pub(super) fn root(&self) -> Section<'_> {
        Section(&self.0)
    }

    /// The schema itself, where it is named, or may be left out.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let named = self.0.pointer(name.trim_start_matches('#'));
            return self.resolved(named.expect("what is referred to is defined"));
        }
        let some = schema.get("anyOf").and_then(Value::as_array);
        let some = some.and_then(|some| some.iter().find(|one| !is_null(one)));
        some.map_or(schema, |one| self.resolved(one))
    }

    fn setting<'a>(&'a self, key: &'a str, schema: &'a Value) -> Setting<'a> {
        let own = self.resolved(schema);
        // A section has the second too: `false`, as no other keys are known in it.
        let entries = own.get("additionalProperties").filter(|of| of.is_object());
        let items = own.get("items");
        let inner = items.or(entries).map_or(own, |inner| self.resolved(inner));
        Setting {
            key,
            doc: doc(schema),
            default: schema.get("default"),
            choices: choices(inner),
            section: Some(Section(inner)).filter(|_| inner.get("properties").is_some()),
            is_list: items.is_some(),
            is_map: entries.is_some(),
        }
    }
}

impl<'a> Section<'a> {
    pub(super) fn doc(self) -> &'a str {
        doc(self.0)
    }

    pub(super) fn settings(self, schemas: &'a Schemas) -> Vec<Setting<'a>> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        let properties = properties.into_iter().flatten();
        let settings = properties.map(|(key, schema)| schemas.setting(key, schema));
        settings.collect()
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn doc(schema: &Value) -> &str {
    let doc = schema.get("description").and_then(Value::as_str);
    doc.unwrap_or_default()
}

fn choices(schema: &Value) -> Vec<(&str, &str)> {
    let all = schema.get("oneOf").and_then(Value::as_array);
    let all = all.into_iter().flatten();
    let choices = all.filter_map(|one| Some((one.get("const")?.as_str()?, doc(one))));
    choices.collect()
}
