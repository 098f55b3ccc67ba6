//! Parses and authenticates logins: Keystone's password and token methods, scoped to a project or
//! unscoped.

use std::collections::HashSet;

use serde_json::Value;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;

use super::tokens::{Fingerprint, LIFETIME, Method, Scope, Token, Tokens, audit_id};
use super::view::{DOMAIN_ID, DOMAIN_NAME};
use super::{IdentityFile, User};

/// A parsed login.
#[derive(Debug)]
pub struct Login {
    proofs: Vec<Proof>,
    scope: RequestedScope,
}

#[derive(Debug)]
enum Proof {
    Password(Reference, Secret),
    Token(Secret),
    /// A method that is not supported, which authenticates nobody.
    Other,
}

/// A user or a project, as a login names it.
#[derive(Debug)]
enum Reference {
    Id(String),
    /// A name in the only domain.
    Name(String),
    /// A name in another domain, which matches nothing.
    Elsewhere,
}

#[derive(Debug)]
enum RequestedScope {
    Nothing,
    Project(Reference),
    /// A domain, the system or a trust: no user of the identity file has a role in one.
    Other,
}

/// What is wrong with a login: a sentence for the client, without any value of the request.
type Malformed = String;

impl Login {
    /// Parses the body of `POST /v3/auth/tokens`.
    ///
    /// # Errors
    /// A sentence that says what is missing or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| "The request body is not well-formed JSON.".to_owned())?;
        let auth = field(&body, "auth", "request body")?;
        let identity = field(auth, "identity", "auth")?;
        let methods = field(identity, "methods", "identity")?.as_array();
        let methods = methods
            .filter(|methods| !methods.is_empty())
            .ok_or("Expecting methods in identity to be a list that is not empty.")?;
        // As in Keystone, a method that is named again is the same one.
        let mut named_before = HashSet::new();
        let methods = methods.iter().filter(|it| named_before.insert(it.as_str()));
        let proofs = methods.map(|method| match method.as_str() {
            Some("password") => {
                let user = field(field(identity, "password", "identity")?, "user", "password")?;
                let password = text(field(user, "password", "user")?, "password", "user")?;
                Ok(Proof::Password(named(user, "user")?, Secret::new(password)))
            }
            Some("token") => {
                let token = field(identity, "token", "identity")?;
                let id = text(field(token, "id", "token")?, "id", "token")?;
                Ok(Proof::Token(Secret::new(id)))
            }
            Some(_) => Ok(Proof::Other),
            None => Err("Expecting methods in identity to be a list of strings.".to_owned()),
        });
        Ok(Self {
            proofs: proofs.collect::<Result<_, Malformed>>()?,
            scope: requested_scope(auth)?,
        })
    }

    /// Authenticates the login and returns its token; `None`, whatever the reason, if it fails.
    pub fn token(&self, identity: &IdentityFile, tokens: &Tokens, now: Timestamp) -> Option<Token> {
        let mut user: Option<String> = None;
        let mut methods = Vec::new();
        let mut audit_ids = vec![audit_id()];
        let mut expires_at = now.plus_seconds(LIFETIME);
        // A token keeps its scope, whether or not the file lists its user.
        let mut proven: Option<Scope> = None;
        for proof in &self.proofs {
            let who = match proof {
                Proof::Password(named, password) => {
                    methods.push(Method::Password);
                    known_by_password(identity, named, password)?.id.clone()
                }
                Proof::Token(id) => {
                    let token = tokens.find(id.reveal(), now)?;
                    methods.push(Method::Token);
                    methods.extend(&token.methods);
                    audit_ids.extend(token.audit_ids.last().cloned());
                    // No token outlives the one that it was issued for.
                    expires_at = token.expires_at.unwrap_or(expires_at).min(expires_at);
                    proven.clone_from(&token.scope);
                    token.user.clone()
                }
                Proof::Other => return None,
            };
            if user.as_ref().is_some_and(|before| *before != who) {
                return None;
            }
            user = Some(who);
        }
        methods.sort_unstable();
        methods.dedup();
        let user = user?;
        let scope = match &self.scope {
            RequestedScope::Nothing => None,
            RequestedScope::Project(named) => Some(scope(identity, &user, named, proven)?),
            RequestedScope::Other => return None,
        };
        Some(Token {
            user,
            scope,
            methods,
            audit_ids,
            issued_at: now,
            expires_at: Some(expires_at),
        })
    }
}

