//! Slack's Web API over the HTTP client that the rest of the gateway uses.
//!
//! The library brings a connector of its own; this one has a time limit on every call, another address for tests and for
//! government workspaces, and no second TLS set-up.

use std::{future::Future, pin::Pin, time::Duration};

use reqwest::{RequestBuilder, Url, header::RETRY_AFTER};
use serde::{Serialize, de::DeserializeOwned};
use slack_morphism::{
    errors::{
        SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientHttpProtocolError,
        SlackClientSystemError, SlackRateLimitError, map_serde_error,
    },
    multipart_form::FileMultipartData,
    prelude::{
        ClientResult, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId, SlackClientSecret,
    },
};

/// Slack answers within a second or two; what takes longer may have happened all the same.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A file may take longer.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(50);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The connector.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) http: reqwest::Client,
    pub(super) base: String,
}

impl Connector {
    fn authorized(&self, request: RequestBuilder, context: &SlackClientApiCallContext<'_>) -> RequestBuilder {
        match context.token {
            Some(token) => request.bearer_auth(&token.token_value.0),
            None => request,
        }
    }
}

async fn run<RS: DeserializeOwned>(request: RequestBuilder) -> ClientResult<RS> {
    let answer = request.send().await.map_err(lost)?;
    let status = answer.status();
    let json = answer
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
    let after = after.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
    if status.as_u16() == 429 {
        let mut limited = SlackRateLimitError::new();
        limited.retry_after = after;
        return Err(SlackClientError::RateLimitError(limited));
    }
    let body = body(answer).await?;
    if !status.is_success() {
        return Err(SlackClientError::HttpError(SlackClientHttpError::new(status)));
    }
    if !json {
        // The address of an upload answers with a word.
        return serde_json::from_str("{}").map_err(|error| map_serde_error(error, None));
    }
    let envelope: serde_json::Value =
        serde_json::from_slice(&body).map_err(|error| map_serde_error(error, None))?;
    if envelope.get("ok") == Some(&serde_json::Value::Bool(false)) {
        let code = envelope.get("error").and_then(|code| code.as_str()).unwrap_or("unknown").to_owned();
        let shown = String::from_utf8_lossy(&body).into_owned();
        return Err(SlackClientError::ApiError(
            SlackClientApiError::new(code).with_http_response_body(shown),
        ));
    }
    serde_json::from_value(envelope).map_err(|error| map_serde_error(error, None))
}

async fn body(mut answer: reqwest::Response) -> ClientResult<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let message = Some("the answer is too long".to_owned());
            let mut error = SlackClientSystemError::new();
            error.message = message;
            return Err(SlackClientError::SystemError(error));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error on the way. Its address is left out: it may carry what is secret.
fn lost(error: reqwest::Error) -> SlackClientError {
    let error = SlackClientHttpProtocolError::new().with_cause(Box::new(error.without_url()));
    SlackClientError::HttpProtocolError(error)
}

impl SlackClientHttpConnector for Connector {
    fn create_method_uri_path(&self, method: &str) -> ClientResult<Url> {
        Ok(format!("{}/{method}", self.base).parse()?)
    }

    fn http_get_uri<'a, RS>(
        &'a self,
        uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> Boxed<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        Box::pin(run(self.authorized(self.http.get(uri).timeout(CALL_TIMEOUT), &context)))
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        uri: Url,
        id: &'a SlackClientId,
        secret: &'a SlackClientSecret,
    ) -> Boxed<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        Box::pin(run(self.http.get(uri).timeout(CALL_TIMEOUT).basic_auth(&id.0, Some(&secret.0))))
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        uri: Url,
        body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> Boxed<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        let written = serde_json::to_vec(body).map_err(|error| map_serde_error(error, None));
        Box::pin(async move {
            let request = self.http.post(uri).timeout(CALL_TIMEOUT);
            let request = request.header("content-type", "application/json; charset=utf-8").body(written?);
            run(self.authorized(request, &context)).await
        })
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        uri: Url,
        file: Option<FileMultipartData<'p>>,
        params: &'p PT,
        context: SlackClientApiCallContext<'a>,
    ) -> Boxed<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        let mut form = reqwest::multipart::Form::new();
        for (name, value) in params.clone() {
            if let Some(value) = value {
                form = form.text(name.to_owned(), value.as_ref().to_owned());
            }
        }
        if let Some(file) = file {
            let part = reqwest::multipart::Part::bytes(file.data.to_vec()).file_name(file.name);
            form = form.part("file", part);
        }
        let request = self.http.post(uri).timeout(UPLOAD_TIMEOUT).multipart(form);
        Box::pin(run(self.authorized(request, &context)))
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        uri: Url,
        kind: String,
        data: &'a [u8],
        context: SlackClientApiCallContext<'a>,
    ) -> Boxed<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        let request = self.http.post(uri).timeout(UPLOAD_TIMEOUT);
        let request = request.header("content-type", kind).body(data.to_vec());
        Box::pin(run(self.authorized(request, &context)))
    }
}
