//! Where everything is.
//!
//! ```text
//!   /postroad/<forest>/v1/config/current                        marker: generation, number of objects
//!   /postroad/<forest>/v1/config/<generation>/<kind>/<guid>     a configuration object
//!   /postroad/<forest>/v1/change/config                         what the last change did, when, and who made it
//!   /postroad/<forest>/v1/epoch                                 how often it was restored from a backup
//!   /postroad/<forest>/v1/recipient/<guid>                      a recipient
//!   /postroad/<forest>/v1/index/recipient/<lower-case name>     its guid
//!   /postroad/<forest>/v1/index/address/<lower-case address>    its guid, for each of its addresses
//!   /postroad/<forest>/v1/digest/<bucket>                       digests of recipients, on an Edge server
//!   /postroad/<forest>/v1/digests                               the salt with which all there are were told
//!   /postroad/<forest>/v1/digests-sum                           what tells them from all others
//!   /postroad/<forest>/v1/revoked/<server|administrator>/<name> until when its certificates count no more
//!   /postroad/<forest>/runtime/servers/<server>/<service>       a presence, under a lease
//! ```

use std::sync::Arc;

use authority::Subject;
use envelope::{ServerName, Service};
use organization::Kind;
use topology::Guid;

/// Name of the forest when none is set.
pub const FOREST_DEFAULT: &str = "default";

/// The keys of one forest.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    root: Arc<str>,
}

impl Keys {
    pub(crate) fn new(forest: &str) -> Self {
        Self { root: format!("/postroad/{}", segment(forest)).into() }
    }

    /// Every configuration object of every generation, and the marker.
    pub(crate) fn configuration(&self) -> String {
        format!("{}/v1/config/", self.root)
    }

    /// All but presences.
    pub(crate) fn stored(&self) -> String {
        format!("{}/v1/", self.root)
    }

    pub(crate) fn recipients(&self) -> String {
        format!("{}/v1/recipient/", self.root)
    }

    pub(crate) fn indexes(&self) -> String {
        format!("{}/v1/index/", self.root)
    }

    pub(crate) fn marker(&self) -> String {
        format!("{}/v1/config/current", self.root)
    }

    pub(crate) fn generation(&self, generation: &str) -> String {
        format!("{}/v1/config/{generation}/", self.root)
    }

    pub(crate) fn object(&self, generation: &str, kind: Kind, guid: Guid) -> String {
        format!("{}/v1/config/{generation}/{kind}/{guid}", self.root)
    }

    pub(crate) fn change(&self) -> String {
        format!("{}/v1/change/config", self.root)
    }

    pub(crate) fn epoch(&self) -> String {
        format!("{}/v1/epoch", self.root)
    }

    pub(crate) fn recipient(&self, guid: Guid) -> String {
        format!("{}/v1/recipient/{guid}", self.root)
    }

    pub(crate) fn recipient_names(&self) -> String {
        format!("{}/v1/index/recipient/", self.root)
    }

    pub(crate) fn recipient_name(&self, name: &str) -> String {
        format!("{}/v1/index/recipient/{}", self.root, envelope::text::folded(name))
    }

    pub(crate) fn address(&self, key: &str) -> String {
        format!("{}/v1/index/address/{key}", self.root)
    }

    pub(crate) fn digests(&self) -> String {
        format!("{}/v1/digest/", self.root)
    }

    pub(crate) fn digests_of(&self, bucket: u16) -> String {
        format!("{}/v1/digest/{bucket:03x}", self.root)
    }

    pub(crate) fn digests_complete(&self) -> String {
        format!("{}/v1/digests", self.root)
    }

    pub(crate) fn digests_sum(&self) -> String {
        format!("{}/v1/digests-sum", self.root)
    }

    pub(crate) fn revocations(&self) -> String {
        format!("{}/v1/revoked/", self.root)
    }

    pub(crate) fn revocation(&self, subject: &Subject) -> String {
        let (kind, name) = match subject {
            Subject::Server(name) => ("server", name.as_str()),
            Subject::Administrator(name) => ("administrator", name.as_str()),
        };
        format!("{}/v1/revoked/{kind}/{}", self.root, segment(&name.to_lowercase()))
    }

    pub(crate) fn presences(&self) -> String {
        format!("{}/runtime/servers/", self.root)
    }

    pub(crate) fn presence(&self, server: &ServerName, service: Service) -> String {
        format!("{}/runtime/servers/{}/{service}", self.root, segment(&server.as_str().to_lowercase()))
    }
}

/// A text that stands between two slashes and is made of one part.
fn segment(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2f")
}
