//! Documented commands that are not there yet: each says so, and what to do meanwhile. None is *not recognized*.

/// Names, and why not.
pub(crate) const ABSENT: &[(&[&str], &str)] = &[
    (
        &["Get-MessageTrackingLog", "Search-MessageTrackingReport", "Get-MessageTrackingReport"],
        "`postroad track` searches the message tracking logs",
    ),
    (
        &["New-ExchangeCertificate"],
        "make key and request with openssl on the server, where the key stays; `postroad cert issue` makes a certificate of the \
         organization's own authority",
    ),
    (
        &["Import-ExchangeCertificate"],
        "put cert.pem and key.pem into a folder of identity/smtp on the server: it is noticed within half a minute; \
         `postroad cert preview` says before what it changes",
    ),
    (
        &["Enable-ExchangeCertificate"],
        "every certificate in identity/smtp of a server is enabled for SMTP, and nothing else uses them; \
         `postroad cert preview` says which connectors show one",
    ),
    (
        &["Export-ExchangeCertificate", "Remove-ExchangeCertificate"],
        "a certificate is a folder of identity/smtp on its server: copy it, or take it away",
    ),
    (
        &["Get-EdgeSyncServiceConfig", "New-EdgeSyncServiceConfig", "Set-EdgeSyncServiceConfig"],
        "EdgeSync has nothing to set: a change is on its way within seconds, and everything is compared every three minutes",
    ),
    (
        &[
            "Get-TransportAgent",
            "Enable-TransportAgent",
            "Disable-TransportAgent",
            "Set-TransportAgent",
            "Install-TransportAgent",
            "Uninstall-TransportAgent",
            "Get-TransportPipeline",
        ],
        "there are no transport agents yet",
    ),
    (
        &["Test-SmtpConnectivity", "Get-NetworkConnectionInfo", "Test-Mailflow", "Test-Message"],
        "`postroad check` looks at what a server needs, `postroad test` at where mail goes",
    ),
    (
        &[
            "Get-FrontendTransportService",
            "Set-FrontendTransportService",
            "Get-MailboxTransportService",
            "Set-MailboxTransportService",
        ],
        "only the Transport service has settings in the organization; the others have those of their settings file",
    ),
    (
        &["Set-AdminAuditLogConfig", "New-AdminAuditLogSearch"],
        "everything is written; Search-AdminAuditLog and `postroad audit` search it",
    ),
    (
        &[
            "Connect-Mailbox",
            "Restore-Mailbox",
            "Update-DistributionGroupMember",
            "Get-RemoteDomain",
            "New-RemoteDomain",
            "Set-RemoteDomain",
            "Remove-RemoteDomain",
            "Get-AddressRewriteEntry",
            "New-AddressRewriteEntry",
            "Set-AddressRewriteEntry",
            "Remove-AddressRewriteEntry",
            "Get-ResubmitRequest",
            "Add-ResubmitRequest",
            "Get-TransportRule",
            "New-TransportRule",
            "Set-TransportRule",
            "Remove-TransportRule",
            "Set-ExchangeServer",
            "Set-ADServerSettings",
            "Get-UnifiedGroup",
            "Get-UnifiedGroupLinks",
            "Set-ManagementRoleEntry",
            "Get-RoutingGroupConnector",
            "Get-EmailAddressPolicy",
            "Get-MailPublicFolder",
            "Get-User",
            "Get-Recipient",
        ],
        "it is outside of what the organization keeps",
    ),
];
