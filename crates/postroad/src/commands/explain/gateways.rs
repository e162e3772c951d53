//! What connectors that are not for SMTP meet now, asked of the Transports that have them.

use std::collections::BTreeMap;

use inquiry::Answer;

use super::super::queued::Transports;
use super::super::source::Source;
use crate::answers::Gateways;

/// Asks each server once, and only those that an answer leads to.
pub(super) struct Asking<'a> {
    source: &'a Source,
    /// Opened when somebody is asked first; an error says why nobody can be.
    transports: Option<Result<Transports, String>>,
    told: Gateways,
}

impl<'a> Asking<'a> {
    /// Nobody, where the answer is about a file or about what was.
    pub(super) fn new(source: &'a Source) -> Self {
        let told = if source.is_of_now() { Gateways::Asked(BTreeMap::new()) } else { Gateways::NotAsked };
        Self { source, transports: None, told }
    }

    /// Asks whom the answer needs.
    pub(super) async fn ask(&mut self, answer: &Answer) {
        for server in self.told.wanted(answer) {
            if self.transports.is_none() {
                let opened = Transports::open(self.source.place()).await;
                self.transports = Some(opened.map_err(|error| format!("{error:#}")));
            }
            let told = match self.transports.as_ref().expect("it was just opened") {
                Ok(transports) => transports.gateways(&server).await.map_err(|error| format!("{error:#}")),
                Err(why) => Err(why.clone()),
            };
            self.told.add(server, told);
        }
    }

    /// What was told.
    pub(super) fn told(&self) -> &Gateways {
        &self.told
    }
}
