//! The parsers, and what each promises.

use std::path::Path;

use bytes::BytesMut;
use envelope::{Address, Domain, ReversePath, Revision};
use message::{HeaderBlock, HeaderRights, firewall, split_header};
use organization::Object;
use smtp_session::command::{self, Command, MailCommand};
use smtp_session::dot::{Stuffer, Unstuffer};
use smtp_session::reply::ReplyParser;
use smtp_session::server::Extensions;
use smtp_session::xtext;
use topology::AddressSpace;

use crate::{session, spool};

/// A parser of foreign bytes.
pub struct Target {
    /// Its name: that of its folder in `corpus`.
    pub name: &'static str,
    /// Whose bytes it reads.
    pub foreign: &'static str,
    /// Inputs that are tried in every run of the tests.
    pub inputs: u32,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 17] = [
    Target { name: "smtp_command", foreign: "any client", inputs: 4000, run: smtp_command },
    Target { name: "smtp_server", foreign: "any client", inputs: 1500, run: session::server },
    Target { name: "smtp_reply", foreign: "any next hop", inputs: 4000, run: smtp_reply },
    Target { name: "smtp_client", foreign: "any next hop", inputs: 1500, run: session::client },
    Target { name: "data_stream", foreign: "any client", inputs: 3000, run: data_stream },
    Target { name: "header_block", foreign: "any sender", inputs: 2000, run: header_block },
    Target { name: "mime_scan", foreign: "any sender", inputs: 3000, run: mime_scan },
    Target { name: "xtext", foreign: "any client", inputs: 4000, run: xtext },
    Target { name: "address", foreign: "any client", inputs: 4000, run: address },
    Target { name: "address_space", foreign: "administrators", inputs: 4000, run: address_space },
    Target { name: "organization_file", foreign: "administrators", inputs: 150, run: organization_file },
    Target { name: "stored_object", foreign: "the directory", inputs: 1500, run: stored_object },
    Target { name: "spool", foreign: "a failing disk", inputs: 40, run: spool::damaged },
    Target { name: "protobuf", foreign: "another version's services", inputs: 3000, run: protobuf },
    Target { name: "settings", foreign: "administrators", inputs: 500, run: settings },
    Target { name: "shell_script", foreign: "administrators", inputs: 2000, run: shell_script },
    Target { name: "certificate_name", foreign: "any peer", inputs: 1500, run: certificate_name },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

fn text(input: &[u8], read: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        read(text);
    }
}

fn smtp_command(input: &[u8]) {
    let _ = command::line_octets_max(input, false);
    let Ok(line) = command::text(input) else { return };
    let _ = Command::parse(line);
    let offered = Extensions::default();
    if let Ok(mail) = MailCommand::parse(line, &offered) {
        assert_eq!(ReversePath::parse(&mail.reverse_path.to_string()).as_ref(), Ok(&mail.reverse_path));
    }
    let postmaster = Domain::parse("contoso.com").unwrap();
    let own = command::parameters::OwnNames { postmaster_domain: &postmaster, address: None };
    if let Ok(recipient) = command::parameters::parse_recipient(line, &offered, true, own) {
        assert_eq!(Address::parse(recipient.address.as_str()).as_ref(), Ok(&recipient.address));
    }
}

fn smtp_reply(input: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut parser, mut buffer, mut replies) = (ReplyParser::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match parser.parse(&mut buffer) {
                    Ok(Some(reply)) => replies.push(format!("{reply:?}")),
                    Ok(None) => break,
                    Err(_) => return replies,
                }
            }
        }
        replies
    };
    assert_eq!(read(&mut std::iter::once(input)), read(&mut input.chunks(1)), "in pieces it means something else");
}

fn data_stream(input: &[u8]) {
    let decode = |piece: usize| {
        let (mut unstuffer, mut content) = (Unstuffer::default(), Vec::new());
        let mut buffer = BytesMut::new();
        for piece in input.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                let decoded = unstuffer.decode(&mut buffer);
                content.extend_from_slice(&decoded.chunk);
                if decoded.end {
                    return (content, true);
                }
                if decoded.chunk.is_empty() {
                    break;
                }
            }
        }
        (content, false)
    };
    let (whole, ended) = decode(input.len().max(1));
    let (pieces, ended_in_pieces) = decode(1);
    assert_eq!(ended, ended_in_pieces, "the end of the message depends on the pieces");
    if ended {
        assert_eq!(whole, pieces, "content depends on the pieces");
    }
    // What we send ends where we say, and nowhere before.
    let (mut stuffer, mut wire) = (Stuffer::default(), BytesMut::new());
    stuffer.encode(input, &mut wire);
    stuffer.finish(&mut wire);
    let end = wire.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 5);
    let empty = wire.starts_with(b".\r\n");
    assert!(end == Some(wire.len()) || (empty && wire.len() == 3), "{:?}", input);
}

