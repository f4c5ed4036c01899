//! The requests to Discord's API that are made, and no others: <https://discord.com/developers/docs/reference>.

use std::time::{Duration, Instant};

use channel::Error;
use chat::payload::{list, text};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    fault::{Fault, limited},
    limits::{Limits, Turn, seconds},
};
use crate::{
    config::Config,
    encode::{Post, nobody},
    place::is_id,
};

/// How many messages one page of a history has.
pub(super) const PAGE: usize = 100;
/// Discord answers within a second or two; what takes longer may have happened all the same.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A file may take longer.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(50);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A wait that is longer than this is left to the gateway.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a request that came too often is made again.
const AGAIN_MAX: u32 = 4;

/// Discord's API.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: SecretString,
    limits: Limits,
}

/// One request.
struct Call<'a> {
    method: Method,
    /// Below the API's address.
    path: String,
    /// What it is for, in a sentence: "to send a message".
    what: &'a str,
    /// The part of the path that shares a bucket, with the method.
    route: String,
    body: Body<'a>,
    /// With the bot's token. Without, the path holds a token of its own.
    signed: bool,
}

enum Body<'a> {
    Nothing,
    Json(Value),
    File { message: Value, name: &'a str, kind: &'a str, bytes: &'a [u8] },
}

impl Api {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("DiscordBot (switchboard, ", env!("CARGO_PKG_VERSION"), ")"));
        // Nothing on this machine is reached through somebody else.
        let local =
            reqwest::Url::parse(&config.settings.api).is_ok_and(|url| chat::settings::is_loopback(&url));
        let http = if local { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| {
            let remedy = "install the package ca-certificates";
            Error::misconfigured(format!("no TLS client can be made: {error}"), remedy)
        })?;
        let (base, token) = (config.settings.api.clone(), config.token.clone());
        Ok(Self { http, base, token, limits: Limits::default() })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// A request without a token, to an address that was checked.
    pub(super) fn download(&self, url: reqwest::Url) -> RequestBuilder {
        self.http.get(url).timeout(UPLOAD_TIMEOUT)
    }

    async fn call(&self, call: Call<'_>) -> Result<Value, Fault> {
        let mut again = 0;
        loop {
            match self.limits.turn(&call.route, call.signed, Instant::now()) {
                Turn::Now => {}
                Turn::After(wait) if wait <= PATIENCE => {
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Turn::After(wait) | Turn::Banned(wait) => return Err(limited(call.what, wait)),
                Turn::NotWithThisToken => return Err(Fault::of(call.what, 401, &Value::Null)),
            }
            match self.once(&call).await? {
                Answered::Done(answer) => return Ok(answer),
                // It did not happen, so it may be asked for again.
                Answered::TooOften(after) if after <= PATIENCE && again < AGAIN_MAX => {
                    again += 1;
                    tokio::time::sleep(after).await;
                }
                Answered::TooOften(after) => return Err(limited(call.what, after)),
            }
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answered, Fault> {
        let request = self.http.request(call.method.clone(), format!("{}{}", self.base, call.path));
        let request = if call.signed {
            request.header("authorization", format!("Bot {}", self.token.expose_secret()))
        } else {
            request
        };
        let request = match &call.body {
            Body::Nothing => request.timeout(CALL_TIMEOUT),
            Body::Json(body) => request.timeout(CALL_TIMEOUT).json(body),
            Body::File { message, name, kind, bytes } => {
                let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name((*name).to_owned());
                let plain = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name((*name).to_owned());
                let part = part.mime_str(kind).unwrap_or(plain);
                let form = reqwest::multipart::Form::new().text("payload_json", message.to_string());
                request.timeout(UPLOAD_TIMEOUT).multipart(form.part("files[0]", part))
            }
        };
        let lost = |error: reqwest::Error| Fault::on_the_way(call.what, error);
        let mut answer = request.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        self.limits.learn(&call.route, call.signed, status, answer.headers(), Instant::now());
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let (after, global) =
            (header("retry-after").and_then(seconds), header("x-ratelimit-global").is_some());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let error = Error::ambiguous(format!("Discord's answer is too long, to {}", call.what));
                return Err(Fault::new(error));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        match status {
            200..=299 => Ok(Answered::Done(body)),
            429 => {
                let told = body.get("retry_after").and_then(Value::as_f64);
                let told = told.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let after = told.or(after).unwrap_or(Duration::from_secs(5));
                let global = global || chat::payload::is(&body, &["global"]);
                self.limits.refused(&call.route, global, after, Instant::now());
                Ok(Answered::TooOften(after))
            }
            _ => Err(Fault::of(call.what, status, &body)),
        }
    }

    async fn get(&self, what: &str, path: String, route: String) -> Result<Value, Fault> {
        let method = Method::GET;
        self.call(Call {
            method,
            path,
            what,
            route: format!("GET {route}"),
            body: Body::Nothing,
            signed: true,
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        what: &str,
        path: String,
        route: String,
        body: &impl Serialize,
    ) -> Result<Value, Fault> {
        let body = Body::Json(written(body)?);
        let route = format!("{method} {route}");
        self.call(Call { method, path, what, route, body, signed: true }).await
    }

    /// The bot itself, as a user.
    pub(crate) async fn me(&self) -> Result<Value, Fault> {
        self.get("log in", "/users/@me".to_owned(), "/users/@me".to_owned()).await
    }

    /// The bot's application.
    pub(crate) async fn application(&self) -> Result<Value, Fault> {
        let path = "/applications/@me".to_owned();
        self.get("read about the application", path.clone(), path).await
    }

    /// Where to connect, and how often that may be done.
    pub(crate) async fn gateway(&self) -> Result<Value, Fault> {
        self.get("ask where to connect", "/gateway/bot".to_owned(), "/gateway/bot".to_owned()).await
    }

    /// What Discord says of a conversation.
    pub(crate) async fn channel(&self, channel: &str) -> Result<Value, Fault> {
        let path = format!("/channels/{channel}");
        self.get("read about a channel", path.clone(), path).await
    }

    /// What a server says of a person.
    pub(crate) async fn member(&self, guild: &str, user: &str) -> Result<Value, Fault> {
        let route = format!("/guilds/{guild}/members");
        self.get("look a person up", format!("{route}/{user}"), route).await
    }

    /// The id of the direct messages with a person.
    pub(crate) async fn open_direct(&self, user: &str) -> Result<String, Fault> {
        let path = "/users/@me/channels".to_owned();
        let body = json!({ "recipient_id": user });
        let answer = self.send(Method::POST, "write to a person", path.clone(), path, &body).await?;
        named(&answer, "open direct messages")
    }

    /// Up to a page of messages after one, oldest first.
    pub(crate) async fn messages(&self, channel: &str, after: &str) -> Result<Vec<Value>, Fault> {
        let route = format!("/channels/{channel}/messages");
        let answer = self.get("read messages", format!("{route}?after={after}&limit={PAGE}"), route).await?;
        let mut messages = list(&answer, &[]).to_vec();
        messages.sort_by_key(|message| {
            text(message, &["id"]).and_then(|id| id.parse::<u64>().ok()).unwrap_or_default()
        });
        Ok(messages)
    }

    /// Sends a message; its id.
    pub(crate) async fn post(
        &self,
        channel: &str,
        post: &Post,
        nonce: &str,
        reply_to: Option<&str>,
    ) -> Result<String, Fault> {
        let path = format!("/channels/{channel}/messages");
        let number = |id: &str| id.parse::<u64>().ok().filter(|id| *id > 0);
        let reply_to =
            reply_to.and_then(number).zip(number(channel)).map(|(below, channel)| (channel, below));
        let body = post.create(nonce, reply_to);
        let answer = self.send(Method::POST, "send a message", path.clone(), path, &body).await?;
        named(&answer, "send a message")
    }

    /// Sends a file; the id of its message.
    pub(crate) async fn post_file(
        &self,
        channel: &str,
        (name, kind, bytes): (&str, &str, &[u8]),
        nonce: &str,
    ) -> Result<String, Fault> {
        let path = format!("/channels/{channel}/messages");
        let message = json!({
            "nonce": nonce, "enforce_nonce": true, "allowed_mentions": nobody(),
            "attachments": [{ "id": 0, "filename": name }],
        });
        let body = Body::File { message, name, kind, bytes };
        let (what, route) = ("send a file", format!("POST {path}"));
        let answer = self.call(Call { method: Method::POST, path, what, route, body, signed: true }).await?;
        named(&answer, what)
    }

    /// Rewrites a message.
    pub(crate) async fn edit(&self, channel: &str, message: &str, post: &Post) -> Result<(), Fault> {
        let route = format!("/channels/{channel}/messages/:id");
        let path = format!("/channels/{channel}/messages/{message}");
        self.send(Method::PATCH, "rewrite a message", path, route, &post.edit()).await.map(drop)
    }

    /// Opens an archived thread again.
    pub(crate) async fn reopen(&self, thread: &str) -> Result<(), Fault> {
        let path = format!("/channels/{thread}");
        let body = json!({ "archived": false });
        self.send(Method::PATCH, "open a thread again", path.clone(), path, &body).await.map(drop)
    }

    pub(crate) async fn delete(&self, channel: &str, message: &str) -> Result<(), Fault> {
        let path = format!("/channels/{channel}/messages/{message}");
        let (what, route) = ("delete a message", format!("DELETE /channels/{channel}/messages/:id"));
        let call = Call { method: Method::DELETE, path, what, route, body: Body::Nothing, signed: true };
        self.call(call).await.map(drop)
    }

    /// Opens the thread of a message; it has the message's id.
    pub(crate) async fn open_thread(&self, channel: &str, message: &str, name: &str) -> Result<(), Fault> {
        let route = format!("/channels/{channel}/messages/:id/threads");
        let path = format!("/channels/{channel}/messages/{message}/threads");
        let body = json!({ "name": name });
        self.send(Method::POST, "open a thread", path, route, &body).await.map(drop)
    }

    pub(crate) async fn react(
        &self,
        channel: &str,
        message: &str,
        emoji: &str,
        on: bool,
    ) -> Result<(), Fault> {
        let emoji: String = emoji.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let method = if on { Method::PUT } else { Method::DELETE };
        let path = format!("/channels/{channel}/messages/{message}/reactions/{emoji}/@me");
        let route = format!("{method} /channels/{channel}/messages/:id/reactions");
        let call = Call { method, path, what: "react", route, body: Body::Nothing, signed: true };
        match self.call(call).await {
            // The reaction, or the message, is not there any more.
            Err(fault) if fault.is(&[10008, 10014]) => Ok(()),
            done => done.map(drop),
        }
    }

    pub(crate) async fn typing(&self, channel: &str) -> Result<(), Fault> {
        let path = format!("/channels/{channel}/typing");
        let (what, route) = ("show that it types", format!("POST {path}"));
        let call = Call { method: Method::POST, path, what, route, body: Body::Nothing, signed: true };
        self.call(call).await.map(drop)
    }

    /// Answers an interaction, within three seconds.
    pub(crate) async fn respond(&self, id: &str, token: &str, response: &Value) -> Result<(), Fault> {
        let path = format!("/interactions/{id}/{token}/callback");
        let (what, body) = ("answer a gesture", Body::Json(response.clone()));
        let route = format!("POST /interactions/{id}");
        self.call(Call { method: Method::POST, path, what, route, body, signed: false }).await.map(drop)
    }

    /// Writes the answer that was promised to an interaction, or writes it anew; its conversation and id.
    pub(crate) async fn answer(
        &self,
        application: &str,
        token: &str,
        post: &Post,
    ) -> Result<(String, String), Fault> {
        let path = format!("/webhooks/{application}/{token}/messages/@original");
        let (what, body) = ("answer a command", Body::Json(written(&post.original())?));
        let route = format!("PATCH /webhooks/{application}/@original");
        let call = Call { method: Method::PATCH, path, what, route, body, signed: false };
        let answer = self.call(call).await?;
        let channel = text(&answer, &["channel_id"]).filter(|id| is_id(id)).unwrap_or_default().to_owned();
        Ok((channel, named(&answer, what)?))
    }

    /// Takes the place away that Discord keeps for the answer to an interaction.
    pub(crate) async fn unanswer(&self, application: &str, token: &str) -> Result<(), Fault> {
        let path = format!("/webhooks/{application}/{token}/messages/@original");
        let (what, body) = ("take the place of an answer away", Body::Nothing);
        let route = format!("DELETE /webhooks/{application}/@original");
        self.call(Call { method: Method::DELETE, path, what, route, body, signed: false }).await.map(drop)
    }

    /// Tells somebody something alone, by way of an interaction of theirs.
    pub(crate) async fn whisper(&self, application: &str, token: &str, post: &Post) -> Result<(), Fault> {
        let path = format!("/webhooks/{application}/{token}");
        let (what, body) = ("tell somebody alone", Body::Json(written(&post.privately())?));
        let route = format!("POST /webhooks/{application}");
        self.call(Call { method: Method::POST, path, what, route, body, signed: false }).await.map(drop)
    }

    /// The commands that Discord has of us.
    pub(crate) async fn commands(&self, application: &str) -> Result<Value, Fault> {
        let path = format!("/applications/{application}/commands");
        self.get("read the commands", path.clone(), path).await
    }

    /// Replaces them.
    pub(crate) async fn set_commands(&self, application: &str, commands: &Value) -> Result<(), Fault> {
        let path = format!("/applications/{application}/commands");
        self.send(Method::PUT, "register the commands", path.clone(), path, commands).await.map(drop)
    }
}

/// What came of a request that Discord answered.
enum Answered {
    Done(Value),
    TooOften(Duration),
}

fn written(body: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(body)
        .map_err(|error| Fault::new(Error::refused(format!("it cannot be written: {error}"))))
}

/// The id in an answer.
fn named(answer: &Value, what: &str) -> Result<String, Fault> {
    let id = text(answer, &["id"]).filter(|id| is_id(id)).map(str::to_owned);
    id.ok_or_else(|| Fault::new(Error::ambiguous(format!("Discord's answer names nothing, to {what}"))))
}
