//! `docs/shell-session.md`: a session as an administrator types it, from an organization without connectors to mail for the internet, a
//! partner by mutual TLS and a connector for one site, and back; with what the shell prints.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::world::Session;

/// Two servers in two sites, and nothing else.
const EMPTY: &str = "
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: BerlinOslo, sites: [Berlin, Oslo], cost: 10}]
servers:
  - {name: MBX01, fqdn: mbx01.contoso.com, site: Berlin}
  - {name: MBX02, fqdn: mbx02.contoso.com, site: Oslo}
databases: [{name: DB1, server: MBX01}]
";

/// A heading with what it is about, and what is typed under it.
const STEPS: &[(&str, &[&str])] = &[
    (
        "What there is: two servers, and no way out",
        &["Get-ExchangeServer", "Get-SendConnector", "Get-AcceptedDomain", "Get-ReceiveConnector -Server MBX01"],
    ),
    (
        "A domain of our own, and somebody in it",
        &[
            "New-AcceptedDomain -Name Contoso -DomainName contoso.com -DomainType Authoritative",
            "New-Mailbox -Name Anna -Database DB1",
        ],
    ),
    (
        "Mail for the internet, by MX records",
        &[
            "New-SendConnector -Internet -Name \"To internet\" -AddressSpaces * -WhatIf",
            "New-SendConnector -Internet -Name \"To internet\" -AddressSpaces *",
            "Set-SendConnector \"To internet\" -Fqdn mail.contoso.com -MaxMessageSize 20MB",
            "Set-TransportConfig -MaxSendSize 20MB -MaxReceiveSize 20MB",
            "Get-SendConnector \"To internet\" | Format-List AddressSpaces,DNSRoutingEnabled,Fqdn,Max*Size,SourceTransportServers",
        ],
    ),
    (
        "A mistake is told with all that is wrong, and nothing is changed",
        &[
            "New-SendConnector -Name Fabrikam -AddressSpaces fabrikam.com -SmartHosts mail.fabrikam.com",
            "Set-SendConnector \"To internet\" -ProtocolLogingLevel Verbose",
            "Set-FrontendTransportService MBX01 -TransientFailureRetryCount 3",
        ],
    ),
    (
        "A partner by mutual TLS, both ways",
        &[
            "Get-ExchangeCertificate -DomainName mail.contoso.com",
            "$c = Get-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8; $name = \"<I>$($c.Issuer)<S>$($c.Subject)\"",
            "New-SendConnector -Partner -Name Fabrikam -AddressSpaces fabrikam.com -Fqdn mail.contoso.com -DomainSecureEnabled $true -TlsCertificateName $name",
            "Set-TransportConfig -TLSSendDomainSecureList fabrikam.com -TLSReceiveDomainSecureList fabrikam.com",
            "New-ReceiveConnector -Partner -Name \"From Fabrikam\" -TransportRole FrontendTransport -Bindings 0.0.0.0:25 -RemoteIPRanges 203.0.113.0/24",
            "Set-ReceiveConnector \"From Fabrikam\" -DomainSecureEnabled $true -TlsCertificateName $name",
            "Remove-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8 -Confirm:$false",
        ],
    ),
    (
        "A connector for the mail of one site alone",
        &[
            "New-SendConnector -Custom -Name \"Oslo to branch\" -AddressSpaces 'branch.example;5' -SourceTransportServers MBX02 -IsScopedConnector $true -DNSRoutingEnabled $false -SmartHosts 192.0.2.25",
            "Get-SendConnector",
            "Get-SendConnector | ? IsScopedConnector | Format-List Identity,AddressSpaces,SmartHosts,SourceTransportServers",
        ],
    ),
    (
        "Whether servers greet, and what became of mail",
        &[
            "Test-SmtpConnectivity MBX01 | ? Binding -like '0.0.0.0*' | Format-Table -AutoSize ReceiveConnector,Binding,StatusCode,Details",
            "Get-MessageTrackingLog -Server MBX01 -Sender anna@contoso.com | Format-Table -AutoSize Timestamp,EventId,Recipients",
        ],
    ),
    (
        "And back",
        &[
            "Set-TransportConfig -TLSSendDomainSecureList @{Remove='fabrikam.com'} -TLSReceiveDomainSecureList $null",
            "Get-SendConnector | Remove-SendConnector -Confirm:$false",
            "Remove-ReceiveConnector \"From Fabrikam\" -Confirm:$false",
            "Remove-Mailbox Anna -Confirm:$false",
            "Remove-AcceptedDomain Contoso -Confirm:$false",
            "@(Get-SendConnector).Count, @(Get-AcceptedDomain).Count, @(Get-ReceiveConnector -Server MBX01).Count",
        ],
    ),
];

const INTRODUCTION: &str = "\
# A session of the management shell

<!-- Typed and written by a test of crate cmdlets; POSTROAD_REWRITE=1 writes it anew. -->

What an administrator types, and what `postroad shell` prints: from an organization of two servers without a connector to mail for the
internet, a partner by mutual TLS and a connector of one site, and back. docs/cmdlets.md has every command.
";

#[test]
fn a_session_is_typed_from_nothing_to_partners_and_back() {
    // SC-1, CM-60…CM-62, CM-70…CM-75: as an administrator sees them.
    let mut session = Session::over(EMPTY);
    let mut page = INTRODUCTION.to_owned();
    for (heading, commands) in STEPS {
        write!(page, "\n## {heading}\n\n```text\n").unwrap();
        for command in *commands {
            let (out, errors) = session.run(command);
            let told = [out.as_str(), errors.trim_end()].into_iter().filter(|text| !text.is_empty());
            writeln!(page, "PS> {command}").unwrap();
            told.for_each(|text| writeln!(page, "{text}\n").unwrap());
        }
        page = page.trim_end().to_owned() + "\n```\n";
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/shell-session.md");
    if std::env::var_os("POSTROAD_REWRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/shell-session.md is not what the shell prints; POSTROAD_REWRITE=1 writes it anew");
    // What was made is gone, but for the default domain, which stays (EN-81); the four connectors that each server has by default are there.
    assert!(page.ends_with("0\n1\n4\n```\n"), "{page}");
}
