//! Edge subscriptions as the documented commands make and end them, on both sides.

use envelope::{Domain, ServerName};
use topology::{EdgeSubscription, Server};

use super::queues::Asked;
use super::world::{ORGANIZATION, Session};
use crate::edge::{Compared, Comparison, NewFile, Perimeter, ReadFile, Synchronized};

/// Files that hold the name of their Edge server, and what was asked.
pub(super) struct Wall(pub(super) Asked);

fn known(server: &str) -> EdgeSubscription {
    let forest = Domain::parse(&format!("{server}.perimeter.example")).unwrap();
    EdgeSubscription { forest: Some(forest), authorities: vec!["PEM".to_owned()], ..EdgeSubscription::default() }
}

impl Perimeter for Wall {
    fn write(&mut self, own: &Server, seconds: u64) -> Result<NewFile, String> {
        let edge = EdgeSubscription {
            pending_key: Some("key".to_owned()),
            pending_until: Some(seconds),
            ..known(own.name.as_str())
        };
        Ok(NewFile { text: own.name.to_string(), edge })
    }
    fn read(&mut self, octets: &[u8]) -> Result<ReadFile, String> {
        let name = String::from_utf8(octets.to_vec()).map_err(|error| error.to_string())?;
        let server = ServerName::parse(&name).map_err(|_| "the file was altered".to_owned())?;
        let fqdn = Domain::parse(&format!("{name}.perimeter.example")).unwrap();
        Ok(ReadFile { server, fqdn, edge: EdgeSubscription { voucher: Some("v".to_owned()), ..known(&name) } })
    }
    fn start(&mut self, edge: &ServerName, full: bool) -> Result<Synchronized, String> {
        self.0.borrow_mut().push(format!("start {edge} {full}"));
        let all_read = if full { "it is wanted".to_owned() } else { String::new() };
        Ok(Synchronized { configuration: 7, recipients: 100, pieces: 90, read: 50, all_read })
    }
    fn test(&mut self, edge: &ServerName, what: Comparison<'_>) -> Result<Compared, String> {
        self.0.borrow_mut().push(format!("test {edge} {what:?}"));
        let verified = match what {
            Comparison::Address(address) => Some(address.local_part().starts_with('k').then_some(true)),
            _ => None,
        };
        let configuration = vec!["sendConnectors[\"A\"]".to_owned()];
        Ok(Compared { configuration, pieces: (0, 12), verified })
    }
}

/// Subscribes an Edge server of that name.
fn subscribe(name: &str, more: &str) -> String {
    let data = format!("([System.IO.File]::ReadAllBytes('{name}.EdgeSubscription.xml'))");
    format!("New-EdgeSubscription -FileData {data} {more}")
}

#[test]
fn a_file_becomes_an_edge_server_and_its_connectors() {
    let mut session = Session::over(ORGANIZATION);
    let (_, errors) = session.run(&subscribe("EDGE1", "-Site Berlin"));
    assert_eq!(errors, "");
    assert_eq!(*session.commits.borrow(), 1, "as a whole");
    let (out, _) = session.run("Get-EdgeSubscription | % { \"$($_.Name) $($_.Site) $($_.State)\" }");
    assert_eq!(out, "EDGE1 Berlin Never synchronized"); // EN-10
    let show = "Get-SendConnector 'EdgeSync*' | Sort-Object Name | % { \"$($_.Name)|$($_.AddressSpaces)|$($_.SmartHosts)|\
                $($_.DNSRoutingEnabled)|$($_.DomainSecureEnabled)|$($_.SmartHostAuthMechanism)|$($_.SourceTransportServers)|\
                $($_.Enabled)\" }";
    let (out, errors) = session.run(show);
    // EN-20…EN-23
    let expected = "EdgeSync - Berlin to Internet|SMTP:*;100||True|True|None|EDGE1|True\n\
                    EdgeSync - Inbound to Berlin|SMTP:--;1|--|False|False|ExchangeServer|EDGE1|True";
    assert_eq!((out.as_str(), errors.as_str()), (expected, ""));
    // EN-25, PL-82: a second one becomes a source of the same.
    assert_eq!(session.run(&subscribe("EDGE2", "-Site Berlin")).1, "");
    let (out, _) = session.run("Get-SendConnector 'EdgeSync*' | % { \"$($_.SourceTransportServers)\" }");
    assert_eq!(out, "EDGE1 EDGE2\nEDGE1 EDGE2");
    // EN-43: the same again changes nothing but what the file says.
    assert_eq!(session.run(&subscribe("EDGE2", "-Site Berlin")).1, "");
    assert_eq!(session.run("(Get-SendConnector 'EdgeSync*').Count").0, "2");
    // EN-41: it is told that it has no connector inward before nobody tells it anything any more; who was never told is not.
    session.run("Remove-EdgeSubscription EDGE1 -Confirm:$false -WhatIf");
    assert_eq!(session.run("Remove-EdgeSubscription EDGE1 -Confirm:$false").1, "");
    assert_eq!(*session.asked.borrow(), Vec::<String>::new());
    let (out, _) = session.run("Get-SendConnector 'EdgeSync*' | % { \"$($_.SourceTransportServers)\" }");
    assert_eq!(out, "EDGE2\nEDGE2");
    assert_eq!(session.run("Remove-EdgeSubscription edge2.perimeter.example -Confirm:$false").1, "");
    assert_eq!(session.run("Get-SendConnector 'EdgeSync*'; Get-EdgeSubscription").0, "");
}

