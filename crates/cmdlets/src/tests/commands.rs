//! Commands one by one: what they show, change and refuse.

use super::world::{ORGANIZATION, Session};

#[track_caller]
fn check(table: &[(&str, &str, &str)]) {
    for (rule, input, expected) in table {
        let (out, errors) = Session::over(ORGANIZATION).run(input);
        assert_eq!(errors, "", "{rule}: {input}");
        assert_eq!(out, *expected, "{rule}: {input}");
    }
}

/// Rule, input, output.
const SHOWN: &[(&str, &str, &str)] = &[
    (
        "CM-75",
        "Get-SendConnector | ft -AutoSize",
        "Identity          AddressSpaces                                                                        Enabled\n\
             --------          -------------                                                                        -------\n\
             To internet       {SMTP:*;10}                                                                             True\n\
             Outbound to cloud {SMTP:contoso.mail.example;1, SMTP:groups.contoso.example;1}                            True\n\
             Partner relay     {SMTP:partner.example;1, SMTP:*.partner.example;5, X400:c=US;a=Fabrikam;P=Contoso;5}   False",
    ),
    ("SC-141", "(Get-SendConnector 'To internet').MaxMessageSize", "35 MB (36,700,160 bytes)"),
    ("SC-142", "(Get-SendConnector 'Partner relay').MaxMessageSize", "Unlimited"),
    ("SC-140", "(Get-SendConnector 'To internet').ConnectionInactivityTimeOut.TotalMinutes", "10"),
    ("SC-43", "(Get-SendConnector 'Partner relay').SmartHostsString", "[192.0.2.10],relay.partner.example"),
    (
        "CM-73",
        "Get-SendConnector 'To internet' | fl Name,DSNRoutingEnabled,Max*Size",
        "Name              : To internet\nDSNRoutingEnabled :\nMaxMessageSize    : 35 MB (36,700,160 bytes)",
    ),
    (
        "SC-130, SC-132, CM-51",
        "Get-SendConnector 'mbx01\\to INTERNET' | % Name; Get-SendConnector (Get-SendConnector 'To internet').Guid | % Name",
        "To internet\nTo internet",
    ),
    (
        "SC-131, CM-51",
        "Get-SendConnector 'CN=To internet,CN=Connections,CN=Exchange Routing Group (DWBGZMFD01QNBJR)' | % Name",
        "To internet",
    ),
    (
        "CM-52, SC-132",
        "(Get-SendConnector '*o*').Count; (Get-SendConnector 'P*').Name; @(Get-SendConnector 'Zz*').Count",
        "2\nPartner relay\n0",
    ),
    ("CM-53", "@(Get-SendConnector $nothing).Count", "3"),
    (
        "CM-54",
        "(Get-ReceiveConnector 'Default Frontend MBX01').Server; (Get-ReceiveConnector '*\\Default Frontend*').Count",
        "MBX01\n2",
    ),
    (
        "CM-32",
        "(Get-ReceiveConnector -Server MBX02 | ? { $_.Bindings -like '*25' -and $_.PermissionGroups -like '*AnonymousUsers*' }).Name",
        "Default Frontend MBX02",
    ),
    ("RC-1", "(Get-ReceiveConnector -Server MBX01).Count", "4"),
    ("CM-32", "(Get-ExchangeServer | ? { $_.IsEdgeServer -eq $true }).Fqdn", "edge1.contoso.example"),
    (
        "QU-42",
        "(Get-TransportService MBX01).MessageExpirationTimeout; (Get-TransportServer mbx02.contoso.example).Name",
        "2.00:00:00\nMBX02",
    ),
    (
        "CM-55",
        "$dn = 'CN=MBX02,CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT)'; 'MBX02','mbx02.contoso.example',$dn | % { (Get-ReceiveConnector -Server $_)[0].Server; (Get-TransportService $_).Name }; (Get-Queue 7).Identity",
        "MBX02\nMBX02\nMBX02\nMBX02\nMBX02\nMBX02\nMBX01\\7",
    ),
    ("LM-05", "(Get-TransportConfig).MaxSendSize.Value.ToMB()", "10"),
    (
        "RT-02",
        "Get-ADSiteLink BerlinParis | fl Name,Cost,ADCost,ExchangeCost,Sites",
        "Name         : BerlinParis\nCost         : 10\nADCost       : 10\nExchangeCost :\nSites        : {Berlin, Paris}",
    ),
    (
        "RT-44",
        "Get-AcceptedDomain | ? Default | % DomainName; (Get-AcceptedDomain Partners).MatchSubDomains",
        "contoso.com\nTrue",
    ),
    (
        "PL-47",
        "Get-DistributionGroupMember Sales | % Name; (Get-Mailbox alice@contoso.com).PrimarySmtpAddress",
        "Alice\nalice@contoso.com",
    ),
    (
        "CM-34",
        "Get-ExchangeServer MBX01 | Get-TransportService | % Name; (Get-ReceiveConnector 'Default MBX01' | Get-ReceiveConnector).Name",
        "MBX01\nDefault MBX01",
    ),
];

