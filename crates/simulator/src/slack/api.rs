//! The Web API: who calls, whether they may, and which method does it.
//!
//! Invariant: every call is written down, with what was answered, whatever was played on it.

mod apps;
mod assistant;
mod chat;
mod conversations;
mod files;
mod history;
mod info;
mod post;
mod reactions;
mod stream;
mod users;
mod views;

pub(crate) use post::app_message;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Shared,
    args::Args,
    world::{APP_TOKEN, World},
};
use crate::shared::{
    fault::{self, Kind},
    http::{self, Call, Cut, Reply},
};

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) team: String,
    pub(crate) bot_user: String,
    pub(crate) bot: String,
}

/// Why a call was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    pub(crate) more: Map<String, Value>,
    /// Seconds to wait, if it is one call too many.
    pub(crate) wait: Option<u64>,
}

/// What a method answers.
pub(crate) type Answer = Result<Value, Refusal>;

type Run = fn(&mut World, &Caller, &Args) -> Answer;

/// Which token a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Nothing,
    Bot,
    App,
}

/// A method.
struct Method {
    name: &'static str,
    /// One of these is needed; none at all if it is empty.
    scopes: &'static [&'static str],
    wants: Wants,
    /// Whether arguments in JSON are read.
    json: bool,
    run: Run,
}

