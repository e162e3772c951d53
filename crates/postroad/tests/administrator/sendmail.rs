//! `postroad sendmail` where nobody takes the message: whoever called learns by the status whether to try again. That mail gets
//! through is in `tests/integration`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::support::{Desk, command};

/// Runs it with a message on standard input; status, and what it complained.
fn sendmail(desk: &Desk, line: &str, message: &str) -> (i32, String) {
    let mut program = command(&desk.path(""));
    program.arg("sendmail").args(line.split_whitespace());
    program.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    // One that refuses its options does not read.
    let _written = child.stdin.take().unwrap().write_all(message.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A server that answers `RCPT` so, once, and tells what it was sent.
fn server(rcpt: &'static str) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, std::thread::spawn(move || talk(listener.accept().unwrap().0, rcpt)))
}

fn talk(mut client: TcpStream, rcpt: &str) -> Vec<String> {
    let mut heard = Vec::new();
    client.write_all(b"220 here\r\n").unwrap();
    let mut in_content = false;
    for line in BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok) {
        let reply = match line.split(' ').next().unwrap_or_default() {
            "." => {
                in_content = false;
                "250 taken"
            }
            _ if in_content => "",
            "DATA" => {
                in_content = true;
                "354 go"
            }
            "RCPT" => rcpt,
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        heard.push(line);
        if !reply.is_empty() {
            client.write_all(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        if reply.starts_with("221") {
            break;
        }
    }
    heard
}

fn configure(desk: &Desk, server: &str) {
    desk.write("sendmail.toml", &format!("servers = ['{server}']\ndomain = 'contoso.example'\n"));
}

#[test]
fn what_a_server_says_is_the_status() {
    let desk = Desk::new();
    for (rcpt, status) in [("250 ok", 0), ("450 4.2.0 later", 75), ("550 5.1.1 nobody", 67)] {
        let (address, heard) = server(rcpt);
        configure(&desk, &address);
        let message = "To: Bo <bo@fabrikam.example>\nBcc: cat@fabrikam.example\nSubject: x\n\nhello\n";
        let (told, said) = sendmail(&desk, "-C sendmail.toml -t -i -f anna@contoso.example", message);
        assert_eq!(told, status, "{rcpt}: {said}");
        let heard = heard.join().unwrap();
        assert!(heard.iter().any(|line| line.starts_with("MAIL FROM:<anna@contoso.example>")), "{heard:?}");
        assert!(heard.iter().any(|line| line == "RCPT TO:<cat@fabrikam.example>"), "{heard:?}");
        assert!(!heard.iter().any(|line| line.starts_with("Bcc")), "{heard:?}");
    }
}

#[test]
fn without_a_server_nothing_is_kept_and_that_is_said() {
    let desk = Desk::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configure(&desk, &nobody.to_string());
    let (status, said) = sendmail(&desk, "-C sendmail.toml root", "hello\n");
    assert!(status == 75 && said.contains("nothing is kept here"), "{status}: {said}");
    assert_eq!(sendmail(&desk, "-bs", "").0, 64);
    assert_eq!(sendmail(&desk, "-C nowhere.toml root", "hello\n").0, 78);
    assert_eq!(sendmail(&desk, "-C sendmail.toml not@an@address", "hello\n").0, 65);
}
