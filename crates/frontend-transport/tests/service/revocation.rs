//! `tlsAuthLevel: CertificateValidation` towards Postfix with certificates of an authority that publishes whom it revoked: by a
//! session of Transport's own and through a front end.

use crate::authority::Authority;
use crate::both_ways::Ways;
use crate::odd_hosts::Mail;
use crate::real_hosts::{Key, postfix, send};
use crate::support::Scene;

/// What becomes of a message by services that know nothing yet of the authority.
async fn both(authority: &Authority, port: u16) -> [Result<Option<&'static str>, String>; 2] {
    let scene = Scene::with(&[], |settings| settings.trusted_roots = Some(authority.root())).await;
    let ways = Ways::with(&scene, |settings| settings.trusted_roots = Some(authority.root())).await;
    let connector =
        format!("port: {port}, smartHosts: [127.0.0.1], requireTLS: true, tlsAuthLevel: CertificateValidation");
    ways.configure(&scene, "", &connector).await;
    let first = [send(&ways, Mail::Plain, false).await, send(&ways, Mail::Plain, true).await];
    // Not once for each message.
    assert_eq!([send(&ways, Mail::Plain, false).await, send(&ways, Mail::Plain, true).await], first);
    first
}

#[tokio::test]
async fn a_revoked_certificate_and_one_of_which_nobody_can_tell_make_mail_wait() {
    // TA-8, TA-12, TA-34
    let authority = Authority::new().await;
    let chain = authority.certify("mx", &["mx.fabrikam.com"]);
    let peer = postfix(Key::Rsa, format!("smtpd_tls_chain_files = {}", chain.display()).leak()).start().await;
    let port = peer.address.port();
    for said in both(&authority, port).await {
        let said = said.expect_err("no list is published");
        assert!(said.starts_with("waits: TLS handshake: 454 4.7.5 "), "{said}");
        assert!(
            said.contains("whether the certificate has been revoked cannot be told: ") && said.contains("404"),
            "{said}"
        );
    }
    authority.publish();
    assert_eq!(both(&authority, port).await, [Ok(Some("TLSv1.3")), Ok(None)]);
    authority.revoke("mx");
    authority.publish();
    for said in both(&authority, port).await {
        let said = said.expect_err("it was revoked");
        assert!(said.contains("the certificate has been revoked"), "{said}");
    }
    assert_eq!(authority.asked(), 6, "once by each service that began with nothing");
}
