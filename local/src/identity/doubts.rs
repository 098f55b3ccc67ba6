//! What is probably a slip in the identity file. It is told and not refused: a file may well name
//! projects, users and roles that only the caller's own scripts know.

use std::collections::BTreeSet;

use super::Identity;

/// The roles that mean something to imshare, or to clients of Keystone.
const ROLES: [&str; 5] = ["admin", "manager", "member", "reader", "service"];

impl Identity {
    /// One sentence for each project, user or role that the file names and does not explain.
    /// Tokens and keys are told by their user: their ids are secrets.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = BTreeSet::new();
        for user in &self.user {
            for grant in &user.grants {
                let whose = format!("[[user]] {:?}", user.name);
                self.doubt(&whose, None, &grant.project, &grant.roles, &mut doubts);
            }
        }
        for token in &self.token {
            let whose = format!("the [[token]] of user {:?}", token.user);
            let (user, project) = (Some(&*token.user), &token.project);
            self.doubt(&whose, user, project, &token.roles, &mut doubts);
        }
        for key in &self.access_key {
            let whose = format!("the [[access_key]] {:?}", key.access);
            let (user, project) = (Some(&*key.user), &key.project);
            self.doubt(&whose, user, project, &key.roles, &mut doubts);
        }
        doubts.into_iter().collect()
    }

    fn doubt(
        &self,
        whose: &str,
        user: Option<&str>,
        project: &str,
        roles: &[String],
        doubts: &mut BTreeSet<String>,
    ) {
        if let Some(user) = user.filter(|user| self.user(user).is_none()) {
            doubts.insert(format!("{whose}: no [[user]] has the id {user:?}"));
        }
        if !self.project.iter().any(|known| known.id == project) {
            doubts.insert(format!("{whose}: no [[project]] has the id {project:?}"));
        }
        for role in roles {
            if !ROLES.iter().any(|known| known.eq_ignore_ascii_case(role)) {
                doubts.insert(format!(
                    "{whose}: imshare does not know the role {role:?}, which permits nothing; it \
                     knows admin, member and reader"
                ));
            }
        }
    }
}
