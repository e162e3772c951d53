//! Domain Security: mutual TLS with the domains of the secure lists, towards Postfix by MX, and from swaks. Both sides' certificates
//! are of authorities that the other side trusts; ours publishes whom it revoked.

use std::path::Path;
use std::process::Command;

use testkit::dns::{self, Record};
use testkit::until;

use crate::authority::Authority;
use crate::both_ways::Ways;
use crate::odd_hosts::Mail;
use crate::real_hosts::{Key, postfix, ran, send};
use crate::support::{self, Conduct, STRANGERS, Scene};

const LISTED: &str = "transportConfig: {tlsSendDomainSecureList: [fabrikam.com]}\n";
const SECURED: &str = ", domainSecureEnabled: true";

/// A Postfix that may ask who we are and believes our authority.
fn partner(chain: &Path, ours: &Path, more: &str) -> &'static str {
    let settings = format!(
        "smtpd_tls_chain_files = {}\nsmtpd_tls_CAfile = {}\nsmtpd_tls_loglevel = 1\n{more}",
        chain.display(),
        ours.display()
    );
    settings.leak()
}

#[tokio::test]
async fn both_sides_prove_who_they_are_to_a_domain_of_the_list() {
    // SC-97, TA-40, TA-43, TA-44, TA-47
    let authority = Authority::new().await;
    authority.publish();
    let (right, wrong) = (authority.certify("right", &["fabrikam.com"]), authority.certify("wrong", &["other.com"]));
    let scene = Scene::with(&[], |settings| settings.trusted_roots = Some(authority.root())).await;
    let ways = Ways::with(&scene, |settings| settings.trusted_roots = Some(authority.root())).await;
    let folder = tempfile::Builder::new().permissions(support::readable()).tempdir().unwrap();
    let ours = folder.path().join("ours.pem");
    std::fs::write(&ours, scene.world.authority().certificate_pem()).unwrap();
    let dns = dns::serve(&[
        ("fabrikam.com", Record::Mx(10, "mx.fabrikam.com")),
        ("mx.fabrikam.com", Record::A([127, 0, 0, 1].into())),
    ])
    .await;
    let servers = format!(", transport: {{internalDNSServers: ['{dns}']}}");
    let asks = "smtpd_tls_ask_ccert = yes";
    let (tls, waits) = (Ok(Some("TLSv1.3")), |why| Err::<Option<&str>, &str>(why));
    for (chain, postfix_has, list, connector, expected) in [
        (&right, asks, LISTED, SECURED, tls),
        (&right, "", LISTED, SECURED, waits("the server did not ask for this server's certificate")),
        (&wrong, asks, LISTED, SECURED, waits("the certificate is for other.com, not for fabrikam.com")),
        (&right, "smtpd_tls_security_level = none", LISTED, SECURED, waits("TLS is required")),
        // Not on the list, not by this connector, or through a front end: as to everybody.
        (&wrong, "", "transportConfig: {tlsSendDomainSecureList: [other.com]}\n", SECURED, tls),
        (&wrong, "", LISTED, "", tls),
        (&wrong, "", LISTED, ", domainSecureEnabled: true, frontendProxyEnabled: true", tls),
    ] {
        let peer = postfix(Key::Rsa, partner(chain, &ours, postfix_has)).start().await;
        let connector = format!("port: {}{connector}", peer.address.port());
        ways.configure_with(&scene, &servers, &connector, list).await;
        let (direct, proxied) = (send(&ways, Mail::Plain, false).await, send(&ways, Mail::Plain, true).await);
        match expected {
            Ok(secured) => assert_eq!((&direct, &proxied), (&Ok(secured), &Ok(None)), "{connector} {list}"),
            Err(why) => [direct, proxied].into_iter().for_each(|result| {
                let said = result.expect_err(why);
                assert!(said.starts_with("waits: ") && said.contains(why), "{why}: {said}");
            }),
        }
        if (postfix_has, expected) == (asks, tls) {
            let trusted = "Trusted TLS connection established from";
            until("both connections in the log", async || (peer.log().matches(trusted).count() >= 2).then_some(()))
                .await;
        }
    }
    // The lists that the services know are good for hours: others begin with nothing.
    authority.revoke("right");
    authority.publish();
    let ways = Ways::with(&scene, |settings| settings.trusted_roots = Some(authority.root())).await;
    let peer = postfix(Key::Rsa, partner(&right, &ours, asks)).start().await;
    let connector = format!("port: {}{SECURED}", peer.address.port());
    ways.configure_with(&scene, &servers, &connector, LISTED).await;
    let said = send(&ways, Mail::Plain, false).await.unwrap_err();
    assert!(said.contains("the certificate has been revoked"), "{said}");
}

