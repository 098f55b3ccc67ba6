//! The placeholders of expressions.
//!
//! In every expression `#name` stands for the attribute `name`, because DynamoDB reserves many of the
//! names as words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::keys::{ATTRIBUTES, Item};

/// Maps the placeholders in some expressions to their attributes.
pub fn names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = HashMap::new();
    for expression in expressions {
        for after in expression.split('#').skip(1) {
            let end = after.find(|c| !in_name(c)).unwrap_or(after.len());
            let (name, _) = after.split_at(end);
            debug_assert!(ATTRIBUTES.contains(&name), "{name} is no attribute");
            names.insert(format!("#{name}"), name.to_owned());
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Collects the values of an expression's placeholders.
pub(super) fn values<const N: usize>(values: [(&str, AttributeValue); N]) -> Option<Item> {
    let values = values.map(|(name, value)| (name.to_owned(), value));
    Some(Item::from(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_stands_for_the_attribute_of_its_name() {
        let found = names(&["SET #op = :op REMOVE #gpk, #vault_id", "#op < :op"]).unwrap();
        let mut found: Vec<_> = found.iter().collect();
        found.sort();
        let pairs: Vec<_> = found.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(pairs, ["#gpk gpk", "#op op", "#vault_id vault_id"]);
        assert_eq!(names(&["attribute"]), None);
    }
}
