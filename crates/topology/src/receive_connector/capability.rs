//! What a client may do that has proved of which domain it is: `TlsDomainCapabilities` (TA-75, PF-45).

use std::fmt;
use std::str::FromStr;

use envelope::Domain;

/// Who comes without TLS, in place of a domain.
const WITHOUT_TLS: &str = "NO-TLS";
/// What may be given.
const ACCEPT_CLOUD_SERVICES_MAIL: &str = "AcceptCloudServicesMail";

/// `domain:AcceptCloudServicesMail`: clients with a certificate of that domain are the other half of a hybrid organization, and
/// what they say of a message in `X-MS-Exchange-CrossPremises-` fields is believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsDomainCapability {
    /// Whose certificate.
    pub domain: Domain,
}

impl FromStr for TlsDomainCapability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (domain, capability) = text
            .split_once(':')
            .ok_or_else(|| format!("{text:?} has no capability: write domain:{ACCEPT_CLOUD_SERVICES_MAIL}"))?;
        if domain.eq_ignore_ascii_case(WITHOUT_TLS) {
            return Err(format!("{text:?}: nobody proves anything without TLS; name the domain of a certificate"));
        }
        if !capability.eq_ignore_ascii_case(ACCEPT_CLOUD_SERVICES_MAIL) {
            return Err(format!(
                "{capability:?} is not {ACCEPT_CLOUD_SERVICES_MAIL}, which is the only capability there is"
            ));
        }
        let domain = Domain::parse(domain).map_err(|error| format!("{text:?}: {error}"))?;
        Ok(Self { domain })
    }
}

impl fmt::Display for TlsDomainCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{ACCEPT_CLOUD_SERVICES_MAIL}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_given_the_capability_that_there_is() {
        // PF-45, TA-75
        let read = |text: &str| text.parse::<TlsDomainCapability>().map(|one| one.to_string());
        let written = "mail.protection.outlook.com:AcceptCloudServicesMail";
        assert_eq!(read("mail.protection.outlook.com:acceptcloudservicesmail").as_deref(), Ok(written));
        for (text, why) in [
            ("contoso.com", "has no capability"),
            ("contoso.com:AcceptOorgProtocol", "only capability"),
            ("NO-TLS:AcceptCloudServicesMail", "without TLS"),
            ("*.contoso.com:AcceptCloudServicesMail", "contoso.com"),
        ] {
            assert!(read(text).unwrap_err().contains(why), "{text}");
        }
    }
}
