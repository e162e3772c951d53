//! Commands of queues and messages: what is shown, which of them an identity or a filter means, what is done and what is refused.

use std::cell::RefCell;
use std::rc::Rc;

use envelope::{ByteSize, ServerName, Timestamp};

use super::world::{ORGANIZATION, Session};
use crate::Queues;
use crate::queues::{MessageInfo, QueueAction, QueueInfo, QueueTarget, WantedMessages};

/// What was asked of the servers.
pub(super) type Asked = Rc<RefCell<Vec<String>>>;

/// Servers that have the same queues each; MBX02 does not answer.
pub(super) struct Servers(pub(super) Asked);

fn queue(number: u64, name: &str, status: &str, count: u64) -> QueueInfo {
    let (delivery_type, category) = match number {
        0 | 2 => ("Undefined", "Internal"),
        1 => ("Unreachable", "Internal"),
        7 => ("DnsConnectorDelivery", "External"),
        _ => ("SmtpDeliveryToMailbox", "Internal"),
    };
    let is_retry = status == "Retry";
    let time = |millis| is_retry.then(|| Timestamp::from_millis(millis));
    QueueInfo {
        number,
        name: name.to_owned(),
        delivery_type: delivery_type.to_owned(),
        next_hop_domain: name.to_owned(),
        next_hop_connector: "00000000-0000-0000-0000-000000000000".to_owned(),
        next_hop_category: category.to_owned(),
        tls_domain: None,
        status: status.to_owned(),
        message_count: count,
        deferred_message_count: 0,
        retry_count: if is_retry { 3 } else { 0 },
        first_retry: time(1_767_625_200_000),
        last_retry: time(1_767_625_200_000),
        next_retry: time(1_767_625_500_000),
        last_error: is_retry.then(|| "421 4.3.2 busy".to_owned()),
        incoming_rate: 0.25,
        outgoing_rate: 0.5,
    }
}

fn message(queue: u64, number: u64, status: &str, from: &str, octets: u64) -> MessageInfo {
    MessageInfo {
        number,
        queue,
        queue_name: "contoso.com".to_owned(),
        id: "d606e945-35ea-501f-a1b5-86742a3da3b3".to_owned(),
        status: status.to_owned(),
        from: from.to_owned(),
        recipients: vec!["bob@contoso.com".to_owned()],
        size: ByteSize::bytes(octets),
        received: Timestamp::from_millis(0),
        expires: Timestamp::from_millis(172_800_000),
        retry_count: 1,
        last_error: None,
        source: "SMTP:Default Frontend MBX01".to_owned(),
        originating: from.ends_with("contoso.com"),
        subject: None,
        internet_message_id: None,
        scl: None,
        final_destination: Some("DnsConnectorDelivery contoso.com".to_owned()),
    }
}

impl Queues for Servers {
    fn queues(&mut self, server: &ServerName) -> Result<Vec<QueueInfo>, String> {
        if server.as_str() == "MBX02" {
            return Err("cannot reach MBX02".to_owned());
        }
        self.0.borrow_mut().push(format!("queues {server}"));
        Ok(vec![
            queue(0, "Submission", "Ready", 0),
            queue(1, "Unreachable", "Ready", 1),
            queue(7, "contoso.com", "Retry", 120),
            queue(8, "DB1", "Active", 3),
            queue(9, "DB2", "Suspended", 2),
        ])
    }

    fn messages(&mut self, server: &ServerName, wanted: &WantedMessages) -> Result<Vec<MessageInfo>, String> {
        self.0.borrow_mut().push(format!("messages {server} queue {:?} header {}", wanted.queue, wanted.header));
        let mut all = vec![
            message(1, 40, "Ready", "<>", 900),
            message(7, 41, "Retry", "alice@contoso.com", 2_000),
            message(7, 42, "Suspended", "kweku@contoso.com", 1_000),
            message(7, 1234, "Suspended", "zoe@fabrikam.com", 3_000),
            message(8, 41, "Active", "alice@contoso.com", 2_000),
        ];
        all.retain(|one| wanted.queue.is_none_or(|queue| one.queue == queue));
        all.retain(|one| wanted.message.is_none_or(|number| one.number == number));
        for one in all.iter_mut().filter(|_| wanted.header) {
            one.subject = Some(format!("Subject {}", one.number));
            one.internet_message_id = Some(format!("<{}@contoso.com>", one.number));
        }
        Ok(all)
    }

