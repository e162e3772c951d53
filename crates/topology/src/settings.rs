//! Transport settings of the organization (`Set-TransportConfig`) and of a server (`Set-TransportService`).

use std::net::SocketAddr;

use envelope::{Address, ByteSize, Domain, Limit, Span};

use crate::back_pressure::BackPressureSettings;
use crate::receive_connector::RemoteRange;
use crate::service_logs::{CONNECTION_RATE_DEFAULT, TransportLogs};

/// Organization-wide settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConfig {
    /// Largest message a sender may send; default 10 MB (docs/rules.md, Limits).
    pub max_send_size: Limit<ByteSize>,
    /// Largest message a recipient may receive; default 10 MB.
    pub max_receive_size: Limit<ByteSize>,
    /// Most recipients of one envelope, before expansion; default 500 (LM-12).
    pub max_recipient_envelope_limit: Limit<u32>,
    /// Sender of notifications to external senders; default `postmaster@<default accepted domain>` (DS-21).
    pub external_postmaster_address: Option<Address>,
    /// Largest original returned in a notification; default 10 MB (DS-13).
    pub dsn_max_message_attach_size: ByteSize,
    /// Whether late mail is reported; default true (QU-45).
    pub delay_dsn_enabled: bool,
    /// Whether `anna+lists@contoso.com` is Anna where nobody has that very address (RFC 5233); default false.
    pub plus_addressing_enabled: bool,
    /// Private, shared and special networks to which mail may go by DNS; default none.
    pub private_target_ranges: Vec<RemoteRange>,
    /// Domains to which mail goes by mutual TLS alone, where the connector has Domain Security; default none (TA-40, TA-42).
    pub tls_send_domain_secure_list: Vec<Domain>,
    /// Domains from which mail comes by mutual TLS alone, where the connector has Domain Security; default none (TA-41, TA-42).
    pub tls_receive_domain_secure_list: Vec<Domain>,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            max_send_size: Limit::At(ByteSize::mib(10)),
            max_receive_size: Limit::At(ByteSize::mib(10)),
            max_recipient_envelope_limit: Limit::At(500),
            external_postmaster_address: None,
            dsn_max_message_attach_size: ByteSize::mib(10),
            delay_dsn_enabled: true,
            plus_addressing_enabled: false,
            private_target_ranges: Vec::new(),
            tls_send_domain_secure_list: Vec::new(),
            tls_receive_domain_secure_list: Vec::new(),
        }
    }
}

/// Settings of one server's Transport service (docs/rules.md, Queues, docs/rules.md, Limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportServiceSettings {
    /// First stage of the retry ladder: attempts; default 4, 0 to 15 (QU-33).
    pub queue_glitch_retry_count: u32,
    /// First stage: interval; default 1 minute.
    pub queue_glitch_retry_interval: Span,
    /// Second stage: attempts; default 6, 0 to 15 (QU-35).
    pub transient_failure_retry_count: u32,
    /// Second stage: interval; default 5 minutes (Edge 10), 1 second to 12 hours.
    pub transient_failure_retry_interval: Span,
    /// Last stage: interval; default 10 minutes (Edge 30), 1 second to 20 days.
    pub outbound_connection_failure_retry_interval: Span,
    /// A single message that a connected peer deferred; default 15 minutes, 1 second to 1 day (QU-38).
    pub message_retry_interval: Span,
    /// Delivery to mailbox databases; default 5 minutes, 1 second to 1 day (QU-37).
    pub mailbox_delivery_queue_retry_interval: Span,
    /// Late mail is reported after; default 4 hours, 1 second to 30 days (QU-45).
    pub delay_notification_timeout: Span,
    /// Mail is given up after; default 2 days, 5 seconds to 90 days (QU-42).
    pub message_expiration_timeout: Span,
    /// A queue in Retry that delivered nothing is resubmitted after; default 12 hours (QU-40).
    pub max_idle_time_before_resubmit: Span,
    /// An empty delivery queue is forgotten after; default 3 minutes, 5 seconds to 1 hour (QU-02).
    pub queue_max_idle_time: Span,
    /// Transient directory errors in resolution are retried after; default 1 minute, for a directory that is away is back
    /// soon (PL-43 has 30).
    pub resolver_retry_interval: Span,
    /// Whether a message at which this program fails again and again becomes poison; default true (QU-13).
    pub poison_message_detection_enabled: bool,
    /// After how many failures it does; default 2, 1 to 10 (QU-13).
    pub poison_threshold: u32,
    /// Outbound connections of the server; default 1000 (SC-91).
    pub max_outbound_connections: Limit<u32>,
    /// Outbound connections per delivery queue; default 20 (SC-91, LM-18).
    pub max_per_domain_outbound_connections: Limit<u32>,
    /// Messages per connection on the implicit connector; default 20, 0 is unlimited (SC-6, LM-23).
    pub intra_org_connector_smtp_max_messages_per_connection: u32,
    /// Name servers for connectors with `UseExternalDNSServersEnabled`; empty: those of the machine (SC-37).
    pub external_dns_servers: Vec<SocketAddr>,
    /// Name servers for every other connector; empty: those of the machine (SC-38).
    pub internal_dns_servers: Vec<SocketAddr>,
    /// New connections in a minute that Transport takes; default 1200 (docs/rules.md, Limits).
    pub max_connection_rate_per_minute: u32,
    /// What is kept of its logs.
    pub logs: TransportLogs,
    /// When this server takes no more mail for lack of a resource.
    pub back_pressure: BackPressureSettings,
}

impl Default for TransportServiceSettings {
    fn default() -> Self {
        Self {
            queue_glitch_retry_count: 4,
            queue_glitch_retry_interval: Span::minutes(1),
            transient_failure_retry_count: 6,
            transient_failure_retry_interval: Span::minutes(5),
            outbound_connection_failure_retry_interval: Span::minutes(10),
            message_retry_interval: Span::minutes(15),
            mailbox_delivery_queue_retry_interval: Span::minutes(5),
            delay_notification_timeout: Span::minutes(4 * 60),
            message_expiration_timeout: Span::minutes(2 * 24 * 60),
            max_idle_time_before_resubmit: Span::minutes(12 * 60),
            queue_max_idle_time: Span::minutes(3),
            resolver_retry_interval: Span::minutes(1),
            poison_message_detection_enabled: true,
            poison_threshold: 2,
            max_outbound_connections: Limit::At(1000),
            max_per_domain_outbound_connections: Limit::At(20),
            intra_org_connector_smtp_max_messages_per_connection: 20,
            external_dns_servers: Vec::new(),
            internal_dns_servers: Vec::new(),
            max_connection_rate_per_minute: CONNECTION_RATE_DEFAULT,
            logs: TransportLogs::default(),
            back_pressure: BackPressureSettings::default(),
        }
    }
}
