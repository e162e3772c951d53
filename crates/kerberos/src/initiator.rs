//! Who logs on, and to whom.

use std::path::Path;

use libgssapi::context::{ClientCtx, CtxFlags};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};

use crate::dialogue::Dialogue;
use crate::environment::is_in_force;
use crate::error::KerberosError;
use crate::work::Work;

/// RFC 4954 §4: the service name of SMTP.
const SERVICE: &str = "smtp";

/// A principal of a keytab. Cheap to clone; clones use the same tickets.
#[derive(Clone, Debug)]
pub struct Initiator {
    principal: Option<Box<str>>,
    work: Work,
}

impl Initiator {
    /// Logs on as `principal` of the keytab, or as the first of it.
    ///
    /// # Errors
    /// [`KerberosError::Environment`] when this process was started without [`environment`](crate::environment()).
    pub fn new(keytab: &Path, principal: Option<&str>) -> Result<Self, KerberosError> {
        if !is_in_force(keytab) {
            return Err(KerberosError::Environment);
        }
        Ok(Self { principal: principal.map(Into::into), work: Work::new() })
    }

    /// Begins to log on to SMTP on `host`, a name in its A-labels. Only the server that has the keys of `smtp/<host>` can
    /// answer.
    ///
    /// # Errors
    /// [`KerberosError`]: no such principal in the keytab, a name that DNS would change.
    pub async fn begin(&self, host: &str) -> Result<Dialogue, KerberosError> {
        let (principal, host) = (self.principal.clone(), host.to_ascii_lowercase());
        let context = self.work.run(move || context(principal.as_deref(), &host)).await?;
        Ok(Dialogue::new(context, self.work.clone()))
    }
}

fn context(principal: Option<&str>, host: &str) -> Result<ClientCtx, KerberosError> {
    let own = principal.map(|own| Name::new(own.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))).transpose()?;
    let kerberos = OidSet::singleton(GSS_MECH_KRB5)?;
    // Tickets that are there count; where there are none, or old ones, the library gets new ones by the keytab.
    let credential = Cred::acquire(own.as_ref(), None, CredUsage::Initiate, Some(&kerberos))?;
    let named = Name::new(format!("{SERVICE}@{host}").as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
    let target = named.canonicalize(Some(GSS_MECH_KRB5))?;
    let (asked, wanted) = (target.to_string(), format!("{SERVICE}/{host}"));
    if asked.split('@').next() != Some(&wanted) {
        return Err(KerberosError::Renamed { wanted: wanted.into(), asked: asked.into() });
    }
    let flags = CtxFlags::GSS_C_MUTUAL_FLAG
        | CtxFlags::GSS_C_REPLAY_FLAG
        | CtxFlags::GSS_C_SEQUENCE_FLAG
        | CtxFlags::GSS_C_INTEG_FLAG;
    Ok(ClientCtx::new(Some(credential), target, flags, Some(GSS_MECH_KRB5)))
}
