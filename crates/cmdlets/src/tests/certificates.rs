//! Certificates of servers, as the documented command shows them.

use envelope::{ServerName, Timestamp};

use super::queues::Asked;
use super::world::{ORGANIZATION, Session};
use crate::certificates::{CertificateEntry, CertificateOrder, Certificates};

/// Servers with two certificates each, and what was asked of them.
pub(super) struct Shelf(pub(super) Asked);

impl Shelf {
    fn note(&self, text: String) {
        self.0.borrow_mut().push(text);
    }
}

fn entry(thumbprint: &str, subject: &str, until: u64) -> CertificateEntry {
    CertificateEntry {
        thumbprint: thumbprint.to_owned(),
        subject: subject.to_owned(),
        issuer: "CN=Contoso CA".to_owned(),
        domains: vec!["mail.contoso.com".to_owned(), "*.contoso.com".to_owned()],
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(until),
        serial_number: "0A".to_owned(),
        self_signed: false,
        enabled: true,
        pending: false,
    }
}

impl Certificates for Shelf {
    fn of_server(&mut self, server: &ServerName, hosts: &[String]) -> Result<Vec<CertificateEntry>, String> {
        self.note(format!("certificates of {server} for {hosts:?}"));
        // Those of the documented examples.
        Ok(vec![
            entry("0271A7F1CA9AD8A27152CCAE044F968F068B14B8", "CN=mail.contoso.com", 86_400_000),
            entry("C4248CD7065C87CB942D60F7293FEB7D533A4AFC", "CN=MBX01", 0),
            entry("5113AE0233A72FCCB75B1D0198628675333D010E", "CN=POP", 0),
            entry("8A141F7F2BBA8041973399723BD2598D2ED2D831", "CN=Fabrikam", 0),
            CertificateEntry {
                pending: true,
                enabled: false,
                ..entry("72570529B260E556349F3403F5CF5819D19B3B58", "CN=Pending", 0)
            },
        ])
    }

    fn make(
        &mut self,
        server: &ServerName,
        order: &CertificateOrder,
        command: &str,
    ) -> Result<(CertificateEntry, String), String> {
        self.note(format!("{command} on {server}: {order:?}"));
        Ok((entry("AA", &order.subject, 0), "-----BEGIN CERTIFICATE REQUEST-----".to_owned()))
    }

    fn import(&mut self, server: &ServerName, content: &[u8], command: &str) -> Result<CertificateEntry, String> {
        self.note(format!("{command} on {server}: {} octets", content.len()));
        Ok(CertificateEntry { enabled: false, ..entry("BB", "CN=imported", 0) })
    }

    fn export(&mut self, server: &ServerName, thumbprint: &str) -> Result<String, String> {
        self.note(format!("{thumbprint} of {server}"));
        Ok("-----BEGIN CERTIFICATE-----".to_owned())
    }

