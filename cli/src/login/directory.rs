//! Projects in Keystone, for those who may look them up.

use serde::Deserialize;

use super::keystone::{Session, get};
use crate::error::Outcome;
use crate::http::{Answer, Http, segment};

#[derive(Debug, Deserialize)]
struct Projects {
    projects: Vec<ProjectBody>,
}

#[derive(Debug, Deserialize)]
struct OneProject {
    project: ProjectBody,
}

/// A project, as Keystone describes it.
#[derive(Clone, Debug, Deserialize)]
pub struct ProjectBody {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What Keystone says to a question about projects.
pub enum Lookup<T> {
    /// The answer.
    Found(T),
    /// This user may not ask.
    NotAllowed(String),
}

/// Looks projects up for a user.
pub struct Directory<'a> {
    /// The client.
    pub http: &'a Http,
    /// The login.
    pub session: &'a Session,
    /// The address of the identity service.
    pub identity: &'a str,
}

impl Directory<'_> {
    /// The projects of this name, or all projects.
    ///
    /// # Errors
    /// If Keystone is away.
    pub fn projects(&self, name: Option<&str>) -> Outcome<Lookup<Vec<ProjectBody>>> {
        let query = name.map_or_else(String::new, |name| {
            let pair = form_urlencoded::Serializer::new(String::new());
            format!("?{}", { pair }.append_pair("name", name).finish())
        });
        let answer = self.ask(&format!("projects{query}"))?;
        self.lookup(answer, |answer| Ok(answer.json::<Projects>()?.projects))
    }

    /// The project with this id.
    ///
    /// # Errors
    /// If Keystone is away.
    pub fn project(&self, id: &str) -> Outcome<Lookup<Option<ProjectBody>>> {
        let answer = self.ask(&format!("projects/{}", segment(id)))?;
        if answer.status == 404 {
            return Ok(Lookup::Found(None));
        }
        self.lookup(answer, |answer| {
            Ok(Some(answer.json::<OneProject>()?.project))
        })
    }

    /// The projects in which the user has a role: every user may ask that.
    ///
    /// # Errors
    /// If Keystone is away.
    pub fn own_projects(&self) -> Outcome<Vec<ProjectBody>> {
        let answer = self.ask("auth/projects")?;
        match self.lookup(answer, |answer| Ok(answer.json::<Projects>()?.projects))? {
            Lookup::Found(projects) => Ok(projects),
            Lookup::NotAllowed(_) => Ok(Vec::new()),
        }
    }

    fn ask(&self, path: &str) -> Outcome<Answer> {
        let headers = vec![("x-auth-token", self.session.token.clone())];
        get(self.http, &format!("{}/{path}", self.identity), headers)
    }

    fn lookup<T>(&self, answer: Answer, read: impl Fn(Answer) -> Outcome<T>) -> Outcome<Lookup<T>> {
        match answer.status {
            // 401 is what the token of an application credential with access rules gets.
            401 | 403 => Ok(Lookup::NotAllowed(answer.said())),
            _ => read(answer).map(Lookup::Found),
        }
    }
}
