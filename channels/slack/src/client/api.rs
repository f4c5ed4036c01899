//! The methods of Slack's Web API that are used, and nothing else: <https://docs.slack.dev/reference/methods>.

use std::{fmt, time::Duration};

use channel::Error;
use chat::payload::text;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use slack_morphism::prelude::*;

use super::{
    connector::{CALL_TIMEOUT, Connector},
    fault::Fault,
};
use crate::{
    config::Config,
    decode::Us,
    encode::{self, Post},
    place::{Ref, is_channel, is_ts},
};

/// How many messages one page of a history has.
pub(super) const PAGE: u16 = 200;

/// Slack's Web API.
pub(crate) struct Api {
    client: SlackClient<Connector>,
    http: reqwest::Client,
    base: String,
}

/// One workspace, and who the app is there.
pub(crate) struct Workspace {
    pub(crate) team: String,
    pub(crate) name: String,
    pub(crate) us: Us,
    /// The bot's name, for people who are to invite it.
    pub(crate) handle: String,
    token: SlackApiToken,
}

/// What a token may do.
pub(crate) struct Granted {
    pub(crate) workspace: Workspace,
    pub(crate) scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

/// An answer whose content does not matter.
#[derive(Deserialize)]
struct Done {}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("team", &self.team).field("us", &self.us).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")));
        // Nothing on this machine is reached through somebody else.
        let local =
            reqwest::Url::parse(&config.settings.api).is_ok_and(|url| chat::settings::is_loopback(&url));
        let http = if local { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| {
            Error::misconfigured(
                format!("no TLS client can be made: {error}"),
                "install the package ca-certificates",
            )
        })?;
        let base = config.settings.api.clone();
        let connector = Connector { http: http.clone(), base: base.clone() };
        Ok(Self { client: SlackClient::new(connector), http, base })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    async fn post<RQ, RS>(&self, workspace: &Workspace, method: &str, request: &RQ) -> Result<RS, Fault>
    where
        RQ: Serialize + Send + Sync,
        RS: DeserializeOwned + Send,
    {
        let session = self.client.open_session(&workspace.token);
        let answer = session.http_session_api.http_post(method, request, None).await;
        answer.map_err(|error| Fault::of(method, error))
    }

    async fn get<RS: DeserializeOwned + Send>(
        &self,
        workspace: &Workspace,
        method: &str,
        params: &[(&str, &str)],
    ) -> Result<RS, Fault> {
        let session = self.client.open_session(&workspace.token);
        let params: Vec<(&str, Option<&str>)> =
            params.iter().map(|(name, value)| (*name, Some(*value))).collect();
        let answer = session.http_session_api.http_get(method, &params, None).await;
        answer.map_err(|error| Fault::of(method, error))
    }

    /// Who a bot token speaks for, and what it may do. The scopes stand in a header, which the library does not show.
    pub(crate) async fn who(&self, token: &SecretString) -> Result<Granted, Fault> {
        let method = "auth.test";
        let request = self.http.post(format!("{}/{method}", self.base)).timeout(CALL_TIMEOUT);
        let answer = request.bearer_auth(token.expose_secret()).send().await;
        let lost = |error: reqwest::Error| {
            let cause = errors::SlackClientHttpProtocolError::new().with_cause(Box::new(error.without_url()));
            Fault::of(method, errors::SlackClientError::HttpProtocolError(cause))
        };
        let answer = answer.map_err(lost)?;
        let scopes = answer.headers().get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
        let scopes = scopes.unwrap_or_default().split(',').map(|scope| scope.trim().to_owned()).collect();
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
        if status == 429 {
            let mut limited = errors::SlackRateLimitError::new();
            limited.retry_after = after.map(Duration::from_secs);
            return Err(Fault::of(method, errors::SlackClientError::RateLimitError(limited)));
        }
        let body: Value = answer.json().await.map_err(lost)?;
        if let Some(code) = text(&body, &["error"]) {
            let error =
                errors::SlackClientApiError::new(code.to_owned()).with_http_response_body(body.to_string());
            return Err(Fault::of(method, errors::SlackClientError::ApiError(error)));
        }
        let of = |key: &str| text(&body, &[key]).unwrap_or_default().to_owned();
        let us = Us { user: of("user_id"), bot: of("bot_id") };
        if us.user.is_empty() || of("team_id").is_empty() {
            let error = Error::misconfigured(
                format!("Slack's answer to {method} (HTTP status {status}) names no bot"),
                "check `api`, and that the token is a bot token (xoxb-…)",
            );
            return Err(Fault { error, code: None });
        }
        let value = SlackApiTokenValue(token.expose_secret().to_owned());
        let token = SlackApiToken::new(value);
        let workspace = Workspace { team: of("team_id"), name: of("team"), us, handle: of("user"), token };
        Ok(Granted { workspace, scopes })
    }