    fn enable(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String> {
        self.note(format!("{command} {thumbprint} on {server}"));
        Ok(())
    }

    fn remove(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String> {
        self.note(format!("{command} {thumbprint} on {server}"));
        Ok(())
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
    assert!(lines[2].starts_with("0271A7F1CA9AD8A27152CCAE044F968F068B14B8 ") && lines[2].contains("SMTP"), "{out}");
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
fn certificates_are_made_taken_in_enabled_given_out_and_taken_away() {
    // TA-36, TA-38
    let mut session = Session::over(ORGANIZATION);
    let done = |session: &mut Session, input: &str| {
        let (out, errors) = session.run(&format!("$ConfirmPreference = 'None'; {input}"));
        assert_eq!(errors, "", "{input}");
        (out, session.asked.borrow().last().unwrap().clone())
    };
    let (out, asked) = done(&mut session, "New-ExchangeCertificate | % { \"$($_.Thumbprint) $($_.Services)\" }");
    assert_eq!(out, "AA SMTP");
    assert!(
        asked.contains("New-ExchangeCertificate on MBX01") && asked.contains("request: false, enabled: true"),
        "{asked}"
    );
    let input = "New-ExchangeCertificate -GenerateRequest -SubjectName 'C=US,CN=mail.contoso.com' -DomainName a.contoso.com,a.contoso.com \
                 -IncludeServerFQDN -KeySize 4096 -Server MBX02 -RequestFile mail.req";
    let (out, asked) = done(&mut session, input);
    assert_eq!((out.as_str(), session.seen.borrow().files[0].0.as_str()), ("", "mail.req"));
    assert!(asked.contains("on MBX02") && asked.contains("key_size: 4096, request: true"), "{asked}");
    assert!(asked.contains("[Domain(a.contoso.com), Domain(mbx02.contoso.example)]"), "{asked}");
    let renew = "(Get-ExchangeCertificate 8A141F7F2BBA8041973399723BD2598D2ED2D831 | New-ExchangeCertificate -GenerateRequest -BinaryEncoded).FileData.Length";
    let (out, asked) = done(&mut session, renew);
    assert_eq!(out, "35");
    assert!(asked.contains("CN=Fabrikam") && asked.contains("mail.contoso.com"), "{asked}");
    let (out, asked) = done(&mut session, "Import-ExchangeCertificate -FileData ([byte[]](1,2,3)) | % Services");
    assert_eq!((out.as_str(), asked.as_str()), ("None", "Import-ExchangeCertificate on MBX01: 3 octets"));
    let (out, asked) = done(
        &mut session,
        "Enable-ExchangeCertificate 'c4 24 8cd7065c87cb942d60f7293feb7d533a4afc' -Services POP,SMTP",
    );
    assert!(out.contains("WARNING: POP: nobody serves that here"), "{out}");
    assert_eq!(asked, "Enable-ExchangeCertificate C4248CD7065C87CB942D60F7293FEB7D533A4AFC on MBX01");
    let (out, asked) =
        done(&mut session, "Export-ExchangeCertificate -Identity MBX02\\72570529B260E556349F3403F5CF5819D19B3B58");
    assert_eq!(
        (out.as_str(), asked.as_str()),
        ("-----BEGIN CERTIFICATE-----", "72570529B260E556349F3403F5CF5819D19B3B58 of MBX02")
    );
    let (_, asked) = done(
        &mut session,
        "Get-ExchangeCertificate 5113ae0233a72fccb75b1d0198628675333d010e | Remove-ExchangeCertificate",
    );
    assert_eq!(asked, "Remove-ExchangeCertificate 5113AE0233A72FCCB75B1D0198628675333D010E on MBX01");
    assert!(
        done(&mut session, "Get-ExchangeCertificate 72570529B260E556349F3403F5CF5819D19B3B58 | % Status")
            .0
            .contains("PendingRequest")
    );
}

#[test]
fn what_is_not_done_to_certificates_says_why() {
    // TA-36, TA-38
    let mut session = Session::over(ORGANIZATION);
    session.run(
        "Set-ReceiveConnector 'Default Frontend MBX01' -TlsCertificateName '<I>CN=Contoso CA<S>CN=mail.contoso.com'",
    );
    for (input, why) in [
        (
            "Get-ExchangeCertificate | New-ExchangeCertificate -PrivateKeyExportable $true",
            "a key never leaves the server",
        ),
        ("Import-ExchangeCertificate -FileName cert.pfx -Password x", "PKCS #12"),
        ("Import-ExchangeCertificate", "FileName or with FileData"),
        ("Import-ExchangeCertificate -FileName there.pem", "there.pem is not there"),
        (
            "Enable-ExchangeCertificate 5113AE0233A72FCCB75B1D0198628675333D010E -Services IIS",
            "Only SMTP shows certificates",
        ),
        ("Enable-ExchangeCertificate -Services SMTP", "It is not said which certificate"),
        (
            "Remove-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8 -Confirm:$false",
            "is in use: TlsCertificateName of Default Frontend MBX01",
        ),
        ("Remove-ExchangeCertificate 5113 -Confirm:$false", "wasn't found on MBX01"),
        ("Export-ExchangeCertificate -Thumbprint 5113 -Password x", "a key never leaves the server"),
        ("New-ExchangeCertificate -DomainName 'a b'", "a b: "),
    ] {
        let (_, errors) = session.run(input);
        assert!(errors.contains(why), "{input}: {errors}");
    }
    assert!(
        session.asked.borrow().iter().all(|asked| asked.starts_with("certificates of ")),
        "{:?}",
        session.asked.borrow()
    );
    let (_, errors) = session.run("Get-ExchangeCertificate 5113");
    assert!(errors.contains("wasn't found on MBX01"), "{errors}");
    let (_, errors) = session.run("Get-ExchangeCertificate -Server nobody");
    assert!(errors.contains("couldn't be found"), "{errors}");
    let (_, errors) = Session::without_servers(ORGANIZATION).run("Get-ExchangeCertificate");
    assert!(errors.contains("run the shell on that server"), "{errors}");
}
