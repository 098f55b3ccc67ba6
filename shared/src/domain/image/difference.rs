//! What a change of an image has changed, as the log tells it: names, and the values that say who owns and
//! who sees it.

use super::Image;

impl Image {
    /// The fields that differ from those of `next`, by their names in the API, with commas between them.
    pub fn changed_fields(&self, next: &Self) -> String {
        let differ = [
            ("owner", self.owner != next.owner),
            ("visibility", self.visibility != next.visibility),
            ("status", self.status != next.status),
            ("name", self.name != next.name),
            ("protected", self.protected != next.protected),
            ("os_hidden", self.os_hidden != next.os_hidden),
            ("min_ram", self.min_ram != next.min_ram),
            ("min_disk", self.min_disk != next.min_disk),
            (
                "container_format",
                self.container_format != next.container_format,
            ),
            ("disk_format", self.disk_format != next.disk_format),
            ("size", self.size != next.size),
            ("virtual_size", self.virtual_size != next.virtual_size),
            ("checksum", self.checksum != next.checksum),
            ("os_hash_algo", self.os_hash_algo != next.os_hash_algo),
            ("os_hash_value", self.os_hash_value != next.os_hash_value),
            ("created_at", self.created_at != next.created_at),
            ("tags", self.tags != next.tags),
            ("properties", self.properties != next.properties),
        ];
        let names = differ.into_iter().filter(|(_, differs)| *differs);
        names.map(|(name, _)| name).collect::<Vec<_>>().join(",")
    }

    /// The value of an image before and after a change that the log shows: its owner, its visibility or
    /// its status, whichever has changed, in this order; otherwise its visibility.
    pub fn before_and_after<'a>(&'a self, next: &'a Self) -> (&'a str, &'a str) {
        if self.owner != next.owner {
            (self.owner.as_str(), next.owner.as_str())
        } else if self.visibility == next.visibility && self.status != next.status {
            (&self.status, &next.status)
        } else {
            (self.visibility.as_str(), next.visibility.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::id::{OperationId, ProjectId};
    use crate::domain::image::tests::caller;
    use crate::domain::policy::{Policy, Role};
    use crate::domain::time::Timestamp;
    use crate::domain::visibility::Visibility;

    #[test]
    fn a_change_is_told_by_names_and_never_by_what_a_tag_or_a_property_says() {
        let (op, now) = (OperationId::at(0), Timestamp::from_micros(0));
        let body = json!({"name": "n", "tags": ["secret"], "key": "secret"});
        let seen =
            Image::from_request(body, Policy::default(), &caller(Role::Member), op, now).unwrap();
        let told = |next: &Image| {
            let (from, to) = seen.before_and_after(next);
            format!("{} {from} {to}", seen.changed_fields(next))
        };
        assert_eq!(told(&seen), " shared shared");
        let mut next = seen.clone();
        next.name = None;
        next.tags.clear();
        next.properties.clear();
        assert_eq!(told(&next), "name,tags,properties shared shared");
        next.status = "deactivated".to_owned();
        let words = "status,name,tags,properties queued deactivated";
        assert_eq!(told(&next), words);
        next.visibility = Visibility::Private;
        let words = "visibility,status,name,tags,properties shared private";
        assert_eq!(told(&next), words);
        next.owner = ProjectId::parse("other").unwrap();
        let words = "owner,visibility,status,name,tags,properties own other";
        assert_eq!(told(&next), words);
    }
}
