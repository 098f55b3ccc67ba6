//! The gateway's event, and the policy that answers it. Only what we read of the event is here.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Authorizer, Denied};

/// The header of tokens. Gateways hand headers on in the case in which they came.
const TOKEN: &str = "x-auth-token";
/// What the `Authorization` of a signed request begins with.
const SIGNED: &str = "SDK-HMAC-SHA256 ";

/// What a REST API hands to an authorizer of type REQUEST. It has no `Debug`: it holds the token.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    method_arn: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
}

impl Event {
    /// The value of a header, if it was sent; `Err` if it was sent with different ones.
    fn header(&self, wanted: &str) -> Result<Option<&str>, Denied> {
        let several = self.multi_value_headers.iter().flatten();
        let several = several.flat_map(|(name, values)| values.iter().map(move |v| (name, v)));
        let single = self.headers.iter().flatten();
        let mut found = several
            .chain(single)
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str());
        let first = found.next();
        match found.all(|value| Some(value) == first) {
            true => Ok(first),
            false => Err(Denied::Unauthorized),
        }
    }
}

/// Answers one event: a policy, or a refusal. The one place where a failure is logged.
///
/// # Errors
/// If the caller is nobody, or nobody can be asked.
pub async fn answer(authorizer: &Authorizer, event: Event) -> Result<Value, Denied> {
    let outcome = decide(authorizer, &event).await;
    match &outcome {
        Ok(_) => tracing::debug!("authorized"),
        Err(Denied::Unauthorized) => tracing::debug!("refused"),
        Err(Denied::Unavailable(why)) => tracing::error!(error.why = why, "failed"),
    }
    outcome
}

async fn decide(authorizer: &Authorizer, event: &Event) -> Result<Value, Denied> {
    let Some(token) = event.header(TOKEN)? else {
        let signed = event
            .header("authorization")?
            .is_some_and(|value| value.starts_with(SIGNED));
        if signed && authorizer.lets_signed_through() {
            // It names nobody: the function looks for a signature, since it sees the body.
            return allow(event, "signed", &[("signed", "true".to_owned())]);
        }
        return Err(Denied::Unauthorized);
    };
    let principal = authorizer.identify(token.as_bytes()).await?;
    allow(event, &principal.user, &principal.to_context())
}

/// Allows the whole stage: a gateway that remembers a policy applies it to other methods too.
fn allow(event: &Event, principal: &str, context: &[(&str, String)]) -> Result<Value, Denied> {
    let mut parts = event.method_arn.splitn(3, '/');
    let (Some(api), Some(stage), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Denied::Unavailable(
            "the event's methodArn is not that of a method".to_owned(),
        ));
    };
    let context: Map<String, Value> = context
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect();
    Ok(json!({
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{
                "Action": "execute-api:Invoke",
                "Effect": "Allow",
                "Resource": format!("{api}/{stage}/*/*"),
            }],
        },
        "context": context,
    }))
}