#[test]
fn objects_are_shown_with_their_documented_names_and_types() {
    check(SHOWN);
}

/// Rule, input, output.
const CHANGED: &[(&str, &str, &str)] = &[
    (
        "SC-22, CM-74",
        "New-SendConnector -Internet -Name 'Out' -AddressSpaces 'example.com;5' | % Name; (Get-SendConnector Out).AddressSpaces; (Get-SendConnector Out).SourceTransportServers",
        "Out\nSMTP:example.com;5\nMBX01",
    ),
    ("SC-23", "New-SendConnector -Name In -AddressSpaces x.example -Usage Internal | % MaxMessageSize", "Unlimited"),
    (
        "CM-45, SC-57",
        "New-SendConnector -Name E -AddressSpaces SMTP:*;100 -DNSRoutingEnabled $false -SmartHosts 10.0.0.1,relay.example | % { $_.AddressSpaces; $_.SmartHosts }",
        "SMTP:*;100\n[10.0.0.1]\nrelay.example",
    ),
    (
        "SC-145, CM-26",
        "Set-SendConnector 'To internet' -AddressSpaces @{Add='a.example','b.example;2'; Remove='*'}; (Get-SendConnector 'To internet').AddressSpaces -join ' '",
        "SMTP:a.example;1 SMTP:b.example;2",
    ),
    (
        "SC-146",
        "Set-SendConnector 'To internet' -SourceTransportServers @{Remove='MBX09'}",
        "WARNING: sourceTransportServers has no MBX09; nothing was removed.\nWARNING: The command completed successfully but no settings of 'To internet' have been modified.",
    ),
    (
        "SC-147, CM-74",
        "Set-SendConnector 'Partner relay' -Comment x -MaxMessageSize 20MB; Set-SendConnector 'Partner relay' -Comment $null; Get-SendConnector 'Partner relay' | % { \"[$($_.Comment)]\"; $_.MaxMessageSize.Value.ToKB() }",
        "[]\n20480",
    ),
    (
        "CM-36",
        "$c = Get-SendConnector 'To internet'; $c.AddressSpaces += 'c.example;3'; Set-SendConnector 'To internet' -AddressSpaces $c.AddressSpaces; (Get-SendConnector 'To internet').AddressSpaces.Count",
        "2",
    ),
    (
        "V-4",
        "Set-SendConnector 'Outbound to cloud' -DNSRoutingEnabled $true; (Get-SendConnector 'Outbound to cloud').SmartHosts.Count",
        "0",
    ),
    (
        "SC-134",
        "$g = (Get-SendConnector 'To internet').Guid; Set-SendConnector 'To internet' -Name Internet; (Get-SendConnector Internet).Guid -eq $g",
        "True",
    ),
    (
        "SC-96, CM-21, CM-28",
        "New-SendConnector R -AddressSpaces r.example -DNSRoutingEnabled $false -SmartHosts r.example -SmartHostAuthMechanism BasicAuth -AuthenticationCredential (Get-Credential) | % AuthenticationCredential",
        "System.Management.Automation.PSCredential",
    ),
    (
        "CM-49",
        "New-ReceiveConnector -Name Relay -TransportRole Frontend -Custom -Bindings 0.0.0.0:2525 -RemoteIPRanges 192.168.5.10,192.168.1.1/24 | % { $_.Identity; $_.TransportRole; $_.PermissionGroups }",
        "MBX01\\Relay\nFrontendTransport\nNone",
    ),
    (
        "RC-26",
        "New-ReceiveConnector -Name B -TransportRole FrontendTransport -Custom -Bindings '0.0.0.0','[::]:' -RemoteIPRanges 10.0.0.0/8 | % Bindings",
        "0.0.0.0:25\n[::]:25",
    ),
    (
        "RC-46",
        "Set-ReceiveConnector 'Default MBX01' -AuthMechanism BasicAuth; (Get-ReceiveConnector 'Default MBX01').AuthMechanism",
        "BasicAuth",
    ),
    (
        "SC-6",
        "Set-TransportService MBX01 -IntraOrgConnectorSmtpMaxMessagesPerConnection 30; (Get-TransportService MBX01).IntraOrgConnectorSmtpMaxMessagesPerConnection; Get-SendConnector | % Name",
        "30\nTo internet\nOutbound to cloud\nPartner relay",
    ),
    (
        "TA-42",
        "(Get-TransportConfig).TLSSendDomainSecureList.Count; Set-TransportConfig -TLSSendDomainSecureList @{Add='fabrikam.com','x.example'}; Set-TransportConfig -TLSSendDomainSecureList @{Remove='x.example'}; (Get-TransportConfig).TLSSendDomainSecureList",
        "0\nfabrikam.com",
    ),
    (
        "RC-23",
        "New-ReceiveConnector -Name C -Client -RemoteIPRanges 10.0.0.0/8 -Bindings 10.1.1.1:588 | % { $_.PermissionGroups; $_.AuthMechanism }",
        "ExchangeUsers\nTls, BasicAuth, BasicAuthRequireTLS, Integrated",
    ),
    (
        "CM-25",
        "Set-ReceiveConnector 'Default MBX01' -PermissionGroups 'ExchangeUsers, ExchangeServers'; (Get-ReceiveConnector 'Default MBX01').PermissionGroups",
        "ExchangeUsers, ExchangeServers",
    ),
    (
        "CM-34",
        "Get-ReceiveConnector -Server MBX01 | Set-ReceiveConnector -ProtocolLoggingLevel Verbose -WarningAction SilentlyContinue; (Get-ReceiveConnector -Server MBX01 | ? ProtocolLoggingLevel -eq Verbose).Count",
        "4",
    ),
    (
        "RC-7",
        "Remove-ReceiveConnector 'MBX01\\Client Proxy MBX01' -Confirm:$false; (Get-ReceiveConnector -Server MBX01).Count",
        "3",
    ),
    (
        "RT-44",
        "New-AcceptedDomain Fabrikam -DomainName fabrikam.com -DomainType ExternalRelay | % DomainType; Set-AcceptedDomain Fabrikam -DomainType Authoritative -MakeDefault $true; (Get-AcceptedDomain | ? Default).Name",
        "ExternalRelay\nFabrikam",
    ),
    (
        "EN-80",
        "Set-AcceptedDomain Partners -MatchSubDomains $false; Get-AcceptedDomain Partners | % { $_.DomainName; $_.MatchSubDomains }; Set-AcceptedDomain Partners -MatchSubDomains $true; Get-AcceptedDomain Partners | % { $_.DomainName; $_.MatchSubDomains }; Set-AcceptedDomain Partners -MatchSubDomains $true -Name Below; (Get-AcceptedDomain Below).DomainName",
        "partners.example\nFalse\n*.partners.example\nTrue\n*.partners.example",
    ),
    (
        "EN-82",
        "New-AcceptedDomain A -DomainName a.example | % AddressBookEnabled; New-AcceptedDomain B -DomainName b.example -DomainType InternalRelay | % AddressBookEnabled; Set-AcceptedDomain A -DomainType ExternalRelay; (Get-AcceptedDomain A).AddressBookEnabled; Set-AcceptedDomain B -AddressBookEnabled $true; Set-AcceptedDomain B -DomainType ExternalRelay; (Get-AcceptedDomain B).AddressBookEnabled; Set-AcceptedDomain A -DomainType Authoritative -AddressBookEnabled $false; (Get-AcceptedDomain A).AddressBookEnabled",
        "True\nFalse\nFalse\nTrue\nFalse",
    ),
    (
        "EN-72",
        "New-X400AuthoritativeDomain -Name Sales -X400DomainName \"C=US;A=Fabrikam;P=Contoso;O=Sales\" | % X400ExternalRelay; Set-X400AuthoritativeDomain Sales -X400ExternalRelay: $true; Get-X400AuthoritativeDomain | % { $_.Name; $_.X400DomainName; $_.X400ExternalRelay }; Remove-X400AuthoritativeDomain Sales -Confirm:$false; @(Get-X400AuthoritativeDomain).Count",
        "False\nSales\nC=US;A=Fabrikam;P=Contoso;O=Sales\nTrue\n0",
    ),
    (
        "EN-73",
        "New-MailContact Dan -ExternalEmailAddress 'X400:S=Dan;C=US;A=Fabrikam' | % ExternalEmailAddress; Set-MailContact Dan -ExternalEmailAddress FAX:+4930; (Get-MailContact Dan).ExternalEmailAddress",
        "X400:c=US;a=Fabrikam;s=Dan\nFAX:+4930",
    ),
    (
        "EN-73, PL-45",
        "$made = New-Mailbox Eve -PrimarySmtpAddress eve@contoso.com -Database DB1; Set-Mailbox Eve -EmailAddresses @{Add='X400:S=Eve;C=US','e@contoso.com'}; $made = New-AcceptedDomain F -DomainName fabrikam.com; Set-AcceptedDomain F -MakeDefault $true -WarningAction SilentlyContinue; (Get-Mailbox Eve).EmailAddresses; Set-AcceptedDomain F -MakeDefault $true -WarningAction SilentlyContinue; @((Get-Mailbox Eve).EmailAddresses).Count",
        "IMCEAX400-c=US+3Bs=Eve@contoso.com\ne@contoso.com\nIMCEAX400-c=US+3Bs=Eve@fabrikam.com\n3",
    ),
    (
        "RT-25",
        "Set-ADSite Paris -HubSiteEnabled $true; (Get-ADSite | ? HubSiteEnabled).Name; Set-ADSiteLink -Identity ParisRome -ExchangeCost 25 -MaxMessageSize 10MB; Get-ADSiteLink ParisRome | % { $_.Cost; $_.MaxMessageSize.Value.ToMB() }",
        "Paris\n25\n10",
    ),
    (
        "QU-42",
        "Set-TransportService MBX01 -MessageExpirationTimeout 4.00:00:00 -MaxOutboundConnections unlimited; Get-TransportService MBX01 | % { $_.MessageExpirationTimeout; $_.MaxOutboundConnections }",
        "4.00:00:00\nUnlimited",
    ),
    ("LM-05", "Set-TransportConfig -MaxSendSize 20MB; (Get-TransportConfig).MaxSendSize.Value.ToMB()", "20"),
    (
        "PL-44",
        "New-Mailbox -Name Carol; New-MailContact Dan -ExternalEmailAddress dan@x.example | % ExternalEmailAddress; New-DistributionGroup All -Members alice@contoso.com,bob@contoso.com | Out-Null; Add-DistributionGroupMember All Carol; (Get-DistributionGroupMember All).Count; Remove-DistributionGroupMember All -Member bob@contoso.com -Confirm:$false; (Get-DistributionGroupMember All).Name -join ','",
        "Name                                    PrimarySmtpAddress                      Database\n----                                    ------------------                      --------\nCarol                                   carol@contoso.com                       DB1\n\ndan@x.example\n3\nAlice,Carol",
    ),
];