/// The user of this name, if the password is right.
fn known_by_password<'a>(
    identity: &'a IdentityFile,
    who: &Reference,
    password: &Secret,
) -> Option<&'a User> {
    let user = match who {
        Reference::Id(id) => identity.user(id),
        Reference::Name(name) => identity.user.iter().find(|user| user.name == *name),
        Reference::Elsewhere => None,
    };
    // Compare the password of an unknown user too: otherwise the time tells which users exist.
    let expected = user.map_or("", |user| user.password.reveal());
    let right = Fingerprint::of(expected) == Fingerprint::of(password.reveal());
    user.filter(|_| right)
}

/// The scope of a user in the project that it asks for; `None` without a role there.
fn scope(
    identity: &IdentityFile,
    user: &str,
    named: &Reference,
    proven: Option<Scope>,
) -> Option<Scope> {
    let project = match named {
        Reference::Id(id) => id,
        Reference::Name(name) => &identity.project.iter().find(|each| each.name == *name)?.id,
        Reference::Elsewhere => return None,
    };
    let proven = proven.filter(|scope| scope.project == *project);
    proven.or_else(|| {
        let roles = identity.user(user)?.roles_in(project);
        (!roles.is_empty()).then(|| Scope::new(project.clone(), roles))
    })
}

fn requested_scope(auth: &Value) -> Result<RequestedScope, Malformed> {
    let scope = match auth.get("scope") {
        None | Some(Value::Null) => return Ok(RequestedScope::Nothing),
        Some(Value::String(word)) if word == "unscoped" => return Ok(RequestedScope::Nothing),
        Some(Value::Object(scope)) => scope,
        Some(_) => return Err("Expecting scope in auth to be an object.".to_owned()),
    };
    if let Some(project) = scope.get("project") {
        return Ok(RequestedScope::Project(named(project, "project")?));
    }
    let others = ["domain", "system", "OS-TRUST:trust"];
    if scope.contains_key("unscoped") {
        Ok(RequestedScope::Nothing)
    } else if others.iter().any(|other| scope.contains_key(*other)) {
        Ok(RequestedScope::Other)
    } else {
        Err("Expecting to find project, domain or system in scope.".to_owned())
    }
}

/// Parses a user or a project: by its id, or by its name and its domain's id or name.
fn named(value: &Value, target: &str) -> Result<Reference, Malformed> {
    if let Some(id) = value.get("id") {
        return Ok(Reference::Id(text(id, "id", target)?));
    }
    let name = value
        .get("name")
        .ok_or_else(|| format!("Expecting to find id or name in {target}."))?;
    let name = text(name, "name", target)?;
    let domain = field(value, "domain", target)?;
    let here = match (domain.get("id"), domain.get("name")) {
        (Some(id), _) => text(id, "id", "domain")? == DOMAIN_ID,
        (None, Some(name)) => text(name, "name", "domain")? == DOMAIN_NAME,
        (None, None) => return Err("Expecting to find id or name in domain.".to_owned()),
    };
    Ok(if here {
        Reference::Name(name)
    } else {
        Reference::Elsewhere
    })
}

fn field<'a>(value: &'a Value, name: &str, target: &str) -> Result<&'a Value, Malformed> {
    value
        .get(name)
        .ok_or_else(|| format!("Expecting to find {name} in {target}."))
}

fn text(value: &Value, name: &str, target: &str) -> Result<String, Malformed> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("Expecting {name} in {target} to be a string."))
}
