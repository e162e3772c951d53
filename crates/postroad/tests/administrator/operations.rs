//! What is done to queues: by `postroad queue`, by the shell, over the API; on a server that runs, whose audit log says who did it.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Desk, Run, command, own_address};

/// What goes beside the settings of a server that runs: no port is anybody else's, and no name server answers.
const RUNNING: &str = "\
dns = ['127.0.0.1:1']
[services.transport]\norganization = '127.0.0.1:0'\nmetrics = '@METRICS@'\nsmtp = '127.0.0.1:0'\nsubmission = '127.0.0.1:0'
[services.frontend-transport]\norganization = '127.0.0.1:0'\nsmtp = '127.0.0.1:0'\nsubmission = '127.0.0.1:0'
[services.mailbox-delivery]\norganization = '127.0.0.1:0'
[services.mailbox-submission]\norganization = '127.0.0.1:0'
[services.admin]\norganization = '127.0.0.1:0'\nsocket = 'admin.sock'
";

/// BERLIN1, with all of its services in one process.
pub(crate) struct Server {
    pub(crate) desk: Desk,
    process: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let desk = Desk::with_directory();
        let settings = std::fs::read_to_string(desk.path("server.toml")).unwrap();
        // Keys of the server stand before its tables.
        // Whoever asks for metrics needs to know where.
        let running = RUNNING.replace("@METRICS@", &own_address().to_string());
        let (dns, services) = running.split_once('\n').unwrap();
        desk.write("server.toml", &format!("{dns}\n{settings}{services}"));
        desk.done("apply contoso.yaml --settings server.toml --yes");
        desk.done(
            "cert issue --ca keys --server BERLIN1 --fqdn berlin1.contoso.example --service admin --path identity",
        );
        let groups = [
            "cert",
            "issue",
            "--ca",
            "keys",
            "--administrator",
            "anna",
            "--path",
            "identity",
            "--role-group",
            "Server Management",
            "--role-group",
            "Records Management",
        ];
        assert!(desk.run_words(groups).succeeded);
        let mut server = Self { desk, process: None };
        server.go();
        server
    }

    /// Starts the process; waits until an administrator is answered.
    pub(crate) fn go(&mut self) {
        let mut up: Command = command(&self.desk.path(""));
        let log = std::fs::File::create(self.desk.path("server.log")).unwrap();
        let process =
            up.args(["up", "--settings", "server.toml", "--unconfined"]).stdin(Stdio::null()).stderr(log).spawn();
        self.process = Some(process.unwrap());
        self.until("Transport to answer", || {
            let run = self.desk.run("queue --settings server.toml --server BERLIN1 --json --all");
            run.succeeded.then_some(())
        });
        self.until("the admin service to answer", || {
            self.desk.run("servers --api ./admin.sock").succeeded.then_some(())
        });
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Waits for a condition; what the server said is told when it does not come.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let look = std::panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(testkit::until(what, async || look()))
        });
        std::panic::catch_unwind(look)
            .unwrap_or_else(|_| panic!("{what}: {}", std::fs::read_to_string(self.desk.path("server.log")).unwrap()))
    }

    /// Anna sends a message.
    pub(crate) fn send(&self, to: &str) {
        let outbox = self.desk.path("state/mailboxes/DB1/anna/Maildir/.Outbox");
        std::fs::create_dir_all(outbox.join("tmp")).unwrap();
        std::fs::create_dir_all(outbox.join("new")).unwrap();
        let name = to.replace('@', "-at-");
        let text = format!(
            "From: anna@contoso.example\r\nTo: {to}\r\nSubject: to {to}\r\nMessage-ID: <{name}@contoso.example>\r\n\r\nText\r\n"
        );
        std::fs::write(outbox.join("tmp").join(&name), text).unwrap();
        std::fs::rename(outbox.join("tmp").join(&name), outbox.join("new").join(&name)).unwrap();
    }

    fn lines(&self, arguments: &str) -> Vec<BTreeMap<String, Value>> {
        let out = self.desk.done(arguments);
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
    }

    /// The queue of a name, once it has that status.
    pub(crate) fn queue(&self, name: &str, status: &str) -> BTreeMap<String, Value> {
        self.until(&format!("{name} to be {status}"), || {
            let queues = self.lines("queue --settings server.toml --server BERLIN1 --json");
            queues.into_iter().find(|line| line["kind"] == "queue" && line["name"] == name && line["status"] == status)
        })
    }

    /// The message to a recipient, once it has that status.
    pub(crate) fn message(&self, to: &str, status: &str) -> BTreeMap<String, Value> {
        self.until(&format!("mail for {to} to be {status}"), || {
            let found = self.lines(&format!("queue --settings server.toml --server BERLIN1 --json --recipient {to}"));
            found.into_iter().find(|line| line["kind"] == "message" && line["status"] == status)
        })
    }

    /// What the audit log of the server says, the oldest first: who did what to what, and whether it was done.
    fn audited(&self) -> Vec<[String; 5]> {
        let line = |line: &BTreeMap<String, Value>| {
            ["caller", "through", "cmdlet", "objectModified", "succeeded"]
                .map(|name| line[name].as_str().unwrap().to_owned())
        };
        let mut lines: Vec<_> = self.lines("audit --settings server.toml --json").iter().map(line).collect();
        lines.retain(|line| line[2].ends_with("-Queue") || line[2].ends_with("-Message"));
        lines.reverse();
        lines
    }

    pub(crate) fn shell(&self, place: &[&str], text: &str) -> Run {
        self.desk.run_words([&["shell"], place, &["-c", text]].concat())
    }
}