    fn act(
        &mut self,
        server: &ServerName,
        action: QueueAction,
        on: &[QueueTarget],
        command: &str,
    ) -> Result<Vec<Result<(), String>>, String> {
        let targets: Vec<String> = on
            .iter()
            .map(|target| {
                format!("{}{}", target.queue, target.message.map(|one| format!("/{one}")).unwrap_or_default())
            })
            .collect();
        self.0.borrow_mut().push(format!("{command} {action:?} {server} {}", targets.join(" ")));
        let refused = |target: &QueueTarget| match (action, target.queue) {
            (QueueAction::RetryQueue, queue) if queue != 7 => Err("the queue is not in Retry".to_owned()),
            _ => Ok(()),
        };
        Ok(on.iter().map(refused).collect())
    }

    fn redirect(&mut self, server: &ServerName, target: &ServerName, _: &str) -> Result<(), String> {
        self.0.borrow_mut().push(format!("redirect {server} {target}"));
        if server == target { Err(format!("{target} is this server: name another one")) } else { Ok(()) }
    }

    fn export(&mut self, server: &ServerName, on: QueueTarget, _: &str) -> Result<Vec<u8>, String> {
        let suspended = self.0.borrow().iter().any(|line| line.contains("SuspendMessage") && line.ends_with("/41"));
        self.0.borrow_mut().push(format!("export {server} {on:?}"));
        match on.message {
            Some(40 | 41) if !suspended => Err("only a suspended message is exported: suspend it first".to_owned()),
            _ => Ok(b"X-Sender: <kweku@contoso.com>\r\n\r\n".to_vec()),
        }
    }
}

#[track_caller]
fn check(input: &str, expected: &str) {
    let (out, errors) = Session::over(ORGANIZATION).run(input);
    assert_eq!(errors, "", "{input}");
    assert_eq!(out, expected, "{input}");
}

/// What a command did.
#[track_caller]
fn did(input: &str, expected: &[&str]) {
    let mut session = Session::over(ORGANIZATION);
    let (_, errors) = session.run(input);
    assert_eq!(errors, "", "{input}");
    let asked = session.asked.borrow();
    let done: Vec<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("queues") && !line.starts_with("messages"))
        .collect();
    assert_eq!(done, expected, "{input}");
}

#[track_caller]
fn refused(input: &str, expected: &str) {
    let (_, errors) = Session::over(ORGANIZATION).run(input);
    assert!(errors.contains(expected), "{input}: {errors}");
}

#[test]
fn queues_are_shown_as_documented() {
    // CM-75
    check(
        "Get-Queue -Filter \"MessageCount -gt 100\" | ft -AutoSize Identity,DeliveryType,Status,MessageCount,Velocity,NextHopDomain",
        "Identity         DeliveryType Status MessageCount Velocity NextHopDomain\n\
         --------         ------------ ------ ------------ -------- -------------\n\
         MBX01\\7  DnsConnectorDelivery  Retry          120     0.25 contoso.com",
    );
    let (out, _) = Session::over(ORGANIZATION).run("Get-Queue");
    let heading: Vec<&str> = out.lines().next().unwrap().split_whitespace().collect();
    let columns = [
        "Identity",
        "DeliveryType",
        "Status",
        "MessageCount",
        "Velocity",
        "RiskLevel",
        "OutboundIPPool",
        "NextHopDomain",
    ];
    assert_eq!(heading, columns);
    // QU-24, QU-26
    check(
        "Get-Queue MBX01\\CONTOSO.com | % NextHopDomain; (Get-Queue 7).Identity; (Get-Queue mbx01.contoso.example\\unreachable).Identity",
        "contoso.com\nMBX01\\7\nMBX01\\Unreachable",
    );
    // QU-54
    check(
        "(Get-Queue -Exclude Internal).Identity; (Get-Queue -Include External,Empty).Identity",
        "MBX01\\7\nMBX01\\Submission\nMBX01\\7",
    );
    check("(Get-Queue -Exclude Empty -Filter \"Status -ne 'Suspended'\").Count", "3");
    // CM-53, QU-25: nothing means all, a name that nothing has is an error.
    check("@(Get-Queue $nothing).Count", "5");
    refused("Get-Queue MBX01\\nowhere.example", "couldn't be found on 'MBX01'");
    refused("Get-Queue -Server MBX02", "cannot reach MBX02");
    refused("Get-Queue -Identity 7 -Server MBX01", "Parameter set cannot be resolved");
    refused("Get-Queue -Filter \"Colour -eq 'red'\"", "'Colour' is no property");
    check("(Get-Queue 7).NextRetryTime", "1/5/2026 3:05:00 PM");
    check("(Get-Queue 7).MessageCountsPerPriority -join ' '", "0 120 0 0");
}

