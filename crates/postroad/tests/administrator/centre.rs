//! The admin centre as a person uses it: Debian's Chromium, a real server behind it. What only a browser shows is here: keys, scripts
//! or none, two people at once, a session that is gone, hostile mail, colours and widths, and the checks of axe-core (WCAG 2.2 AA).

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;
use testkit::browser::{Browser, Screen};

use crate::operations::Server;
use crate::support::command;

const PASSWORD: &str = "correct horse battery";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// A centre over a server that runs.
pub(crate) struct Page {
    pub(crate) server: Server,
    process: Child,
    base: String,
    link: String,
    secret: String,
    /// What it printed before the link.
    pub(crate) told: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Page {
    fn open() -> Self {
        Self::by("--settings server.toml")
    }

    /// Over the server, reached like this.
    fn by(place: &str) -> Self {
        Self::over(Server::start(), &format!("--listen 127.0.0.1:0 {place}"))
    }

    /// Over a server, with these arguments.
    pub(crate) fn over(server: Server, arguments: &str) -> Self {
        let (process, base, link, told) = started(&server, arguments);
        Self { server, process, base, link, secret: String::new(), told }
    }

    /// Ends the process, and starts it again with these arguments.
    pub(crate) fn again(&mut self, arguments: &str) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.process, self.base, self.link, self.told) = started(&self.server, arguments);
    }

    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The first administrator makes his account.
    pub(crate) fn welcome(&mut self, browser: &Browser) {
        browser.go(&self.link);
        self.secret = browser.text("dd code").replace(' ', "");
        browser.fill("[name=name]", "anna");
        browser.fill("[name=password]", PASSWORD);
        browser.fill("[name=again]", PASSWORD);
        browser.fill("[name=code]", &code(&self.secret));
        browser.click("main button.primary");
        browser.wait("a[aria-current=page][href='/']");
    }

    /// Somebody else with all rights, in a browser of his own.
    fn invite(&self, anna: &Browser, name: &str) -> Browser {
        anna.go(&self.to("/people"));
        anna.fill("form[action='/people/invite'] [name=name]", name);
        anna.click("[name=groups][value='Organization Management']");
        anna.click("form[action='/people/invite'] button.primary");
        let link = anna.text(".notice.good code");
        let browser = Browser::start(true);
        browser.go(&link);
        let secret = browser.text("dd code").replace(' ', "");
        browser.fill("[name=password]", PASSWORD);
        browser.fill("[name=again]", PASSWORD);
        browser.fill("[name=code]", &code(&secret));
        browser.click("main button.primary");
        browser.wait("a[aria-current=page][href='/']");
        browser
    }
}

/// A centre without accounts: its process, where it is, the link, and what it printed up to that.
fn started(server: &Server, arguments: &str) -> (Child, String, String, String) {
    let mut centre = command(&server.desk.path(""));
    centre.arg("admin-centre").args(arguments.split(' '));
    let mut process = centre.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut lines = lines.map(|line| line.trim().to_owned());
    let base = lines.find_map(|line| Some(line.strip_prefix("The admin centre: ")?.trim_end_matches('/').to_owned()));
    let mut told = String::new();
    let link = lines.find(|line| {
        told += line;
        told += "\n";
        line.contains("/welcome/")
    });
    (process, base.unwrap(), link.unwrap(), told)
}

