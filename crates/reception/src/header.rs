//! What a front end does to the header of a message on its way in: counts hops, removes what strangers may not bring,
//! adds its own trace line. The rest of the content is never looked at (PL-02). Pure.

use std::net::IpAddr;

use envelope::{Domain, EnhancedStatus, MessageId, OriginKind, Recipient, Reply, Timestamp, TraceContext};
use message::firewall::{self, HeaderRights, Path};
use message::{HeaderBlock, Protocol, Received, date};
use smtp::SessionFacts;
use topology::ReceiveConnector;

/// Longest `Message-ID` that is repeated in the reply to the client.
const MESSAGE_ID_OCTETS_MAX: usize = 250;

/// What is known when a message begins.
pub(crate) struct Arrival<'a> {
    pub(crate) connector: &'a ReceiveConnector,
    pub(crate) hostname: &'a Domain,
    pub(crate) session: &'a SessionFacts,
    pub(crate) origin: OriginKind,
    pub(crate) id: MessageId,
    pub(crate) recipients: &'a [Recipient],
    pub(crate) at: Timestamp,
}

/// A header as it goes on, and what was read in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// With our lines, ended as it was.
    pub(crate) octets: Vec<u8>,
    /// With angle brackets; ours when there was none that can be printed.
    pub(crate) message_id: Box<str>,
    /// Decoded.
    pub(crate) subject: Option<Box<str>>,
    /// A trace that a stranger names: forgeable, so it is only ever linked to.
    pub(crate) outside_trace: Option<TraceContext>,
}

/// Makes the header that goes on.
pub(crate) fn receive(block: &[u8], arrival: &Arrival<'_>) -> Result<Header, Reply> {
    let header = HeaderBlock::new(block);
    check_hops(header, arrival)?;
    if block.starts_with(b" ") || block.starts_with(b"\t") {
        // It would become part of our own line.
        return Err(Reply::new(
            554,
            EnhancedStatus::new(5, 6, 0),
            "The message begins in the middle of a header field",
        ));
    }
    let own_id = format!("<{}@{}>", arrival.id, arrival.hostname);
    let mut octets = received(arrival).into_bytes();
    // RFC 6409 §8: a submission server may complete what a mail client left out.
    if arrival.origin == OriginKind::Authenticated {
        if header.field("Message-ID").is_none() {
            octets.extend_from_slice(format!("Message-ID: {own_id}\r\n").as_bytes());
        }
        if header.field("Date").is_none() {
            octets.extend_from_slice(format!("Date: {}\r\n", date::rfc5322(arrival.at)).as_bytes());
        }
    }
    // No principal of an SMTP session may bring organization or forest headers (PL-41).
    let path = Path::ReceiveConnector(HeaderRights::ROUTING);
    octets.extend_from_slice(&firewall::apply(header, path));
    let message_id = header.message_id().map(|id| format!("<{id}>")).filter(|id| is_printable(id)).unwrap_or(own_id);
    let (message_id, subject) = (message_id.into(), header.subject().map(Into::into));
    Ok(Header { octets, message_id, subject, outside_trace: header.trace_context() })
}

/// RT-74.
fn check_hops(header: HeaderBlock<'_>, arrival: &Arrival<'_>) -> Result<(), Reply> {
    let connector = arrival.connector;
    let own: IpAddr = arrival.session.connection.local.ip().to_canonical();
    let local_hops = || header.local_hop_count(|address| address.to_canonical() == own);
    let over = |count: usize, limit: u32| u32::try_from(count).unwrap_or(u32::MAX) > limit;
    let loops = over(header.hop_count(), connector.max_hop_count)
        || (connector.max_local_hop_count > 0 && over(local_hops(), connector.max_local_hop_count));
    if loops {
        return Err(Reply::new(554, EnhancedStatus::new(5, 4, 6), "Hop count exceeded - possible mail loop"));
    }
    Ok(())
}

fn received(arrival: &Arrival<'_>) -> String {
    let session = arrival.session;
    let tls = session.tls.as_ref().map(|tls| format!("version={}, cipher={}", tls.version, tls.cipher));
    let protocol = match (&session.tls, &session.user) {
        (None, None) => Protocol::Esmtp,
        (Some(_), None) => Protocol::Esmtps,
        (None, Some(_)) => Protocol::Esmtpa,
        (Some(_), Some(_)) => Protocol::Esmtpsa,
    };
    let received = Received {
        helo: &session.hello_name,
        peer: Some(session.connection.peer.ip().to_canonical()),
        by: arrival.hostname,
        protocol,
        tls: tls.as_deref(),
        id: arrival.id,
        recipients: arrival.recipients,
        date: arrival.at,
    };
    received.to_field()
}

