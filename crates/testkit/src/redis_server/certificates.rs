//! Certificates for a server's TLS.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// An authority that nobody knows, and what it says of a server at `localhost` and 127.0.0.1.
#[derive(Debug)]
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    /// Where there is no `openssl`, with what to do about it.
    #[expect(clippy::new_without_default, reason = "to make them takes a program and a while")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let is_authority = ["-addext", "basicConstraints=critical,CA:TRUE"];
        make(folder.path(), "ca", &[&is_authority[..], &["-subj", "/CN=an authority"]].concat());
        let of_a_server = [
            ["-CA", "ca.pem"],
            ["-CAkey", "ca.key"],
            ["-subj", "/CN=a server"],
            ["-addext", "basicConstraints=critical,CA:FALSE"],
            ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        ];
        make(folder.path(), "server", &of_a_server.concat());
        Self(folder)
    }

    /// The file with the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// What a server is started with to show them, and to use them toward others.
    pub(super) fn arguments(&self) -> Vec<String> {
        let file = |name: &str| self.0.path().join(name).display().to_string();
        [
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", "no".to_owned()),
            ("--tls-replication", "yes".to_owned()),
        ]
        .map(|(name, value)| [name.to_owned(), value])
        .concat()
    }
}

fn make(folder: &Path, name: &str, more: &[&str]) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("openssl; `cargo xtask setup` installs what the tests need");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
