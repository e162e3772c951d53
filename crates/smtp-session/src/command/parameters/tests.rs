//! Tables of paths and parameters, accepted and refused.

use super::*;

fn mail(text: &str) -> Result<MailCommand, ParameterError> {
    MailCommand::parse(text, &Extensions::default())
}

fn recipient(text: &str) -> Result<Recipient, ParameterError> {
    recipient_in(text, false)
}

fn recipient_in(text: &str, smtputf8: bool) -> Result<Recipient, ParameterError> {
    let domain = Domain::parse("contoso.com").unwrap();
    let own = OwnNames { postmaster_domain: &domain, address: Some([192, 0, 2, 1].into()) };
    parse_recipient(text, &Extensions::default(), smtputf8, own)
}

#[test]
fn mail_paths_and_parameters() {
    let full = mail("<a@b.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By AUTH=<>").unwrap();
    assert_eq!((full.size, full.body, full.smtputf8), (Some(1000), BodyType::EightBitMime, true));
    assert_eq!((full.dsn_return, full.envelope_id.as_deref()), (Some(DsnReturn::Headers), Some("x+y")));
    assert_eq!(mail("<>").unwrap().reverse_path, ReversePath::Null);
    // RFC 1870 §6: too large for any limit, and no error of syntax.
    assert_eq!(mail("<a@b.example> SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
    let quoted = mail("<\"a>b\\\"\"@c.example>").unwrap();
    assert_eq!(quoted.reverse_path.to_string(), "\"a>b\\\"\"@c.example");
    for (text, code) in [
        ("", 501),
        ("a@b.example>", 501),
        ("\"a@b.example", 501),
        ("SIZE=1", 550),
        ("<a@b.example", 501),
        ("<a@b.example>SIZE=1", 501),
        ("<a@b.example> SIZE=x", 501),
        ("<a@b.example> SIZE=1 SIZE=2", 501),
        ("<a@b.example> SIZE=", 501),
        ("<a@b.example> SIZE=999999999999999999999", 501),
        ("<a@b.example> BODY=BINARYMIME", 501),
        ("<a@b.example> RET=SOME", 501),
        ("<a@b.example> ENVID=a+0D+0Ab", 501),
        ("<a@b.example> FUTURE=1", 555),
        ("<a@b.example> SMTPUTF8=1", 555),
        ("<ü@b.example>", 550),
        ("<a b@c.example>", 550),
        ("<a@-b>", 550),
        ("<a>", 550),
    ] {
        assert_eq!(mail(text).unwrap_err().mail_reply().code, code, "{text}");
    }
}

#[test]
fn parameters_that_were_not_offered_are_unsupported() {
    let nothing =
        Extensions { size: false, eight_bit_mime: false, smtputf8: false, dsn: false, ..Extensions::default() };
    for parameter in ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=a"] {
        let text = format!("<a@b.example> {parameter}");
        assert_eq!(MailCommand::parse(&text, &nothing), Err(ParameterError::Unsupported), "{parameter}");
    }
}

#[test]
fn recipient_paths_and_parameters() {
    assert_eq!(recipient("<POSTMASTER>").unwrap().address.as_str(), "POSTMASTER@contoso.com");
    // RFC 5321 §4.1.3: our own address, and nobody else's.
    assert_eq!(recipient("<postmaster@[192.0.2.1]>").unwrap().address.as_str(), "postmaster@contoso.com");
    assert!(recipient("<postmaster@[192.0.2.2]>").is_err() && recipient("<a@[IPv6:::1]>").is_err());
    assert_eq!(recipient("<@relay.example:a@b.example>").unwrap().address.as_str(), "a@b.example");
    let full = recipient("<a@b.example> NOTIFY=SUCCESS,delay ORCPT=rfc822;c+2Bd@e.example").unwrap();
    assert_eq!(full.notify, Some(Notify::On { success: true, failure: false, delay: true }));
    assert_eq!(full.original.unwrap().to_string(), "rfc822;c+d@e.example");
    for (text, code) in [
        ("<>", 501),
        ("<a@b.example> NOTIFY=NEVER,SUCCESS", 501),
        ("<a@b.example> NOTIFY=", 501),
        ("<a@b.example> NOTIFY=NEVER NOTIFY=NEVER", 501),
        ("<a@b.example> ORCPT=rfc822", 501),
        ("<a@b.example> ORCPT=;x", 501),
        ("<a@b.example> ORCPT=utf-8;änn@b.example", 501),
        ("<a@b.example> ORCPT=utf-8;\\x{0D}", 501),
        ("<a@b.example> ORCPT=rfc822;a+0Ab", 501),
        ("<a@b.example> SIZE=1", 555),
        ("<ü@b.example>", 553),
    ] {
        assert_eq!(recipient(text).unwrap_err().rcpt_reply().code, code, "{text}");
    }
}

#[test]
fn paths_without_brackets_are_taken() {
    // Printers, power supplies and people at a terminal write them so.
    for (text, path, size) in [
        ("a@b.example", "a@b.example", None),
        ("a@b.example SIZE=7", "a@b.example", Some(7)),
        ("\"a b\"@c.example SIZE=7", "\"a b\"@c.example", Some(7)),
    ] {
        let mail = mail(text).unwrap();
        assert_eq!((mail.reverse_path.to_string().as_str(), mail.size), (path, size), "{text}");
    }
    assert_eq!(recipient("postmaster NOTIFY=NEVER").unwrap().address.as_str(), "postmaster@contoso.com");
    assert_eq!(recipient("a@b.example").unwrap().address.as_str(), "a@b.example");
}

#[test]
fn original_recipients_of_either_type() {
    // RFC 3461 §4.2, RFC 6533 §3
    let of = |parameter: &str, smtputf8| {
        let text = format!("<a@b.example> ORCPT={parameter}");
        recipient_in(&text, smtputf8).unwrap().original.unwrap().to_string()
    };
    assert_eq!(of("utf-8;änn@contoso.com", true), "utf-8;\\x{E4}nn@contoso.com");
    assert_eq!(of("UTF-8;\\x{E4}nn@contoso.com", false), "UTF-8;\\x{E4}nn@contoso.com");
    assert_eq!(of("rfc822;a+2bb=c@contoso.com", false), "rfc822;a+b=c@contoso.com");
}
