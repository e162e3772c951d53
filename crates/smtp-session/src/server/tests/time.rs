//! Time as the machine is told it: silence, the end of the session, replies that are held back.

use std::time::Instant;

use super::*;

const TIMED_OUT: &str = "421 4.4.2 Connection timed out\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Greeted at the time given back; the configuration has the documented intervals.
fn desk() -> (Desk, Instant) {
    let documented = ServerConfig::new(Domain::parse("mail.contoso.com").unwrap());
    let desk = Desk::greeted(ServerConfig { auth: AuthOffer::Always, ..documented });
    let start = desk.started;
    (desk, start)
}

#[test]
fn silence_ends_the_session_and_not_a_moment_earlier() {
    let (mut desk, start) = desk();
    let due = start + seconds(5 * 60);
    assert_eq!(desk.session.poll_timeout(start), Some(due));
    desk.session.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(desk.hear(""), "");
    desk.session.handle_read(start + seconds(60));
    assert_eq!(desk.session.poll_timeout(start), Some(due + seconds(60)));
    desk.session.handle_timeout(due + seconds(60));
    assert_eq!((desk.hear("").as_str(), desk.heard().as_str()), (TIMED_OUT, "close "));
    assert_eq!(desk.session.poll_timeout(due), None);
}

#[test]
fn the_session_ends_in_its_time_although_octets_flow() {
    let (mut desk, start) = desk();
    desk.hear("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n");
    desk.hear("DATA\r\n");
    for minute in 1..10 {
        desk.session.handle_read(start + seconds(minute * 60));
        assert_eq!(desk.hear("a line\r\n"), "", "minute {minute}");
    }
    desk.session.handle_read(start + seconds(10 * 60));
    assert_eq!(desk.hear("a line\r\n"), TIMED_OUT);
    assert!(desk.heard().ends_with("close "));
}

#[test]
fn guessing_is_slowed_down_and_ended() {
    // LM-25
    let (mut desk, start) = desk();
    let refused = "550 5.1.1 User unknown\r\n";
    desk.hear("MAIL FROM:<>\r\n");
    let guess = "RCPT TO:<unknown@contoso.com>\r\n";
    assert_eq!(desk.hear(guess).as_str(), refused, "people mistype");
    assert_eq!(desk.hear(guess).as_str(), refused);
    let mut now = start;
    for _ in 2..100 {
        assert_eq!(desk.hear(guess), "");
        assert_eq!(desk.session.handle_input(b"RCPT"), 0, "nothing is read meanwhile");
        let due = desk.session.poll_timeout(now).unwrap();
        assert_eq!(due, now + seconds(5));
        desk.session.handle_timeout(due - Duration::from_millis(1));
        assert_eq!(desk.hear(""), "");
        now = due;
        desk.session.handle_timeout(now);
        assert_eq!(desk.hear(""), refused);
    }
    desk.hear(guess);
    let due = desk.session.poll_timeout(now).unwrap();
    desk.session.handle_timeout(due);
    let last = "421 4.7.0 Too many refusals on this connection, closing transmission channel\r\n";
    assert_eq!(desk.hear(""), format!("{refused}{last}"));
}

#[test]
fn what_is_refused_for_now_is_no_guess() {
    let (mut desk, _) = desk();
    desk.hear("MAIL FROM:<>\r\n");
    for _ in 0..200 {
        assert!(desk.hear("RCPT TO:<later@contoso.com>\r\n").starts_with("451 "));
    }
    assert_eq!(desk.hear("RCPT TO:<unknown@contoso.com>\r\n"), "550 5.1.1 User unknown\r\n");
}

#[test]
fn a_failed_logon_waits_and_a_user_never_does() {
    // TA-73
    let (mut desk, start) = desk();
    assert_eq!(desk.hear("AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"), "");
    assert_eq!(desk.session.poll_timeout(start), Some(start + seconds(5)));
    // Known from elsewhere: the longer wait counts from here.
    let (mut other, start) = self::desk();
    other.session.hold_reply(seconds(40));
    assert_eq!(other.hear("AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"), "");
    assert_eq!(other.session.poll_timeout(start), Some(start + seconds(40)));
    desk.session.handle_timeout(start + seconds(5 * 60));
    assert_eq!(desk.hear(""), "535 5.1.1 Authentication unsuccessful\r\n");
    desk.hear("AUTH PLAIN AHVzZXIAc2VjcmV0\r\nMAIL FROM:<>\r\n");
    desk.hear("MAIL FROM:<>\r\n");
    for _ in 0..10 {
        assert_eq!(desk.hear("RCPT TO:<unknown@contoso.com>\r\n"), "550 5.1.1 User unknown\r\n");
    }
}