const fn bot(name: &'static str, scopes: &'static [&'static str], json: bool, run: Run) -> Method {
    Method { name, scopes, wants: Wants::Bot, json, run }
}

const READ: &[&str] = &["channels:read", "groups:read", "mpim:read", "im:read"];
const HISTORY: &[&str] = &["channels:history", "groups:history", "mpim:history", "im:history"];
const OPEN: &[&str] = &["im:write", "mpim:write", "channels:manage", "groups:write"];
const STATUS: &[&str] = &["assistant:write", "chat:write"];

static METHODS: &[Method] = &[
    Method { name: "api.test", scopes: &[], wants: Wants::Nothing, json: true, run: info::api_test },
    Method {
        name: "apps.connections.open",
        scopes: &["connections:write"],
        wants: Wants::App,
        json: true,
        run: apps::connections_open,
    },
    bot("auth.test", &[], true, info::auth_test),
    bot("bots.info", &["users:read"], false, info::bots_info),
    bot("team.info", &[], false, info::team_info),
    bot("chat.postMessage", &["chat:write"], true, post::post_message),
    bot("chat.postEphemeral", &["chat:write"], true, post::post_ephemeral),
    bot("chat.update", &["chat:write"], true, chat::update),
    bot("chat.delete", &["chat:write"], true, chat::delete),
    bot("chat.getPermalink", &[], false, chat::get_permalink),
    bot("chat.startStream", &["chat:write"], true, stream::start),
    bot("chat.appendStream", &["chat:write"], true, stream::append),
    bot("chat.stopStream", &["chat:write"], true, stream::stop),
    bot("conversations.open", OPEN, true, conversations::open),
    bot("conversations.info", READ, false, conversations::info),
    bot("conversations.list", READ, false, conversations::list),
    bot("conversations.members", READ, false, conversations::members),
    bot("conversations.join", &["channels:join", "channels:manage"], true, conversations::join),
    bot("users.conversations", READ, false, conversations::of_user),
    bot("conversations.history", HISTORY, true, history::history),
    bot("conversations.replies", HISTORY, false, history::replies),
    bot("users.info", &["users:read"], false, users::info),
    bot("users.list", &["users:read"], false, users::list),
    bot("reactions.add", &["reactions:write"], true, reactions::add),
    bot("reactions.remove", &["reactions:write"], true, reactions::remove),
    bot("reactions.get", &["reactions:read"], false, reactions::get),
    bot("views.open", &[], true, views::open),
    bot("views.push", &[], true, views::push),
    bot("views.update", &[], true, views::update),
    bot("assistant.threads.setStatus", STATUS, true, assistant::set_status),
    bot("assistant.threads.setTitle", &["assistant:write"], true, assistant::set_title),
    bot("assistant.threads.setSuggestedPrompts", &["assistant:write"], true, assistant::set_prompts),
    bot("files.getUploadURLExternal", &["files:write"], false, files::get_upload_url),
    bot("files.completeUploadExternal", &["files:write"], true, files::complete_upload),
    bot("files.info", &["files:read"], false, files::info),
];

impl Refusal {
    /// A refusal with an error code and nothing more.
    pub(crate) fn new(error: &str) -> Self {
        Self { error: error.to_owned(), more: Map::new(), wait: None }
    }

    /// A refusal that lists what is wrong.
    pub(crate) fn with_messages(error: &str, faults: &[String]) -> Self {
        let messages: Vec<String> = faults.iter().map(|fault| format!("[ERROR] {fault}")).collect();
        let mut refusal = Self::new(error);
        refusal.more.insert("errors".to_owned(), json!(faults));
        refusal.more.insert("response_metadata".to_owned(), json!({"messages": messages}));
        refusal
    }

    /// A needed argument is not there.
    pub(crate) fn missing(name: &str) -> Self {
        let mut refusal =
            Self::with_messages("invalid_arguments", &[format!("missing required field: {name}")]);
        refusal.more.remove("errors");
        refusal
    }

    fn show(&self) -> Value {
        let mut body = Map::new();
        body.insert("ok".to_owned(), json!(false));
        body.insert("error".to_owned(), json!(self.error));
        body.extend(self.more.clone());
        Value::Object(body)
    }
}

impl Args {
    /// An argument that has to be there.
    pub(crate) fn need(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }
}

/// Answers a call over HTTP.
pub(crate) async fn serve(name: &str, call: &Call, shared: &Arc<Shared>) -> Result<Reply, Cut> {
    let mut args = Args::read(&call.query, &call.content_type, &call.body);
    let token = call.token("Bearer").or_else(|| args.text("token"));
    let played = shared.with(|world| fault::take(&mut world.faults, &[name]));
    let acts = played.as_ref().is_none_or(Kind::acts);
    let answer = shared.with(|world| {
        let answer = match &played {
            Some(Kind::Error(error)) => Err(Refusal::new(error.as_str().unwrap_or("fatal_error"))),
            Some(Kind::RateLimit(wait)) => {
                Err(Refusal { wait: Some(wait.seconds.ceil() as u64), ..Refusal::new("ratelimited") })
            }
            Some(_) if !acts => Err(Refusal::new("fault")),
            Some(_) | None => world.call(name, token.as_deref(), &mut args),
        };
        world.write_down(name, &args, &answer, played.as_ref());
        answer
    });
    match played {
        Some(Kind::DropResponse | Kind::DropRequest) => return Err(Cut),
        Some(Kind::Delay(wait)) => tokio::time::sleep(wait).await,
        Some(Kind::Status(status)) => {
            return Ok(http::reply(
                status,
                "text/html; charset=utf-8",
                "<html><body>Server Error</body></html>",
            ));
        }
        Some(Kind::Garbage) => {
            return Ok(http::reply(200, "text/html; charset=utf-8", "<!DOCTYPE html><html>not JSON"));
        }
        Some(Kind::RateLimit(_) | Kind::Error(_)) | None => {}
    }
    Ok(shared.with(|world| world.reply_to_call(name, token.as_deref(), &args, answer)))
}

impl World {
    fn call(&mut self, name: &str, token: Option<&str>, args: &mut Args) -> Answer {
        let streams = ["chat.startStream", "chat.appendStream", "chat.stopStream"];
        let method = METHODS
            .iter()
            .find(|method| method.name == name && (self.settings.streaming || !streams.contains(&name)))
            .ok_or_else(|| Refusal::new("unknown_method"))?;
        if args.json && args.broken {
            return Err(Refusal::new("invalid_json"));
        }
        if args.json && !method.json {
            args.all.clear();
        }
        let caller = self.caller(method, token)?;
        self.check_scopes(method.scopes, method.wants == Wants::App)?;
        (method.run)(self, &caller, args)
    }

    fn caller(&self, method: &Method, token: Option<&str>) -> Result<Caller, Refusal> {
        let nobody = || Caller { team: String::new(), bot_user: String::new(), bot: String::new() };
        if method.wants == Wants::Nothing {
            return Ok(nobody());
        }
        let token = token.ok_or_else(|| Refusal::new("not_authed"))?;
        let known = self.tokens.get(token).ok_or_else(|| Refusal::new("invalid_auth"))?;
        if known.revoked {
            return Err(Refusal::new("token_revoked"));
        }
        if (method.wants == Wants::App) != known.team.is_none() {
            return Err(Refusal::new("not_allowed_token_type"));
        }
        let Some(team) = known.team.as_deref().and_then(|team| self.team(team)) else { return Ok(nobody()) };
        Ok(Caller { team: team.id.clone(), bot_user: team.bot_user.clone(), bot: team.bot.clone() })
    }

    /// Refuses unless one of these scopes was granted.
    pub(crate) fn check_scopes(&self, any: &[&str], app: bool) -> Result<(), Refusal> {
        let granted = if app { &self.settings.app_scopes } else { &self.settings.scopes };
        if any.is_empty() || any.iter().any(|&scope| granted.contains(scope)) {
            return Ok(());
        }
        let mut refusal = Refusal::new("missing_scope");
        refusal.more.insert("needed".to_owned(), json!(any.join(",")));
        let provided: Vec<&str> = granted.iter().map(String::as_str).collect();
        refusal.more.insert("provided".to_owned(), json!(provided.join(",")));
        Err(refusal)
    }

    fn write_down(&mut self, name: &str, args: &Args, answer: &Answer, played: Option<&Kind>) {
        let answered = answer.as_ref().ok();
        let call = json!({
            "method": name,
            "args": args.show(),
            "json": args.json,
            "at_ms": self.now_ms(),
            "at_us": self.now_us(),
            "ok": answered.is_some(),
            "error": answer.as_ref().err().map(|refusal| refusal.error.clone()),
            "fault": played.map(|kind| format!("{kind:?}")),
            "channel": answered.and_then(|body| body.get("channel")).filter(|channel| channel.is_string()),
            "ts": answered.and_then(|body| body.get("ts").or_else(|| body.get("message_ts"))),
        });
        self.record_call(call);
    }

    fn reply_to_call(&self, name: &str, token: Option<&str>, args: &Args, answer: Answer) -> Reply {
        let (mut body, wait) = match answer {
            Ok(mut body) => {
                if let Some(body) = body.as_object_mut() {
                    body.shift_insert(0, "ok".to_owned(), json!(true));
                }
                (body, None)
            }
            Err(refusal) => (refusal.show(), refusal.wait),
        };
        if let (Some(remark), Some(body)) = (args.remark, body.as_object_mut()) {
            body.insert("warning".to_owned(), json!(remark));
            let metadata = body.entry("response_metadata").or_insert_with(|| json!({}));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("warnings".to_owned(), json!([remark]));
            }
        }
        let mut reply = http::json(if wait.is_some() { 429 } else { 200 }, &body);
        if let Some(seconds) = wait {
            http::set(&mut reply, "retry-after", &seconds.to_string());
        }
        let scopes = match token {
            Some(APP_TOKEN) => &self.settings.app_scopes,
            Some(_) | None => &self.settings.scopes,
        };
        if token.is_some_and(|token| self.tokens.contains_key(token)) {
            let granted: Vec<&str> = scopes.iter().map(String::as_str).collect();
            http::set(&mut reply, "x-oauth-scopes", &granted.join(","));
        }
        let accepted =
            METHODS.iter().find(|method| method.name == name).map(|method| method.scopes.join(","));
        http::set(&mut reply, "x-accepted-oauth-scopes", &accepted.unwrap_or_default());
        http::set(&mut reply, "x-slack-req-id", &super::ids::random(16));
        reply
    }
}
