//! Documented recipes, each from the first command to what it leaves.

use super::world::{ORGANIZATION, Session};

/// Rules, input, output.
const RECIPES: &[(&str, &str, &str)] = &[
    // What a wizard does not offer, the shell takes: the type of a connector is a label.
    (
        "SC-30",
        "New-SendConnector I -Internal -DNSRoutingEnabled $true -AddressSpaces x.example | % DNSRoutingEnabled",
        "True",
    ),
    (
        "SC-31, SC-32, SC-98",
        "New-SendConnector P -Partner -DNSRoutingEnabled $false -SmartHosts a.example -AddressSpaces x.example | % { $_.SmartHosts; $_.DomainSecureEnabled }",
        "a.example\nFalse",
    ),
    (
        "SC-33",
        "New-SendConnector F -AddressSpaces x.example -FrontendProxyEnabled $true | % FrontendProxyEnabled; Set-SendConnector F -FrontendProxyEnabled $false; (Get-SendConnector F).FrontendProxyEnabled",
        "True\nFalse",
    ),
    (
        "SC-34",
        "Set-SendConnector 'To internet' -ConnectionInactivityTimeOut 00:05:00 -SmtpMaxMessagesPerConnection 5; Get-SendConnector 'To internet' | % { $_.ConnectionInactivityTimeOut; $_.SmtpMaxMessagesPerConnection }",
        "00:05:00\n5",
    ),
    (
        "SC-118",
        "New-SendConnector -Name Cloud -AddressSpaces 'cloud.example' -CloudServicesMailEnabled $true -Fqdn mail.contoso.com -RequireTLS $true -DNSRoutingEnabled $false -SmartHosts contoso.mail.protection.example -TlsAuthLevel CertificateValidation | % { $_.CloudServicesMailEnabled; $_.TlsAuthLevel; $_.SmartHostsString }",
        "True\nCertificateValidation\ncontoso.mail.protection.example",
    ),
    (
        "RC-60, RC-6",
        "New-ReceiveConnector -Name 'Anonymous Relay' -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIpRanges 192.168.5.10,192.168.5.11 | % PermissionGroups; Set-ReceiveConnector 'Anonymous Relay' -PermissionGroups AnonymousUsers; (Get-ReceiveConnector 'Anonymous Relay').PermissionGroups",
        "None\nAnonymousUsers",
    ),
    (
        "RC-61, PF-38",
        "New-ReceiveConnector -Name R -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIpRanges 192.168.5.10 | Out-Null; Set-ReceiveConnector R -AuthMechanism ExternalAuthoritative -PermissionGroups ExchangeServers; Get-ReceiveConnector R | % { $_.AuthMechanism; $_.PermissionGroups }",
        "ExternalAuthoritative\nExchangeServers",
    ),
    (
        "RC-64",
        "New-ReceiveConnector Partner -TransportRole FrontendTransport -Partner -RemoteIPRanges 17.17.17.1/24 -Bindings 0.0.0.0:25 | % { $_.AuthMechanism; $_.PermissionGroups; $_.RemoteIPRanges }",
        "Tls\nPartners\n17.17.17.0-17.17.17.255",
    ),
    (
        "RC-65",
        "New-ReceiveConnector Inside -TransportRole FrontendTransport -Internal -RemoteIPRanges 192.168.0.10 -Bindings 0.0.0.0:25 | % { $_.AuthMechanism; $_.PermissionGroups }",
        "Tls, ExchangeServer\nExchangeLegacyServers, ExchangeServers",
    ),
    (
        "RC-63",
        "Set-ReceiveConnector 'Default Frontend MBX01' -Banner '220 contoso.com'; (Get-ReceiveConnector 'Default Frontend MBX01').Banner; Set-ReceiveConnector 'Default Frontend MBX01' -Banner $null; \"[$((Get-ReceiveConnector 'Default Frontend MBX01').Banner)]\"",
        "220 contoso.com\n[]",
    ),
    // RC-18: each default connector with who it is for.
    (
        "RC-18",
        "Get-ReceiveConnector -Server MBX01 | % { \"$($_.Name): $($_.TransportRole) $($_.PermissionGroups)\" }",
        "Default Frontend MBX01: FrontendTransport AnonymousUsers, ExchangeLegacyServers, ExchangeServers\nClient Frontend MBX01: FrontendTransport ExchangeUsers\nDefault MBX01: HubTransport ExchangeLegacyServers, ExchangeServers, ExchangeUsers\nClient Proxy MBX01: HubTransport ExchangeServers, ExchangeUsers",
    ),
    ("SC-27", "(Get-SendConnector 'To internet').MaxMessageSize.Value.ToMB()", "35"),
    ("TA-48", "(Get-SendConnector 'To internet').DomainSecureEnabled", "False"),
    (
        "RC-32",
        "New-ReceiveConnector Z -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIPRanges 0.0.0.0 | % RemoteIPRanges",
        "0.0.0.0",
    ),
    ("CM-2", "$a = 1; $b = 2 # three\n$a +\n$b; (\n'x'\n)", "3\nx"),
    ("CM-3, CM-4", "$n = 'MBX01'; \"$n `$n $($n.Length)\"; 'it''s $n'", "MBX01 $n 5\nit's $n"),
    (
        "CM-5, SC-58",
        "New-SendConnector Q -AddressSpaces *.a.example,b.example | % AddressSpaces",
        "SMTP:*.a.example;1\nSMTP:b.example;1",
    ),
    ("CM-6", "10MB; 1.5GB; 2KB; 1TB", "10485760\n1610612736\n2048\n1099511627776"),
    ("CM-7", "$true; $null -eq $undefined; 1,2 | % { $PSItem * 2 }", "True\nTrue\n2\n4"),
    (
        "CM-31",
        "$a = 1..5; $a[0]; $a[$a.length-1]; $a[2..3] -join ','; 7 % 3; !$true; 'a' + 'b'; 3 * 4 / 2 - 1",
        "1\n5\n3,4\n1\nFalse\nab\n5",
    ),
    ("CM-33", "'a-b'.Replace('-', '+'); (Get-SendConnector).Name.Count", "a+b\n3"),
    (
        "SC-81",
        "New-SendConnector S -AddressSpaces x.example -IsScopedConnector $true | % IsScopedConnector; Set-SendConnector S -IsScopedConnector $false; (Get-SendConnector S).IsScopedConnector",
        "True\nFalse",
    ),
    ("CM-64", "Set-SendConnector 'To internet' -Comment x -Force; (Get-SendConnector 'To internet').Comment", "x"),
    ("SC-133, CM-74", "Remove-SendConnector 'To internet' -Confirm:$false; (Get-SendConnector).Count", "2"),
];

#[test]
fn documented_recipes_leave_what_is_documented() {
    let mut wrong = Vec::new();
    for (rule, input, expected) in RECIPES {
        let (out, errors) = Session::over(ORGANIZATION).run(input);
        if (out.as_str(), errors.as_str()) != (*expected, "") {
            wrong.push(format!("{rule}: {input}\n{out}\n{errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
