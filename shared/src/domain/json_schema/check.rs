//! The check of an image's properties against the image schema.

use serde_json::{Map, Value, json};

use super::IMAGE;
use super::python::{pretty, repr, repr_str};
use crate::domain::id::ImageId;

/// Checks one property of an image against the image schema; properties that the schema does not
/// name must be strings.
///
/// # Errors
/// The sentence to show: what does not match, and the part of the schema that says so.
pub fn check_image_property(name: &str, value: &Value) -> Result<(), String> {
    let mut search = Search::default();
    search.property(name, value);
    search.verdict()
}

/// Checks all properties of an image against the image schema.
///
/// # Errors
/// As for one property. Of several mismatches, the one that Glance shows.
pub fn check_image(image: &Map<String, Value>) -> Result<(), String> {
    let mut search = Search::default();
    for (name, value) in image {
        search.property(name, value);
    }
    search.verdict()
}

/// Checks that a body is an object; the schemas describe nothing else.
pub fn check_object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(format!(
            "Provided object does not match schema 'image': {} is not of type 'object'",
            repr(&other)
        )),
    }
}

/// A step to a value within an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PathStep {
    Name(String),
    Index(usize),
}

/// The search for the mismatch that is shown. No other is written out: there may be very many.
#[derive(Default)]
struct Search {
    /// Where the value is that is looked at.
    path: Vec<PathStep>,
    /// Which part of the schema it is checked against.
    at: String,
    /// The path of the mismatch to be shown, as far as is known, and its sentence.
    shown: Option<(Vec<PathStep>, String)>,
}

impl Search {
    fn verdict(self) -> Result<(), String> {
        match self.shown {
            Some((_, sentence)) => Err(sentence),
            None => Ok(()),
        }
    }

    fn property(&mut self, name: &str, value: &Value) {
        let named = IMAGE
            .pointer("/properties")
            .and_then(|properties| properties.get(name));
        let any = json!({"type": "string"});
        let (schema, at) = match named {
            Some(schema) => (schema, format!("['properties'][{}]", repr_str(name))),
            None => (&any, "['additionalProperties']".to_owned()),
        };
        self.within(schema, &at, value, PathStep::Name(name.to_owned()));
    }

    /// Checks a value that is within the one that is looked at.
    fn within(&mut self, schema: &Value, at: &str, value: &Value, step: PathStep) {
        let outer = self.at.len();
        self.at.push_str(at);
        self.path.push(step);
        self.check(schema, value);
        self.path.pop();
        self.at.truncate(outer);
    }

    /// Checks the value keyword by keyword, as the schema has them.
    fn check(&mut self, schema: &Value, value: &Value) {
        for (keyword, wanted) in schema.as_object().into_iter().flatten() {
            match (keyword.as_str(), value) {
                ("items", Value::Array(items)) => {
                    // From the last on, which is the one that would be shown.
                    for (index, item) in items.iter().enumerate().rev() {
                        self.within(wanted, "['items']", item, PathStep::Index(index));
                    }
                }
                ("properties", Value::Object(object)) => {
                    for (name, schema) in wanted.as_object().into_iter().flatten() {
                        if let Some(value) = object.get(name) {
                            let at = format!("['properties'][{}]", repr_str(name));
                            self.within(schema, &at, value, PathStep::Name(name.clone()));
                        }
                    }
                }
                (keyword, value) => {
                    if self.would_show()
                        && let Some(problem) = problem(keyword, wanted, schema, value)
                    {
                        self.show(keyword, &problem, schema, value);
                    }
                }
            }
        }
    }

    /// Whether a mismatch here would be shown: the less deep one is, of those the one with the greater
    /// path, and of those the first.
    fn would_show(&self) -> bool {
        self.shown.as_ref().is_none_or(|(shown, _)| {
            let shallow = shown.len().cmp(&self.path.len());
            shallow.then_with(|| self.path.cmp(shown)).is_gt()
        })
    }

