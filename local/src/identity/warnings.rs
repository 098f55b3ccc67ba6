//! Probable mistakes in the identity file. They are warnings, because a file may name projects,
//! users and roles that only the operator's own scripts know.

use std::collections::BTreeSet;

use super::IdentityFile;

/// The roles that imshare or clients of Keystone know.
const ROLES: [&str; 5] = ["admin", "manager", "member", "reader", "service"];

impl IdentityFile {
    /// Returns a sentence for each project, user or role that the file refers to without defining
    /// it. Tokens are described by their user, because their ids are secrets.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = BTreeSet::new();
        for user in &self.user {
            for grant in &user.grants {
                let whose = format!("[[user]] {:?}", user.name);
                self.check_reference(&whose, None, &grant.project, &grant.roles, &mut warnings);
            }
        }
        for token in &self.token {
            let whose = format!("the [[token]] of user {:?}", token.user);
            let (user, project) = (Some(&*token.user), &token.project);
            self.check_reference(&whose, user, project, &token.roles, &mut warnings);
        }
        for key in &self.access_key {
            let whose = format!("the [[access_key]] {:?}", key.access);
            let (user, project) = (Some(&*key.user), &key.project);
            self.check_reference(&whose, user, project, &key.roles, &mut warnings);
        }
        warnings.into_iter().collect()
    }

    fn check_reference(
        &self,
        whose: &str,
        user: Option<&str>,
        project: &str,
        roles: &[String],
        warnings: &mut BTreeSet<String>,
    ) {
        if let Some(user) = user.filter(|user| self.user(user).is_none()) {
            warnings.insert(format!("{whose}: no [[user]] has the id {user:?}"));
        }
        if !self.project.iter().any(|known| known.id == project) {
            warnings.insert(format!("{whose}: no [[project]] has the id {project:?}"));
        }
        for role in roles {
            if !ROLES.iter().any(|known| known.eq_ignore_ascii_case(role)) {
                warnings.insert(format!(
                    "{whose}: imshare does not know the role {role:?}, which permits nothing; it \
                     knows admin, member and reader"
                ));
            }
        }
    }
}
