//! The page's own files, and the headers that keep it to itself.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Everything comes from here and nothing stands inline; the page cannot be framed, and sends nothing elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// One of the page's files, with the name of this very version.
struct Asset {
    kind: &'static str,
    text: &'static str,
    tag: String,
}

static INDEX: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/html; charset=utf-8", include_str!("../page/index.html")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", include_str!("../page/app.js")));
static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/css; charset=utf-8", include_str!("../page/style.css")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("image/svg+xml", include_str!("../page/icon.svg")));

pub(super) async fn index(headers: HeaderMap) -> Response {
    INDEX.serve(&headers)
}

pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.serve(&headers)
}

pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE.serve(&headers)
}

pub(super) async fn icon(headers: HeaderMap) -> Response {
    ICON.serve(&headers)
}

/// A file as something to keep, never to show: it may be a page of somebody else's.
pub(super) fn attachment(name: &str, bytes: Vec<u8>) -> Response {
    let mut quoted = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    let mut response = ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response();
    if let Ok(value) = HeaderValue::try_from(quoted) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Adds to every answer what keeps other pages out.
pub(super) async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Asset {
    fn new(kind: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text);
        Self { kind, text, tag: format!("\"{}\"", HEXLOWER.encode(&digest[..12])) }
    }

    /// The file, or word that the browser has this very one. Asked for each time, so that a new gateway is a new page.
    fn serve(&self, headers: &HeaderMap) -> Response {
        let kept =
            headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == self.tag.as_bytes());
        let head = [(header::ETAG, self.tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
        if kept {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, [(header::CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}