    /// The address of a Socket Mode connection; good for one connection.
    pub(crate) async fn open_connection(&self, app: &SecretString) -> Result<String, Fault> {
        #[derive(Deserialize)]
        struct Opened {
            url: String,
        }
        let method = "apps.connections.open";
        let token = SlackApiToken::new(SlackApiTokenValue(app.expose_secret().to_owned()));
        let session = self.client.open_session(&token);
        let opened: Result<Opened, _> = session.http_session_api.http_post(method, &json!({}), None).await;
        opened.map(|opened| opened.url).map_err(|error| Fault::of(method, error))
    }

    pub(crate) async fn post_message(
        &self,
        workspace: &Workspace,
        channel: &str,
        thread: Option<&str>,
        post: &Post,
        mark: &str,
    ) -> Result<Ref, Fault> {
        let mut request = SlackApiChatPostMessageRequest::new(
            SlackChannelId(channel.to_owned()),
            content(post, Some(mark)),
        );
        request.thread_ts = thread.map(|ts| SlackTs(ts.to_owned()));
        request.unfurl_links = Some(false);
        request.unfurl_media = Some(false);
        let posted: Posted = self.post(workspace, "chat.postMessage", &request).await?;
        named(workspace, &posted, "chat.postMessage")
    }

    pub(crate) async fn update(
        &self,
        workspace: &Workspace,
        message: &Ref,
        post: &Post,
        mark: &str,
    ) -> Result<(), Fault> {
        let request = SlackApiChatUpdateRequest::new(
            SlackChannelId(message.channel.clone()),
            content(post, Some(mark)),
            SlackTs(message.ts.clone()),
        );
        let request = WithoutPreviews { request, unfurl_links: false, unfurl_media: false };
        self.post::<_, Done>(workspace, "chat.update", &request).await.map(drop)
    }

    pub(crate) async fn delete(&self, workspace: &Workspace, message: &Ref) -> Result<(), Fault> {
        let channel = SlackChannelId(message.channel.clone());
        let request = SlackApiChatDeleteRequest::new(channel, SlackTs(message.ts.clone()));
        self.post::<_, Done>(workspace, "chat.delete", &request).await.map(drop)
    }

    pub(crate) async fn post_ephemeral(
        &self,
        workspace: &Workspace,
        (channel, thread): (&str, Option<&str>),
        user: &str,
        post: &Post,
    ) -> Result<(), Fault> {
        let mut request = SlackApiChatPostEphemeralRequest::new(
            SlackChannelId(channel.to_owned()),
            SlackUserId(user.to_owned()),
            content(post, None),
        );
        request.thread_ts = thread.map(|ts| SlackTs(ts.to_owned()));
        self.post::<_, Done>(workspace, "chat.postEphemeral", &request).await.map(drop)
    }

    /// A page of messages: of a channel (newest first), or below a message (oldest first, beginning with it).
    pub(crate) async fn messages(
        &self,
        workspace: &Workspace,
        channel: &str,
        thread: Option<&str>,
        oldest: &str,
        cursor: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), Fault> {
        let limit = PAGE.to_string();
        let mut params = vec![
            ("channel", channel),
            ("oldest", oldest),
            ("inclusive", "true"),
            ("include_all_metadata", "true"),
            ("limit", &limit),
        ];
        if let Some(thread) = thread {
            params.push(("ts", thread));
        }
        if let Some(cursor) = cursor {
            params.push(("cursor", cursor));
        }
        let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
        let mut answer: Value = self.get(workspace, method, &params).await?;
        let next = text(&answer, &["response_metadata", "next_cursor"]).map(str::to_owned);
        let messages = match answer.get_mut("messages").map(Value::take) {
            Some(Value::Array(messages)) => messages,
            Some(_) | None => Vec::new(),
        };
        Ok((messages, next))
    }