/// The code of now (RFC 6238).
fn code(secret: &str) -> String {
    let (mut key, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in secret.bytes() {
        let value = if letter.is_ascii_digit() { letter - b'2' + 26 } else { letter - b'A' };
        held = (held << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            key.push((held >> bits & 255) as u8);
            held &= (1 << bits) - 1;
        }
    }
    let now = runtime::Clock::default().now().as_millis() / 1000;
    let digest = net::digest::hmac_sha1(&key, &(now / 30).to_be_bytes());
    let at = usize::from(digest[19] & 15);
    let word = u32::from_be_bytes([digest[at] & 0x7f, digest[at + 1], digest[at + 2], digest[at + 3]]);
    format!("{:06}", word % 1_000_000)
}

/// Where pictures go: looked at by people.
fn pictures() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/centre"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the page complained of: nothing is, but for answers that are errors on purpose.
pub(crate) fn complaints(browser: &Browser) -> Vec<String> {
    browser.console().into_iter().filter(|line| !line.contains("Failed to load resource")).collect()
}

/// The wizard to its end, with a mouse; the page of the plan is left open.
fn wizard(page: &Page, browser: &Browser, name: &str, usage: &str, hosts: &str, space: &str) {
    browser.go(&page.to("/send-connectors/new"));
    browser.fill("[name=name]", name);
    browser.click(&format!("[name=usage][value={usage}]"));
    browser.click("button[value=next]");
    browser.wait("[name=smartHosts]");
    if !hosts.is_empty() {
        browser.click("[name=dnsRoutingEnabled][value=false]");
        browser.fill("[name=smartHosts]", hosts);
        browser.click("button[value=next]");
        browser.wait("[name=smartHostAuthMechanism]");
    }
    browser.click("button[value=next]");
    browser.fill("[name=addressSpaces]", space);
    browser.click("button[value=next]");
    browser.click("[name=sourceTransportServers][value=BERLIN1]");
    browser.click("button[value=next]");
    browser.wait("[name=requireTLS]");
    browser.click("button[value=next]");
    browser.wait("button[value=apply]");
}

#[test]
fn a_browser_makes_a_connector_of_each_type_and_the_printed_command_makes_the_same() {
    // AC-12…23, WA-14, WA-80
    let mut page = Page::open();
    let browser = Browser::start(true);
    page.welcome(&browser);
    for (usage, hosts) in [("Custom", ""), ("Internal", "relay.internal.example"), ("Internet", ""), ("Partner", "")] {
        let name = format!("New {usage}");
        let space = format!("{}.example", usage.to_lowercase());
        wizard(&page, &browser, &name, usage, hosts, &space);
        let told = browser.text("main");
        assert!(told.contains(&format!("+ new: Send connector {name}")), "{told}");
        let printed = browser.text("figure.text pre");
        assert!(printed.starts_with(&format!("New-SendConnector -Name '{name}'")), "{printed}");
        browser.click("button[value=apply]");
        browser.wait("form[action$='/undo']");
        let shown = |name: &str| {
            let line = format!(
                "Get-SendConnector '{name}' | Format-List Usage,AddressSpaces,SmartHosts,DNSRoutingEnabled,MaxMessageSize,SourceTransportServers,Enabled"
            );
            page.server.shell(&["--settings", "server.toml"], &line).out
        };
        let by_hand = printed.replace(&format!("'{name}'"), &format!("'Typed {usage}'"));
        let run = page.server.shell(&["--settings", "server.toml"], &by_hand);
        assert!(run.succeeded, "{by_hand}: {}", run.err);
        assert_eq!(shown(&name), shown(&format!("Typed {usage}")));
    }
    // Its author is who is signed in.
    let revisions = page.server.desk.done("revisions --settings server.toml --json --limit 20");
    assert!(revisions.contains(r#""author":"anna","through":"admin centre""#), "{revisions}");
    assert_eq!(complaints(&browser), Vec::<String>::new());
}

#[test]
fn keys_alone_and_no_script_are_enough() {
    // WA-01, WA-44: the same page, with Tab and Enter, in a browser that runs nothing of ours.
    let mut page = Page::open();
    let browser = Browser::start(false);
    page.welcome(&browser);
    browser.go(&page.to("/send-connectors"));
    browser.keys(TAB);
    assert_eq!(browser.run("return document.activeElement.textContent"), "Skip to content");
    browser.keys(ENTER);
    let reach = |wanted: &str| {
        for _ in 0..80 {
            if browser.run(&format!("return document.activeElement.matches({wanted:?})")) == true {
                return;
            }
            browser.keys(TAB);
        }
        panic!("{wanted} is not reached by Tab at {}", browser.address());
    };
    reach("a.button.primary");
    browser.keys(ENTER);
    browser.wait("[name=usage]");
    reach("[name=name]");
    browser.keys("Typed");
    reach("[name=usage]");
    browser.keys(" ");
    reach("button[value=next]");
    browser.keys(ENTER);
    browser.wait("[name=smartHosts]");
    reach("button[value=next]");
    browser.keys(ENTER);
    browser.wait("[name=addressSpaces]");
    reach("[name=addressSpaces]");
    browser.keys("keys.example");
    reach("button[value=next]");
    browser.keys(ENTER);
    browser.wait("[name=sourceTransportServers]");
    reach("[name=sourceTransportServers][value=BERLIN1]");
    browser.keys(" ");
    reach("button[value=next]");
    browser.keys(ENTER);
    browser.wait("[name=requireTLS]");
    reach("button[value=next]");
    browser.keys(ENTER);
    browser.wait("button[value=apply]");
    reach("button[value=apply]");
    browser.keys(ENTER);
    browser.wait("form[action$='/undo']");
    assert!(page.server.desk.done("export --settings server.toml").contains("keys.example"));
    // WA-88: an export is brought without a script, too.
    let csv = "\"Name\",\"AddressSpaces\",\"SourceTransportServers\",\"MaxMessageSize\"\n\
               \"Brought\",\"System.Object[]\",\"BERLIN1\",\"35 MB (36,700,160 bytes)\"\n";
    page.server.desk.write("send.csv", csv);
    let list = "AddressSpaces          : {SMTP:brought.example;1}\nDNSRoutingEnabled      : False\n\
                MaxMessageSize         : 35 MB (36,700,160 bytes)\nName                   : Brought\n\
                SmartHosts             : {relay.brought.example}\nSourceTransportServers : {BERLIN1}\n";
    page.server.desk.write("send.txt", list);
    for (file, lost) in [("send.csv", true), ("send.txt", false)] {
        browser.go(&page.to("/import"));
        browser.fill("[name=files]", page.server.desk.path(file).to_str().unwrap());
        browser.click("main button.primary");
        browser.says("main", "What became of the export");
        let told = browser.text("main");
        assert_eq!(told.contains("cannot be said here"), lost, "{told}");
    }
    assert!(browser.text("main").contains("+ new: Send connector Brought"), "{}", browser.text("main"));
    browser.click("button[value=apply]");
    browser.wait("form[action$='/undo']");
    let export = page.server.desk.done("export --settings server.toml");
    assert!(export.contains("brought.example") && export.contains("relay.brought.example"), "{export}");
}

#[test]
fn two_people_at_once_a_rejected_change_and_a_session_that_is_gone() {
    // WA-12, WA-41, WA-43, WA-61, WA-82
    let mut page = Page::open();
    let anna = Browser::start(true);
    page.welcome(&anna);
    let ben = page.invite(&anna, "ben");
    let edit = page.to("/send-connectors/Partner/edit");
    anna.go(&edit);
    ben.go(&edit);
    // Rejected: said on top, at the field, and what was typed is still there.
    anna.fill("[name=port]", "70000");
    anna.click("main button.primary");
    anna.wait("#problems");
    assert_eq!(anna.run("return document.activeElement.id"), "problems");
    assert!(anna.run("return document.title").as_str().unwrap().starts_with("Error: "));
    assert_eq!(anna.run("return document.querySelector('[name=port]').value"), "70000");
    anna.fill("[name=port]", "2525");
    anna.click("main button.primary");
    anna.click("button[value=apply]");
    anna.wait("form[action$='/undo']");
    // The other was slower.
    ben.fill("[name=comment]", "by Ben");
    ben.click("main button.primary");
    ben.wait("button[value=apply]");
    anna.go(&page.to("/send-connectors/Internet/edit"));
    anna.fill("[name=comment]", "by Anna");
    anna.click("main button.primary");
    anna.click("button[value=apply]");
    anna.wait("form[action$='/undo']");
    ben.click("button[value=apply]");
    ben.wait("button[value=again]");
    let told = ben.text("main");
    assert!(told.contains("by Ben") && told.contains("by Anna"), "{told}");
    ben.click("button[value=again]");
    ben.click("button[value=apply]");
    ben.wait("form[action$='/undo']");
    let export = page.server.desk.done("export --settings server.toml");
    assert!(export.contains("by Ben") && export.contains("by Anna") && export.contains("2525"), "{export}");
    // A form that was open when the session went: nothing is changed, and the door is shown.
    anna.go(&edit);
    anna.forget_cookies();
    anna.fill("[name=comment]", "by nobody");
    anna.click("main button.primary");
    anna.says("main", "Nothing was changed");
    anna.go(&edit);
    anna.wait("form[action='/sign-in'] [name=code]");
    assert!(!page.server.desk.done("export --settings server.toml").contains("by nobody"));
}

#[test]
fn hostile_mail_that_waits_is_shown_and_does_nothing() {
    // WA-65, WA-89: through a real queue and a real browser.
    let mut page = Page::open();
    let outbox = page.server.desk.path("state/mailboxes/DB1/anna/Maildir/.Outbox");
    std::fs::create_dir_all(outbox.join("tmp")).unwrap();
    std::fs::create_dir_all(outbox.join("new")).unwrap();
    let subject = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>";
    let text = format!(
        "From: anna@contoso.example\r\nTo: clerk@partner.example\r\nSubject: {subject} \u{202e}gpj\r\nMessage-ID: <h@contoso.example>\r\n\r\nText\r\n"
    );
    std::fs::write(outbox.join("tmp/h"), text).unwrap();
    std::fs::rename(outbox.join("tmp/h"), outbox.join("new/h")).unwrap();
    let browser = Browser::start(true);
    page.welcome(&browser);
    page.server.message("clerk@partner.example", "Retry");
    browser.go(&page.to("/queues"));
    let overview = browser.says("main", "1 message in 1 queue.");
    assert!(overview.contains("Retry"), "{overview}");
    browser.click("tbody a[href^='/queues/BERLIN1/']");
    browser.click("a[href$='subjects=true']");
    let told = browser.says("main", "‹U+202E›");
    assert!(told.contains("<script>document.title='owned'</script>"), "{told}");
    browser.click("td a[href^='/messages/'], th a[href^='/messages/']");
    browser.wait("svg.fall");
    assert_ne!(browser.run("return document.title"), "owned");
    assert_eq!(browser.run("return document.images.length"), 0);
    assert_eq!(complaints(&browser), Vec::<String>::new());
    page.server.until("the look at subjects to be written down", || {
        let audit = page.server.desk.done("audit --settings server.toml --user anna --json");
        (audit.contains("Get-Message\"") && audit.contains("with subjects")).then_some(())
    });
    // The queue is told to try again, with its number, under the person's name.
    browser.go(&page.to("/queues?status=Retry"));
    browser.click("form[action='/queues/act'] button[value=retry]");
    browser.click("button[value=yes-retry]");
    browser.wait(".notice.good");
    page.server.until("the act to be written down", || {
        page.server.desk.done("audit --settings server.toml --user anna").contains("Retry-Queue").then_some(())
    });
}

#[test]
fn over_an_admin_service_it_does_the_same_and_says_for_whom() {
    let mut page = Page::by("--api ./admin.sock --state centre");
    let browser = Browser::start(true);
    page.welcome(&browser);
    // A page that is open: what changes comes to it, and it is the page that it was.
    browser.go(&page.to("/queues"));
    browser.says("main", "0 messages in 0 queues.");
    let _kept = browser.run("document.kept = true");
    page.server.send("clerk@partner.example");
    page.server.message("clerk@partner.example", "Retry");
    browser.says("main", "1 message in 1 queue.");
    browser.says("main form[action='/queues/act'] tbody tr", "Retry");
    assert_eq!(browser.run("return document.kept"), true);
    // The form that came has the token of the session.
    browser.click("form[action='/queues/act'] button[value=suspend]");
    browser.click("button[value=yes-suspend]");
    browser.wait(".notice.good");
    assert_eq!(complaints(&browser), Vec::<String>::new());
    browser.go(&page.to("/send-connectors/Partner/edit"));
    browser.fill("[name='authenticationCredential:user']", "contoso");
    browser.fill("[name='authenticationCredential:password']", "another-horse");
    browser.fill("[name=comment]", "by the API");
    browser.click("main button.primary");
    browser.wait("button[value=apply]");
    assert!(
        browser.text("main").contains("(sensitive)")
            && !browser.run("return document.documentElement.outerHTML").to_string().contains("another-horse")
    );
    browser.click("button[value=apply]");
    browser.wait("form[action$='/undo']");
    browser.go(&page.to("/audit"));
    assert!(browser.says("main", "Sign-In").contains("anna"));
    page.server.until("the change to be written down", || {
        let audit = page.server.desk.done("audit --api ./admin.sock --object Partner --json");
        audit.contains("admin centre, for anna").then_some(())
    });
}

#[test]
fn the_commands_of_the_page_start_it() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/admin-centre.md")).unwrap();
    let commands: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("$ postroad admin-centre"))
        .map(|line| line.split('#').next().unwrap().trim())
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        // As on a machine of the tests: the lab's, a server's, or an admin service's.
        let place = match command {
            "" => "--settings server.toml".to_owned(),
            named => named
                .replace("/etc/postroad/server.toml", "server.toml")
                .replace("mail1.contoso.com --identity ~/postroad", "./admin.sock")
                .replace("~/postroad/centre", "centre"),
        };
        let page = Page::by(&place);
        let browser = Browser::start(false);
        browser.go(&page.to("/"));
        assert!(browser.text("main").contains("This centre is new"), "{command}");
    }
}

