//! The connectivity log: connections that a service opened, with what they carried and how they ended; no messages (docs/rules.md, Logs
//! §3).

use std::path::{Path, PathBuf};

use envelope::Timestamp;

use crate::record::{LogForm, LogLimits, Record, Row};

/// Folder of the files in a state directory (LG-14).
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("logs").join("Connectivity")
}

/// What the files of this log are called (LG-14).
pub const PREFIX: &str = "CONNECTLOG";
/// Made by SMTP, or by the connector that stands for it between servers (LG-14).
const SOURCE: &str = "SMTP";

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It is being opened.
    Connect,
    /// Something was found out: who answered.
    Progress,
    /// It has ended, or could not be opened.
    Disconnect,
}

impl Direction {
    /// The documented sign.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "+",
            Self::Progress => ">",
            Self::Disconnect => "-",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// When.
    pub at: Timestamp,
    /// The same for all lines about a connection.
    pub session: Box<str>,
    /// The queue's next hop.
    pub destination: Box<str>,
    /// What.
    pub direction: Direction,
    /// In words (LG-15).
    pub description: Box<str>,
}

impl Record for ConnectionEvent {
    const FORM: LogForm = LogForm {
        log_type: "Transport Connectivity Log",
        fields: "date-time,session,source,destination,direction,description",
        limits: LogLimits::WIDE,
    };

    fn at(&self) -> Timestamp {
        self.at
    }

    fn write(&self, _: u64, row: &mut Row) {
        row.value(self.at.to_iso8601())
            .text(&self.session)
            .value(SOURCE)
            .text(&self.destination)
            .value(self.direction.as_str())
            .text(&self.description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fields;

    #[test]
    fn a_line_has_the_documented_fields_in_their_order() {
        // LG-14
        let event = ConnectionEvent {
            at: Timestamp::from_millis(1_795_335_330_250),
            session: "7".into(),
            destination: "partner.example".into(),
            direction: Direction::Connect,
            description: "DeliveryType DnsConnectorDelivery;QueueLength=2".into(),
        };
        let mut row = Row::default();
        event.write(1, &mut row);
        let line = fields(&row.finish());
        assert_eq!(line.len(), ConnectionEvent::FORM.fields.split(',').count());
        assert_eq!(line[..5], ["2026-11-22T08:15:30.250Z", "7", "SMTP", "partner.example", "+"]);
    }
}
