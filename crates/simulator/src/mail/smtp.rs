//! The little SMTP that a test needs to deliver a message exactly as written.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::Error;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn deliver(
    port: u16,
    login: Option<(&str, &str)>,
    from: &str,
    to: &str,
    message: &[u8],
) -> Result<(), Error> {
    let talk = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut talk = Talk { stream: BufReader::new(stream) };
        talk.expect("the connection", '2').await?;
        talk.say("EHLO client.test", '2').await?;
        if let Some((user, password)) = login {
            let token = base64(format!("\0{user}\0{password}").as_bytes());
            talk.say(&format!("AUTH PLAIN {token}"), '2').await?;
        }
        talk.say(&format!("MAIL FROM:<{from}>"), '2').await?;
        talk.say(&format!("RCPT TO:<{to}>"), '2').await?;
        talk.say("DATA", '3').await?;
        talk.stream.write_all(&dotted(message)).await?;
        talk.say(".", '2').await?;
        talk.say("QUIT", '2').await
    };
    match tokio::time::timeout(TIMEOUT, talk).await {
        Ok(result) => result,
        Err(_) => Err(Error::Smtp { step: "the dialogue".into(), answer: "nothing in time".into() }),
    }
}

struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    async fn say(&mut self, command: &str, wanted: char) -> Result<(), Error> {
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let step = command.split([':', ' ']).next().unwrap_or_default();
        self.expect(step, wanted).await
    }

    /// Reads an answer, all lines of it; the first digit says whether it is the wanted one.
    async fn expect(&mut self, step: &str, wanted: char) -> Result<(), Error> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            let more = line.as_bytes().get(3) == Some(&b'-');
            if !line.starts_with(wanted) {
                return Err(Error::Smtp { step: step.to_owned(), answer: line.trim().to_owned() });
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Lines end in CRLF, and a dot at the start of one is doubled.
fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if bare.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(bare);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_usize, |group, byte| (group << 8) | usize::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place)) & 63];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_a_login() {
        for (text, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\0ana\0pw", "AGFuYQBwdw==")]
        {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn doubles_dots_and_ends_lines() {
        assert_eq!(dotted(b"a\n.b\r\n..\nend"), b"a\r\n..b\r\n...\r\nend\r\n");
    }
}
