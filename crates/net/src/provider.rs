//! The process-wide cryptography: aws-lc-rs, chosen once so that no library has to guess.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Makes aws-lc-rs the process default of rustls, for the libraries that ask for one (tonic, the OTLP exporter, etcd).
/// Call it first in `main`; calling it again changes nothing.
pub fn install() {
    // The only error is "there is one already", which is what we want.
    let _already_installed = CryptoProvider::install_default(PROVIDER.as_ref().clone());
}

/// What this crate's own TLS uses, whether or not [`install`] was called.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
