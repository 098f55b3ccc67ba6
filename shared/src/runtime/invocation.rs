//! The time that an invocation has left.
//!
//! Lambda kills a function at its deadline, and then none of its work counts: a message that was done is delivered
//! again, and a caller gets the gateway's answer. So the loops stop a handler before that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// The time left of an invocation when no new work is started.
const MARGIN: Duration = Duration::from_secs(3);

/// When an invocation that ends at `deadline` starts no new work.
pub(super) fn until(deadline: SystemTime) -> Timestamp {
    let until = (deadline - MARGIN).duration_since(UNIX_EPOCH);
    let micros = until.unwrap_or_default().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The time that a handler has until so much of its invocation is left.
pub(super) fn time_until_left(deadline: SystemTime, left: Duration) -> Duration {
    match deadline.duration_since(SystemTime::now()) {
        Ok(time) => time.saturating_sub(left),
        // The host's clock is ahead: Lambda itself stops the invocation.
        Err(_) => Duration::MAX,
    }
}
