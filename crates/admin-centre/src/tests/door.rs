//! Signing in: by a link that is good once, by password and code, by certificate; for how long; and how often it may be tried.

use super::world::{Browser, World};
use crate::codes;

fn secret(page: &str) -> String {
    let start = page.find("secret=").unwrap() + 7;
    page[start..].chars().take_while(|one| one.is_ascii_alphanumeric()).collect()
}

/// Makes the first account, and gives its secret.
async fn first(world: &World, browser: &mut Browser) -> String {
    let to = format!("/welcome/{}", world.link);
    let page = browser.get(&to).await.text();
    let secret = secret(&page);
    let code = codes::code_at(&secret, world.now());
    let password = "correct horse battery";
    let form = [("name", "anna"), ("password", password), ("again", password), ("code", code.as_str())];
    let reply = browser.post(&to, &form).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{}", reply.text());
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_comes_by_a_link_that_is_good_once() {
    // WA-60: no default password.
    let world = World::new();
    let mut browser = Browser::new(&world.centre);
    assert!(browser.get("/sign-in").await.text().contains("This centre is new"));
    let to = format!("/welcome/{}", world.link);
    browser.get(&to).await;
    let bad =
        browser.post(&to, &[("name", "anna"), ("password", "short"), ("again", "other"), ("code", "000000")]).await;
    assert_eq!(bad.status, 422);
    assert!(bad.text().contains("<title>Error: ") && bad.text().contains("10 characters are the least"));
    first(&world, &mut browser).await;
    assert!(browser.get("/").await.text().contains("<h1>Overview</h1>"));
    let mut other = Browser::new(&world.centre);
    assert_eq!(other.get(&to).await.status, 404, "it is good once");
    assert_eq!(other.get("/welcome/anything").await.status, 404);
    let noted = world.memory.notes.lock().clone();
    assert!(
        noted.iter().any(|(who, what, _, refused)| who == "anna" && what == "Sign-In" && refused.is_none()),
        "{noted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_for_a_day() {
    let world = World::new();
    world.pass(24 * 3600 + 1);
    assert_eq!(Browser::new(&world.centre).get(&format!("/welcome/{}", world.link)).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_password_and_code_sign_in_and_a_code_is_taken_once() {
    let world = World::new();
    let mut browser = Browser::new(&world.centre);
    let secret = first(&world, &mut browser).await;
    let before = browser.cookie.clone();
    browser.get("/").await;
    browser.post("/sign-out", &[]).await;
    assert_eq!(browser.get("/queues").await.header("location"), Some("/sign-in?to=%2Fqueues"));
    world.pass(60);
    browser.get("/sign-in?to=%2Fqueues").await;
    let code = codes::code_at(&secret, world.now());
    let right = [("name", "anna"), ("password", "correct horse battery"), ("code", code.as_str()), ("to", "/queues")];
    for wrong in [
        [("name", "anna"), ("password", "wrong horse battery"), ("code", code.as_str())],
        [("name", "nobody"), ("password", "correct horse battery"), ("code", code.as_str())],
        [("name", "anna"), ("password", "correct horse battery"), ("code", "000000")],
    ] {
        let reply = browser.post("/sign-in", &wrong).await;
        assert_eq!(reply.status, 401);
        // One answer for all three: who has an account is not told.
        assert!(reply.text().contains("Name, password or code is wrong"));
        assert!(!reply.text().contains("horse battery"), "what was typed is not sent back");
    }
    let reply = browser.post("/sign-in", &right).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/queues")));
    assert_ne!(browser.cookie, before, "a session has a new id");
    browser.get("/").await;
    browser.post("/sign-out", &[]).await;
    browser.get("/sign-in").await;
    assert_eq!(browser.post("/sign-in", &right).await.status, 401, "a code is taken once");
    let noted = world.memory.notes.lock().clone();
    assert!(
        noted.iter().any(|(who, _, _, refused)| who == "(nobody of this centre)" && refused.is_some()),
        "{noted:?}"
    );
    assert!(!format!("{noted:?}").contains("horse"), "no password is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_waits_and_locks_nobody_else_out() {
    // WA-60: slowed per account and address, no lock-out by others.
    let world = World::new();
    let mut browser = Browser::new(&world.centre);
    let secret = first(&world, &mut browser).await;
    world.pass(60);
    let mut guesser = Browser::new(&world.centre);
    guesser.from = "198.51.100.9".parse().unwrap();
    guesser.get("/sign-in").await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(guesser.post("/sign-in", &[("name", "anna"), ("password", "guess"), ("code", "1")]).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    let mut anna = Browser::new(&world.centre);
    anna.get("/sign-in").await;
    let code = codes::code_at(&secret, world.now());
    let right = [("name", "anna"), ("password", "correct horse battery"), ("code", code.as_str())];
    assert_eq!(anna.post("/sign-in", &right).await.status, 303);
    world.pass(3601);
    assert_eq!(guesser.post("/sign-in", &[("name", "anna"), ("password", "guess"), ("code", "1")]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself_by_hand_and_when_its_person_is_nobody_any_more() {
    // WA-61
    let world = World::new();
    let mut anna = world.anna().await;
    world.pass(29 * 60);
    assert_eq!(anna.get("/").await.status, 200);
    world.pass(31 * 60);
    assert_eq!(anna.get("/").await.status, 303, "30 minutes without a request");
    let mut anna = world.anna().await;
    for _ in 0..25 {
        world.pass(29 * 60);
        anna.get("/people").await;
    }
    assert_eq!(anna.get("/").await.status, 303, "12 hours in all");
    let mut ben = world.with("ben", "Server Management").await;
    assert_eq!(ben.get("/").await.status, 200);
    world.revoke("ben");
    assert_eq!(ben.get("/").await.status, 303, "a revoked certificate is nobody's");
    ben.get("/sign-in").await;
    let reply = ben.post("/sign-in", &[("by", "certificate")]).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("were revoked"));

    // A certificate that ends takes its session along, and signs in no more on a connection that is older.
    *world.memory.until.lock() = Some(world.now().plus(std::time::Duration::from_secs(600)));
    let mut carl = world.with("carl", "Server Management").await;
    world.pass(599);
    assert_eq!(carl.get("/").await.status, 200);
    world.pass(1);
    assert_eq!(carl.get("/").await.status, 303, "it has ended");
    carl.get("/sign-in").await;
    let reply = carl.post("/sign-in", &[("by", "certificate")]).await;
    assert!(reply.status == 401 && reply.text().contains("the certificate has ended"), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_centre_over_the_same_accounts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || crate::accounts::Accounts::open(folder.path(), std::sync::Arc::new(super::world::Plain));
    let first = open().unwrap();
    let refused = open().err().unwrap().to_string();
    assert!(refused.contains("another admin centre runs over this folder") && refused.contains("--state"), "{refused}");
    drop(first);
    assert!(open().is_ok(), "who ends makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_grave_is_done_for_who_proved_just_now_who_he_is() {
    // WA-61
    let world = World::new();
    let mut anna = Browser::new(&world.centre);
    let secret = first(&world, &mut anna).await;
    world.pass(16 * 60);
    anna.get("/send-connectors/Partner").await;
    let (plan, page) = anna.follow("/send-connectors/Partner/do", &[("do", "remove")]).await;
    assert!(page.text().contains("you proved who you are 16 minutes ago"), "{}", page.text());
    for (to, form) in [
        (format!("{plan}/do"), [("do", "apply"), ("confirm", "apply")]),
        ("/people/invite".to_owned(), [("name", "eve"), ("groups", "Organization Management")]),
        ("/people/remove".to_owned(), [("name", "anna"), ("do", "go")]),
        ("/queues/act".to_owned(), [("do", "remove"), ("filter.domain", "partner.example")]),
    ] {
        let reply = anna.post(&to, &form).await;
        assert!(reply.header("location").unwrap().starts_with("/prove?to=%2F"), "{to}");
    }
    assert!(world.memory.connector("Partner").is_some() && world.centre.accounts.all().len() == 1);
    // What is not grave goes on.
    let edit = [("name", "Partner"), ("comment", "new")];
    assert_eq!(anna.post("/send-connectors/Partner/edit", &edit).await.status, 303);

    let to = crate::pages::proof::place(&plan);
    assert!(anna.get(&to).await.text().contains("Password and code of anna"));
    let wrong = anna.post("/prove", &[("to", &plan), ("password", "correct horse battery"), ("code", "000000")]).await;
    assert_eq!(wrong.status, 401);
    let code = codes::code_at(&secret, world.now());
    let right = [("to", plan.as_str()), ("password", "correct horse battery"), ("code", code.as_str())];
    let reply = anna.post("/prove", &right).await;
    assert_eq!(reply.header("location"), Some(plan.as_str()), "{}", reply.text());
    anna.get(&plan).await;
    assert_eq!(anna.post(&format!("{plan}/do"), &[("do", "apply"), ("confirm", "apply")]).await.status, 303);
    assert!(world.memory.connector("Partner").is_none());
    let noted = format!("{:?}", world.memory.notes.lock());
    assert!(noted.contains("by password and code, again"), "{noted}");

    // Back to where it was is grave, too. A certificate proves it by the connection, and without it does not.
    let mut ben = world.with("ben", "Organization Management").await;
    world.pass(16 * 60);
    ben.get("/revisions/7").await;
    let (plan, page) = ben.follow("/revisions/7/restore", &[]).await;
    assert!(!page.text().contains("Prove that it is you"));
    ben.certificate = None;
    let page = ben.get(&plan).await;
    assert!(page.text().contains("Prove that it is you"), "{}", page.text());
    let page = ben.get(&crate::pages::proof::place(&plan)).await.text();
    assert!(page.contains("does not show your certificate any more"), "{page}");
}

#[test]
fn a_phone_reads_the_key_as_a_drawing_that_needs_no_style() {
    let address = codes::address(&codes::base32(&[7; codes::SECRET_OCTETS]), "anna", "Postroad");
    let svg = codes::drawing(&address).unwrap();
    assert!(svg.contains("<title>") && !svg.contains("style") && !svg.contains("http-equiv"), "{svg}");
    // The three squares in the corners: seven dark modules from the fourth on, after the quiet zone.
    for corner in ["M4 4h1", "M10 4h1", "M4 10h1"] {
        assert!(svg.contains(corner), "{corner} {svg}");
    }
    assert!(!svg.contains("M3 ") && !svg.contains("M5 5h1"), "{svg}");
    assert_eq!(codes::drawing(&"a".repeat(5_000)), None, "what is too long for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_invited_with_his_role_groups_and_let_go() {
    let world = World::new();
    let mut anna = world.anna().await;
    anna.get("/people").await;
    let invited = anna
        .post("/people/invite", &[("name", "ben"), ("groups.there", "1"), ("groups", "Server Management")])
        .await
        .text();
    let start = invited.find("https://centre.example:8443/welcome/").unwrap() + "https://centre.example:8443".len();
    let to: String =
        invited[start..].chars().take_while(|one| one.is_ascii_alphanumeric() || "/_-".contains(*one)).collect();
    let mut ben = Browser::new(&world.centre);
    let secret = secret(&ben.get(&to).await.text());
    let code = codes::code_at(&secret, world.now());
    let form = [("password", "another long word"), ("again", "another long word"), ("code", code.as_str())];
    assert_eq!(ben.post(&to, &form).await.status, 303);
    let page = ben.get("/send-connectors/Partner").await.text();
    assert!(page.contains("<button disabled>Edit</button>") && page.contains("may not change Send connectors"));
    ben.get("/people").await;
    assert_eq!(ben.post("/people/invite", &[("name", "eve"), ("groups", "Organization Management")]).await.status, 403);
    anna.get("/people").await;
    assert_eq!(anna.post("/people/remove", &[("name", "ben")]).await.status, 303);
    assert_eq!(ben.get("/").await.status, 303, "and is signed out at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_not_guessed_from_many_addresses_by_who_has_the_password() {
    let world = World::new();
    let secret = first(&world, &mut Browser::new(&world.centre)).await;
    world.pass(60);
    let mut statuses = Vec::new();
    for (number, wrong) in ["000001", "000002", "000003", "000004", "000005"].into_iter().enumerate() {
        let mut guesser = Browser::new(&world.centre);
        guesser.from = format!("2001:db8:{number}::1").parse().unwrap();
        guesser.get("/sign-in").await;
        let form = [("name", "anna"), ("password", "correct horse battery"), ("code", wrong)];
        statuses.push(guesser.post("/sign-in", &form).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429]);
    world.pass(301);
    let mut anna = Browser::new(&world.centre);
    anna.get("/sign-in").await;
    let code = codes::code_at(&secret, world.now());
    let right = [("name", "anna"), ("password", "correct horse battery"), ("code", code.as_str())];
    assert_eq!(anna.post("/sign-in", &right).await.status, 303);

    // One customer's addresses of IPv6 are one.
    let mut statuses = Vec::new();
    for host in 1..=6 {
        let mut guesser = Browser::new(&world.centre);
        guesser.from = format!("2001:db8:99::{host}").parse().unwrap();
        guesser.get("/sign-in").await;
        let form = [("name", "anna"), ("password", "guess"), ("code", "1")];
        statuses.push(guesser.post("/sign-in", &form).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_one_account_and_goes_with_its_name() {
    let world = World::new();
    let accounts = &world.centre.accounts;
    let (now, open) = (world.now(), accounts.welcome(&world.link, world.now()).unwrap());
    let code = codes::code_at(&open.secret, now);
    let settle = |name: &str| accounts.settle(&world.link, name, "correct horse battery", &code, now).is_ok();
    let made = std::thread::scope(|scope| {
        let both = ["anna", "eve"].map(|name| scope.spawn(move || settle(name)));
        both.map(|one| one.join().unwrap())
    });
    assert_eq!(made.into_iter().filter(|made| *made).count(), 1, "{made:?}");
    assert_eq!(accounts.all().len(), 1);

    let groups = std::collections::BTreeSet::from([authority::RoleGroup::ServerManagement]);
    let earlier = accounts.link(Some("Ben".to_owned()), &groups, now).unwrap();
    let later = accounts.link(Some("ben".to_owned()), &groups, now).unwrap();
    assert!(accounts.welcome(&earlier, now).is_none(), "another was made for the same name");
    assert!(accounts.welcome(&later, now).is_some());
    accounts.remove("ben").unwrap();
    assert!(accounts.welcome(&later, now).is_none(), "his account was ended before he had it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_elsewhere_by_signing_in() {
    let world = World::new();
    for to in ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example/", "javascript:alert(1)"]
    {
        let mut browser = Browser::new(&world.centre);
        browser.certificate = Some(b"anna:Organization Management".to_vec());
        browser.get("/sign-in").await;
        let reply = browser.post("/sign-in", &[("by", "certificate"), ("to", to)]).await;
        assert_eq!(reply.header("location"), Some("/"), "{to}");
    }
}