    fn show(&mut self, keyword: &str, problem: &str, schema: &Value, value: &Value) {
        let instance: String = self
            .path
            .iter()
            .map(|step| match step {
                PathStep::Name(name) => format!("[{}]", repr_str(name)),
                PathStep::Index(index) => format!("[{index}]"),
            })
            .collect();
        let sentence = format!(
            "Provided object does not match schema 'image': {problem}\n\nFailed validating \
             '{keyword}' in schema{}:\n    {}\n\nOn instance{instance}:\n    {}",
            self.at,
            pretty(schema, 4, 0),
            repr(value)
        );
        self.shown = Some((self.path.clone(), sentence));
    }
}

/// In what a value does not match one keyword of a schema, those about what is within it apart.
fn problem(keyword: &str, wanted: &Value, schema: &Value, value: &Value) -> Option<String> {
    let shown = || repr(value);
    match (keyword, value) {
        ("type", _) => {
            let types: Vec<&str> = match wanted {
                Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
                one => one.as_str().into_iter().collect(),
            };
            let fits = types.iter().any(|name| is_type(name, value));
            (!fits).then(|| {
                let names: Vec<_> = types.iter().map(|name| repr_str(name)).collect();
                format!("{} is not of type {}", shown(), names.join(", "))
            })
        }
        ("enum", _) => {
            let fits = wanted.as_array().is_some_and(|all| all.contains(value));
            (!fits).then(|| format!("{} is not one of {}", shown(), repr(wanted)))
        }
        ("maxLength", Value::String(text)) => {
            (length(text) > wanted.as_u64()?).then(|| format!("{} is too long", shown()))
        }
        ("minLength", Value::String(text)) => {
            (length(text) < wanted.as_u64()?).then(|| format!("{} is too short", shown()))
        }
        // The only pattern of the schema is that of an id.
        ("pattern", Value::String(text)) => ImageId::hyphenated(text)
            .is_none()
            .then(|| format!("{} does not match {}", shown(), repr(wanted))),
        ("required", Value::Object(object)) => {
            let mut names = wanted.as_array()?.iter().filter_map(Value::as_str);
            let absent = names.find(|name| !object.contains_key(*name))?;
            Some(format!("{} is a required property", repr_str(absent)))
        }
        ("additionalProperties", Value::Object(object)) if *wanted == Value::Bool(false) => {
            unexpected(schema.get("properties")?, object)
        }
        _ => None,
    }
}

fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

