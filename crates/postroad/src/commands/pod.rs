//! `postroad pod`: settings and identity of each service of a pod, laid out for that service alone. The manifests of `deploy/k8s` use it.
//!
//! ```text
//!   /secrets/<service>/   ca.crt, tls.crt, tls.key, etcd/, smtp/, organization.key      mounted Secrets: root's, open to a group
//!   /template/server.toml with @SERVER@, @FOREST@, @ETCD@                               of the environment
//!        ▼
//!   /settings/<service>/  server.toml, identity/                                        what its container mounts: 0600, in memory
//! ```
//!
//! A program and no script, so that the image needs no shell; with `--follow` it goes on, so that what cert-manager or a Job renews
//! reaches services that notice renewed certificates by themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use net::Service;
use net::certificate::{ADMINISTRATOR_FOLDER, ETCD_FOLDER, write_private};
use zeroize::Zeroizing;

use super::cert::{KEY_FILE, SMTP_FOLDER};

/// A Secret that changed is seen by the kubelet after a minute or so; it is looked for as often.
const LOOK: Duration = Duration::from_secs(20);
const TEMPLATE: &str = "server.toml";

/// Arguments of `postroad pod`.
#[derive(clap::Args)]
pub(crate) struct PodArguments {
    /// Whose settings and identity: services, or `administrator` for a command.
    #[arg(required = true, value_name = "SERVICE", value_parser = whose())]
    services: Vec<String>,
    /// Go on, and lay out again what changes.
    #[arg(long, conflicts_with = "is_ready")]
    follow: bool,
    /// Say by the exit status whether everything is there.
    #[arg(long)]
    is_ready: bool,
    /// Folder with a folder for each service, of what is in its Secrets.
    #[arg(long, value_name = "FOLDER", default_value = "/secrets")]
    secrets: PathBuf,
    /// Folder of server.toml; without one only identities are laid out.
    #[arg(long, value_name = "FOLDER", default_value = "/template")]
    template: PathBuf,
    /// Folder to write to.
    #[arg(long, value_name = "FOLDER", default_value = "/settings")]
    into: PathBuf,
}

fn whose() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(Service::ALL.map(Service::as_str).into_iter().chain([ADMINISTRATOR_FOLDER]))
}

pub(crate) async fn run(arguments: &PodArguments) -> anyhow::Result<ExitCode> {
    if arguments.is_ready {
        let there = arguments.services.iter().all(|service| is_laid_out(&arguments.into.join(service), service));
        return Ok(if there { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    lay_out_all(arguments)?;
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let drain = runtime::drain_on_signals().context("cannot listen for signals")?;
    loop {
        tokio::select! {
            () = drain.cancelled() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(LOOK) => {}
        }
        // Half of a Secret, or none, is no reason to end: what is laid out stays.
        if let Err(error) = lay_out_all(arguments) {
            eprintln!("not laid out: {error:#}");
        }
    }
}

/// The last that is written of a service.
fn is_laid_out(folder: &Path, service: &str) -> bool {
    folder.join("identity").join(service).join("cert.pem").exists()
}

fn lay_out_all(arguments: &PodArguments) -> anyhow::Result<()> {
    let template = arguments.template.join(TEMPLATE);
    let settings = match fs::read_to_string(&template) {
        Ok(text) => Some(filled(&text, |name| std::env::var(name).ok())?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", template.display())),
    };
    for service in &arguments.services {
        let (from, into) = (arguments.secrets.join(service), arguments.into.join(service));
        lay_out(service, &from, &into, settings.as_deref())?;
    }
    Ok(())
}

fn lay_out(service: &str, from: &Path, into: &Path, settings: Option<&str>) -> anyhow::Result<()> {
    let identity = into.join("identity");
    let own = identity.join(service);
    if let Some(settings) = settings {
        put(&into.join(TEMPLATE), settings.as_bytes())?;
    }
    // Whom everybody believes comes first: no certificate is older than that.
    copy(&from.join("ca.crt"), &[identity.join("ca.pem"), own.join("ca.pem")])?;
    for (there, here) in [(from.join("etcd"), own.join(ETCD_FOLDER)), (from.join("smtp"), identity.join(SMTP_FOLDER))] {
        if there.join("tls.crt").exists() {
            copy_pair(&there, &here)?;
        }
    }
    if from.join(KEY_FILE).exists() {
        copy(&from.join(KEY_FILE), &[identity.join(KEY_FILE)])?;
    }
    copy_pair(from, &own)
}

/// The key first: a certificate is never there without its key.
fn copy_pair(from: &Path, into: &Path) -> anyhow::Result<()> {
    copy(&from.join("tls.key"), &[into.join("key.pem")])?;
    copy(&from.join("tls.crt"), &[into.join("cert.pem")])
}

fn copy(from: &Path, into: &[PathBuf]) -> anyhow::Result<()> {
    let content = fs::read(from).map(Zeroizing::new);
    let content = content.with_context(|| format!("cannot read {}: is its Secret there?", from.display()))?;
    into.iter().try_for_each(|path| put(path, &content))
}

/// What is the same stays: services look at files that change.
fn put(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    Ok(write_private(path, content)?)
}

/// The template with the words of the environment. Endpoints of etcd are a list with spaces between.
fn filled(template: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut text = template.to_owned();
    for name in ["SERVER", "FOREST", "ETCD"] {
        let place = format!("@{name}@");
        if !text.contains(&place) {
            continue;
        }
        let value =
            variable(name).ok_or_else(|| anyhow!("{TEMPLATE} has {place}, and the environment has no {name}"))?;
        let value = match name {
            "ETCD" => toml::Value::from(value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).to_string(),
            _ => value,
        };
        text = text.replace(&place, &value);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "SERVER" => "BERLIN1",
            "ETCD" => "https://etcd1:2379 https://etcd2:2379",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_template_gets_the_words_of_the_environment_and_misses_none() {
        let filled_in = filled("server = \"@SERVER@\"\nendpoints = @ETCD@\n", variable).unwrap();
        assert_eq!(filled_in, "server = \"BERLIN1\"\nendpoints = [\"https://etcd1:2379\", \"https://etcd2:2379\"]\n");
        assert!(filled("forest = \"@FOREST@\"", variable).unwrap_err().to_string().contains("no FOREST"));
    }

    #[test]
    fn what_is_renewed_is_laid_out_again_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("secrets"), folder.path().join("settings"));
        fs::create_dir_all(from.join("etcd")).unwrap();
        let write = |name: &str, text: &str| fs::write(from.join(name), text).unwrap();
        for name in ["ca.crt", "tls.crt", "tls.key", "etcd/tls.crt", "etcd/tls.key", "organization.key"] {
            write(name, name);
        }
        lay_out("transport", &from, &into, Some("server = \"A\"\n")).unwrap();
        assert!(is_laid_out(&into, "transport") && !into.join("identity/smtp").exists());
        write("tls.crt", "renewed");
        lay_out("transport", &from, &into, Some("server = \"A\"\n")).unwrap();
        let laid = |name: &str| into.join(name);
        assert_eq!(fs::read_to_string(laid("identity/transport/cert.pem")).unwrap(), "renewed");
        for name in [
            "server.toml",
            "identity/ca.pem",
            "identity/transport/ca.pem",
            "identity/transport/key.pem",
            "identity/transport/etcd/key.pem",
            "identity/organization.key",
        ] {
            assert_eq!(laid(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        fs::remove_file(from.join("tls.key")).unwrap();
        let missing = lay_out("transport", &from, &into, None).unwrap_err().to_string();
        assert!(missing.contains("is its Secret there?"), "{missing}");
    }
}
