//! A server that says what a script says, whatever it hears.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One step of a script.
#[derive(Clone)]
pub(crate) enum Step {
    /// Says these octets.
    Say(String),
    /// Reads up to a line that starts so.
    Hear(&'static str),
    /// Resets the connection.
    Reset,
}

pub(crate) fn say(text: &str) -> Step {
    Step::Say(text.replace('\n', "\r\n"))
}

/// Plays `script` to the first connection, then closes it and listens no more.
pub(crate) async fn play(script: Vec<Step>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        run(stream, script).await;
    });
    address
}

/// Plays `script` to every connection.
pub(crate) async fn play_always(script: Vec<Step>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(run(stream, script.clone()));
        }
    });
    address
}

async fn run(stream: TcpStream, script: Vec<Step>) {
    let mut stream = BufReader::new(stream);
    for step in script {
        match step {
            // The client may have gone already: that is what some tests are about.
            Step::Say(text) => drop(stream.write_all(text.as_bytes()).await),
            Step::Hear(start) => {
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|octets| octets > 0) && !line.starts_with(start) {
                    line.clear();
                }
            }
            Step::Reset => stream.get_ref().set_zero_linger().unwrap(),
        }
    }
}