fn is_printable(id: &str) -> bool {
    id.len() <= MESSAGE_ID_OCTETS_MAX && id.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::{Address, ServerName};
    use smtp::Connection;
    use topology::receive_connector::defaults;

    fn check(origin: OriginKind, block: &str) -> Result<(String, String), u16> {
        let [connector, _] = defaults::front_end(&ServerName::parse("MAIL1").unwrap());
        let connection =
            Connection { peer: "192.0.2.7:4711".parse().unwrap(), local: "198.51.100.1:25".parse().unwrap() };
        let user = (origin == OriginKind::Authenticated).then(|| "ann".into());
        let session = SessionFacts { connection, hello_name: "client.example".into(), tls: None, user };
        let arrival = Arrival {
            connector: &connector,
            hostname: &Domain::parse("mail1.contoso.com").unwrap(),
            session: &session,
            origin,
            id: MessageId::from_bytes([7; 16]),
            recipients: &[Recipient::new(Address::parse("ann@contoso.com").unwrap())],
            at: Timestamp::from_millis(1_795_251_600_000),
        };
        let header = receive(block.as_bytes(), &arrival).map_err(|reply| reply.code)?;
        let text = String::from_utf8(header.octets).unwrap().replace("\r\n ", " ");
        Ok((text, header.message_id.into()))
    }

    const OWN_ID: &str = "<07070707-0707-0707-0707-070707070707@mail1.contoso.com>";

    #[test]
    fn a_strangers_header_gets_a_trace_line_and_loses_what_is_ours() {
        let block = "Received: from x by y; z\r\nX-MS-Exchange-Organization-SCL: -1\r\nSubject: Hi\r\n\
                     x-ms-exchange-forest-A: b\r\n\tfolded\r\nMessage-ID: <1@client.example>\r\n\r\n";
        let (text, id) = check(OriginKind::Anonymous, block).unwrap();
        assert_eq!(id, "<1@client.example>");
        assert_eq!(
            text,
            "Received: from client.example ([192.0.2.7]) by mail1.contoso.com with ESMTP id \
             07070707-0707-0707-0707-070707070707 for <ann@contoso.com>; Sat, 21 Nov 2026 09:00:00 +0000\r\n\
             Received: from x by y; z\r\nSubject: Hi\r\nMessage-ID: <1@client.example>\r\n\r\n"
        );
    }

    #[test]
    fn a_users_message_is_completed_and_a_strangers_is_not() {
        let (text, id) = check(OriginKind::Authenticated, "Subject: Hi\r\n\r\n").unwrap();
        assert_eq!(id, OWN_ID);
        let lines: Vec<_> = text.split("\r\n").skip(1).collect();
        assert!(text.contains(" with ESMTPA "));
        assert_eq!(lines[0], format!("Message-ID: {OWN_ID}"));
        assert_eq!(lines[1..], ["Date: Sat, 21 Nov 2026 09:00:00 +0000", "Subject: Hi", "", ""]);
        let (text, id) = check(OriginKind::Anonymous, "Subject: Hi\r\n\r\n").unwrap();
        assert_eq!(id, OWN_ID);
        assert!(!text.contains("Message-ID") && !text.contains("Date:"));
    }

    #[test]
    fn an_id_that_cannot_be_printed_is_not_repeated() {
        for id in ["<a b@c>".to_owned(), format!("<{}@c>", "x".repeat(300)), "<ü@c>".to_owned()] {
            let (_, repeated) = check(OriginKind::Anonymous, &format!("Message-ID: {id}\r\n\r\n")).unwrap();
            assert!(repeated == OWN_ID || is_printable(&repeated), "{id} {repeated}");
        }
    }

    #[test]
    fn loops_and_headers_that_would_join_ours_are_refused() {
        // RT-74
        let hops = |count: usize, line: &str| format!("{}\r\n", line.repeat(count));
        let elsewhere = "Received: from a ([192.0.2.9]) by b; c\r\n";
        let here = "Received: from a ([198.51.100.1]) by b; c\r\n";
        assert!(check(OriginKind::Anonymous, &hops(30, elsewhere)).is_ok());
        assert_eq!(check(OriginKind::Anonymous, &hops(31, elsewhere)), Err(554));
        assert!(check(OriginKind::Anonymous, &hops(8, here)).is_ok());
        assert_eq!(check(OriginKind::Anonymous, &hops(9, here)), Err(554));
        assert_eq!(check(OriginKind::Anonymous, " by trusted; today\r\nSubject: x\r\n\r\n"), Err(554));
    }
}