const PAGES: [&str; 25] = [
    "/",
    "/queues",
    "/messages?start=1h",
    "/explain?recipient=clerk@partner.example",
    "/topology?recipient=clerk@partner.example",
    "/send-connectors",
    "/send-connectors/Partner",
    "/send-connectors/Partner/edit",
    "/receive-connectors",
    "/domains",
    "/x400-domains",
    "/sites",
    "/site-links",
    "/servers",
    "/servers/BERLIN1",
    "/databases",
    "/settings/edit",
    "/certificates",
    "/certificates/rehearse",
    "/import",
    "/plans",
    "/revisions",
    "/audit",
    "/people",
    "/nowhere",
];

/// Brings axe-core into the page that is open; says so where it is not there.
fn load_axe(browser: &Browser) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/axe/axe.min.js");
    match std::fs::read_to_string(path) {
        Ok(axe) => drop(browser.run(&axe)),
        Err(_) => {
            eprintln!("axe-core is not there: `make test-packages` fetches it; these pages were not checked by it");
        }
    }
}

/// What it finds, in a line each; nothing where it is not there.
fn axe(browser: &Browser) -> Vec<String> {
    let run = "if (!window.axe) return [];\
               return axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})\
               .then(found => found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html).slice(0, 3).join(' | ')))";
    let found = browser.run(run);
    found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn every_page_is_legible_on_a_desk_and_on_a_phone_in_light_and_in_dark() {
    // WA-50…52
    let mut page = Page::open();
    page.server.send("clerk@partner.example");
    let browser = Browser::start(true);
    page.welcome(&browser);
    page.server.message("clerk@partner.example", "Retry");
    let mut wrong = Vec::new();
    for path in PAGES {
        // Width and scheme are its style's alone: it is opened once, and looked at in each.
        browser.go(&page.to(path));
        load_axe(&browser);
        let plain: String = path.chars().map(|one| if one.is_alphanumeric() { one } else { '-' }).collect();
        for (screen, dark, name) in LOOKS {
            browser.look(screen, dark);
            browser.picture(&pictures().join(format!("{name}{plain}.png")));
            wrong.extend(illegible(&browser, screen, dark).into_iter().map(|found| format!("{name} {path}: {found}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each width and each scheme.
const LOOKS: [(Screen, bool, &str); 4] = [
    (Screen::Desk, false, "desk-light"),
    (Screen::Desk, true, "desk-dark"),
    (Screen::Phone, true, "phone-dark"),
    (Screen::Phone, false, "phone-light"),
];

/// What is wrong with the page as it is seen now.
fn illegible(browser: &Browser, screen: Screen, dark: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let width = if screen == Screen::Phone { 390 } else { 1400 };
    let beyond = browser.run(&format!("return document.documentElement.scrollWidth - {width}"));
    if beyond.as_i64().unwrap_or(1) > 0 {
        wrong.push(format!("{beyond} pixels too wide"));
    }
    // Both widths and both schemes once: it takes a second for a page.
    if (screen == Screen::Phone) == dark {
        wrong.extend(axe(browser));
    }
    let small = browser.run(
        "return [...document.querySelectorAll('button, .button, nav a, input, select')].filter(one => one.offsetParent && \
         one.type !== 'hidden' && !['checkbox', 'radio'].includes(one.type) && one.getBoundingClientRect().height < 24).length",
    );
    if small != 0 {
        wrong.push(format!("{small} targets under 24 pixels"));
    }
    wrong.extend(complaints(browser));
    wrong
}

#[test]
fn a_certificate_is_rehearsed_and_sixty_sites_are_legible() {
    // WA-37, WA-50…54
    let mut page = Page::open();
    let browser = Browser::start(true);
    page.welcome(&browser);
    let desk = &page.server.desk;
    let (name, host) = ("BERLIN1".parse().unwrap(), "berlin1.contoso.example".parse().unwrap());
    let made = net::certificate::self_signed_for_smtp(&name, &host, runtime::Clock::default().now()).unwrap();
    std::fs::create_dir_all(desk.path("new")).unwrap();
    made.save_to(&desk.path("new")).unwrap();
    browser.look(Screen::Desk, false);
    browser.go(&page.to("/certificates/rehearse"));
    for (field, file) in [("certificate", "new/cert.pem"), ("key", "new/key.pem")] {
        browser.fill(&format!("[name={field}]"), desk.path(file).to_str().unwrap());
    }
    browser.fill("[name=recipient]", "clerk@partner.example");
    browser.click("main button.primary");
    // Its steps come to the page that is open.
    browser.says("main", "signed by itself: whoever validates certificates refuses it");
    browser.says("main", "wrong");
    let rehearsal = browser.address();
    let mut sites = String::from("sites: [{name: Berlin, hubSiteEnabled: true}, {name: Oslo}");
    let (mut links, mut servers, mut connectors) = (String::new(), String::new(), String::new());
    for at in 1..59 {
        sites += &format!(", {{name: Site{at:02}, hubSiteEnabled: {}}}", at % 12 == 0);
        let to = if at < 4 { "Berlin".to_owned() } else { format!("Site{:02}", at / 4) };
        links += &format!("  - {{name: L{at:02}, sites: [{to}, Site{at:02}], cost: {}}}\n", at + 1);
        servers += &format!("  - {{name: S{at:02}, fqdn: s{at:02}.contoso.example, site: Site{at:02}}}\n");
        connectors +=
            &format!("  - {{name: 'To p{at}', addressSpaces: [p{at}.example], sourceTransportServers: [S{at:02}]}}\n");
    }
    let yaml = crate::support::ORGANIZATION
        .replace("sites: [{name: Berlin}, {name: Oslo}", &sites)
        .replace("siteLinks:\n", &format!("siteLinks:\n{links}"))
        .replace("servers:\n", &format!("servers:\n{servers}"))
        .replace("sendConnectors:\n", &format!("sendConnectors:\n{connectors}"));
    desk.write("large.yaml", &yaml);
    desk.done("apply large.yaml --settings server.toml --yes");
    let pages = [
        ("rehearsal", rehearsal),
        ("large-overview", page.to("/")),
        ("large-topology", page.to("/topology?open=Site24")),
        ("large-way", page.to("/topology?recipient=x@p57.example")),
    ];
    let mut wrong = Vec::new();
    for (screen, dark, kind) in [(Screen::Desk, false, "desk-light"), (Screen::Phone, true, "phone-dark")] {
        browser.look(screen, dark);
        for (name, address) in &pages {
            browser.go(address);
            browser.wait("#live > *");
            browser.picture(&pictures().join(format!("{kind}-{name}.png")));
            if screen == Screen::Desk {
                load_axe(&browser);
                wrong.extend(axe(&browser).into_iter().map(|found| format!("{kind} {name}: {found}")));
            }
            wrong.extend(complaints(&browser).into_iter().map(|line| format!("{kind} {name}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
