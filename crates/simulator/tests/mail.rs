//! The mail servers do what the tests of others rest on.

use std::time::Duration;

use simulator::mail::{Error, MailServers};

const SOON: Duration = Duration::from_secs(10);

fn message(from: &str, subject: &str, more: &str) -> Vec<u8> {
    format!("From: {from}\r\nTo: bot@mail.test\r\nSubject: {subject}\r\n{more}\r\n.hello\r\n").into_bytes()
}

fn about<'a>(subject: &'a str) -> impl Fn(&[u8]) -> bool + 'a {
    move |raw| String::from_utf8_lossy(raw).contains(&format!("Subject: {subject}\n"))
}

/// The lines above the first `Received`, joined: the part that only our own server wrote.
fn top(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw).into_owned();
    let Some((top, _)) = text.split_once("\nReceived:") else {
        panic!("there is no Received line in {text}")
    };
    top.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_judged_and_delivered() -> Result<(), Error> {
    let servers = MailServers::start(&[("bot", "botpw"), ("ana", "anapw")]).await?;
    let forged = "Authentication-Results: mail.test; dmarc=pass header.from=mail.test\r\n";

    servers.deliver_as("ana", "bot@mail.test", &message("Ana <ana@mail.test>", "own", "")).await?;
    servers.deliver("ana@mail.test", "bot+x@mail.test", &message("ana@mail.test", "forged", forged)).await?;
    servers.deliver_as("ana", "bot@mail.test", &message("bot@mail.test", "as another", "")).await?;
    servers.deliver("", "bot@mail.test", &message("joe@else.test", "elsewhere", forged)).await?;
    let two = message("ana@mail.test\r\nFrom: joe@else.test", "two", "");
    servers.deliver_as("ana", "bot@mail.test", &two).await?;

    let own = servers.wait_for("bot", about("own"), SOON).await?;
    assert!(
        top(&own).contains("dmarc=pass (p=reject) header.from=mail.test"),
        "{}",
        String::from_utf8_lossy(&own)
    );
    assert!(String::from_utf8_lossy(&own).ends_with("\n.hello\n"));
    let forged = servers.wait_for("bot", about("forged"), SOON).await?;
    assert!(top(&forged).contains("dmarc=fail"), "{}", String::from_utf8_lossy(&forged));
    assert!(!top(&forged).contains("dmarc=pass"));
    assert!(String::from_utf8_lossy(&forged).contains("dmarc=pass"), "the forged line was stripped");
    let another = servers.wait_for("bot", about("as another"), SOON).await?;
    assert!(top(&another).contains("dmarc=fail"));
    let elsewhere = servers.wait_for("bot", about("elsewhere"), SOON).await?;
    assert!(top(&elsewhere).contains("dmarc=none header.from=else.test"), "{}", top(&elsewhere));
    let two = servers.wait_for("bot", about("two"), SOON).await?;
    assert!(!top(&two).contains("dmarc=pass"), "{}", top(&two));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_bounces_and_a_wrong_password_is_refused() -> Result<(), Error> {
    let servers = MailServers::start(&[("bot", "botpw")]).await?;
    servers.deliver_as("bot", "nobody@mail.test", &message("bot@mail.test", "lost", "")).await?;
    let bounce = servers
        .wait_for("bot", |raw| String::from_utf8_lossy(raw).contains("multipart/report"), SOON)
        .await?;
    assert!(String::from_utf8_lossy(&bounce).contains("message/delivery-status"));
    assert!(matches!(servers.deliver_as("eve", "bot@mail.test", b"x").await, Err(Error::User(_))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_stop_and_leave_nothing() -> Result<(), Error> {
    let first = MailServers::start(&[("bot", "botpw")]).await?;
    let second = MailServers::start(&[("bot", "botpw")]).await?;
    assert_ne!(first.ports(), second.ports());
    let folder = first.certificate().parent().expect("a folder").to_owned();
    let port = first.ports().imap;
    assert!(folder.exists());
    drop(first);
    assert!(!folder.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(std::net::TcpStream::connect(("127.0.0.1", second.ports().imap)).is_ok());
    Ok(())
}
