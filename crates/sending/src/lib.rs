//! SMTP to hosts outside, for the services that open sessions: Transport, and Front End Transport for it
//! (`FrontendProxyEnabled`). What `reception` is for mail that comes, this is for mail that leaves.
//!
//! ```text
//!  Transport ── SendConnector of its snapshot ─▶ SessionPlan ─▶ session of this server
//!      └──▶ ProxyRequest: connector by identity and revision ══▶ front end: the same, from its own snapshot
//! ```
//!
//! A connector's settings become a plan in one place, so that a session is the same whoever opens it. What a connector
//! wants and this program cannot do is a [`Failure`](smtp::Failure) with the reason: mail waits, and never leaves with less
//! than it was meant to have. A front end that does not know the connector, its revision or one of its properties refuses;
//! another one may know them.
//!
//! | module | what it knows | rules |
//! |---|---|---|
//! | `sessions` | [`Sessions`]: opens them, here or for another server | SC-50, PL-27 |
//! | [`plan`] | a connector's settings as a [`SessionPlan`](smtp::SessionPlan) | SC-35 ff., TA-1 … TA-8, TA-10, TA-11 |
//! | [`delivery`] | one message to one next hop, until everybody has an answer | RFC 5321 §5.1, RFC 6152 |
//! | `certificates` | the certificate that is shown | TA-7, TA-21, TA-30…TA-32 |
//! | `kerberos` | who logs on by Kerberos: the keytab of this server | TA-60 |
//! | [`Keys`] | what a session logs on with, and who may open it | TA-20 ff. |
//! | [`probe`] | trying a connector without sending mail, each step with what to do | |
//! | `ourselves` | under which names and addresses this organization takes mail | RFC 5321 §5.1, ER-10 |

mod certificates;
pub mod delivery;
mod kerberos;
mod keys;
mod ourselves;
pub mod plan;
pub mod probe;
mod sessions;

pub use delivery::{ContentSource, Delivered, Opened, Taken, deliver};
pub use keys::Keys;
pub use plan::Unready;
pub use sessions::{Errand, Sessions};