/// The properties of an object that a closed schema does not have.
fn unexpected(schemas: &Value, object: &Map<String, Value>) -> Option<String> {
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.retain(|name| schemas.get(name).is_none());
    names.sort_unstable();
    let verb = match names.as_slice() {
        [] => return None,
        [_] => "was",
        _ => "were",
    };
    let names: Vec<_> = names.into_iter().map(repr_str).collect();
    Some(format!(
        "Additional properties are not allowed ({} {verb} unexpected)",
        names.join(", ")
    ))
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        // 1.0 is one too.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_are_the_observed_ones() {
        assert_eq!(
            check_image_property("visibility", &json!("bogus")).unwrap_err(),
            "Provided object does not match schema 'image': 'bogus' is not one of ['community', \
             'public', 'private', 'shared']\n\nFailed validating 'enum' in \
             schema['properties']['visibility']:\n    {'type': 'string',\n     'description': 'Scope \
             of image accessibility',\n     'enum': ['community', 'public', 'private', \
             'shared']}\n\nOn instance['visibility']:\n    'bogus'"
        );
        assert_eq!(
            check_image_property("foo", &json!(5)).unwrap_err(),
            "Provided object does not match schema 'image': 5 is not of type 'string'\n\nFailed \
             validating 'type' in schema['additionalProperties']:\n    {'type': 'string'}\n\nOn \
             instance['foo']:\n    5"
        );
        assert_eq!(
            check_image_property("os_hidden", &json!("x")).unwrap_err(),
            "Provided object does not match schema 'image': 'x' is not of type 'boolean'\n\nFailed \
             validating 'type' in schema['properties']['os_hidden']:\n    {'type': 'boolean',\n     \
             'description': 'If true, image will not appear in default image list '\n                    \
             'response.'}\n\nOn instance['os_hidden']:\n    'x'"
        );
        for (image, shown) in [
            (json!({"name": 5, "foo": 6}), "['name']"),
            (json!({"id": "zz", "name": 6}), "['name']"),
            (json!({"bar": 7, "foo": 6}), "['foo']"),
            (json!({"tags": [1, "a", 2]}), "['tags'][2]"),
            (json!({"tags": [1], "name": 1}), "['name']"),
        ] {
            let sentence = check_image(image.as_object().unwrap()).unwrap_err();
            assert!(
                sentence.contains(&format!("On instance{shown}:")),
                "{sentence}"
            );
        }
        assert!(check_image_property("tags", &json!(["a", 1])).is_err());
        assert!(check_image_property("name", &Value::Null).is_ok());
        assert!(check_image_property("min_ram", &json!(1.5)).is_err());
    }

    /// The first line of what is said of one property.
    fn problem_of(name: &str, value: Value) -> String {
        let sentence = check_image_property(name, &value).unwrap_err();
        let (_, rest) = sentence.split_once(": ").unwrap();
        rest.lines().next().unwrap().to_owned()
    }

    #[test]
    fn each_keyword_has_its_sentence() {
        let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
        assert_eq!(
            check_image_property("id", &json!(id.to_uppercase())),
            Ok(())
        );
        let pattern = problem_of("id", json!("zz"));
        assert!(
            pattern.starts_with("'zz' does not match '^([0-9a-fA-F]){8}-"),
            "{pattern}"
        );
        assert_eq!(
            check_image_property("name", &json!("é".repeat(255))),
            Ok(())
        );
        assert!(problem_of("name", json!("é".repeat(256))).ends_with("' is too long"));
        for (name, value, words) in [
            ("name", json!(1), "1 is not of type 'null', 'string'"),
            ("min_ram", json!("1"), "'1' is not of type 'integer'"),
            ("min_ram", json!(0.5), "0.5 is not of type 'integer'"),
            ("tags", json!({}), "{} is not of type 'array'"),
            ("protected", json!(null), "None is not of type 'boolean'"),
        ] {
            assert_eq!(problem_of(name, value), words);
        }
        for number in [json!(-1), json!(u64::MAX), json!(2.0)] {
            assert_eq!(check_image_property("min_ram", &number), Ok(()), "{number}");
        }
    }

    #[test]
    fn a_location_has_all_that_it_must_have_and_nothing_else() {
        let location = |validation: Value| json!([{"url": "x", "metadata": {"any": 1}, "validation_data": validation}]);
        let hashes = |checksum: &str| {
            let (algorithm, value) = ("sha512", "h");
            json!({"checksum": checksum, "os_hash_algo": algorithm, "os_hash_value": value})
        };
        let good = location(hashes(&"c".repeat(32)));
        assert_eq!(check_image_property("locations", &good), Ok(()));
        let mut more = hashes(&"c".repeat(32));
        more["b"] = json!(1);
        let one = location(more.clone());
        more["a"] = json!(1);
        let short = format!("'{}' is too short", "c".repeat(31));
        for (value, words) in [
            (json!([{"url": "x"}]), "'metadata' is a required property"),
            (json!([{}]), "'url' is a required property"),
            (
                location(json!({"os_hash_algo": "x"})),
                "'os_hash_value' is a required property",
            ),
            (location(hashes(&"c".repeat(31))), &short),
            (
                one,
                "Additional properties are not allowed ('b' was unexpected)",
            ),
            (
                location(more),
                "Additional properties are not allowed ('a', 'b' were unexpected)",
            ),
        ] {
            assert_eq!(problem_of("locations", value), words);
        }
        // An open schema has no word for what it does not name.
        let schema = json!({"properties": {}});
        let open = problem(
            "additionalProperties",
            &json!(true),
            &schema,
            &json!({"a": 1}),
        );
        assert_eq!(open, None);
        let closed = problem(
            "additionalProperties",
            &json!(false),
            &schema,
            &json!({"a": 1}),
        );
        assert!(closed.is_some());
    }
}
