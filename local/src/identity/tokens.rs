//! Valid tokens: the fixed ones of the identity file, and those issued at a login, which only this
//! process remembers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use shared::domain::roles::RoleNames;
use shared::domain::secret::Secret;
use shared::domain::time::Timestamp;
use uuid::Uuid;

use super::IdentityFile;

/// The lifetime of an issued token in seconds: Keystone's default.
pub const LIFETIME: i64 = 3600;

/// SHA-256 of a secret. Secrets are found and compared by it: no map holds them in clear, and the
/// time of a comparison reveals nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

/// How a user was authenticated, in Keystone's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// By a password.
    Password,
    /// By another token.
    Token,
}

impl Method {
    /// The name in requests and responses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }
}

/// A project and the user's roles in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The project's id.
    pub project: String,
    /// The roles' names, implied ones included.
    pub roles: Vec<String>,
}

impl Scope {
    /// Adds the roles that these imply: admin implies member implies reader, as in Keystone.
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

/// The content of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The user's id.
    pub user: String,
    /// The project; `None` for an unscoped token, which is only good for getting a scoped one.
    pub scope: Option<Scope>,
    /// How the user was authenticated.
    pub methods: Vec<Method>,
    /// Its own audit id, and that of the first token of its chain if it was issued for another
    /// token.
    pub audit_ids: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether it has expired.
    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }
}

/// A new audit id.
pub fn audit_id() -> String {
    Uuid::new_v4().as_simple().to_string()
}

/// All valid tokens.
#[derive(Debug)]
pub struct Tokens {
    known: RwLock<HashMap<Fingerprint, Arc<Token>>>,
}

impl Tokens {
    /// Starts with the fixed tokens of the identity file.
    pub fn fixed(identity: &IdentityFile) -> Self {
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

    /// Issues a token and returns its id, which cannot be guessed.
    pub fn issue(&self, token: Token, now: Timestamp) -> Secret {
        // Two random UUIDs: 244 bits from the system's generator.
        let id = format!(
            "{}{}",
            Uuid::new_v4().as_simple(),
            Uuid::new_v4().as_simple()
        );
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Expired tokens are dropped here, so memory is bounded by the logins of an hour.
        known.retain(|_, token| !token.has_expired(now));
        known.insert(Fingerprint::of(&id), Arc::new(token));
        Secret::new(id)
    }

    /// Finds a token; `None` if it is unknown, revoked or expired. An empty token is invalid even
    /// if the file lists it.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Token>> {
        if id.is_empty() {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let token = known.get(&Fingerprint::of(id))?;
        (!token.has_expired(now)).then(|| token.clone())
    }

    /// Revokes a token.
    pub fn revoke(&self, id: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(&Fingerprint::of(id));
    }
}