const SETTINGS: [&str; 2] = ["--settings", "server.toml"];

#[test]
fn a_queue_is_suspended_over_a_restart_and_its_mail_goes_on_afterwards() {
    // QU-27, QU-39
    let mut server = Server::start();
    server.send("clerk@partner.example");
    server.queue("Partner", "Retry");
    let done = server.lines("queue suspend --settings server.toml --queue Partner --server BERLIN1 --json");
    assert_eq!((&done[0]["outcome"], &done[0]["statusBefore"], done.len()), (&"done".into(), &"Retry".into(), 1));
    server.queue("Partner", "Suspended");
    server.kill();
    server.go();
    let queue = server.queue("Partner", "Suspended");
    assert_eq!(queue["messageCount"], 1);
    let nothing = server.desk.done("queue retry --settings server.toml --server BERLIN1");
    assert_eq!(nothing, "There is nothing that can be tried again.\n");
    let identity = queue["identity"].as_str().unwrap();
    let refused = server.desk.run_words(["queue", "retry", "--settings", "server.toml", identity]);
    assert!(!refused.succeeded && refused.out.contains("the queue is not in Retry"), "{}{}", refused.out, refused.err);
    let resumed = server.desk.done("queue resume --settings server.toml --all --server BERLIN1");
    assert!(resumed.ends_with("  Partner  resumed\n"), "{resumed}");
    server.queue("Partner", "Retry");
    // Routed anew: the partner has no connector any more.
    let without = crate::support::ORGANIZATION.replace("[partner.example]", "[elsewhere.example]");
    server.desk.write("contoso.yaml", &without);
    server.desk.done("queue suspend --settings server.toml --queue Partner --server BERLIN1");
    server.desk.done("apply contoso.yaml --settings server.toml --yes");
    server.desk.done("queue resume --settings server.toml --queue Partner --server BERLIN1");
    server.message("clerk@partner.example", "Retry");
    server.queue("partner.example", "Retry");
}