    /// The id of the direct messages with a person.
    pub(crate) async fn open_direct(&self, workspace: &Workspace, user: &str) -> Result<String, Fault> {
        let method = "conversations.open";
        let answer: Value = self.post(workspace, method, &json!({ "users": user })).await?;
        let id = text(&answer, &["channel", "id"]).filter(|id| is_channel(id));
        id.map(str::to_owned).ok_or_else(|| strange(method))
    }

    /// What Slack says of a conversation.
    pub(crate) async fn conversation(&self, workspace: &Workspace, channel: &str) -> Result<Value, Fault> {
        self.get(workspace, "conversations.info", &[("channel", channel)]).await
    }

    /// What Slack says of a person.
    pub(crate) async fn user(&self, workspace: &Workspace, user: &str) -> Result<Value, Fault> {
        self.get(workspace, "users.info", &[("user", user)]).await
    }

    /// What Slack says of a file.
    pub(crate) async fn file(&self, workspace: &Workspace, file: &str) -> Result<Value, Fault> {
        self.get(workspace, "files.info", &[("file", file)]).await
    }

    /// The bytes of a file. The token goes along, so the address must have been checked.
    pub(super) fn download(&self, workspace: &Workspace, url: reqwest::Url) -> reqwest::RequestBuilder {
        self.http.get(url).bearer_auth(&workspace.token.token_value.0)
    }

    /// Uploads a file, and shares it with a line above it that carries the mark.
    pub(crate) async fn share_file(
        &self,
        workspace: &Workspace,
        (channel, thread): (&str, Option<&str>),
        (name, kind, bytes): (&str, &str, &[u8]),
        mark: &str,
    ) -> Result<(), Fault> {
        let length = bytes.len().to_string();
        let params = [("filename", name), ("length", length.as_str())];
        let method = "files.getUploadURLExternal";
        let answer: Value = self.get(workspace, method, &params).await?;
        let (Some(url), Some(file)) = (text(&answer, &["upload_url"]), text(&answer, &["file_id"])) else {
            return Err(strange(method));
        };
        let session = self.client.open_session(&workspace.token);
        // Slack takes the bytes without a token: the address is the permission.
        let url = SlackFileUploadUrl(url.parse().map_err(|_| strange(method))?);
        let upload = SlackApiFilesUploadViaUrlRequest::new(url, bytes.to_vec(), kind.to_owned());
        let uploaded = session.files_upload_via_url(&upload).await;
        // Bytes that nobody was shown did not happen.
        uploaded
            .map_err(|error| Fault::of("the upload of a file", error))
            .map_err(|fault| Fault { error: Error::retry(fault.error.to_string()), code: fault.code })?;
        let note = encode::with_mark(vec![encode::note_block(name)], mark);
        let mut request = json!({
            "files": [{ "id": file, "title": name }], "channel_id": channel, "blocks": note,
        });
        if let (Some(thread), Some(request)) = (thread, request.as_object_mut()) {
            request.insert("thread_ts".to_owned(), thread.into());
        }
        self.post::<_, Done>(workspace, "files.completeUploadExternal", &request).await.map(drop)
    }

    pub(crate) async fn open_view(
        &self,
        workspace: &Workspace,
        trigger: &str,
        view: SlackModalView,
    ) -> Result<(), Fault> {
        let request =
            SlackApiViewsOpenRequest::new(SlackTriggerId(trigger.to_owned()), SlackView::Modal(view));
        self.post::<_, Done>(workspace, "views.open", &request).await.map(drop)
    }

    pub(crate) async fn react(
        &self,
        workspace: &Workspace,
        message: &Ref,
        emoji: &str,
        on: bool,
    ) -> Result<(), Fault> {
        let method = if on { "reactions.add" } else { "reactions.remove" };
        let request = json!({ "channel": message.channel, "timestamp": message.ts, "name": emoji });
        match self.post::<_, Done>(workspace, method, &request).await {
            Err(fault) if fault.is(&["already_reacted", "no_reaction"]) => Ok(()),
            done => done.map(drop),
        }
    }