/// What a server says to `MAIL` and `RCPT` of a client with these arguments, or to the end of its message.
fn swaks(address: std::net::SocketAddr, arguments: &[&str]) -> String {
    let mut swaks = Command::new("swaks");
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    swaks.args(["--server", &host, "--port", &port, "--helo", "mx.fabrikam.com"]).args(arguments);
    let said = ran(&mut swaks);
    // The last answer that is no farewell.
    let mut answers = said.lines().filter(|line| line.starts_with('<') && !line.contains(" 221 "));
    answers.next_back().unwrap_or_else(|| panic!("{said}")).trim_start_matches(['<', '~', '*', '-', ' ']).to_owned()
}

#[tokio::test]
async fn who_comes_from_a_domain_of_the_list_proves_it_and_is_a_partner() {
    // TA-41, TA-43, TA-45, TA-76
    let (authority, stranger) = (Authority::new().await, Authority::new().await);
    let pem =
        |authority: &Authority, name: &str, domain: &str| authority.certify(name, &[domain]).display().to_string();
    let (right, wrong) = (pem(&authority, "right", "fabrikam.com"), pem(&authority, "wrong", "other.com"));
    let (gone, forged) = (pem(&authority, "gone", "fabrikam.com"), pem(&stranger, "forged", "fabrikam.com"));
    authority.revoke("gone");
    authority.publish();
    let partners = "127.0.0.4:0";
    let connector = format!(
        "  - {{name: Partners, server: MAIL1, transportRole: FrontendTransport, bindings: ['{partners}'], \
         authMechanism: [Tls], permissionGroups: [Partners], domainSecureEnabled: true}}\n\
         transportConfig: {{tlsReceiveDomainSecureList: [fabrikam.com]}}\n"
    );
    let organization = format!("{}{connector}", support::organization());
    let scene = Scene::of(&organization, &[("MAIL1", Conduct::Take)], |world| {
        let mut settings = world.settings("MAIL1");
        settings.trusted_roots = Some(authority.root());
        settings
    })
    .await;
    let from = |sender: &'static str| ["--from", sender, "--to", "ann@contoso.com"];
    let shown = |file: &str| ["--tls", "--tls-cert", file, "--tls-key", file].map(str::to_owned).to_vec();
    let listed = from("clerk@fabrikam.com");
    for (at, sender, tls, expected) in [
        (partners, listed, shown(&right), "250 2.6.0 "),
        (partners, listed, vec![], "530 5.7.4 Mail from fabrikam.com needs mutual TLS"),
        (partners, listed, vec!["--tls".to_owned()], "530 5.7.4 Mail from fabrikam.com needs mutual TLS"),
        (partners, listed, shown(&wrong), "454 4.7.5 Certificate validation failure"),
        (partners, listed, shown(&forged), "454 4.7.5 Certificate validation failure"),
        (partners, listed, shown(&gone), "454 4.7.5 Certificate validation failure"),
        // Partners alone: nobody else, and nowhere else.
        (partners, from("clerk@other.com"), shown(&wrong), "530 5.7.1 Client was not authenticated"),
        (
            partners,
            ["--from", "clerk@fabrikam.com", "--to", "x@elsewhere.test"],
            shown(&right),
            "550 5.7.1 Unable to relay",
        ),
        // A connector without Domain Security takes it from anybody.
        (STRANGERS, listed, vec![], "250 2.6.0 "),
    ] {
        let address = scene.address(at);
        let arguments: Vec<String> = sender.map(str::to_owned).into_iter().chain(tls).collect();
        let told = arguments.clone();
        let said =
            tokio::task::spawn_blocking(move || swaks(address, &told.iter().map(String::as_str).collect::<Vec<_>>()));
        let said = said.await.unwrap();
        assert!(said.starts_with(expected), "{arguments:?}: {said}, not {expected}");
    }
    let arrived = scene.arrived(2).await;
    let header = |at: usize| arrived[at].content.clone().unwrap();
    assert!(header(0).contains("X-MS-Exchange-Organization-AuthAs: Partner\r\n"), "{}", header(0));
    assert!(header(0).contains("X-MS-Exchange-Organization-AuthDomain: fabrikam.com\r\n"), "{}", header(0));
    assert!(header(1).contains("AuthAs: Anonymous\r\n") && !header(1).contains("AuthDomain"), "{}", header(1));
}