#[test]
fn connectors_may_be_left_out() {
    // EN-24
    let mut session = Session::over(ORGANIZATION);
    let without = "-Site Berlin -CreateInternetSendConnector $false -CreateInboundSendConnector $false";
    assert_eq!(session.run(&subscribe("EDGE1", without)).1, "");
    assert_eq!(session.run("Get-SendConnector 'EdgeSync*'").0, "");
    // EN-29: one by hand, and the Edge server's rules hold (V-6, SC-85).
    let (_, errors) = session.run("New-SendConnector Relay -AddressSpaces * -SmartHosts 192.0.2.1 -DNSRoutingEnabled $false -SourceTransportServers EDGE1");
    assert_eq!(errors, "");
    let (_, errors) = session.run("Set-SendConnector Relay -SourceTransportServers EDGE1,MBX01");
    assert!(errors.contains("cannot be mixed"), "{errors}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_do() {
    let mut session = Session::over(ORGANIZATION);
    for (line, expected) in [
        (subscribe("EDGE1", ""), "Site is required"), // EN-12
        (subscribe("EDGE1", "-Site Nowhere"), "There is no site"),
        (subscribe("MBX01", "-Site Berlin"), "is a Mailbox server"),
        (subscribe("", "-Site Berlin"), "was altered"),
        ("New-EdgeSubscription -FileName edge.xml".to_owned(), "is for an Edge server"), // EN-13
        ("New-EdgeSubscription".to_owned(), "Give FileName on the Edge server"),
        ("Remove-EdgeSubscription EDGE9 -Confirm:$false".to_owned(), "There is no Edge subscription"),
        ("Start-EdgeSynchronization -TargetServer EDGE9".to_owned(), "There is no Edge subscription"),
        ("Start-EdgeSynchronization".to_owned(), "New-EdgeSubscription -FileData -Site makes one"),
        ("Test-EdgeSynchronization".to_owned(), "There is no Edge subscription"),
        ("Test-EdgeSynchronization -TargetServer MBX01".to_owned(), "MBX01 is a Mailbox server"),
        (subscribe("EDGE1", "-Site Berlin -AccountExpiryDuration 01:00:00"), "is given on the Edge server"), // EN-13
    ] {
        let (_, errors) = session.run(&line);
        assert!(errors.contains(expected), "{line}: {errors}");
    }
    assert_eq!(*session.commits.borrow(), 0);
    // EN-10, EN-43: one site.
    session.run(&subscribe("EDGE1", "-Site Berlin"));
    let (_, errors) = session.run(&subscribe("EDGE1", "-Site Paris"));
    assert!(errors.contains("is subscribed to site \"Berlin\""), "{errors}");
    let (_, errors) = Session::without_servers(ORGANIZATION).run("Start-EdgeSynchronization");
    assert!(errors.contains("no server here"), "{errors}");
}

#[test]
fn synchronization_is_started_and_compared() {
    // EN-33, EN-34
    let mut session = Session::over(ORGANIZATION);
    session.run(&subscribe("EDGE1", "-Site Berlin"));
    let (out, errors) =
        session.run("Start-EdgeSynchronization -ForceFullSync | % { \"$($_.Name) $($_.Result) $($_.Recipients)\" }");
    assert_eq!((out.as_str(), errors.as_str()), ("EDGE1 Success 100", ""));
    assert_eq!(session.asked.borrow().last().unwrap(), "start EDGE1 true");
    // The Edge servers of a site, by one of its Mailbox servers.
    session.run(&subscribe("EDGE2", "-Site Paris"));
    let (out, errors) = session.run("Start-EdgeSynchronization -Server mbx01.contoso.example | % Name");
    assert_eq!((out.as_str(), errors.as_str()), ("EDGE1", ""));
    for (line, expected) in [
        ("Start-EdgeSynchronization -Server MBX01 -TargetServer EDGE2", "site \"Berlin\" has none"),
        ("Start-EdgeSynchronization -Server NOBODY", "There is no server \"NOBODY\""),
        ("Start-EdgeSynchronization -Server EDGE1", "is an Edge server"),
        ("Test-EdgeSynchronization -VerifyRecipient kate@contoso.com -FullCompareMode", "Parameter set"),
    ] {
        let before = session.asked.borrow().len();
        let (_, errors) = session.run(line);
        assert!(errors.contains(expected), "{line}: {errors}");
        assert_eq!(session.asked.borrow().len(), before, "{line}");
    }
    session.run("Remove-EdgeSubscription EDGE2 -Confirm:$false");
    let shown = |session: &mut Session, more: &str| {
        let line = format!(
            "Test-EdgeSynchronization {more} | % {{ \"$($_.SyncStatus) $($_.ConfigurationStatus) $($_.RecipientStatus) $($_.Differences)\" }}"
        );
        session.run(&line).0
    };
    assert_eq!(shown(&mut session, ""), "Inconclusive NotSynchronized Synchronized sendConnectors[\"A\"]");
    assert_eq!(
        shown(&mut session, "-ExcludeRecipientTest"),
        "Inconclusive NotSynchronized Skipped sendConnectors[\"A\"]"
    );
    assert_eq!(session.asked.borrow().last().unwrap(), "test EDGE1 Configuration");
    shown(&mut session, "-FullCompareMode");
    assert_eq!(session.asked.borrow().last().unwrap(), "test EDGE1 Full");
    assert_eq!(shown(&mut session, "-VerifyRecipient kate@contoso.com").trim_end(), "Normal Skipped Synchronized");
    assert_eq!(shown(&mut session, "-VerifyRecipient nobody@contoso.com").trim_end(), "Normal Skipped NotFound");
    // As parameters for addresses of any type are written.
    shown(&mut session, "-VerifyRecipient SMTP:kate@contoso.com");
    assert!(session.asked.borrow().last().unwrap().contains("Address(kate@contoso.com)"), "{:?}", session.asked);
    shown(&mut session, "-VerifyRecipient 'X400:C=US;A=Fabrikam'");
    assert!(session.asked.borrow().last().unwrap().contains("IMCEAX400-"), "{:?}", session.asked);
    assert_eq!(
        shown(&mut session, "-MaxReportSize unlimited"),
        "Inconclusive NotSynchronized Synchronized sendConnectors[\"A\"]"
    );
    let events = "(Test-EdgeSynchronization -MaxReportSize 500 -MonitoringContext $true).Events";
    assert_eq!(session.run(events).0, "Warning: EDGE1: configuration NotSynchronized, recipients Synchronized");
    assert_eq!(session.run("(Test-EdgeSynchronization -MonitoringContext $false).Events").0, "");
}

#[test]
fn each_side_has_its_own_and_says_where_the_others_are() {
    // EN-7, EN-30: on the Edge server itself alone.
    let mut session = Session::over(TOLD);
    assert_eq!(session.run("Get-TransportService | % Name").0, "MBX01");
    assert_eq!(session.run("Get-ReceiveConnector | % Server").0, "MBX01");
    for line in ["Start-EdgeSynchronization", "Test-EdgeSynchronization"] {
        let (_, errors) = session.run(line);
        assert!(errors.contains("is an Edge server, which is told"), "{line}: {errors}");
    }
    assert_eq!(*session.asked.borrow(), Vec::<String>::new(), "nobody was asked");
    let (_, errors) = session.run("Set-TransportService BERLIN1 -MaxOutboundConnections 7");
    assert!(errors.contains("is a server of the organization"), "{errors}");
    // In the organization everybody but the Edge server, whose settings nobody would tell it.
    let mut session = Session::over(ORGANIZATION);
    session.run(&subscribe("EDGE1", "-Site Berlin"));
    let shown = session.run("Get-ReceiveConnector | % Server").0;
    assert!(shown.contains("MBX01") && !shown.contains("EDGE1"), "{shown}");
    for line in [
        "Set-TransportService EDGE1 -MaxOutboundConnections 7",
        "Get-ReceiveConnector -Server EDGE1",
        "New-ReceiveConnector X -Server EDGE1 -Usage Internet -Bindings 0.0.0.0:2526 -RemoteIPRanges 192.0.2.1",
        "Set-ReceiveConnector 'EDGE1\\Default internal receive connector EDGE1' -Banner '220 hello'",
        "Add-ADPermission 'EDGE1\\Default internal receive connector EDGE1' -User 'ANONYMOUS LOGON' -ExtendedRights ms-Exch-SMTP-Accept-Any-Recipient",
    ] {
        let (_, errors) = session.run(line);
        assert!(errors.contains("Edge server EDGE1 has its own"), "{line}: {errors}");
        assert!(errors.to_lowercase().contains("--api edge1.perimeter.example"), "{line}: {errors}");
    }
    assert_eq!(*session.commits.borrow(), 1, "only the subscription");
}

/// An Edge server of itself.
const EDGE: &str = "
sites: [{name: Perimeter}]
servers: [{name: MBX01, fqdn: mbx01.perimeter.example, site: Perimeter, role: Edge}]
acceptedDomains: [{name: Old, domainName: old.example, default: true}]
sendConnectors: [{name: Old, addressSpaces: ['*'], sourceTransportServers: [MBX01]}]
";

#[test]
fn on_the_edge_server_a_file_is_written_and_what_is_told_is_the_organizations() {
    let mut session = Session::over(EDGE);
    let (_, errors) = session.run("New-EdgeSubscription -FileName edge.xml -AccountExpiryDuration 00:01:00");
    assert!(errors.contains("at least 2 minutes"), "{errors}"); // EN-11
    let (_, errors) = session.run(&subscribe("EDGE2", "-Site Perimeter"));
    assert!(errors.contains("on an Edge server the file is written"), "{errors}"); // EN-13
    for (more, expected) in [
        ("-Site Perimeter", "Site is given in the organization"),
        ("-CreateInternetSendConnector $false", "is given in the organization"),
        ("", "there is nobody to ask"), // EN-11: it prompts, for the connectors and domains go
    ] {
        let (_, errors) = session.run(&format!("New-EdgeSubscription -FileName edge.xml {more}"));
        assert!(errors.contains(expected), "{more}: {errors}");
    }
    assert_eq!((*session.commits.borrow(), session.seen.borrow().files.len()), (0, 0));
    let (_, errors) = session.run("New-EdgeSubscription -FileName there.xml -Confirm:$false");
    assert!(errors.contains("is there already") && errors.contains("-Force"), "{errors}");
    assert_eq!((*session.commits.borrow(), session.seen.borrow().files.len()), (0, 0));
    let (out, errors) =
        session.run("New-EdgeSubscription -FileName edge.xml -AccountExpiryDuration 01:00:00 -Confirm:$false");
    assert_eq!(errors, "");
    assert!(out.contains("for the next 1 hour:"), "{out}");
    assert_eq!(session.seen.borrow().files, [("edge.xml".to_owned(), b"MBX01".to_vec())]);
    // EN-11, EN-14, PL-87
    assert_eq!(session.run("Get-SendConnector; Get-AcceptedDomain").0, "");
    for line in [
        "New-SendConnector X -AddressSpaces *",
        "New-AcceptedDomain X -DomainName x.example",
        "Set-AcceptedDomain X -Name Y",
        "Remove-SendConnector X -Confirm:$false",
        "New-X400AuthoritativeDomain X -X400DomainName 'C=US'",
    ] {
        let (_, errors) = session.run(line);
        assert!(errors.contains("is disabled on Edge server MBX01") && errors.contains("EN-14"), "{line}: {errors}");
    }
    // What is its own stays.
    let (_, errors) = session.run("Set-TransportService MBX01 -MaxOutboundConnections 7");
    assert_eq!(errors, "");
    // EN-40, EN-42
    assert_eq!(session.run("Remove-EdgeSubscription MBX01 -Confirm:$false").1, "");
    let (_, errors) = session.run("New-AcceptedDomain Contoso -DomainName contoso.com");
    assert_eq!(errors, ""); // EN-81: the first one is the default
    assert_eq!(session.run("(Get-AcceptedDomain Contoso).Default").0, "True");
}

/// A subscribed Edge server, and what it was told of its site.
const TOLD: &str = "
transportConfig: {tlsSendDomainSecureList: [fabrikam.example], plusAddressingEnabled: true, maxSendSize: 1 MB}
sites: [{name: Berlin}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
- name: MBX01
  fqdn: mbx01.perimeter.example
  site: Berlin
  role: Edge
  edge: {forest: perimeter.example, authorities: [P], organization: contoso.example, organizationAuthorities: [C], recipientSalt: S}
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sendConnectors: [{name: Out, addressSpaces: ['*'], sourceTransportServers: [MBX01]}]
";

#[test]
fn an_edge_server_manages_itself_and_nothing_that_has_no_effect_there() {
    let mut session = Session::over(TOLD);
    // EN-7, RC-1, RC-17: its own service, its one Receive connector; servers are those that it knows.
    assert_eq!(session.run("(Get-TransportService).Name").0, "MBX01");
    assert_eq!(session.run("Get-FrontendTransportService; Get-MailboxTransportService").0, "");
    assert_eq!(session.run("(Get-ReceiveConnector).Name").0, "Default internal receive connector MBX01"); // EN-6
    assert_eq!(session.run("(Get-ExchangeServer).Name").0, "BERLIN1\nMBX01");
    for (line, rule, expected) in [
        ("Get-SendConnector -DomainController dc1", "V-18", "not for Edge servers"), // EN-4
        ("New-MailContact X -ExternalEmailAddress x@fabrikam.example", "EN-1", "no recipients"),
        ("Add-DistributionGroupMember X -Member Y", "EN-1", "no recipients"),
        ("Set-TransportService BERLIN1 -MaxOutboundConnections 7", "EN-30", "is a server of the organization"),
        (
            "New-ReceiveConnector X -Server BERLIN1 -Bindings 0.0.0.0:26 -RemoteIPRanges 192.0.2.1",
            "EN-30",
            "is a server of the organization",
        ),
        ("Set-TransportConfig -TLSSendDomainSecureList x.example", "TA-42", "-TLSSendDomainSecureList is disabled"),
        ("Set-TransportConfig -PlusAddressingEnabled $false", "TA-42", "-PlusAddressingEnabled is disabled"),
        ("Start-EdgeSynchronization", "EN-30", "is for the organization"),
        ("Test-EdgeSynchronization", "EN-30", "is for the organization"),
    ] {
        let (_, errors) = session.run(line);
        assert!(errors.contains(expected) && errors.contains(rule), "{line}: {errors}");
    }
    assert_eq!(*session.commits.borrow(), 0);
    // What stays its own (DS-21).
    assert_eq!(session.run("Set-TransportConfig -ExternalPostmasterAddress edge@contoso.example").1, "");
    // EN-42: everything that was told goes, nothing else.
    assert_eq!(session.run("Remove-EdgeSubscription MBX01 -Confirm:$false").1, "");
    let left = "(Get-ExchangeServer).Name; (Get-SendConnector | Measure-Object).Count; (Get-AcceptedDomain | Measure-Object).Count; \
                (Get-TransportConfig).TLSSendDomainSecureList.Count; (Get-TransportConfig).PlusAddressingEnabled; \
                (Get-TransportConfig).ExternalPostmasterAddress; \"$((Get-TransportConfig).MaxSendSize)\"";
    let (out, errors) = session.run(left);
    assert_eq!(errors, "");
    assert_eq!(out, "MBX01\n0\n0\n0\nFalse\nedge@contoso.example\n1 MB (1,048,576 bytes)");
    assert_eq!(session.run("New-AcceptedDomain Contoso -DomainName contoso.example").1, "");
}

#[test]
fn an_edge_server_has_connectors_and_defaults_of_its_own() {
    let mut session = Session::over(EDGE);
    // EN-5
    for (line, expected) in [
        ("New-SendConnector X -AddressSpaces 'X400:c=US;1' -SmartHosts 192.0.2.1 -DNSRoutingEnabled $false", "SMTP"),
        ("New-SendConnector X -AddressSpaces x.example -SourceTransportServers MBX01", "V-18"),
    ] {
        let (_, errors) = session.run(line);
        assert!(errors.contains(expected), "{line}: {errors}");
    }
    let inward = "New-SendConnector In -Usage Internal -AddressSpaces '--' -DNSRoutingEnabled $false -SmartHosts 192.0.2.1 \
                  -SourceIPAddress 192.0.2.9 | % { \"$($_.AddressSpaces) $($_.SourceIPAddress) $($_.SourceTransportServers)\" }";
    assert_eq!(session.run(inward), ("SMTP:--;1 192.0.2.9 MBX01".to_owned(), String::new()));
    // EN-7
    let defaults = "Get-TransportService | % { \"$($_.TransientFailureRetryInterval) $($_.OutboundConnectionFailureRetryInterval)\" }; \
                    Get-ReceiveConnector | % { \"$($_.ConnectionInactivityTimeout) $($_.ConnectionTimeout)\" }";
    assert_eq!(session.run(defaults), ("00:10:00 00:30:00\n00:01:00 00:05:00".to_owned(), String::new()));
    let before = session.asked.borrow().len();
    session.run("Get-QueueDigest -Forest");
    assert!(session.asked.borrow()[before..].iter().all(|asked| asked.contains("MBX01")), "{:?}", session.asked);
}

#[test]
fn a_new_object_takes_no_other_ones_place() {
    // The connectors of a subscription are renamed, and another server is subscribed (EN-25).
    let mut session = Session::over(ORGANIZATION);
    session.run(&subscribe("EDGE1", "-Site Berlin"));
    session.run("Set-SendConnector 'EdgeSync - Berlin to Internet' -Name Outward");
    assert_eq!(session.run(&subscribe("EDGE2", "-Site Berlin -CreateInboundSendConnector $false")).1, "");
    assert_eq!(session.run("(Get-SendConnector Outward).SourceTransportServers").0, "EDGE1\nEDGE2");
    assert_eq!(session.run("(Get-SendConnector 'EdgeSync*').Name").0, "EdgeSync - Inbound to Berlin");
    // The same of anything that is made.
    session.run("New-SendConnector X -AddressSpaces x.example; Set-SendConnector X -Name Y");
    assert_eq!(session.run("New-SendConnector X -AddressSpaces z.example").1, "");
    let (out, _) = session.run("Get-SendConnector X,Y | % { \"$($_.Name) $($_.AddressSpaces)\" }");
    let (one, _) = session.run("(Get-SendConnector X).AddressSpaces; (Get-SendConnector Y).AddressSpaces");
    assert_eq!(one, "SMTP:z.example;1\nSMTP:x.example;1", "{out}");
}

/// An organization whose Edge server was synchronized.
const SYNCHRONIZED: &str = "
sites: [{name: Berlin}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
- {name: EDGE1, fqdn: edge1.contoso.example, site: Berlin, role: Edge, edge: {forest: edge1.contoso.example, authorities: [P]}}
- {name: EDGE2, fqdn: edge2.contoso.example, site: Berlin, role: Edge, edge: {forest: edge2.contoso.example, authorities: [P]}}
sendConnectors:
- {name: In, usage: Internal, addressSpaces: ['--'], sourceTransportServers: [EDGE2], smartHosts: ['--'], smartHostAuthMechanism: ExchangeServer}
- {name: Out, addressSpaces: ['*'], sourceTransportServers: [EDGE2]}
";

#[test]
fn an_edge_server_hears_of_the_end() {
    // EN-41
    let mut session = Session::over(SYNCHRONIZED);
    assert_eq!(session.run("Remove-EdgeSubscription EDGE2 -Confirm:$false").1, "");
    assert_eq!(*session.asked.borrow(), ["start EDGE2 false"]);
    assert_eq!(*session.commits.borrow(), 2, "the connector inward, and everything else after it was told");
    assert_eq!(session.run("Get-SendConnector; (Get-EdgeSubscription).Name").0, "EDGE1");
}
