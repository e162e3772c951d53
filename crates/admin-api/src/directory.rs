//! The directory over the API: [`RemoteDirectory`] asks as the traits of `directory` have it, the admin service answers from a
//! backend.

mod client;
pub(crate) mod convert;
mod seals;
mod server;

pub use client::RemoteDirectory;
pub use seals::RemoteSecrets;
pub(crate) use server::DirectoryService;
pub use server::features;
