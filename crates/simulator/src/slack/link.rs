//! The WebSocket end of Socket Mode.

use std::{sync::Arc, time::Duration};

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
    },
};

use super::{shared::Shared, sockets::Order};

/// How long the app may take to answer a close frame.
const GOODBYE: Duration = Duration::from_secs(1);

/// Accepts connections until the simulator ends.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let away = shared.with(|world| world.settings.away);
        if !away {
            let serving = Arc::clone(&shared);
            shared.spawn(async move { serve(stream, serving).await });
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A refusal is a whole HTTP response, and belongs to the library's signature.
    #[expect(clippy::result_large_err, reason = "the callback's type is given by the library")]
    let admit = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let query = request.uri().query().unwrap_or_default();
        let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
        if shared.with(|world| world.sockets.admit(&ticket.map(|(_, value)| value).unwrap_or_default())) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("not_authed".to_owned()));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        Err(refusal)
    };
    let Ok(stream) = accept_hdr_async(stream, admit).await else { return };
    let (orders, inbox) = mpsc::unbounded_channel();
    let id = shared.with(|world| world.join_socket(orders));
    talk(stream, inbox, id, &shared).await;
    shared.with(|world| world.leave_socket(id));
}

async fn talk(
    mut stream: WebSocketStream<TcpStream>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    id: u64,
    shared: &Arc<Shared>,
) {
    let every = shared.with(|world| world.settings.ping_every);
    let mut pings = tokio::time::interval(every.max(Duration::from_millis(1)));
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Text(text)) => {
                    if stream.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Order::Close) => {
                    let _ = tokio::time::timeout(GOODBYE, goodbye(&mut stream)).await;
                    return;
                }
                Some(Order::Ghost) => {
                    haunt(stream, inbox).await;
                    return;
                }
                Some(Order::Cut) | None => return,
            },
            frame = stream.next() => match frame {
                Some(Ok(Message::Text(text))) => shared.with(|world| world.hear_socket(id, &text)),
                Some(Ok(
                    Message::Binary(_)
                    | Message::Ping(_)
                    | Message::Pong(_)
                    | Message::Frame(_)
                )) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = pings.tick() => {
                let ping = Message::Ping(format!("Ping from applink-{id}").into_bytes().into());
                if stream.send(ping).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn goodbye(stream: &mut WebSocketStream<TcpStream>) {
    if stream.close(None).await.is_ok() {
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
                Some(Order::Text(_) | Order::Close | Order::Ghost) => {}
            },
            read = stream.get_mut().read(&mut ignored) => if !matches!(read, Ok(count) if count > 0) {
                return;
            },
        }
    }
}
