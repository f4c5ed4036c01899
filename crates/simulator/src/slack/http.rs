//! The HTTP server: the Web API, files, response URLs, the control, the page.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{api, files, hooks, shared::Shared, sim};

const PAGE: &str = include_str!("page.html");

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
    pub(crate) bearer: Option<String>,
    pub(crate) body: Bytes,
}

/// Serves until the simulator ends.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let serving = Arc::clone(&shared);
        shared.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&serving)));
            // A connection that fails was cut by a fault, or by the other side.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Reply, Cut> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").unwrap_or_default();
    let bearer = authorization.strip_prefix("Bearer ").map(|token| token.trim().to_owned());
    let content_type = header("content-type").unwrap_or_default().to_owned();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type,
        bearer,
        body,
    };
    route(call, shared).await
}

async fn route(call: Call, shared: Arc<Shared>) -> Result<Reply, Cut> {
    let path = call.path.clone();
    if let Some(operation) = path.strip_prefix("/sim/") {
        return Ok(sim::serve(operation, &call, &shared).await);
    }
    if path == "/" {
        return Ok(reply(200, "text/html; charset=utf-8", PAGE));
    }
    if shared.with(|world| world.settings.away) {
        return Err(Cut);
    }
    if let Some(method) = path.strip_prefix("/api/") {
        return api::serve(method, &call, &shared).await;
    }
    if let Some(id) = path.strip_prefix("/upload/v1/") {
        return files::take_upload(id, &call, &shared);
    }
    if path.starts_with("/files-pri/") {
        return files::serve(&path, &call, &shared);
    }
    if let Some(id) = path.strip_prefix("/hooks/") {
        return hooks::serve(id, &call, &shared);
    }
    Ok(reply(404, "text/plain; charset=utf-8", "no such page"))
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
