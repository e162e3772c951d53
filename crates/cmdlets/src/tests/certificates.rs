//! Certificates of servers, as the documented command shows them.

use envelope::{ServerName, Timestamp};

use super::queues::Asked;
use super::world::{ORGANIZATION, Session};
use crate::certificates::{CertificateEntry, Certificates};

/// Servers with two certificates each, and what was asked of them.
pub(super) struct Shelf(pub(super) Asked);

impl Certificates for Shelf {
    fn of_server(&mut self, server: &ServerName, hosts: &[String]) -> Result<Vec<CertificateEntry>, String> {
        self.0.borrow_mut().push(format!("certificates of {server} for {hosts:?}"));
        let entry = |thumbprint: &str, subject: &str, until: u64| CertificateEntry {
            thumbprint: thumbprint.to_owned(),
            subject: subject.to_owned(),
            issuer: "CN=Contoso CA".to_owned(),
            domains: vec!["mail.contoso.com".to_owned(), "*.contoso.com".to_owned()],
            not_before: Timestamp::from_millis(0),
            not_after: Timestamp::from_millis(until),
            serial_number: "0A".to_owned(),
            self_signed: false,
        };
        // Those of the documented examples.
        Ok(vec![
            entry("0271A7F1CA9AD8A27152CCAE044F968F068B14B8", "CN=mail.contoso.com", 86_400_000),
            entry("C4248CD7065C87CB942D60F7293FEB7D533A4AFC", "CN=MBX01", 0),
        ])
    }
}

#[test]
fn what_a_server_shows_is_listed_as_documented() {
    // TA-30, TA-34, TA-36, CM-75
    let mut session = Session::over(ORGANIZATION);
    let (out, errors) = session.run("Get-ExchangeCertificate");
    assert_eq!(errors, "");
    let lines: Vec<&str> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(
        lines[0].starts_with("Thumbprint") && lines[0].contains("Services") && lines[0].ends_with("Subject"),
        "{out}"
    );
    assert!(lines[2].starts_with("0271A7F1CA9AD8A27152CCAE044F968F068B") && lines[2].contains("SMTP"), "{out}");
    assert_eq!(session.asked.borrow().as_slice(), ["certificates of MBX01 for []"]);
    let input = "Get-ExchangeCertificate 'c4248cd7 065c87cb 942d60f7 293feb7d 533a4afc' -Server MBX02 | \
                 % { \"$($_.Status) $($_.Issuer) $($_.CertificateDomains) $($_.HasPrivateKey) $($_.Identity)\" }";
    let (out, errors) = session.run(input);
    let expected =
        "Unknown CN=Contoso CA mail.contoso.com *.contoso.com True MBX02\\C4248CD7065C87CB942D60F7293FEB7D533A4AFC";
    assert_eq!((out.as_str(), errors.as_str()), (expected, ""));
    session.run("Get-ExchangeCertificate -DomainName mail.contoso.com,a.example");
    assert_eq!(
        session.asked.borrow().last().unwrap(),
        "certificates of MBX01 for [\"mail.contoso.com\", \"a.example\"]"
    );
}

#[test]
fn what_is_no_command_of_the_organization_says_what_to_do() {
    // TA-36, TA-38
    let mut session = Session::over(ORGANIZATION);
    for (input, advice) in [
        ("New-ExchangeCertificate", "openssl"),
        ("Import-ExchangeCertificate -FileName cert.pfx", "identity/smtp"),
        ("Enable-ExchangeCertificate -Thumbprint 5113 -Services SMTP", "postroad cert preview"),
        ("Get-ExchangeCertificate | Remove-ExchangeCertificate", "take it away"),
        ("Export-ExchangeCertificate -Thumbprint 5113", "copy it"),
    ] {
        let (_, errors) = session.run(input);
        assert!(errors.contains("is not available yet") && errors.contains(advice), "{input}: {errors}");
    }
    let (_, errors) = session.run("Get-ExchangeCertificate 5113");
    assert!(errors.contains("wasn't found on MBX01"), "{errors}");
    let (_, errors) = session.run("Get-ExchangeCertificate -Server nobody");
    assert!(errors.contains("couldn't be found"), "{errors}");
    let (_, errors) = Session::without_servers(ORGANIZATION).run("Get-ExchangeCertificate");
    assert!(errors.contains("run the shell on that server"), "{errors}");
}
