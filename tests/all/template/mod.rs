//! The template, the functions, the events, the routes and the names of the table hold together.
//!
//! | module | what it holds together |
//! |---|---|
//! | `routes` | functions, their events, the routes of the API |
//! | `rights` | what the roles of functions may do |
//! | `asked` | what functions ask of the table: their roles permit it |
//! | `records` | the table, the queues, the limits of projects |
//! | `settings` | what the functions have in common, and what an operator may switch on |

mod asked;
mod records;
mod rights;
mod routes;
mod settings;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};
use yaml_serde::Value as Yaml;

/// The template, with CloudFormation's short tags in their long form: `!Ref Api` is `{"Ref": "Api"}`.
pub static TEMPLATE: LazyLock<Value> = LazyLock::new(|| {
    long_form(yaml_serde::from_str(include_str!("../../../template.yaml")).unwrap())
});

fn long_form(yaml: Yaml) -> Value {
    let key = |key: Yaml| match key {
        Yaml::String(text) => text,
        other => panic!("{other:?} is no name"),
    };
    match yaml {
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        Yaml::Mapping(entries) => entries
            .into_iter()
            .map(|(name, value)| (key(name), long_form(value)))
            .collect(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({name: long_form(tagged.value)})
        }
        plain => serde_json::to_value(plain).unwrap(),
    }
}

fn reference(name: &str) -> Value {
    json!({"Ref": name})
}

fn attribute(name: &str) -> Value {
    json!({"Fn::GetAtt": name})
}

fn names(directory: &str) -> BTreeSet<String> {
    std::fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(directory),
    )
    .unwrap()
    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
    .collect()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn resources() -> impl Iterator<Item = &'static Value> {
    TEMPLATE["Resources"].as_object().unwrap().values()
}

pub fn properties(resource: &str) -> &'static Value {
    let found = &TEMPLATE["Resources"][resource]["Properties"];
    assert!(found.is_object(), "the template has no {resource}");
    found
}

/// The properties of the function that is built from this binary.
fn function(binary: &str) -> &'static Value {
    let mut found =
        resources().filter(|resource| resource["Metadata"]["BuildProperties"]["Binary"] == binary);
    let function = found
        .next()
        .unwrap_or_else(|| panic!("the template has no {binary}"));
    assert!(found.next().is_none(), "{binary} is there twice");
    assert_eq!(function["Type"], "AWS::Serverless::Function", "{binary}");
    &function["Properties"]
}
