//! A real OpenID Connect provider as a process: Glewlwyd of Debian, unpacked by `make test-packages` and not installed.
//!
//! It listens on loopback on a free port, without TLS, keeps its data in a temporary folder, and is killed when it is dropped. People
//! sign in in a browser; the page for it is the test's, because Glewlwyd's own needs a dozen packages of scripts, and asks what that
//! asks. Files and passwords are of the test alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::etcd::distinct_ports;
use crate::wait::stall;

/// The client's secret.
pub const CLIENT_SECRET: &str = "battery-staple";
/// The client.
pub const CLIENT: &str = "postroad";
/// Somebody of the groups `staff` and `mail-admins`, with this password.
pub const PERSON: &str = "olga";
/// Somebody of the group `staff`, with the same password.
pub const OTHER: &str = "paul";
/// The password of both.
pub const PASSWORD: &str = "horse-battery";
/// How often it is asked whether it listens, and how often at most.
const CONNECT_EVERY: Duration = Duration::from_millis(20);
const CONNECTS_MAX: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(30);
const ADMINISTRATOR: (&str, &str) = ("admin", "password");

/// Where Glewlwyd sends who has to sign in: name and password, then that this client may know him, then back to what was asked.
const SIGN_IN: &str = r#"<!DOCTYPE html><title>Sign in at the provider</title>
<form><input name="username" autocomplete="username"><input name="password" type="password" autocomplete="current-password"><button>Sign in</button></form><p id="said"></p>
<script>
document.forms[0].onsubmit = async event => {
    event.preventDefault();
    const query = new URLSearchParams(location.search), form = new FormData(event.target);
    const ask = (method, path, body) => fetch("/api" + path,
        {method, headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
    const known = await ask("POST", "/auth", Object.fromEntries(form));
    if (!known.ok) return void (document.getElementById("said").textContent = "no");
    await ask("PUT", "/auth/grant/" + query.get("client_id"), {scope: query.get("scope")});
    location = query.get("callback_url") + "&g_continue";
};
</script>
"#;

/// A running, or stopped, provider.
#[derive(Debug)]
pub struct OidcProvider {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    session: String,
}

fn tree() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/glewlwyd/tree")).to_owned()
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl OidcProvider {
    /// Starts one that knows [`CLIENT`], which may lead people back to `redirect`, and two people.
    ///
    /// # Panics
    /// When it is not unpacked on this machine, or does not start.
    #[must_use]
    pub fn start(redirect: &str) -> Self {
        assert!(tree().exists(), "there is no {}; `make test-packages` unpacks it", tree().display());
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let port = distinct_ports(1)[0].0;
        let mut provider = Self { child: None, folder, port, session: String::new() };
        provider.write_files();
        provider.run();
        let (username, password) = ADMINISTRATOR;
        provider.session = provider.call("POST", "/auth", &json!({"username": username, "password": password})).1;
        provider.set_up(redirect);
        provider
    }

    /// Its name for itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://localhost:{}/api/oidc", self.port)
    }

    /// Ends it; it can be started again.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// Starts it again, with what it knew.
    ///
    /// # Panics
    /// When it does not start.
    pub fn run(&mut self) {
        let libraries = format!("{0}/usr/lib/x86_64-linux-gnu:{0}/lib/x86_64-linux-gnu", tree().display());
        let mut command = Command::new(tree().join("usr/bin/glewlwyd"));
        command.arg(format!("--config-file={}", self.path("settings").display())).env("LD_LIBRARY_PATH", libraries);
        let log = std::fs::File::create(self.path("log")).expect("the folder can be written to");
        let errors = log.try_clone().expect("a file can be opened twice");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("glewlwyd can be started");
        self.child = Some(child);
        for _ in 0..CONNECTS_MAX {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            stall(CONNECT_EVERY);
        }
        panic!("glewlwyd does not answer: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    /// Signs by another key from now on, and publishes that alone.
    pub fn new_key(&self) {
        self.plugin("PUT", "/mod/plugin/oidc");
        self.call("PUT", "/mod/plugin/oidc/reset", &Value::Null);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let share = tree().join("usr/share");
        let schema = share.join("dbconfig-common/data/glewlwyd/install/sqlite3");
        let make = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";
        done(Command::new("python3").args(["-c", make]).arg(self.path("db")).arg(schema));
        std::fs::create_dir(self.path("pages")).expect("the folder can be written to");
        std::fs::write(self.path("pages/login.html"), SIGN_IN).expect("the folder can be written to");
        let modules = tree().join("usr/lib/glewlwyd");
        let text = format!(
            "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"http://localhost:{port}\"\nlogin_url=\"login.html\"\napi_prefix=\"api\"\n\
             static_files_path=\"{pages}\"\nlog_mode=\"console\"\nlog_level=\"INFO\"\ncookie_domain=\"localhost\"\ncookie_secure=0\n\
             session_expiration=2419200\nsession_key=\"SESSION\"\nadmin_scope=\"g_admin\"\nprofile_scope=\"g_profile\"\n\
             user_module_path=\"{modules}/user\"\nuser_middleware_module_path=\"{modules}/user_middleware\"\n\
             client_module_path=\"{modules}/client\"\nuser_auth_scheme_module_path=\"{modules}/scheme\"\n\
             plugin_module_path=\"{modules}/plugin\"\nhash_algorithm=\"SHA512\"\n\
             database = {{ type = \"sqlite3\" path = \"{db}\" }};\nstatic_files_mime_types = \
             ({{ extension = \".html\" mime_type = \"text/html\" compress = 0 }})\n",
            port = self.port,
            pages = self.path("pages").display(),
            db = self.path("db").display(),
            modules = modules.display(),
        );
        std::fs::write(self.path("settings"), text).expect("the folder can be written to");
    }

    fn set_up(&self, redirect: &str) {
        let groups = json!({"groups": {"multiple": true, "read": true, "write": true}});
        let people = json!({
            "module": "database", "name": "database", "display_name": "people", "readonly": false, "order_rank": 0,
            "multiple_passwords": false, "parameters": {"use-glewlwyd-connection": true, "data-format": groups},
        });
        self.call("PUT", "/mod/user/database", &people);
        self.call("PUT", "/mod/user/database/reset", &Value::Null);
        self.plugin("POST", "/mod/plugin");
        // Who signs in says his password, as long ago as a client wants it at most.
        let scope = json!({"display_name": "openid", "password_required": true, "password_max_age": 600, "scheme": {}});
        self.call("PUT", "/scope/openid", &scope);
        for (name, groups) in [(PERSON, &["staff", "mail-admins"][..]), (OTHER, &["staff"])] {
            let person = json!({
                "username": name, "password": PASSWORD, "name": name, "email": "", "enabled": true,
                "scope": ["openid"], "groups": groups,
            });
            self.call("POST", "/user", &person);
        }
        let client = json!({
            "client_id": CLIENT, "name": CLIENT, "enabled": true, "confidential": true, "client_secret": CLIENT_SECRET,
            "redirect_uri": [redirect], "authorization_type": ["code"], "scope": ["openid"],
            "token_endpoint_auth_method": ["client_secret_basic"],
        });
        self.call("POST", "/client", &client);
    }

    /// The provider itself, with a new key (RS256).
    fn plugin(&self, method: &str, path: &str) {
        let key = done(Command::new("openssl").args(["genrsa", "2048"]));
        std::fs::write(self.path("key.pem"), &key).expect("the folder can be written to");
        let public = done(Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(self.path("key.pem")));
        let claim = |name: &str, of: &str| json!({"name": name, "type": "string", "user-property": of, "mandatory": true, "on-demand": false});
        let plugin = json!({
            "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": true,
            "parameters": {
                "iss": self.issuer(), "jwt-type": "rsa", "jwt-key-size": "256", "key": key, "cert": public,
                "access-token-duration": 3600, "refresh-token-duration": 1_209_600, "code-duration": 600,
                "refresh-token-rolling": false, "allow-non-oidc": false, "auth-type-code-enabled": true,
                "auth-type-token-enabled": false, "auth-type-id-token-enabled": true, "auth-type-password-enabled": false,
                "auth-type-client-enabled": false, "auth-type-refresh-enabled": false, "pkce-allowed": true,
                "pkce-method-plain-allowed": false, "jwks-show": true, "oauth-as-iss-id": true, "subject-type": "public",
                "session-management-allowed": true, "session-cookie-name": "OIDC_SID",
                "session-cookie-expiration": 2_419_200, "name-claim": "no", "email-claim": "no", "scope-claim": "no",
                "claims": [claim("groups", "groups"), claim("preferred_username", "username")],
            },
        });
        self.call(method, path, &plugin);
    }

    /// Its own interface: what it answers, and the session that it begins.
    fn call(&self, method: &str, path: &str, body: &Value) -> (String, String) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("glewlwyd listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let asked = format!(
            "{method} /api{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nCookie: SESSION={}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.session,
            body.len()
        );
        socket.write_all(asked.as_bytes()).expect("glewlwyd listens");
        let mut reader = BufReader::new(socket);
        let (mut status, mut session) = (String::new(), String::new());
        reader.read_line(&mut status).expect("glewlwyd answers");
        for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
            if let Some(value) = line.strip_prefix("Set-Cookie: SESSION=") {
                session = value.split(';').next().unwrap_or_default().to_owned();
            }
        }
        let mut answer = String::new();
        reader.read_to_string(&mut answer).expect("glewlwyd answers");
        assert!(status.contains(" 200 "), "{method} {path}: {status}{answer}");
        (answer, session)
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        self.stop();
    }
}
