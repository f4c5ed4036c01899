//! What the tests need from the machine, and how it gets there.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::shell::{Told, first_line, run, say};

/// Something that must be on the machine.
#[derive(Debug)]
struct Need {
    /// The Debian package that brings it.
    package: &'static str,
    /// Where it may be; one of them is enough.
    any_of: &'static [&'static str],
    /// What for.
    purpose: &'static str,
}

/// Everything. What the tests use beside this (`sh`, `awk`, `setpriv`, a C compiler) is on a machine that builds Rust.
const NEEDS: &[Need] = &[
    Need {
        package: "ca-certificates",
        any_of: &[
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/cert.pem",
        ],
        purpose: "the certificates that a TLS client starts from",
    },
    Need {
        package: "chromium",
        any_of: &["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
        purpose: "the browser that opens the page",
    },
    Need {
        package: "chromium-driver",
        any_of: &["/usr/bin/chromedriver", "/usr/lib/chromium-browser/chromedriver"],
        purpose: "drives the browser",
    },
    Need {
        package: "dovecot-imapd",
        any_of: &["/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap"],
        purpose: "the IMAP server that mail is read from",
    },
    Need {
        package: "dovecot-lmtpd",
        any_of: &["/usr/lib/dovecot/lmtp", "/usr/libexec/dovecot/lmtp"],
        purpose: "puts mail into the mailboxes",
    },
    Need {
        package: "exim4-daemon-light",
        any_of: &["/usr/sbin/exim4"],
        purpose: "the mail server (SMTP) that mail is sent through",
    },
    Need {
        package: "openssl",
        any_of: &["/usr/bin/openssl"],
        purpose: "makes the certificates of the mail servers and of Redis",
    },
    Need {
        package: "python3-venv",
        any_of: &[
            "/usr/lib/python3.11/ensurepip/__init__.py",
            "/usr/lib/python3.12/ensurepip/__init__.py",
            "/usr/lib/python3.13/ensurepip/__init__.py",
            "/usr/lib/python3.14/ensurepip/__init__.py",
        ],
        purpose: "installs the client that the simulated Discord is proven honest with",
    },
    Need {
        package: "redis-server",
        any_of: &["/usr/bin/redis-server", "/usr/local/bin/redis-server"],
        purpose: "the servers that the store on Redis is proven with",
    },
];

/// Installs as root. Debian starts a service when its package is installed, unless this one file says no; the tests
/// start servers of their own, so nothing may be left running, now or after the next boot.
const INSTALL: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi
apt-get update -qq
apt-get install --yes --quiet --no-install-recommends --no-remove "$@"
if [ -d /run/systemd/system ]; then
    for package in "$@"; do
        case "$package" in
        dovecot-*) systemctl disable --now dovecot.service dovecot.socket 2>/dev/null || true ;;
        redis-*) systemctl disable --now redis-server.service 2>/dev/null || true ;;
        exim4-*) systemctl disable --now exim4.service exim4-base.timer 2>/dev/null || true ;;
        esac
    done
fi
"#;

/// Sees to it that everything is there.
pub(crate) fn set_up() -> Told<()> {
    let missing = missing();
    if missing.is_empty() {
        say("everything that the tests need is installed");
        return Ok(());
    }
    for need in &missing {
        say(&format!("missing: {} ({})", need.package, need.purpose));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "this is no Debian (there is no apt-get), so nothing can be installed from here. Install what is missing \
             with your system's own package manager; what it is called on Debian:\n    {by_hand}\nLooked for:\n{}",
            places(&missing)
        ));
    }
    let Some(mut root) = as_root() else {
        return Err(format!(
            "to install what is missing takes root, and `sudo -n` does not work here without a password. Run this, and \
             then the same command again:\n    sudo {by_hand}"
        ));
    };
    say(&format!("installing: {}", packages.join(" ")));
    root.args(["sh", "-c", INSTALL, "install"]).args(&packages).stdin(Stdio::null());
    run(&mut root).map_err(|_| {
        format!(
            "the packages could not be installed (see above). If another mail server is on this machine, apt was not \
             allowed to remove it for exim4: run the tests elsewhere, or in a container. By hand:\n    {by_hand}"
        )
    })?;
    let still = self::missing();
    if still.is_empty() {
        return Ok(());
    }
    Err(format!("after the installation this is still not where it was looked for:\n{}", places(&still)))
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.any_of.iter().any(|place| Path::new(place).exists())).collect()
}

fn places(needs: &[&Need]) -> String {
    let line = |need: &&Need| format!("    {}: {}", need.package, need.any_of.join(" or "));
    needs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A command to which a program that runs as root is added; nothing where one cannot become root without being asked.
fn as_root() -> Option<Command> {
    let is_root = first_line(Command::new("id").arg("-u"))? == "0";
    if is_root {
        return Some(Command::new("env"));
    }
    let mut sudo = Command::new("sudo");
    let asks_nothing = sudo.args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    if !asks_nothing.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "env"]);
    Some(sudo)
}