#[test]
fn changes_are_made_and_seen() {
    check(CHANGED);
}

#[test]
fn what_if_changes_nothing_and_still_checks() {
    // CM-62, CM-63
    for (input, said) in [
        ("New-SendConnector X -AddressSpaces x.example -WhatIf", "What if: Creating Send Connector \"X\"."),
        ("Set-SendConnector 'To internet' -Enabled $false -WhatIf", "What if: Setting Send Connector \"To internet\"."),
        ("Remove-SendConnector 'To internet' -WhatIf", "What if: Removing Send Connector \"To internet\"."),
        (
            "New-AcceptedDomain \"Contoso Domain\" -DomainName example.com -WhatIf",
            "What if: Creating Accepted Domain \"Contoso Domain\" with domain name \"example.com\".",
        ),
    ] {
        let mut session = Session::over(ORGANIZATION);
        assert_eq!(session.run(input), (said.to_owned(), String::new()), "{input}");
        assert_eq!(*session.commits.borrow(), 0, "{input}");
    }
    let (_, errors) = Session::over(ORGANIZATION).run("New-SendConnector X -AddressSpaces *x.example -WhatIf");
    assert!(errors.contains("AddressSpaces"), "{errors}");
}

/// Rule, input, a word of the message; nothing is committed.
const REFUSED: &[(&str, &str, &str)] = &[
    ("V-1", "New-SendConnector X -AddressSpaces x.example -Internet -Partner", "usage is given more than once"),
    ("V-2, SC-35, SC-46", "New-SendConnector X -AddressSpaces x.example -SmartHosts a.example", "dnsRoutingEnabled"),
    ("V-3, SC-35, SC-46", "New-SendConnector X -AddressSpaces x.example -DNSRoutingEnabled $false", "smartHosts"),
    ("V-5, SC-63", "New-SendConnector X -AddressSpaces 'FAX:*;1'", "smart"),
    ("V-7", "New-SendConnector X -AddressSpaces '--'", "--"),
    ("V-8", "New-SendConnector X -AddressSpaces 'x.example;101'", "AddressSpaces"),
    (
        "V-9",
        "New-SendConnector X -AddressSpaces x.example -DNSRoutingEnabled $false -SmartHosts a.example -SmartHostAuthMechanism BasicAuth",
        "authenticationCredential",
    ),
    ("V-11, SC-93", "Set-SendConnector 'Outbound to cloud' -IgnoreSTARTTLS $true", "ignoreSTARTTLS"),
    ("V-12, SC-94", "Set-SendConnector 'Outbound to cloud' -RequireTLS $false", "tlsAuthLevel"),
    ("V-13, SC-95", "Set-SendConnector 'Partner relay' -TlsDomain $null", "tlsDomain"),
    ("V-14, SC-95", "Set-SendConnector 'Outbound to cloud' -TlsDomain a.example", "tlsDomain"),
    ("V-17", "Set-SendConnector 'To internet' -SourceIPAddress 192.0.2.1", "sourceIPAddress"),
    ("V-19, SC-10", "Set-SendConnector 'To internet' -SourceTransportServers MBX09", "MBX09"),
    ("V-19", "Set-SendConnector 'To internet' -SourceTransportServers MBX01,EDGE1", "EDGE1"),
    (
        "V-21",
        "Set-SendConnector 'To internet' -Port 65536",
        "Cannot process argument transformation on parameter 'Port'",
    ),
    ("V-21", "Set-SendConnector 'To internet' -ConnectionInactivityTimeOut 2.00:00:00", "ConnectionInactivityTimeOut"),
    ("V-22", "Set-SendConnector 'To internet' -TlsCertificateName CN=x", "tlsCertificateName"),
    (
        "SC-125",
        "New-SendConnector X -AddressSpaces x.example -IsCoexistenceConnector $true",
        "A parameter cannot be found that matches parameter name 'IsCoexistenceConnector'.",
    ),
    (
        "SC-126",
        "New-SendConnector X -LinkedReceiveConnector 'a\\b'",
        "A parameter cannot be found that matches parameter name 'LinkedReceiveConnector'.",
    ),
    (
        "SC-127",
        "New-SendConnector X -AddressSpaces x.example -LinkedRec y",
        "A parameter cannot be found that matches parameter name 'LinkedRec'.",
    ),
    (
        "SC-21",
        "Set-SendConnector 'To internet' -Usage Internal",
        "A parameter cannot be found that matches parameter name 'Usage'.",
    ),
    (
        "RC-22",
        "Set-ReceiveConnector 'Default MBX01' -Usage Custom",
        "A parameter cannot be found that matches parameter name 'Usage'.",
    ),
    ("RC-22", "New-ReceiveConnector X -Custom -Client -RemoteIPRanges 10.0.0.1", "usage is given more than once"),
    (
        "RC-29",
        "New-ReceiveConnector X -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIPRanges 0.0.0.0-255.255.255.255",
        "serves the same endpoint",
    ),
    (
        "RC-45",
        "Set-ReceiveConnector 'Default MBX01' -AuthMechanism BasicAuthRequireTLS,Tls",
        "BasicAuthRequireTLS needs BasicAuth and Tls",
    ),
    (
        "RC-45",
        "Set-ReceiveConnector 'Default MBX01' -AuthMechanism BasicAuth -RequireTLS $true",
        "requireTLS needs Tls",
    ),
    (
        "RC-55",
        "Set-ReceiveConnector 'Default MBX01' -ConnectionInactivityTimeout 00:10:00",
        "it must be less than connectionTimeout",
    ),
    (
        "SC-6",
        "Remove-SendConnector 'Intra-Organization SMTP Send Connector' -Confirm:$false",
        "couldn't be found on 'MBX01'",
    ),
    ("CM-55", "Get-ReceiveConnector -Server MBX09", "object 'MBX09' couldn't be found on 'MBX01'"),
    ("TA-42", "Set-TransportConfig -TLSSendDomainSecureList *.fabrikam.com", "fabrikam.com"),
    ("V-26, CM-81", "New-SendConnector 'TO INTERNET' -AddressSpaces x.example", "already exists"),
    ("SC-146", "Set-SendConnector 'To internet' -AddressSpaces @{Add='*;5'}", "has *;5 already"),
    ("SC-146", "Set-SendConnector 'To internet' -AddressSpaces @{Plus='x.example'}", "neither Add nor Remove"),
    ("SC-143", "Set-SendConnector 'To internet' -Enabled false", "System.Boolean"),
    ("SC-144", "Set-SendConnector 'To internet' -ProtocolLoggingLevel Loud", "None, Verbose"),
    ("CM-53", "Set-SendConnector Nope -Enabled $true", "object 'Nope' couldn't be found on 'MBX01'"),
    ("CM-52", "Get-SendConnector 'a*b'", "middle"),
    ("CM-65", "Remove-SendConnector 'To internet'", "nobody to ask"),
    ("CM-50f", "Get-ReceiveConnector 'Default MBX01' | Add-ADPermission User migadmin", "positional parameter"),
];

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    for (rule, input, message) in REFUSED {
        let mut session = Session::over(ORGANIZATION);
        let (_, errors) = session.run(input);
        assert!(errors.contains(message), "{rule}: {input}: {errors}");
        assert!(!errors.contains("is not recognized"), "{rule}: {input}: {errors}");
        assert_eq!(*session.commits.borrow(), 0, "{rule}: {input}");
    }
}

