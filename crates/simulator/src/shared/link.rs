//! The server's end of web sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
        protocol::CloseFrame,
    },
};

/// How long the app may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a socket is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Send a text frame.
    Text(String),
    /// Send a close frame, with a code and a reason or without, and end.
    Close(Option<(u16, String)>),
    /// Neither send nor read any more, and keep the connection.
    Ghost,
    /// End without a word.
    Cut,
}

/// Tells a socket what to do.
pub(crate) type Orders = mpsc::UnboundedSender<Order>;

/// Who talks over the sockets.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Whether nobody is there.
    fn away(&self) -> bool;

    /// Whether a connection with this query may be made.
    fn admit(&self, query: &str) -> bool;

    /// Takes a new connection up; gives its number.
    fn join(&self, orders: Orders) -> u64;

    /// A text frame came in.
    fn hear(&self, id: u64, text: &str);

    /// A connection is gone; with the code that the app closed it with, if it did.
    fn leave(&self, id: u64, code: Option<u16>);

    /// How often, and with which words, the app is pinged.
    fn pings(&self) -> Option<(Duration, &'static str)>;

    /// Runs a task that ends with the simulator.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Accepts connections until the simulator ends.
pub(crate) async fn listen(listener: TcpListener, peer: impl Peer) {
    while let Ok((stream, _)) = listener.accept().await {
        if !peer.away() {
            let serving = peer.clone();
            peer.spawn(async move { serve(stream, serving).await });
        }
    }
}

async fn serve(stream: TcpStream, peer: impl Peer) {
    // A refusal is a whole HTTP response, and belongs to the library's signature.
    #[expect(clippy::result_large_err, reason = "the callback's type is given by the library")]
    let admit = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if peer.admit(request.uri().query().unwrap_or_default()) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("not_authed".to_owned()));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        Err(refusal)
    };
    // Small frames go at once, as from a server far away.
    let _ = stream.set_nodelay(true);
    let Ok(stream) = accept_hdr_async(stream, admit).await else { return };
    let (orders, inbox) = mpsc::unbounded_channel();
    let id = peer.join(orders);
    let code = talk(stream, inbox, id, &peer).await;
    peer.leave(id, code);
}

async fn talk(
    mut stream: WebSocketStream<TcpStream>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    id: u64,
    peer: &impl Peer,
) -> Option<u16> {
    let pings = peer.pings();
    let every = pings.map_or(Duration::from_secs(3600), |(every, _)| every);
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Text(text)) => {
                    if stream.send(Message::text(text)).await.is_err() {
                        return None;
                    }
                }
                Some(Order::Close(why)) => {
                    let _ = tokio::time::timeout(GOODBYE, goodbye(&mut stream, why)).await;
                    return None;
                }
                Some(Order::Ghost) => {
                    haunt(stream, inbox).await;
                    return None;
                }
                Some(Order::Cut) | None => return None,
            },
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(text))) => peer.hear(id, &text),
                Some(Ok(
                    Message::Binary(_)
                    | Message::Ping(_)
                    | Message::Pong(_)
                    | Message::Frame(_)
                )) => {}
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Err(_)) | None => return None,
            },
            _ = ticks.tick() => if let Some((_, words)) = pings {
                let ping = Message::Ping(format!("{words}{id}").into_bytes().into());
                if stream.send(ping).await.is_err() {
                    return None;
                }
            }
        }
    }
}

async fn goodbye(stream: &mut WebSocketStream<TcpStream>, why: Option<(u16, String)>) {
    let frame = why.map(|(code, reason)| CloseFrame { code: code.into(), reason: reason.into() });
    if stream.close(frame).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}

/// The connection stays, and nothing that arrives is looked at: not even a ping is answered.
async fn haunt(mut stream: WebSocketStream<TcpStream>, mut inbox: mpsc::UnboundedReceiver<Order>) {
    let mut ignored = [0; 4096];
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Cut) | None => return,
                Some(Order::Text(_) | Order::Close(_) | Order::Ghost) => {}
            },
            read = stream.get_mut().read(&mut ignored) => if !matches!(read, Ok(count) if count > 0) {
                return;
            },
        }
    }
}
