//! The admin centre: what administrators see and do in a browser, as pages that a server writes.
//!
//! ```text
//!   browser ──TLS──▶ serve ──Ask──▶ Centre ──guard, session──▶ pages ──▶ Ruled ──authority──▶ Estate
//!                                     ◀── Reply ── view (askama) ◀── Sheet ◀─┘
//! ```
//!
//! * [`Estate`] is everything that the centre asks: the organization, its past, its servers. Whoever embeds it implements it, over
//!   a directory or over the admin API; nothing of either is known here.
//! * Pages are given `Ruled`, never the estate: each question and each act is ruled by `authority` for the person who is signed
//!   in, and what is refused is written down. So the centre can do no more for a person than the admin service would.
//! * A change is a plan first: looked at, with what it does to mail, and made only if the configuration is still what it was.
//! * A page is a value (`view::Sheet`) before it is HTML: the same table is a page, CSV and JSON. Every text goes through one
//!   escaper ([`text`]); what mail says is shown, and does nothing.
//!
//! | module | what |
//! |---|---|
//! | [`estate`] | what is asked, and the words of the answers |
//! | `ruled` | who may |
//! | [`accounts`], [`provider`], `codes`, `session`, `guard` | who is there, and what browsers may not be made to do |
//! | [`centre`], `front` | what a centre is made of; one request to one answer |
//! | `pages` | the pages |
//! | `known` | what servers said last, so that none is waited for |
//! | `live`, `watching`, `stream` | what changes of a page, sent to whoever looks at it |
//! | `form`, `plans` | forms made from the schema; changes that are looked at before they are made |
//! | [`serve`], `upload` | sockets, TLS and HTTP |

pub mod accounts;
mod assets;
pub mod centre;
mod codes;
pub mod estate;
mod exchange;
mod form;
mod front;
mod guard;
mod known;
mod live;
mod pages;
mod person;
mod plans;
pub mod provider;
mod rehearsals;
mod request;
mod room;
mod ruled;
pub mod serve;
mod session;
mod stream;
#[cfg(test)]
mod tests;
pub mod text;
mod upload;
mod view;
mod watching;

pub use accounts::Passwords;
pub use centre::{Centre, CentreOptions};
pub use estate::Estate;
pub use guard::has_port;
pub use person::Person;
