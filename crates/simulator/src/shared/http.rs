//! The HTTP server: requests that are read to their end, and answers.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// An answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

/// A request that was read to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token after this word in the header `authorization`.
    pub(crate) fn token(&self, scheme: &str) -> Option<String> {
        let value = self.header("authorization")?.strip_prefix(scheme)?;
        value.starts_with(' ').then(|| value.trim().to_owned())
    }
}

/// Who answers requests.
pub(crate) trait Serves: Clone + Send + Sync + 'static {
    /// Answers one.
    fn answer(self, call: Call) -> impl Future<Output = Result<Reply, Cut>> + Send;

    /// Runs a task that ends with the simulator.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Serves until the simulator ends.
pub(crate) async fn listen(listener: TcpListener, serving: impl Serves) {
    while let Ok((stream, _)) = listener.accept().await {
        let server = serving.clone();
        serving.spawn(async move {
            let service = service_fn(|request| take(request, server.clone()));
            // A connection that fails was cut by a fault, or by the other side.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn take(request: Request<Incoming>, server: impl Serves) -> Result<Reply, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: content_type.unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    server.answer(call).await
}

/// An answer with a body.
pub(crate) fn reply(status: u16, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    if let Ok(status) = hyper::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    set(&mut response, "content-type", content_type);
    response
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &Value) -> Reply {
    reply(status, "application/json; charset=utf-8", body.to_string())
}

/// Sets a header, if the value can be one.
pub(crate) fn set(response: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = hyper::header::HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
