//! Which tokens stand for whom, and until when: the fixed ones of the identity file, and those
//! that a login was given, which this process alone remembers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use shared::domain::roles::RoleNames;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;
use uuid::Uuid;

use super::Identity;

/// How long a token lasts that a login was given, in seconds: Keystone's default.
pub const LIFETIME: i64 = 3600;

/// SHA-256 of a secret. Secrets are looked up and compared by it: no map holds them in clear, and
/// how long a comparison takes says nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this text.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

/// How a token came about, in Keystone's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// By a password.
    Password,
    /// By another token.
    Token,
}

impl Method {
    /// Its name in requests and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }
}

/// A project, and what the token's user is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The project's id.
    pub project: String,
    /// The roles' names, implied ones included.
    pub roles: Vec<String>,
}

impl Scope {
    /// With the roles that these imply: admin implies member implies reader, as in Keystone.
    pub fn new(project: String, mut roles: Vec<String>) -> Self {
        let strongest = RoleNames::default().strongest(roles.iter().map(String::as_str));
        for name in strongest
            .with_implied()
            .split(',')
            .filter(|name| !name.is_empty())
        {
            if !roles.iter().any(|role| role.eq_ignore_ascii_case(name)) {
                roles.push(name.to_owned());
            }
        }
        Self { project, roles }
    }
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct Token {
    /// The id of the user that it was given to.
    pub user: String,
    /// The project that it is for; `None`: it is unscoped, and good for asking for another.
    pub scope: Option<Scope>,
    /// How it came about.
    pub methods: Vec<Method>,
    /// Its own audit id, and that of the first token of its chain if it came from another.
    pub audit_ids: Vec<String>,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether it has ended.
    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }
}

/// A new audit id.
pub fn audit_id() -> String {
    Uuid::new_v4().as_simple().to_string()
}

/// All tokens that are good.
#[derive(Debug)]
pub struct Tokens {
    known: RwLock<HashMap<Fingerprint, Arc<Token>>>,
}

impl Tokens {
    /// The fixed tokens of these identities.
    pub fn fixed(identity: &Identity) -> Self {
        let known = identity.token.iter().map(|fixed| {
            let token = Token {
                user: fixed.user.clone(),
                scope: Some(Scope::new(fixed.project.clone(), fixed.roles.clone())),
                methods: vec![Method::Token],
                audit_ids: vec![audit_id()],
                issued_at: Timestamp::from_micros(0),
                expires_at: None,
            };
            (Fingerprint::of(fixed.id.reveal()), Arc::new(token))
        });
        Self {
            known: RwLock::new(known.collect()),
        }
    }

    /// Gives out a token: its id, which nobody can guess.
    pub fn issue(&self, token: Token, now: Timestamp) -> Secret {
        // Two random UUIDs: 244 bits from the system's generator.
        let id = format!(
            "{}{}",
            Uuid::new_v4().as_simple(),
            Uuid::new_v4().as_simple()
        );
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // What has expired is forgotten here, so memory is bounded by the logins of an hour.
        known.retain(|_, token| !token.has_expired(now));
        known.insert(Fingerprint::of(&id), Arc::new(token));
        Secret::new(id)
    }

    /// What a token says; `None` if it is unknown, revoked or has expired. An empty token is
    /// invalid even if the file has it.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        if id.is_empty() {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let token = known.get(&Fingerprint::of(id))?;
        (!token.has_expired(now)).then(|| token.clone())
    }

    /// Ends a token.
    pub fn revoke(&self, id: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(&Fingerprint::of(id));
    }
}