#[test]
fn results_end_at_a_thousand_unless_told_otherwise() {
    // CM-76
    let contacts = (0..1001)
        .map(|at| format!("  - {{name: c{at}, address: c{at}@contoso.com, externalAddress: c{at}@x.example}}\n"));
    let mut session = Session::over(&format!("{ORGANIZATION}{}", contacts.collect::<String>()));
    for (input, shown, more) in [("", 1000, true), ("-ResultSize 2", 2, true), ("-ResultSize unlimited", 1002, false)] {
        let (out, errors) = session.run(&format!("@(Get-MailContact {input}).Count"));
        assert_eq!(errors, "", "{input}");
        assert_eq!(out.lines().last(), Some(shown.to_string().as_str()), "{input}");
        assert_eq!(out.contains("WARNING: There are more results"), more, "{input}: {out}");
    }
}

#[test]
fn every_problem_is_told_in_one_run() {
    let input = "New-SendConnector X -AddressSpaces '*x','y.example;900' -SmartHosts 'a b' -TlsDomain '..'";
    let (_, errors) = Session::over(ORGANIZATION).run(input);
    for property in ["AddressSpaces[0]", "AddressSpaces[1]", "SmartHosts[0]", "TlsDomain"] {
        assert!(errors.contains(property), "{property}: {errors}");
    }
}

