//! The plumbing of a control: a client of `/sim/*`.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;

/// Asks one simulator for things.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    http: reqwest::Client,
    base: String,
}

/// A client that needs no certificates: everything here is on loopback.
pub(crate) fn client() -> reqwest::Client {
    // Another part of the process may have installed a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Hand {
    /// The hand for the simulator at this address.
    pub(crate) fn at(base: impl Into<String>) -> Self {
        let base: String = base.into();
        Self { http: client(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Where the simulator is, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks for something.
    pub(crate) async fn ask(&self, operation: &str, body: Value) -> Result<Value, Error> {
        let response = self
            .http
            .post(format!("{}/sim/{operation}", self.base))
            .header("Content-Type", "application/json; charset=utf-8")
            .body(body.to_string())
            .send()
            .await?;
        let refused = !response.status().is_success();
        let text = response.text().await?;
        let value: Value = serde_json::from_str(&text).map_err(|error| form(operation, &error))?;
        if refused {
            let reason = value.get("error").and_then(Value::as_str).unwrap_or(&text).to_owned();
            return Err(Error::Refused { operation: operation.to_owned(), reason });
        }
        Ok(value)
    }

    /// Asks for something of a known shape.
    pub(crate) async fn typed<T: DeserializeOwned>(&self, operation: &str, body: Value) -> Result<T, Error> {
        let value = self.ask(operation, body).await?;
        serde_json::from_value(value).map_err(|error| form(operation, &error))
    }
}

/// Looks again and again until there is something. `Err` inside is what to say of what was there when the time ran out.
pub(crate) async fn wait<T>(
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Result<T, String>, Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    loop {
        match look().await? {
            Ok(found) => return Ok(found),
            Err(there) if began.elapsed() > within => return Err(Error::Waited(there)),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// A form that is not the expected one.
pub(crate) fn form(operation: &str, error: &serde_json::Error) -> Error {
    Error::Form { operation: operation.to_owned(), reason: error.to_string() }
}
