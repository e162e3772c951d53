//! The clock of the lab: its world is outside of the product, and real time passes there.

use std::time::SystemTime;

use envelope::Timestamp;

#[expect(clippy::disallowed_methods, reason = "certificates are made and messages kept now")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
