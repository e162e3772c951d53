//! An authority of the outside world, made by OpenSSL, that publishes whom it has revoked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support;

/// One authority. Its files are gone when it is dropped.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    published: Arc<Mutex<Option<Vec<u8>>>>,
    asked: Arc<AtomicUsize>,
    address: SocketAddr,
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("tests need openssl: `make test-packages`");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::Builder::new().permissions(support::readable()).tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = Self { folder, published: Arc::default(), asked: Arc::default(), address };
        let (published, asked) = (Arc::clone(&authority.published), Arc::clone(&authority.asked));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let read = socket.read(&mut request).await.unwrap();
                let body = published.lock().unwrap().clone();
                asked.fetch_add(usize::from(read > 0), Ordering::Relaxed);
                let state = if body.is_some() { "200 OK" } else { "404 Not Found" };
                let body = body.unwrap_or_default();
                let head = format!("HTTP/1.1 {state}\r\nContent-Length: {}\r\n\r\n", body.len());
                // Whoever asked may have gone.
                let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        let here = authority.folder.path();
        let config = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\ndefault_md = sha256\ncrlnumber = number\n\
                      default_crl_days = 1\n";
        for (name, text) in [("index", ""), ("number", "01\n"), ("ca.cnf", config)] {
            std::fs::write(here.join(name), text).unwrap();
        }
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(here, &[&new[..], &["-subj", "/CN=Outside authority", "-days", "3"]].concat());
        authority
    }

    /// Whom to trust for what it certifies.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A file with a key and a certificate for these names, which says where revocations are published.
    pub(crate) fn certify(&self, name: &str, names: &[&str]) -> PathBuf {
        let here = self.folder.path();
        let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        let extensions =
            format!("subjectAltName = {}\ncrlDistributionPoints = URI:http://{}/list\n", names.join(","), self.address);
        std::fs::write(here.join("extensions"), extensions).unwrap();
        let file = |kind: &str| format!("{name}.{kind}");
        let (key, request, certificate) = (file("key"), file("csr"), file("crt"));
        openssl(
            here,
            &["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", "/CN=x"],
        );
        let signing = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
        let of = ["-extfile", "extensions", "-in", &request, "-out", &certificate];
        openssl(here, &[&signing[..], &of].concat());
        let all = [&key, &certificate].map(|file| std::fs::read_to_string(here.join(file)).unwrap()).concat();
        std::fs::write(here.join(file("pem")), all).unwrap();
        here.join(file("pem"))
    }

    /// Takes back what it certified under this name.
    pub(crate) fn revoke(&self, name: &str) {
        let of = ["ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-revoke"];
        openssl(self.folder.path(), &[&of[..], &[&format!("{name}.crt")]].concat());
    }

    /// Publishes its list as it is now.
    pub(crate) fn publish(&self) {
        let here = self.folder.path();
        let of = ["ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl", "-out", "list.pem"];
        openssl(here, &of);
        openssl(here, &["crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der"]);
        *self.published.lock().unwrap() = Some(std::fs::read(here.join("list.der")).unwrap());
    }

    /// How often somebody asked for it.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