#[test]
fn help_and_completion_come_from_the_schema() {
    // SH-51, SH-75
    let mut session = Session::over(ORGANIZATION);
    let (out, errors) = session.run("Get-Help New-SendConnector -Full");
    assert_eq!(errors, "");
    for part in ["SYNOPSIS", "-MaxMessageSize <Unlimited<ByteQuantifiedSize>>", "Example 1:", "EncryptionOnly"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let mut texts = |line: &str| {
        let found = shell::completion::complete(&mut session.machine, line, line.len()).1;
        found.into_iter().map(|one| one.text).collect::<Vec<_>>()
    };
    assert_eq!(
        texts("Set-SendConnector 'To internet' -TlsAuthLevel "),
        ["EncryptionOnly", "CertificateValidation", "DomainValidation"]
    );
    assert_eq!(texts("Get-SendConnector part"), ["'Partner relay'"]);
    assert_eq!(texts("Set-SendConnector x -SourceTransportServers mb"), ["MBX01", "MBX02"]);
    assert!(texts("Get-SendConnector | ft Max").contains(&"MaxMessageSize".to_owned()));
    assert_eq!(texts("get-adsitel"), ["Get-ADSiteLink"]);
}

#[test]
fn a_thousand_lines_are_run() {
    let lines: Vec<String> = (0..1000)
        .map(|at| match at % 4 {
            0 => format!("Set-SendConnector 'To internet' -Comment 'line {at}'"),
            1 => "Get-SendConnector | ? Enabled | Out-Null".to_owned(),
            2 => {
                format!("$x = (Get-SendConnector 'To internet').Comment; if ($x -ne 'line {}') {{ throw $x }}", at - 2)
            }
            _ => "Get-TransportConfig | fl MaxSendSize | Out-Null".to_owned(),
        })
        .collect();
    let mut session = Session::over(ORGANIZATION);
    let (_, errors) = session.run(&lines.join("\n"));
    assert_eq!((errors.as_str(), *session.commits.borrow()), ("", 250));
}

#[test]
fn what_has_no_effect_together_is_warned_of() {
    // SC-53, V-10
    let mut session = Session::over(ORGANIZATION);
    let input = "New-SendConnector Q -AddressSpaces q.example -DomainSecureEnabled $true -FrontendProxyEnabled $true";
    let (out, errors) = session.run(input);
    assert_eq!(errors, "");
    let warning = "WARNING: sendConnectors[\"Q\"].domainSecureEnabled: Domain Security is not supported through the front-end proxy";
    assert!(out.starts_with(warning), "{out}");
    // Told once, by the command that brings it about.
    let (out, _) = session.run("Set-SendConnector Q -Comment x");
    assert!(!out.contains("WARNING"), "{out}");
}

#[test]
fn documented_commands_that_real_ones_would_not_take_are_taken_as_the_reference_proposes() {
    // CM-50: what is taken.
    for (slip, input, expected) in [
        (
            "CM-50a",
            "New-ReceiveConnector -Name R -Custom -Bindings '0.0.0.0','[::]:' -RemoteIPRanges 10.9.9.9 | % Bindings",
            "0.0.0.0:25\n[::]:25",
        ),
        ("CM-50b", "Get-SendConnector 'To internet' | fl DSNRoutingEnabled", "DSNRoutingEnabled :"),
        ("CM-50e", "Resume-Message -Filter \"FromAddress -eq '*contoso.com'\"", ""),
    ] {
        let (out, errors) = Session::over(ORGANIZATION).run(input);
        assert_eq!((out.as_str(), errors.as_str()), (expected, ""), "{slip}: {input}");
    }
    let (_, errors) = Session::over(ORGANIZATION).run("Get-QueueDigest -Server MBX01 -Include External -Exclude Empty");
    assert_eq!(errors, "", "CM-50d");
    // What is an ordinary error.
    for (slip, input, why) in [
        ("CM-50c", "Set-ReceiveConnector 'To internet' -Comment x", "couldn't be found"),
        (
            "CM-50f",
            "Get-ReceiveConnector 'Default Frontend MBX01' | Add-ADPermission User migadmin",
            "positional parameter",
        ),
        (
            "CM-50g",
            "Set-ReceiveConnector 'Default Frontend MBX01' - PermissionGroups AnonymousUsers",
            "positional parameter",
        ),
        (
            "CM-50h",
            "New-SendConnector -Name B -AddressSpaces x.example -SmartHostAuthMechanism BasicAuth",
            "authenticationCredential",
        ),
    ] {
        let (_, errors) = Session::over(ORGANIZATION).run(input);
        assert!(errors.contains(why), "{slip}: {input}: {errors}");
    }
}