#[test]
fn a_message_is_exported_and_ends_with_a_line_in_both_logs() {
    let server = Server::start();
    server.send("clerk@partner.example");
    let message = server.message("clerk@partner.example", "Retry");
    let identity = message["identity"].as_str().unwrap();
    let run = |words: &[&str]| server.desk.run_words([&["queue"], words, &SETTINGS].concat());
    assert!(run(&["export", identity]).err.contains("suspend it first"));
    assert!(run(&["suspend", identity]).succeeded);
    server.message("clerk@partner.example", "Suspended");
    // QU-59, PL-62
    let exported = run(&["export", identity, "--into", "exported"]);
    assert!(exported.succeeded, "{}", exported.err);
    let file = std::fs::read_dir(server.desk.path("exported")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    let (fields, content) = text.split_once("X-EndOfInjectedXHeaders: ").unwrap();
    assert!(
        fields.starts_with("X-Sender: <anna@contoso.example>")
            && fields.contains("\r\nX-Receiver: <clerk@partner.example>"),
        "{text}"
    );
    assert!(content.starts_with(&format!("{}\r\n", fields.len())) && content.ends_with("\r\n\r\nText\r\n"), "{text}");
    assert!(run(&["resume", identity]).succeeded);
    server.message("clerk@partner.example", "Retry");
    let nobody = run(&["remove", "--sender", "anna@contoso.example"]);
    assert!(!nobody.succeeded && nobody.out.contains("anna@contoso.example ▸ clerk@partner.example"), "{}", nobody.out);
    assert!(nobody.err.contains("add --yes"), "{}", nobody.err);
    assert!(
        run(&["remove", "--sender", "anna@contoso.example", "--without-report", "--server", "BERLIN1", "--yes"])
            .succeeded
    );
    server.until("it to be gone", || {
        let left = server.desk.done("queue --settings server.toml --server BERLIN1");
        left.contains("Nothing waits").then_some(())
    });
    let tracked = server.until("the tracking log to be written", || {
        Some(server.desk.run("track --settings server.toml --server BERLIN1 --event FAIL").out)
            .filter(|out| out.contains("FAIL"))
    });
    assert!(tracked.contains("FAIL ADMIN") && tracked.contains("clerk@partner.example"), "{tracked}");
    let audited =
        server.until("the audit log to be written", || Some(server.audited()).filter(|lines| lines.len() == 5));
    let cmdlets: Vec<&str> = audited.iter().map(|line| line[2].as_str()).collect();
    assert_eq!(cmdlets, ["Export-Message", "Suspend-Message", "Export-Message", "Resume-Message", "Remove-Message"]);
    let succeeded: Vec<&str> = audited.iter().map(|line| line[4].as_str()).collect();
    assert_eq!(succeeded, ["False", "True", "True", "True", "True"]);
    assert!(audited.iter().all(|line| line[0] == "anna" && line[1].starts_with("postroad queue ")), "{audited:?}");
    assert!(audited[4][3].starts_with("messages[\"BERLIN1\\Partner\\"), "{audited:?}");
}

#[test]
fn the_shell_does_the_same_over_settings_and_over_the_api() {
    let server = Server::start();
    server.send("clerk@partner.example");
    server.queue("Partner", "Retry");
    let api: [&str; 2] = ["--api", "./admin.sock"];
    for place in [SETTINGS, api] {
        let done = |text: &str| {
            let run = server.shell(&place, text);
            assert!(run.succeeded, "{text}: {}{}", run.out, run.err);
            run.out.trim().to_owned()
        };
        assert_eq!(done("(Get-Queue -Server BERLIN1 -Filter \"Status -eq 'Retry'\").NextHopDomain"), "Partner");
        let subject = done("Get-Queue BERLIN1\\Partner | Get-Message | % Subject");
        assert_eq!(subject, "to clerk@partner.example");
        done("Suspend-Queue BERLIN1\\Partner -Confirm:$false");
        server.queue("Partner", "Suspended");
        done("Resume-Queue BERLIN1\\Partner");
        server.queue("Partner", "Retry");
        done("Get-Message -Server BERLIN1 | Suspend-Message -Confirm:$false");
        done("Get-Message -Server BERLIN1 | % { Export-Message $_.Identity | AssembleMessage -Path message.eml }");
        assert!(server.desk.path("message.eml").exists());
        done("Get-Message -Server BERLIN1 | Resume-Message");
        std::fs::remove_file(server.desk.path("message.eml")).unwrap();
        assert_eq!(done("(Get-QueueDigest -Server BERLIN1 -GroupBy ServerName | % GroupByValue)"), "");
    }
    let refused = server.shell(&api, "Retry-Queue BERLIN1\\Submission");
    assert!(!refused.succeeded && refused.err.contains("not in Retry"), "{}", refused.err);
    let removed = server.shell(
        &api,
        "Remove-Message -Server BERLIN1 -Filter \"FromAddress -eq 'anna@contoso.example'\" -Confirm:$false",
    );
    assert!(removed.succeeded, "{}", removed.err);
    // QU-58: her report comes.
    let inbox = server.desk.path("state/mailboxes/DB1/anna/Maildir/new");
    let report = server.until("the report", || std::fs::read_dir(&inbox).ok()?.next()?.ok());
    assert!(std::fs::read_to_string(report.path()).unwrap().contains("removed by administrator"));
    let root = net::user_name(net::own_user());
    let audited =
        server.until("the audit log to be written", || Some(server.audited()).filter(|lines| lines.len() >= 12));
    assert!(audited.iter().any(|line| line[0] == "anna" && line[1] == "postroad shell: Suspend-Queue"), "{audited:?}");
    assert!(
        audited.iter().any(|line| line[0] == root && line[2] == "Remove-Message" && line[4] == "True"),
        "{audited:?}"
    );
}

#[test]
fn a_server_is_drained_to_another_and_comes_back() {
    // QU-60
    let server = Server::start();
    let run = |words: &[&str]| server.desk.run_words([&["queue", "redirect", "BERLIN1"], words, &SETTINGS].concat());
    assert!(run(&["--to", "OSLO1"]).err.contains("add --yes"));
    let refused = run(&["--to", "BERLIN1", "--yes"]);
    assert!(!refused.succeeded && refused.err.contains("BERLIN1 is this server"), "{}", refused.err);
    let redirected = run(&["--to", "OSLO1", "--yes"]);
    assert!(redirected.succeeded && redirected.out.contains("what waits goes to OSLO1"), "{}", redirected.err);
    server.send("clerk@partner.example");
    // Its own Transport takes nothing, so that it stays in the outbox.
    let log = server.desk.path("server.log");
    server.until("mail to be refused", || {
        std::fs::read_to_string(&log).unwrap().contains("mail is redirected to another server").then_some(())
    });
    assert!(run(&["--end"]).succeeded);
    server.queue("Partner", "Retry");
}