#[tokio::test]
async fn the_other_half_of_a_hybrid_organization_proves_it_and_is_believed() {
    // TA-75, PF-41, PF-44, PF-45
    let (authority, stranger) = (Authority::new().await, Authority::new().await);
    let pem =
        |authority: &Authority, name: &str, domain: &str| authority.certify(name, &[domain]).display().to_string();
    let (right, wrong) = (pem(&authority, "right", "mail.cloud.example"), pem(&authority, "wrong", "other.com"));
    let (gone, forged) =
        (pem(&authority, "gone", "mail.cloud.example"), pem(&stranger, "forged", "mail.cloud.example"));
    authority.revoke("gone");
    authority.publish();
    let cloud = "127.0.0.4:0";
    let connector = format!(
        "  - {{name: Cloud, server: MAIL1, transportRole: FrontendTransport, bindings: ['{cloud}'], authMechanism: [Tls], \
         permissionGroups: [AnonymousUsers], tlsDomainCapabilities: ['mail.cloud.example:AcceptCloudServicesMail']}}\n"
    );
    let organization = format!("{}{connector}", support::organization());
    let scene = Scene::of(&organization, &[("MAIL1", Conduct::Take)], |world| {
        let mut settings = world.settings("MAIL1");
        settings.trusted_roots = Some(authority.root());
        settings
    })
    .await;
    let shown = |file: &str| ["--tls", "--tls-cert", file, "--tls-key", file].map(str::to_owned).to_vec();
    // Who proves nothing is a client as others.
    let ways = [
        (cloud, shown(&right), true),
        (cloud, shown(&wrong), false),
        (cloud, shown(&forged), false),
        (cloud, shown(&gone), false),
        (cloud, vec!["--tls".to_owned()], false),
        (cloud, vec![], false),
        (STRANGERS, shown(&right), false),
    ];
    for (at, (entrance, tls, believed)) in ways.into_iter().enumerate() {
        let address = scene.address(entrance);
        let fields = [
            "--from",
            "eve@cloud.example",
            "--to",
            "ann@contoso.com",
            "--add-header",
            "X-MS-Exchange-CrossPremises-AuthAs: Internal",
            "--add-header",
            "X-MS-Exchange-CrossPremises-SCL: -1",
            "--add-header",
            "X-MS-Exchange-Organization-SCL: 9",
        ];
        let arguments: Vec<String> = fields.map(str::to_owned).into_iter().chain(tls).collect();
        let told = arguments.clone();
        let said =
            tokio::task::spawn_blocking(move || swaks(address, &told.iter().map(String::as_str).collect::<Vec<_>>()));
        let said = said.await.unwrap();
        assert!(said.starts_with("250 2.6.0 "), "{arguments:?}: {said}");
        let content = scene.arrived(at + 1).await[at].content.clone().unwrap();
        let has = |line: &str| content.contains(&format!("X-MS-Exchange-Organization-{line}\r\n"));
        assert_eq!(has("AuthAs: Internal"), believed, "{arguments:?}: {content}");
        assert_eq!(has("AuthAs: Anonymous"), !believed, "{arguments:?}: {content}");
        assert_eq!(has("SCL: -1"), believed, "{arguments:?}: {content}");
        assert!(!has("SCL: 9"), "{arguments:?}: {content}");
        assert!(has("AuthSource: mail1.contoso.com"), "what the other half does not say stays: {content}");
    }
}