#[test]
fn messages_are_shown_as_documented() {
    check(
        "Get-Message -SortOrder: +FromAddress,-Size | % Identity",
        "MBX01\\Unreachable\\40\nMBX01\\7\\41\nMBX01\\8\\41\nMBX01\\7\\42\nMBX01\\7\\1234",
    );
    check("Get-Queue | Get-Message | % Subject", "Subject 40\nSubject 41\nSubject 42\nSubject 1234\nSubject 41");
    check(
        "(Get-Message -Queue contoso.com).Count; (Get-Message MBX01\\contoso.com\\42).FromAddress",
        "3\nkweku@contoso.com",
    );
    check("(Get-Message -Filter \"FromAddress -like '*@contoso.com' -and SCL -gt -2\").Count", "3");
    check(
        "(Get-Message 42).Size; (Get-Message 42).ExpirationTime; (Get-Message 42).Directionality",
        "1000 B (1,000 bytes)\n1/3/1970 12:00:00 AM\nOriginating",
    );
    // QU-53
    check(
        "(Get-Message 42).Recipients -eq $null; (Get-Message -IncludeRecipientInfo | select -First 1).Recipients[0].Address",
        "True\nbob@contoso.com",
    );
    let (out, _) = Session::over(ORGANIZATION).run("Get-Message -ResultSize 2 | % Identity");
    assert!(
        out.contains("MBX01\\7\\41")
            && !out.contains("MBX01\\7\\42")
            && out.contains("WARNING: There are more results"),
        "{out}"
    );
    // QU-57
    check("Get-Message -BookmarkIndex 2 -ResultSize 2 | % Identity", "MBX01\\7\\41\nMBX01\\7\\42");
    check(
        "Get-Message -BookmarkIndex 2 -IncludeBookmark $false -ResultSize 2 | % Identity",
        "MBX01\\7\\42\nMBX01\\7\\1234",
    );
    check("Get-Message -BookmarkIndex 99 -ResultSize 2 | % Identity", "MBX01\\7\\1234\nMBX01\\8\\41");
    check("Get-Message -SearchForward $false -ResultSize 2 | % Identity", "MBX01\\7\\1234\nMBX01\\8\\41");
    check(
        "$m = Get-Message 42; Get-Message -BookmarkObject $m -SearchForward $false -ResultSize 2 | % Identity",
        "MBX01\\7\\41\nMBX01\\7\\42",
    );
    refused("Get-Message -BookmarkIndex 1 -BookmarkObject (Get-Message 42)", "exclude each other");
}

