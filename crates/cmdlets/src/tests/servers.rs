//! What is asked of running servers besides their queues: message tracking logs, and whether they greet.

use std::net::SocketAddr;

use envelope::ServerName;
use topology::{ReceiveConnector, Server};

use super::queues::Asked;
use super::world::{ORGANIZATION, Session};
use crate::connectivity::{Connectivity, Greeting};
use crate::tracking::{TrackedEvent, Tracking, TrackingSearch};

/// Servers whose logs have two lines each.
pub(super) struct Tracked(pub(super) Asked);

impl Tracking for Tracked {
    fn search(
        &mut self,
        server: &ServerName,
        wanted: &TrackingSearch,
        limit: usize,
    ) -> Result<Vec<TrackedEvent>, String> {
        self.0.borrow_mut().push(format!("{limit} of {server}: {wanted:?}"));
        let event = |second: u8, event: &str, reference: &str| {
            let fields = [
                ("date-time", format!("2026-11-22T08:15:{second:02}.000Z")),
                ("event-id", event.to_owned()),
                ("source", "SMTP".to_owned()),
                ("recipient-address", "bob@contoso.com;eve@contoso.com".to_owned()),
                ("sender-address", "anna@contoso.com".to_owned()),
                ("message-subject", "Offer".to_owned()),
                ("total-bytes", "120".to_owned()),
                ("reference", reference.to_owned()),
            ];
            TrackedEvent(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        };
        Ok(vec![event(30, "RECEIVE", ""), event(31, "DSN", "<1@contoso.com>")])
    }
}

/// Servers of which the front ends greet.
pub(super) struct Greets;

impl Connectivity for Greets {
    fn greet(&mut self, _: &Server, connector: &ReceiveConnector, binding: SocketAddr) -> Greeting {
        let outcome = match binding.port() {
            25 => Ok(format!("220 {} ready", connector.server)),
            587 => Ok("421 4.3.2 busy".to_owned()),
            2525 => Ok("554 no".to_owned()),
            _ => Err("connection refused".to_owned()),
        };
        Greeting { endpoint: format!("192.0.2.1:{}", binding.port()), outcome }
    }
}

#[test]
fn tracking_logs_are_searched_by_the_documented_parameters_and_shown_by_the_documented_names() {
    // LG-23, CM-75, CM-76
    let mut session = Session::over(ORGANIZATION);
    let input = "Get-MessageTrackingLog -Server MBX02 -Start '03/13/2026 09:00:00' -End 3/15/2026 -Sender anna@contoso.com -Recipients \
                 @('bob@contoso.com','eve@contoso.com') -MessageId '<1@x>' -InternalMessageId 7 -MessageSubject offer -EventId receive \
                 -Source smtp -ResultSize 5 | % { \"$($_.Timestamp) $($_.EventId) $($_.Recipients.Count) $($_.Sender) $($_.TotalBytes)\" }";
    let (out, errors) = session.run(input);
    assert_eq!(errors, "");
    assert_eq!(out.lines().next().unwrap(), "11/22/2026 8:15:30 AM RECEIVE 2 anna@contoso.com 120");
    let asked = session.asked.borrow().join("\n");
    for expected in [
        "5 of MBX02",
        "event_id: Some(\"receive\")",
        "source: Some(\"smtp\")",
        "message_id: Some(\"<1@x>\")",
        "ids: [\"7\"]",
        "recipients: [\"bob@contoso.com\", \"eve@contoso.com\"]",
        "subject: Some(\"offer\")",
    ] {
        assert!(asked.contains(expected), "{expected}: {asked}");
    }
    // Of this server; of all that come by the pipeline; what the search of a server does not know, among all that it has.
    let (out, errors) = session.run("Get-MessageTrackingLog -Reference '<1@contoso.com>' | % EventId; (Get-MessageTrackingLog -ResultSize 1).EventId");
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("DSN\nWARNING: There are more results; the newest 1 are shown, and -ResultSize says how many.\nDSN", "")
    );
    assert!(session.asked.borrow().iter().any(|asked| asked.starts_with("100000 of MBX01")));
    let (out, _) =
        session.run("(Get-TransportService | Get-MessageTrackingLog).Count; Get-MessageTrackingLog | ft -AutoSize");
    let servers = session.run("(Get-TransportService).Count").0.parse::<usize>().unwrap();
    assert!(out.starts_with(&format!("{}\n", servers * 2)) && out.contains("EventId Source Sender"), "{out}");
    let (_, errors) = Session::without_servers(ORGANIZATION).run("Get-MessageTrackingLog");
    assert!(errors.contains("There is no server here to be asked"), "{errors}");
}

#[test]
fn each_binding_of_each_receive_connector_is_tried() {
    // §7.11: Test-SmtpConnectivity
    let mut session = Session::over(ORGANIZATION);
    let (out, errors) = session.run("Test-SmtpConnectivity MBX01 | ? Binding -like '0.0.0.0*' | % { \"$($_.ReceiveConnector) $($_.EndPoint) $($_.StatusCode)\" }");
    let expected = "Default Frontend MBX01 192.0.2.1:25 Success\nClient Frontend MBX01 192.0.2.1:587 Transient error\nDefault MBX01 192.0.2.1:2525 Permanent \
                    error\nClient Proxy MBX01 192.0.2.1:465 Unable to connect";
    assert_eq!((out.as_str(), errors.as_str()), (expected, ""));
    let (out, _) = session.run("(Get-TransportService | Test-SmtpConnectivity | Group-Object Server).Count");
    assert!(out.parse::<usize>().unwrap() > 1, "{out}");
}

