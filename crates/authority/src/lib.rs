//! Who may do what between the services of one organization: a principal and an act become a ruling with its rule.
//!
//! ```text
//!   Principal (of a certificate that was verified)  ─┐
//!   Act (what is asked for)                          ├─▶ Authority::rule ─▶ Ok, or a Refusal with its rule
//!   Authority (forest, servers, revocations of now) ─┘
//! ```
//!
//! | rule | what it asks |
//! |---|---|
//! | `forest` | the principal is of this forest |
//! | `revoked` | its certificate is younger than the last revocation of its server or administrator |
//! | `member` | its server is one of the organization |
//! | `role` | a server of that role runs the services that the certificate names |
//! | `act` | the act is for one of these services, or for administrators |
//! | `role-group` | an administrator is in a role group that may do that |
//!
//! Pure: reading certificates and following the directory are done elsewhere. A service is never an administrator, and no
//! administrator a service; the admin service asks others for whom it has heard itself. A user of the server's operating system
//! (by a Unix socket) is an administrator by the role groups that the server gives him.

mod features;
mod rules;
mod words;

pub use features::{Feature, RoleGroup};
pub use rules::Authority;
pub use words::{Act, Principal, Refusal, Revocation, Rule, Subject, Who};
