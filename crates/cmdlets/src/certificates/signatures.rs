//! What the commands about certificates take.

use std::rc::Rc;

use shell::{Parameter, Signature, Takes};

use super::CERTIFICATE;

/// Why a key is not given out.
pub(super) const KEYS_STAY: &str = "a key never leaves the server on which it was made: where one is to be on several servers, root \
                                    copies its folder of identity/smtp";
/// Services that the documentation knows besides, which have certificates of their own.
pub(super) const OTHERS: [&str; 5] = ["IMAP", "POP", "IIS", "UM", "UMCallRouter"];

/// The commands.
pub(crate) fn signatures() -> Vec<Signature> {
    vec![get(), new(), import(), export(), enable(), remove()]
}

fn text(name: &str, help: &str) -> Parameter {
    Parameter::new(name, Takes::Text, help)
}

fn switch(name: &str, help: &str) -> Parameter {
    Parameter::new(name, Takes::Switch, help)
}

/// Refused, with why.
fn refused(name: &str, why: &str) -> Parameter {
    Parameter { retired: Some(why.into()), absent: true, ..Parameter::new(name, Takes::Any, "") }
}

fn example(command: &str, meaning: &str) -> (Rc<str>, Rc<str>) {
    (Rc::from(command), Rc::from(meaning))
}

fn with_server(mut parameters: Vec<Parameter>) -> Vec<Parameter> {
    parameters.push(text("Server", "Of which server: this one unless told otherwise."));
    parameters.push(text("DomainController", "Accepted without effect: there is one directory."));
    parameters
}

fn services() -> Parameter {
    let words = ["SMTP", "None", "Federation"].into_iter().chain(OTHERS).map(Rc::from).collect();
    let takes = Takes::Words("AllowedServices".into(), words);
    Parameter::new("Services", takes, "SMTP; nothing else here shows certificates.")
}

fn exportable() -> Parameter {
    Parameter::new("PrivateKeyExportable", Takes::Bool, "Only $false: a key stays where it was made.")
}

/// By which a certificate is named.
fn which() -> Vec<Parameter> {
    let thumbprint = text("Thumbprint", "The one with this SHA-1 digest.").at(0).piped();
    vec![thumbprint, text("Identity", "The same: its digest, or server\\digest.")]
}

fn get() -> Signature {
    let mut parameters = which();
    parameters.push(Parameter::new("DomainName", Takes::List, "Those for one of these hosts, the best first."));
    Signature {
        name: super::GET.into(),
        synopsis:
            "Shows the certificates that a server can show in SMTP, and those that are not enabled or wait for their \
                   authority."
                .into(),
        examples: vec![
            example(super::GET, "those of this server"),
            example(
                "Get-ExchangeCertificate -DomainName mail.contoso.com",
                "first the one that a connector of this name shows",
            ),
        ],
        returns: CERTIFICATE.into(),
        parameters: with_server(parameters),
        ..Signature::default()
    }
}

