//! Signing in to the admin centre by a provider of OpenID Connect: Glewlwyd of Debian, Debian's Chromium, a real server behind it.

use std::net::TcpListener;

use testkit::browser::Browser;
use testkit::oidc::{CLIENT, CLIENT_SECRET, OTHER, OidcProvider, PASSWORD, PERSON};

use crate::centre::{Page, complaints};
use crate::operations::Server;

/// From the door of the centre through the provider's, to what the centre says then.
fn sign_in(page: &Page, browser: &Browser, to: &str, person: &str) {
    browser.go(&page.to(to));
    browser.click("a.button.primary[href^='/sign-in/provider']");
    at_the_provider(browser, person);
}

fn at_the_provider(browser: &Browser, person: &str) {
    browser.wait("form input[name=username]");
    browser.fill("[name=username]", person);
    browser.fill("[name=password]", PASSWORD);
    browser.click("button");
    browser.wait("header a.brand");
}

#[test]
fn people_of_a_real_provider_sign_in_with_their_groups_and_without_it_accounts_do() {
    // WA-60, WA-61, WA-63, WA-68
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let mut provider = OidcProvider::start(&format!("https://{at}/sign-in/callback"));
    server.desk.write("client.secret", CLIENT_SECRET);
    let settings = format!(
        "name = 'Glewlwyd'\nissuer = '{}'\nclient-id = '{CLIENT}'\nclient-secret-file = 'client.secret'\nscopes = []\nauth-time = false\n\
         [role-groups]\nmail-admins = ['Organization Management']\n",
        provider.issuer()
    );
    server.desk.write("provider.toml", &settings);
    let arguments = format!("--listen {at} --settings server.toml --provider provider.toml --metrics 127.0.0.1:0");
    let mut page = Page::over(server, &arguments);
    assert!(page.told.contains(&format!("https://{at}/sign-in/callback")), "{}", page.told);

    // He wanted to change something, and is led there; the change is his.
    let browser = Browser::start(true);
    sign_in(&page, &browser, "/send-connectors/Partner/edit", PERSON);
    assert!(browser.address().ends_with("/send-connectors/Partner/edit"), "{}", browser.address());
    assert!(browser.text("header .user").contains("olga (localhost)"), "{}", browser.text("header .user"));
    browser.fill("[name=comment]", "by Olga");
    browser.click("main button.primary");
    browser.click("button[value=apply]");
    browser.wait("form[action$='/undo']");
    let revisions = page.server.desk.done("revisions --settings server.toml --json --limit 5");
    assert!(revisions.contains(r#""author":"olga (localhost)""#), "{revisions}");
    page.server.until("who signed in by what to be written down", || {
        let audit = page.server.desk.done("audit --settings server.toml --json");
        audit.contains(&format!("by Glewlwyd ({}), subject ", provider.issuer())).then_some(())
    });

    // He proves again who he is: the provider asks him. When it did, Glewlwyd 2.7 does not know where codes are exchanged.
    browser.go(&page.to("/sign-in/provider?to=/people"));
    at_the_provider(&browser, PERSON);
    assert!(browser.address().ends_with("/people"), "{} {}", browser.address(), browser.text("main"));
    browser.says("main", "Sessions of olga (localhost)");

    // Out, here and where the provider has a page for it; then somebody of no group that is named here.
    browser.click("form[action='/sign-out'] button");
    browser.wait("a[href*='/end_session?client_id=postroad']");
    let other = Browser::start(true);
    sign_in(&page, &other, "/queues", OTHER);
    other.says("main", "none of your groups (staff)");

    // The provider signs by another key, and then is away.
    provider.new_key();
    sign_in(&page, &browser, "/queues", PERSON);
    assert!(browser.address().ends_with("/queues"), "{}", browser.address());
    let locked = page.server.desk.refused("admin-centre --listen 127.0.0.1:0 --settings server.toml");
    assert!(locked.contains("another admin centre runs over this folder; end it"), "{locked}");
    provider.stop();
    page.again(&arguments);
    assert!(page.told.contains("Glewlwyd cannot be asked just now"), "{}", page.told);
    other.go(&page.to("/sign-in"));
    other.click("a.button.primary[href^='/sign-in/provider']");
    other.says("main", "Accounts and certificates sign in as always");
    page.welcome(&other);
    assert_eq!(complaints(&browser), Vec::<String>::new());
    assert_eq!(complaints(&other), Vec::<String>::new());
}
