//! The names of roles in a deployment.
//!
//! Keystone's tokens, access keys and the identity file use the cloud's own names of roles.
//! [`RoleNames::strongest`] is the only place where such names become a [`Role`].

use crate::domain::policy::Role;

/// The names of each role. They compare without regard to case, as in oslo.policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleNames {
    /// In lower case.
    names: Vec<(String, Role)>,
}

/// The environment variables for the names, with the names of a new Keystone as defaults.
const VARIABLES: [(&str, &str, Role); 3] = [
    ("ROLE_ADMIN", "admin", Role::Admin),
    ("ROLE_MEMBER", "member", Role::Member),
    ("ROLE_READER", "reader", Role::Reader),
];

/// The names of a new Keystone.
impl Default for RoleNames {
    fn default() -> Self {
        Self::of(VARIABLES.map(|(_, default, role)| (default, role)))
    }
}

impl RoleNames {
    /// Reads the names from the variables `ROLE_ADMIN`, `ROLE_MEMBER` and `ROLE_READER`, which are
    /// lists separated by commas. `variable` looks one up; one that is not set leaves the default.
    ///
    /// # Errors
    /// The first that `variable` returns.
    pub fn read<E>(variable: impl Fn(&str) -> Result<Option<String>, E>) -> Result<Self, E> {
        let mut lists = Vec::new();
        for (name, default, role) in VARIABLES {
            lists.push((variable(name)?.unwrap_or_else(|| default.to_owned()), role));
        }
        Ok(Self::of(lists))
    }

    /// Maps lists of names to roles.
    pub fn of(lists: impl IntoIterator<Item = (impl AsRef<str>, Role)>) -> Self {
        let mut names = Vec::new();
        for (list, role) in lists {
            let list = list.as_ref().split(',').map(str::trim);
            let list = list.filter(|name| !name.is_empty());
            names.extend(list.map(|name| (name.to_lowercase(), role)));
        }
        Self { names }
    }

    /// The strongest of the roles with these names.
    pub fn strongest<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Role {
        names
            .into_iter()
            .map(|name| self.role(name))
            .max()
            .unwrap_or(Role::None)
    }

    fn role(&self, name: &str) -> Role {
        let name = name.to_lowercase();
        let roles = self.names.iter().filter(|(known, _)| *known == name);
        roles.map(|(_, role)| *role).max().unwrap_or(Role::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(variables: &[(&str, &str)]) -> RoleNames {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            Ok::<_, ()>(found.map(|(_, value)| (*value).to_owned()))
        };
        RoleNames::read(read).unwrap()
    }

    #[test]
    fn the_strongest_role_counts() {
        let plain = RoleNames::default();
        assert_eq!(plain, set(&[]));
        assert_eq!(plain.strongest(["reader", "admin"]), Role::Admin);
        assert_eq!(plain.strongest(["member"]), Role::Member);
        assert_eq!(plain.strongest(["reader", "auditor"]), Role::Reader);
        assert_eq!(plain.strongest(["auditor", ""]), Role::None);
        assert_eq!(plain.strongest([]), Role::None);
        // A name is a whole name: it is neither trimmed nor taken apart.
        for other in [" admin", "admin ", "admin,member", "admins", "_admin"] {
            assert_eq!(plain.strongest([other]), Role::None, "{other}");
        }
    }

    #[test]
    fn names_compare_without_regard_to_case() {
        assert_eq!(RoleNames::default().strongest(["Member"]), Role::Member);
        let renamed = set(&[("ROLE_ADMIN", "Cloud-Ädmin")]);
        assert_eq!(renamed.strongest(["cloud-äDMIN"]), Role::Admin);
    }

    #[test]
    fn a_cloud_names_its_roles() {
        let renamed = set(&[("ROLE_MEMBER", "_member_, creator,")]);
        assert_eq!(renamed.strongest(["creator"]), Role::Member);
        assert_eq!(renamed.strongest(["_member_"]), Role::Member);
        assert_eq!(renamed.strongest(["member"]), Role::None);
        assert_eq!(renamed.strongest([""]), Role::None);
        // A name of two roles is the stronger one.
        let both = set(&[("ROLE_READER", "creator"), ("ROLE_ADMIN", "creator")]);
        assert_eq!(both.strongest(["creator"]), Role::Admin);
    }

    #[test]
    fn an_empty_list_gives_the_role_to_nobody() {
        for empty in ["", ",", " , "] {
            let nobody = set(&[("ROLE_ADMIN", empty)]);
            assert_eq!(nobody.strongest(["admin", ""]), Role::None, "{empty:?}");
            assert_eq!(nobody.strongest(["admin", "member"]), Role::Member);
        }
        let none = set(&[("ROLE_ADMIN", ""), ("ROLE_MEMBER", ""), ("ROLE_READER", "")]);
        assert_eq!(none.strongest(["admin", "member", "reader"]), Role::None);
    }
}