#[test]
fn services_of_a_server_are_shown_and_set_and_what_has_no_effect_is_refused_with_why() {
    // §7.12, LG-03, LG-04
    let mut session = Session::over(ORGANIZATION);
    let input = "Set-FrontEndTransportService MBX01 -MaxConnectionRatePerMinute 5 -ReceiveProtocolLogMaxAge 10.00:00:00 \
                 -SendProtocolLogMaxDirectorySize unlimited; \
                 Set-MailboxTransportService MBX01 -MaxConcurrentMailboxDeliveries 7; \
                 Set-TransportService MBX01 -MessageTrackingLogSubjectLoggingEnabled $false -ConnectivityLogMaxFileSize 1MB; \
                 Get-FrontendTransportService MBX01 | % { $_.MaxConnectionRatePerMinute; $_.ReceiveProtocolLogMaxAge; $_.SendProtocolLogMaxDirectorySize; $_.SendProtocolLogMaxFileSize }; \
                 (Get-MailboxTransportService MBX01).MaxConcurrentMailboxDeliveries; (Get-MailboxTransportService MBX01).MaxConcurrentMailboxSubmissions; \
                 Get-TransportService MBX01 | % { $_.MessageTrackingLogSubjectLoggingEnabled; $_.ConnectivityLogMaxFileSize; $_.RoutingTableLogMaxAge }";
    let (out, errors) = session.run(input);
    let expected =
        "5\n10.00:00:00\nUnlimited\n10 MB (10,485,760 bytes)\n7\n20\nFalse\n1 MB (1,048,576 bytes)\n7.00:00:00";
    assert_eq!((out.as_str(), errors.as_str()), (expected, ""));
    for (input, why) in [
        ("Set-FrontEndTransportService MBX01 -TransientFailureRetryCount 3", "the front end keeps nothing"),
        ("Set-FrontEndTransportService MBX01 -ReceiveProtocolLogPath C:\\Logs", "below the folder `state`"),
        ("Set-MailboxTransportService MBX01 -ReceiveProtocolLogMaxAge 1", "does not speak SMTP"),
        ("Set-TransportService MBX01 -MaxConcurrentMailboxDeliveries 5", "Set-MailboxTransportService has it"),
        ("Set-TransportService MBX01 -PickupDirectoryPath C:\\P", "`pickup`"),
        (
            "Set-TransportService MBX01 -ConnectivityLogMaxFileSize 10MB -ConnectivityLogMaxDirectorySize 5MB",
            "no larger than",
        ),
        ("Set-MailboxTransportService MBX01 -MaxConcurrentMailboxSubmissions 300", "300"),
        ("Set-ExchangeServer MBX01 -ErrorReportingEnabled $true", "reports nothing to anybody"),
        ("Set-ADServerSettings -ViewEntireForest $false", "an organization is one"),
    ] {
        let (_, errors) = session.run(input);
        assert!(errors.contains(why), "{input}: {errors}");
    }
    // EN-3: an Edge server has neither.
    let mut edge = Session::over(include_str!("documented.yaml"));
    let (out, errors) = edge.run("(Get-FrontendTransportService).Name -contains 'Edge1'; (Get-TransportService).Name -contains 'Edge1'; Set-ExchangeServer MBX01 -CustomerFeedbackEnabled $false");
    assert!(out.starts_with("False\nTrue") && errors.is_empty(), "{out}{errors}");
}

#[test]
fn recipients_are_looked_for_and_groups_are_given_their_members() {
    // Get-Mailbox, Get-User, Get-Recipient, Update-DistributionGroupMember
    let yaml = include_str!("documented.yaml");
    for (input, expected) in [
        ("Get-Mailbox -Anr joh | % Name", "John Rodman\nJohn Woods\nJohn Evans"),
        ("Get-Mailbox -Anr wood | % Name", "John Woods"),
        ("Get-Mailbox -Filter \"Name -like 'J*' -and PrimarySmtpAddress -like 'woods*'\" | % Name", "John Woods"),
        ("@(Get-User -Filter \"Department -eq 'Sales'\").Count; @(Get-Mailbox -Database DB2).Count", "0\n0"),
        (
            "Get-User Kim | % RecipientType; Get-Recipient staff@contoso.com | % { $_.RecipientType; $_.Name }",
            "UserMailbox\nMailUniversalDistributionGroup\nStaff",
        ),
        ("Get-User Kim | Set-Mailbox -MaxSendSize 2MB; (Get-Mailbox Kim).MaxSendSize", "2 MB (2,097,152 bytes)"),
        (
            "Update-DistributionGroupMember Staff -Members kim@contoso.com,Ed -Confirm:$false; Get-DistributionGroupMember Staff | % Name",
            "Kim\nEd",
        ),
    ] {
        let (out, errors) = Session::over(yaml).run(input);
        assert_eq!((out.as_str(), errors.as_str()), (expected, ""), "{input}");
    }
    let (_, errors) = Session::over(yaml).run("Get-Mailbox -Filter \"Colour -eq 'red'\"");
    assert!(errors.contains("is no property that is filtered by"), "{errors}");
}
