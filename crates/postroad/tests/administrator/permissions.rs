//! `Add-ADPermission` and what it does to mail: on a server that runs, by SMTP.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::operations::Server;

/// What a stranger is answered, command by command.
struct Stranger {
    reader: BufReader<TcpStream>,
}

impl Stranger {
    fn new(address: &str) -> Self {
        let mut stranger = Self { reader: BufReader::new(TcpStream::connect(address).unwrap()) };
        stranger.reply();
        stranger.ask("EHLO host.example");
        stranger
    }

    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.reader.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.reply()
    }
}

/// The front end's port 25, wherever it was opened.
fn port_25(server: &Server) -> String {
    server.until("the front end to listen", || {
        let log = std::fs::read_to_string(server.desk.path("server.log")).unwrap();
        let line = log.lines().find(|line| line.contains("listening for SMTP") && line.ends_with("port=25"))?;
        Some(line.split("address=").nth(1)?.split(' ').next()?.to_owned())
    })
}

#[test]
fn a_stranger_relays_and_forges_as_far_as_he_was_given_to() {
    // PF-4, PF-36, PF-60
    let server = Server::start();
    let done = |text: &str| {
        let run = server.shell(&["--api", "./admin.sock"], text);
        assert!(run.succeeded, "{text}: {}{}", run.out, run.err);
        run.out
    };
    let address = port_25(&server);
    let answers = || {
        let mut stranger = Stranger::new(&address);
        let mut answer = |from: &str, to: &str| {
            let mail = stranger.ask(&format!("MAIL FROM:<{from}>"));
            let rcpt = if mail.starts_with("250") { stranger.ask(&format!("RCPT TO:<{to}>")) } else { mail };
            stranger.ask("RSET");
            rcpt.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        [answer("a@b.example", "victim@elsewhere.example"), answer("anna@contoso.example", "anna@contoso.example")]
    };
    assert_eq!(answers(), ["550 5.7.1", "250 2.1.5"]);
    let user = "-User 'NT AUTHORITY\\ANONYMOUS LOGON'";
    let shown = done(&format!(
        "Add-ADPermission 'Default Frontend BERLIN1' {user} -ExtendedRights ms-Exch-SMTP-Accept-Any-Recipient"
    ));
    assert!(shown.contains("NT AUTHORITY\\ANONYMOUS LOGON"), "{shown}");
    done(&format!(
        "Add-ADPermission 'Default Frontend BERLIN1' {user} -Deny -ExtendedRights ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
    ));
    server.until("the rights to count", || (answers() == ["250 2.1.5", "550 5.7.1"]).then_some(()));
    // So it is told, and written into a file.
    let exported = server.desk.done("export --settings server.toml");
    assert!(
        exported.contains("allow ms-Exch-SMTP-Accept-Any-Recipient for NT AUTHORITY\\ANONYMOUS LOGON"),
        "{exported}"
    );
    done(&format!(
        "Get-ADPermission 'Default Frontend BERLIN1' {user} | ? {{ $_.Deny -or $_.ExtendedRights -like '*Any-Recipient' }} | Remove-ADPermission -Confirm:$false"
    ));
    server.until("the rights to be gone", || (answers() == ["550 5.7.1", "250 2.1.5"]).then_some(()));
    let audited = server.until("the audit log to be written", || {
        Some(server.desk.done("audit --settings server.toml --parameter permissions"))
            .filter(|out| out.matches("Set-ReceiveConnector").count() >= 3)
    });
    assert!(audited.contains("deny ms-Exch-SMTP-Accept-Authoritative-Domain-Sender for NT AUTHORITY"), "{audited}");
}
