//! Just enough HTTP to measure the page: one connection, requests one after the other, and one stream of events.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::shell::Told;

/// How long anything may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the page ever sends.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection to the page on this port of this machine.
pub(crate) struct Page {
    stream: BufReader<TcpStream>,
    port: u16,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Page {
    /// Connects; an error while nothing listens.
    pub(crate) fn connect(port: u16) -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), port })
    }

    /// One request and its whole answer. With a body it is a POST of JSON, as the page itself sends it.
    pub(crate) fn ask(&mut self, path: &str, body: Option<&str>) -> Told<Answer> {
        self.send(path, body).map_err(|error| told(path, &error))?;
        self.receive().map_err(|error| told(path, &error))
    }

    /// Asks for a stream of events, to be read with [`Self::until`].
    pub(crate) fn follow(&mut self, path: &str) -> Told<()> {
        self.send(path, None).map_err(|error| told(path, &error))
    }

    /// Reads the stream up to the first line that holds this text.
    pub(crate) fn until(&mut self, text: &str) -> Told<()> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.stream.read_line(&mut line) {
                Ok(0) => return Err(format!("the stream ended before `{text}` came")),
                Ok(_) if line.contains(text) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(told("the stream", &error)),
            }
        }
    }

    fn send(&mut self, path: &str, body: Option<&str>) -> std::io::Result<()> {
        let host = format!("127.0.0.1:{}", self.port);
        let request = match body {
            None => format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            Some(body) => format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn receive(&mut self) -> std::io::Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut length = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0).min(BODY_BYTES_MAX);
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn told(what: &str, error: &std::io::Error) -> String {
    format!("{what}: {error}")
}
