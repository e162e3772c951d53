//! AUTH of a smart host: PLAIN and LOGIN, under TLS only.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::Reply;

use super::{Ended, Session, status};

impl Session {
    /// RFC 4954: PLAIN with or without initial response, and the LOGIN of the field.
    pub(super) async fn authenticate(&mut self, mechanism: &str, initial: Option<&str>) -> Result<Reply, Ended> {
        let site = Arc::clone(&self.site);
        let Some(login) = site.faults.behavior.login.as_ref().filter(|_| self.tls.is_some()) else {
            return Ok(status(502, "5.5.1 AUTH is not offered"));
        };
        let (user, password) = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = match initial {
                    Some(initial) => initial.as_bytes().to_vec(),
                    None => self.ask("").await?,
                };
                let decoded = decode(&response);
                let mut parts = decoded.splitn(3, |byte| *byte == 0).skip(1).map(<[u8]>::to_vec);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => {
                let user = match initial {
                    Some(initial) => decode(initial.as_bytes()),
                    None => decode(&self.ask("VXNlcm5hbWU6").await?),
                };
                (user, decode(&self.ask("UGFzc3dvcmQ6").await?))
            }
            _ => return Ok(status(504, "5.5.4 Unknown mechanism")),
        };
        if user != login.user.as_bytes() || password != login.secret.expose() {
            return Ok(status(535, "5.7.8 Wrong user or password"));
        }
        self.user = Some(login.user.to_string());
        Ok(status(235, "2.7.0 Welcome"))
    }

    async fn ask(&mut self, question: &str) -> Result<Vec<u8>, Ended> {
        self.send(&Reply::plain(334, question)).await?;
        self.line().await.map(|line| line.to_vec())
    }
}

fn decode(text: &[u8]) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap_or_default()
}