fn header_block(input: &[u8]) {
    let header = HeaderBlock::new(input);
    for field in header.fields() {
        let _ = (field.name(), field.value(), field.text(), field.is_well_formed());
    }
    let _ = (header.message_id(), header.subject(), header.date(), header.from(), header.original_size());
    let _ = (header.trace_context(), header.hop_count(), header.local_hop_count(|_| true), header.glimpse("x"));
    for name in ["To", "Cc", "Reply-To"] {
        for address in header.addresses(name) {
            assert_eq!(Address::parse(address.as_str()), Ok(address));
        }
    }
    for rights in [HeaderRights::NONE, HeaderRights::ALL] {
        let _ = rights;
    }
    let kept = firewall::retain(header, |field| field.is("Subject"));
    assert!(kept.len() <= input.len(), "a firewall adds nothing");
    let again = firewall::retain(HeaderBlock::new(&kept), |field| field.is("Subject"));
    assert_eq!(kept, again, "what was kept is kept");
}

fn mime_scan(input: &[u8]) {
    let (header, body) = split_header(input);
    assert_eq!([header, body].concat(), input, "nothing is lost between header and body");
    let mut collector = message::HeaderCollector::new(envelope::ByteSize::mib(1));
    let mut taken = 0;
    for piece in input.chunks(7) {
        match collector.push(piece) {
            Ok(Some(end)) => {
                taken += end;
                break;
            }
            Ok(None) => taken += piece.len(),
            Err(_) => return,
        }
    }
    assert_eq!(taken, header.len(), "the header's end depends on the pieces");
    assert_eq!(collector.into_block(), header);
    if let Some(begins) = HeaderBlock::new(header).text_begins() {
        assert!(begins <= header.len());
    }
}

fn xtext(input: &[u8]) {
    text(input, |text| {
        let mut encoded = Vec::new();
        xtext::encode(text, &mut encoded);
        let encoded = String::from_utf8(encoded).unwrap();
        assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()), "{encoded:?}");
        // Line breaks and other octets that do not print are encoded, so that none gets out, and refused when they come in.
        let prints = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        assert_eq!(xtext::decode(&encoded).as_deref(), prints.then_some(text));
        let _ = (xtext::decode(text), xtext::utf8_address(text));
    });
}

fn address(input: &[u8]) {
    text(input, |text| {
        if let Ok(address) = Address::parse(text) {
            assert_eq!(Address::parse(address.as_str()).as_ref(), Ok(&address), "{text:?}");
            assert_eq!(Address::parse(&address.to_string()).as_ref(), Ok(&address), "{text:?}");
            let (_, domain) = (address.local_part(), address.domain());
            assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain), "{text:?}");
            let _ = address.key();
        }
        if let Ok(path) = ReversePath::parse(text) {
            assert_eq!(ReversePath::parse(&path.to_string()), Ok(path), "{text:?}");
        }
        if let Ok(domain) = Domain::parse(text) {
            assert_eq!(Domain::parse(domain.as_str()), Ok(domain), "{text:?}");
        }
    });
}

fn address_space(input: &[u8]) {
    text(input, |text| {
        if let Ok(space) = text.parse::<AddressSpace>() {
            assert_eq!(space.to_string().parse::<AddressSpace>(), Ok(space), "{text:?}");
        }
    });
}

fn organization_file(input: &[u8]) {
    let Ok(text) = organization::text_of(input.to_vec()) else { return };
    match organization::load(&text, Revision(1)) {
        Ok(contents) => drop(contents),
        Err(problems) => assert!(!problems.to_string().is_empty(), "an error says what is wrong"),
    }
}

fn stored_object(input: &[u8]) {
    if let Ok(object) = organization::decode(input) {
        let encoded = organization::encode(&object);
        let again: Object = organization::decode(&encoded).expect("what was written is read");
        assert_eq!(organization::encode(&again), encoded);
    }
}

fn protobuf(input: &[u8]) {
    if let Ok(head) = rpc::octets::head(input) {
        assert_eq!(rpc::octets::head(&rpc::octets::of_head(&head)).expect("what was written is read"), head);
    }
    let _ = (rpc::octets::deliveries(input), rpc::octets::reply(input));
}

fn settings(input: &[u8]) {
    text(input, |text| {
        if let Err(error) = runtime::Settings::parse(text, Path::new("server.toml")) {
            assert!(!error.to_string().is_empty());
        }
    });
}

fn shell_script(input: &[u8]) {
    text(input, |text| {
        if let Err(error) = shell::parse(text) {
            assert!(!error.message.is_empty() && error.extent.start <= text.len(), "{text:?}");
            // It is told with the line in which it is, wherever that is.
            assert!(!shell::Failure::from(&error).told(text, "").is_empty());
        }
    });
}

fn certificate_name(input: &[u8]) {
    let _ = (net::parse_identity(input), net::parse_administrator(input));
}