    pub(crate) async fn set_status(
        &self,
        workspace: &Workspace,
        channel: &str,
        thread: &str,
        status: &str,
    ) -> Result<(), Fault> {
        let request = json!({ "channel_id": channel, "thread_ts": thread, "status": status });
        self.post::<_, Done>(workspace, "assistant.threads.setStatus", &request).await.map(drop)
    }

    pub(crate) async fn set_title(
        &self,
        workspace: &Workspace,
        channel: &str,
        thread: &str,
        title: &str,
    ) -> Result<(), Fault> {
        let request = json!({ "channel_id": channel, "thread_ts": thread, "title": title });
        self.post::<_, Done>(workspace, "assistant.threads.setTitle", &request).await.map(drop)
    }

    pub(crate) async fn set_prompts(
        &self,
        workspace: &Workspace,
        channel: &str,
        thread: &str,
        prompts: &[String],
    ) -> Result<(), Fault> {
        let prompts: Vec<Value> = prompts
            .iter()
            .map(|prompt| json!({ "title": chat::text::clip(prompt, 75), "message": prompt }))
            .collect();
        let request = json!({ "channel_id": channel, "thread_ts": thread, "prompts": prompts });
        self.post::<_, Done>(workspace, "assistant.threads.setSuggestedPrompts", &request).await.map(drop)
    }

    pub(crate) async fn start_stream(
        &self,
        workspace: &Workspace,
        (channel, thread): (&str, &str),
        user: &str,
        text: &str,
    ) -> Result<Ref, Fault> {
        let mut request = SlackApiChatStartStreamRequest::new(SlackChannelId(channel.to_owned()));
        request.thread_ts = Some(SlackTs(thread.to_owned()));
        request.recipient_user_id = Some(SlackUserId(user.to_owned()));
        request.recipient_team_id = Some(SlackTeamId(workspace.team.clone()));
        request.markdown_text = Some(text.to_owned());
        let posted: Posted = self.post(workspace, "chat.startStream", &request).await?;
        named(workspace, &posted, "chat.startStream")
    }

    pub(crate) async fn append_stream(
        &self,
        workspace: &Workspace,
        message: &Ref,
        text: &str,
    ) -> Result<(), Fault> {
        let (channel, ts) = (SlackChannelId(message.channel.clone()), SlackTs(message.ts.clone()));
        let mut request = SlackApiChatAppendStreamRequest::new(channel, ts);
        request.markdown_text = Some(text.to_owned());
        self.post::<_, Done>(workspace, "chat.appendStream", &request).await.map(drop)
    }

    pub(crate) async fn stop_stream(&self, workspace: &Workspace, message: &Ref) -> Result<(), Fault> {
        let request = json!({ "channel": message.channel, "ts": message.ts });
        self.post::<_, Done>(workspace, "chat.stopStream", &request).await.map(drop)
    }
}

/// A change of a message, whose links are not followed for a preview either: the library knows that of new messages only.
#[derive(Serialize)]
struct WithoutPreviews {
    #[serde(flatten)]
    request: SlackApiChatUpdateRequest,
    unfurl_links: bool,
    unfurl_media: bool,
}

fn content(post: &Post, mark: Option<&str>) -> SlackMessageContent {
    let mut content = SlackMessageContent::new().with_text(post.text.clone());
    content.blocks = Some(match mark {
        Some(mark) => encode::with_mark(post.blocks.clone(), mark),
        None => post.blocks.clone(),
    });
    content.metadata = mark.map(encode::metadata);
    content
}

fn named(workspace: &Workspace, posted: &Posted, method: &str) -> Result<Ref, Fault> {
    if !is_channel(&posted.channel) || !is_ts(&posted.ts) {
        return Err(strange(method));
    }
    Ok(Ref { team: workspace.team.clone(), channel: posted.channel.clone(), ts: posted.ts.clone() })
}

/// An answer that says yes and not what it should: what was asked for may have happened.
fn strange(method: &str) -> Fault {
    Fault {
        error: Error::ambiguous(format!("{method}: Slack's answer lacks what it should say")),
        code: None,
    }
}
