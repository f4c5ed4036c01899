//! Runs the mail servers of the tests by hand: `cargo run -p simulator --bin mail-servers -- bot:botpw ana:anapw`.

use std::io::{Write, stdout};

use simulator::mail::MailServers;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut users: Vec<(&str, &str)> = args.iter().filter_map(|arg| arg.split_once(':')).collect();
    if users.is_empty() {
        users = vec![("bot", "botpw"), ("ana", "anapw"), ("ben", "benpw")];
    }
    let servers = MailServers::start(&users).await?;
    let mut out = stdout();
    for (name, password) in &users {
        writeln!(out, "user        {name}@{} password {password}", simulator::mail::DOMAIN)?;
    }
    let ports = servers.ports();
    writeln!(out, "imap        127.0.0.1:{} (plain, STARTTLS)", ports.imap)?;
    writeln!(out, "imaps       127.0.0.1:{}", ports.imaps)?;
    writeln!(out, "smtp        127.0.0.1:{} (plain, STARTTLS, AUTH)", ports.smtp)?;
    writeln!(out, "smtps       127.0.0.1:{}", ports.smtps)?;
    writeln!(out, "certificate {}", servers.certificate().display())?;
    writeln!(out, "Ctrl-C ends them.")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
