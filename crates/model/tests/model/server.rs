//! A server that says what it is told, byte for byte: also what no sound HTTP server would.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

/// One thing the server does.
#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    Wait(Duration),
}

/// What a client sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A server with an answer for each request to come; a further one gets status 418.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) async fn start(answers: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut answers = VecDeque::from(answers);
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.pop_front().unwrap_or_else(|| status(418, "", "no answer left"));
                tokio::spawn(answer_one(stream, answer, Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer_one(mut stream: TcpStream, answer: Vec<Act>, seen: Arc<Mutex<Vec<Request>>>) {
    let Some(request) = read(&mut stream).await else { return };
    stream.set_nodelay(true).unwrap();
    seen.lock().unwrap().push(request);
    for act in answer {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
                let _ = stream.flush().await;
            }
            Act::Wait(Duration::ZERO) => tokio::task::yield_now().await,
            Act::Wait(time) => time::sleep(time).await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0_usize) {
            return Some(Request { head: head.to_owned(), body: serde_json::from_str(body).unwrap() });
        }
    }
}

/// A whole response.
pub(crate) fn status(status: u16, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    vec![Act::Send(text.into_bytes())]
}

/// A whole response with status 200.
pub(crate) fn json(body: &str) -> Vec<Act> {
    status(200, "", body)
}

/// The head of a stream of events that ends where the connection does.
pub(crate) fn stream_head() -> Act {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";
    Act::Send(head.as_bytes().to_vec())
}

/// A stream of events.
pub(crate) fn stream(events: &str) -> Vec<Act> {
    vec![stream_head(), Act::Send(events.as_bytes().to_vec())]
}

/// A stream of events in pieces of so many bytes, with CRLF line ends.
pub(crate) fn stream_cut(events: &str, size: usize) -> Vec<Act> {
    let events = events.replace('\n', "\r\n");
    let pieces = events
        .as_bytes()
        .chunks(size)
        .flat_map(|piece| [Act::Send(piece.to_vec()), Act::Wait(Duration::ZERO)]);
    [stream_head()].into_iter().chain(pieces).collect()
}