fn new() -> Signature {
    let instance = Parameter {
        accepts: vec![CERTIFICATE.into()],
        from_pipeline: true,
        ..Parameter::new("Instance", Takes::Any, "A certificate that is to be renewed: for whom it is, with its names.")
    };
    let subject = "For whom: C=US,O=Contoso,CN=mail.contoso.com; the name of the server unless told otherwise.";
    let request = "New-ExchangeCertificate -GenerateRequest -SubjectName \"C=US,O=Contoso,CN=mail.contoso.com\" -DomainName \
                   mail.contoso.com -RequestFile mail.req";
    Signature {
        name: "New-ExchangeCertificate".into(),
        synopsis: "Makes a key on a server, with a certificate that it signs itself or a request for one.".into(),
        examples: vec![
            example("New-ExchangeCertificate", "one for the server's own name, shown where it fits"),
            example(request, "a request for an authority; the key stays on the server"),
        ],
        parameters: with_server(vec![
            switch("GenerateRequest", "A request in the place of a certificate."),
            text("SubjectName", subject),
            Parameter::new("DomainName", Takes::List, "Its names in DNS; that of the server unless told otherwise."),
            switch("IncludeServerFQDN", "And the name of the server in DNS."),
            switch("IncludeAcceptedDomains", "And every accepted domain."),
            text("RequestFile", "The file for the request, here; without it the request is returned."),
            switch("BinaryEncoded", "The request is returned as octets, in FileData."),
            Parameter::new("KeySize", Takes::Whole(2048, 4096), "Bits of the key: 2048, 3072 or 4096."),
            services(),
            exportable(),
            instance,
            switch("Force", "No questions."),
            refused("FriendlyName", "certificates are told apart by their thumbprints"),
            refused("SubjectKeyIdentifier", "it is derived from the key"),
            refused("IncludeAutoDiscover", "nobody looks for autodiscover here: name what is wanted with -DomainName"),
            refused("IncludeServerNetBIOSName", "no authority certifies a name without a domain"),
        ]),
        changes: true,
        returns: CERTIFICATE.into(),
        ..Signature::default()
    }
}

fn import() -> Signature {
    let pkcs12 = "a file with a password is PKCS #12, which is not read here: `openssl pkcs12 -nodes` takes certificate and key out \
                  of it, and that is imported without a password";
    Signature {
        name: "Import-ExchangeCertificate".into(),
        synopsis:
            "Takes a certificate in: what an authority made of a request of this server, or one with its key, in PEM. \
                   Enable-ExchangeCertificate has it shown."
                .into(),
        examples: vec![example("Import-ExchangeCertificate -FileName mail.pem", "what an authority made of a request")],
        parameters: with_server(vec![
            Parameter::new("FileData", Takes::Octets, "What is in the file: PEM, DER, or PKCS #7."),
            text("FileName", "The file, here."),
            exportable(),
            refused("Password", pkcs12),
            refused("FriendlyName", "certificates are told apart by their thumbprints"),
            refused("Instance", "give the certificate with -FileName or -FileData"),
        ]),
        changes: true,
        returns: CERTIFICATE.into(),
        ..Signature::default()
    }
}

fn export() -> Signature {
    let mut parameters = which();
    parameters.extend([
        text("FileName", "The file, here; without it the certificate is returned."),
        switch("BinaryEncoded", "It is returned as octets, in FileData."),
        refused("Password", KEYS_STAY),
    ]);
    Signature {
        name: "Export-ExchangeCertificate".into(),
        synopsis: "Gives a certificate or a request out, in PEM, without its key.".into(),
        examples: vec![example(
            "Export-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8 -FileName mail.pem",
            "for others, who are to trust it",
        )],
        parameters: with_server(parameters),
        ..Signature::default()
    }
}

fn enable() -> Signature {
    let mut parameters = which();
    parameters.extend([
        Parameter { mandatory: true, ..services() },
        switch("Force", "No questions."),
        switch("DoNotRequireSsl", "Accepted without effect: there is no IIS."),
        refused("NetworkServiceAllowed", "who reads it is said by the owner of its folder"),
    ]);
    Signature {
        name: "Enable-ExchangeCertificate".into(),
        synopsis: "Has a certificate shown in SMTP, by the connectors that it fits.".into(),
        examples: vec![example(
            "Enable-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8 -Services SMTP",
            "one that was imported",
        )],
        parameters: with_server(parameters),
        changes: true,
        ..Signature::default()
    }
}

fn remove() -> Signature {
    Signature {
        name: "Remove-ExchangeCertificate".into(),
        synopsis: "Takes a certificate or a request away, with its key.".into(),
        examples: vec![example(
            "Remove-ExchangeCertificate 0271A7F1CA9AD8A27152CCAE044F968F068B14B8 -Confirm:$false",
            "an old one",
        )],
        parameters: with_server(which()),
        changes: true,
        asks: true,
        ..Signature::default()
    }
}