#[test]
fn what_is_meant_is_done_and_nothing_else() {
    did("Suspend-Queue MBX01\\contoso.com -Confirm:$false", &["Suspend-Queue SuspendQueue MBX01 7"]);
    // By integers nobody is asked for a list first.
    let mut session = Session::over(ORGANIZATION);
    session.run("Resume-Message MBX01\\7\\42");
    assert_eq!(*session.asked.borrow(), ["Resume-Message ResumeMessage MBX01 7/42"]);
    // CM-46, CM-47
    did(
        "Retry-Queue -Filter \"NextHopDomain -eq \"contoso.com\" -and Status -eq 'Retry'\"",
        &["Retry-Queue RetryQueue MBX01 7"],
    );
    did("Suspend-Queue -Server MBX01 -Confirm:$false", &["Suspend-Queue SuspendQueue MBX01 0 1 7 8 9"]);
    did("Retry-Queue MBX01\\Unreachable -Resubmit $true", &["Retry-Queue ResubmitQueue MBX01 1"]);
    // QU-58
    did(
        "Remove-Message -Filter \"FromAddress -eq 'KWEKU@contoso.com'\" -Confirm:$false",
        &["Remove-Message RemoveMessage { with_ndr: true } MBX01 7/42"],
    );
    did(
        "Remove-Message 42 -WithNDR $false -Confirm:$false",
        &["Remove-Message RemoveMessage { with_ndr: false } MBX01 7/42"],
    );
    did(
        "Get-Queue 7 | Get-Message | ? Status -eq Retry | Suspend-Message -Confirm:$false",
        &["Suspend-Message SuspendMessage MBX01 7/41"],
    );
    did("Get-Queue | ? Status -eq Suspended | Resume-Queue", &["Resume-Queue ResumeQueue MBX01 9"]);
    did("Redirect-Message -Server MBX01 -Target mbx02.contoso.example -Confirm:$false", &["redirect MBX01 MBX02"]);
    did("Suspend-Queue 7 -WhatIf", &[]);
    check("Remove-Message 42 -WhatIf", "What if: Removing with a report to its sender the message \"MBX01\\7\\42\".");
    // CM-65: nobody is there to be asked.
    refused("Suspend-Queue 7", "Nothing was changed");
    refused("Remove-Message 42", "Nothing was changed");
    refused("Redirect-Message -Server MBX01 -Target MBX02", "Nothing was changed");
    // QU-56: in two queues.
    refused("Suspend-Message 41 -Confirm:$false", "matches several objects");
    refused("Suspend-Queue MBX01\\* -Confirm:$false", "matches several objects");
    // QU-39
    refused("Retry-Queue 8", "MBX01\\8: the queue is not in Retry");
    refused("Resume-Message -Server MBX01", "missing mandatory parameters");
    refused("Redirect-Message -Server MBX01 -Target MBX01 -Confirm:$false", "name another one");
}

#[test]
fn a_suspended_message_is_exported_into_a_file() {
    // QU-59
    let mut session = Session::over(ORGANIZATION);
    let (_, errors) = session.run("Export-Message MBX01\\contoso.com\\1234 | AssembleMessage -Path message.eml");
    assert_eq!(errors, "");
    let file = ("message.eml".to_owned(), b"X-Sender: <kweku@contoso.com>\r\n\r\n".to_vec());
    assert_eq!(session.seen.borrow().files, [file]);
    refused("Export-Message MBX01\\7\\41", "suspend it first");
    refused("'text' | AssembleMessage -Path message.eml", "takes what Export-Message gives");
}

#[test]
fn a_digest_counts_queues_of_several_servers() {
    // QU-67: a queue that works is told of from ten messages on.
    let (out, errors) =
        Session::over(ORGANIZATION).run("Get-QueueDigest -Forest | % { \"$($_.GroupByValue) $($_.MessageCount)\" }");
    assert!(
        out.starts_with("WARNING: MBX02: cannot reach MBX02")
            && out.ends_with("contoso.com 120\nDB2 2\nUnreachable 1")
            && errors.is_empty(),
        "{out}{errors}"
    );
    check("(Get-QueueDigest -Server MBX01 -GroupBy Status | select -First 1).Details[0].QueueIdentity", "MBX01\\7");
    check("(Get-QueueDigest -Site Berlin -GroupBy ServerName).MessageCount", "123");
    check("(Get-QueueDigest -Server MBX01 -DetailsLevel None)[0].Details.Count", "0");
    refused("Get-QueueDigest -Site Nowhere", "'Nowhere' couldn't be found");
}

#[test]
fn without_running_servers_the_commands_say_so() {
    let mut session = Session::without_servers(ORGANIZATION);
    let (_, errors) = session.run("Get-Queue");
    assert!(errors.contains("There is no server here") && errors.contains("--api"), "{errors}");
}
