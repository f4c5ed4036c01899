//! The REST API: who calls, whether they may, and which route does it.
//!
//! Invariant: every call is written down, with what was answered, whatever was played on it.

mod apps;
mod channels;
mod guilds;
mod interactions;
mod messages;
mod reactions;
mod routes;
mod threads;
mod users;
mod webhooks;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use routes::{ROUTES, Route};

use super::{
    Shared,
    content::Handed,
    ids::Id,
    limits::{Bucket, Exceeded, INVALID_WITHIN},
    perms::VIEW_CHANNEL,
    refusal::Refusal,
    world::{Channel, World},
};
use crate::shared::{
    fault::{self, Kind},
    http::{self, Call, Cut, Reply},
    multipart::multipart,
};

/// The most bytes of a request.
const REQUEST: usize = 25 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What stands in the path where the route has names.
    pub(crate) path: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) json: Value,
    pub(crate) body: Map<String, Value>,
    pub(crate) files: Vec<Handed>,
    /// True for a body that could not be read.
    broken: bool,
}

/// What a route answers: a status, and a body or none.
pub(crate) type Answer = Result<(u16, Option<Value>), Refusal>;

type Run = fn(&mut World, &Asked) -> Answer;

/// An answer with a body.
pub(crate) fn ok(body: Value) -> Answer {
    Ok((200, Some(body)))
}

/// An answer without one.
pub(crate) const NOTHING: (u16, Option<Value>) = (204, None);

impl Asked {
    fn read(path: Vec<String>, call: &Call) -> Self {
        let query = form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let mut asked = Self { path, query, ..Self::default() };
        let text = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes);
        let parsed = if call.content_type.starts_with("multipart/form-data") {
            let mut payload = Ok(json!({}));
            for part in multipart(&call.content_type, &call.body).unwrap_or_default() {
                if part.name == "payload_json" {
                    payload = text(&part.content);
                } else if let Some(name) = part.file {
                    let (content_type, content) = (part.kind, part.content);
                    asked.files.push(Handed { part: part.name, name, content_type, content });
                }
            }
            payload
        } else if call.body.is_empty() {
            Ok(Value::Null)
        } else {
            text(&call.body)
        };
        match parsed {
            Ok(value) => {
                asked.body = value.as_object().cloned().unwrap_or_default();
                asked.json = value;
            }
            Err(_) => asked.broken = true,
        }
        asked
    }

    /// A part of the path that is a snowflake.
    pub(crate) fn id(&self, index: usize, name: &str) -> Result<Id, Refusal> {
        let text = self.path.get(index).map(String::as_str).unwrap_or_default();
        text.parse().map_err(|_| {
            let words = format!("Value \"{text}\" is not snowflake.");
            Refusal::field(name, "NUMBER_TYPE_COERCE", &words)
        })
    }

    /// A field that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    /// A snowflake in the query.
    pub(crate) fn query_id(&self, name: &str) -> Option<Id> {
        self.query.get(name)?.parse().ok()
    }
}

/// Answers a call over HTTP. `path` is what follows the version.
pub(crate) async fn serve(path: &str, call: &Call, shared: &Arc<Shared>) -> Result<Reply, Cut> {
    let parts: Vec<String> = path.trim_end_matches('/').split('/').map(decoded).collect();
    let found = ROUTES.iter().find_map(|route| {
        let captured = captures(route.pattern, &parts)?;
        (route.method == call.method).then_some((route, captured))
    });
    let concrete = format!("{} /{path}", call.method);
    let name = found.as_ref().map(|(route, _)| format!("{} {}", route.method, route.pattern));
    let name = name.unwrap_or_else(|| concrete.clone());
    let (route, captured) = match found {
        Some((route, captured)) => (Some(route), captured),
        None => (None, Vec::new()),
    };
    let place = captured.first().cloned().unwrap_or_default();
    let asked = Asked::read(captured, call);
    let played = shared.with(|world| fault::take(&mut world.faults, &[&name, &concrete]));
    let done = shared.with(|world| {
        let done = world.handle(route, &name, &place, call, &asked, played.as_ref());
        world.write_down(&name, path, &asked, &done, played.as_ref());
        done
    });
    match played {
        Some(Kind::DropResponse | Kind::DropRequest) => return Err(Cut),
        Some(Kind::Delay(wait)) => tokio::time::sleep(wait).await,
        Some(Kind::Status(status)) if status != 500 => {
            return Ok(http::reply(status, "text/html", "<html><body>Bad Gateway</body></html>"));
        }
        Some(Kind::Garbage) => {
            return Ok(http::reply(200, "text/html; charset=utf-8", "<!DOCTYPE html><html>not JSON"));
        }
        Some(Kind::Status(_) | Kind::RateLimit(_) | Kind::Error(_)) | None => {}
    }
    Ok(done.reply())
}

/// What became of a call.
struct Done {
    answer: Answer,
    bucket: Option<Bucket>,
    exceeded: Option<Exceeded>,
    /// Refused by what stands before Discord.
    banned: bool,
}

impl Done {
    fn plain(answer: Answer) -> Self {
        Self { answer, bucket: None, exceeded: None, banned: false }
    }

    fn waiting(exceeded: Exceeded, bucket: Option<Bucket>) -> Self {
        let words = if exceeded.scope == "shared" {
            "The resource is being rate limited."
        } else {
            "You are being rate limited."
        };
        Self { answer: Err(Refusal::new(429, 0, words)), bucket, exceeded: Some(exceeded), banned: false }
    }

    fn status(&self) -> u16 {
        self.answer.as_ref().map_or_else(|refusal| refusal.status, |(status, _)| *status)
    }

    fn reply(self) -> Reply {
        let status = self.status();
        if self.banned {
            let mut reply = http::reply(429, "text/plain; charset=UTF-8", "error code: 1015");
            http::set(&mut reply, "retry-after", "600");
            return reply;
        }
        let mut reply = match (&self.answer, &self.exceeded) {
            (_, Some(exceeded)) => {
                let words = self.answer.as_ref().err().map(|refusal| refusal.message.clone());
                let (wait, global) = (exceeded.retry_after, exceeded.global);
                http::json(429, &json!({"message": words, "retry_after": wait, "global": global}))
            }
            (Ok((_, Some(body))), None) => http::json(status, body),
            (Ok((_, None)), None) => http::reply(status, "text/html; charset=utf-8", ""),
            (Err(refusal), None) => http::json(status, &refusal.show()),
        };
        if status != 204 {
            // There are clients that read nothing else as JSON.
            http::set(&mut reply, "content-type", "application/json");
        }
        // Clients tell by it an answer of Discord from one of what stands before it.
        http::set(&mut reply, "via", "1.1 google");
        if let Some(bucket) = &self.bucket {
            let reset = super::ids::since_epoch().as_secs_f64() + bucket.reset_after;
            http::set(&mut reply, "x-ratelimit-limit", &bucket.limit.to_string());
            http::set(&mut reply, "x-ratelimit-remaining", &bucket.remaining.to_string());
            http::set(&mut reply, "x-ratelimit-reset", &format!("{reset:.3}"));
            http::set(&mut reply, "x-ratelimit-reset-after", &format!("{:.3}", bucket.reset_after));
            http::set(&mut reply, "x-ratelimit-bucket", &bucket.name);
        }
        if let Some(exceeded) = &self.exceeded {
            http::set(&mut reply, "retry-after", &exceeded.retry_after.ceil().to_string());
            http::set(&mut reply, "x-ratelimit-scope", &exceeded.scope);
            if exceeded.global {
                http::set(&mut reply, "x-ratelimit-global", "true");
            }
        }
        reply
    }
}

impl World {
    fn handle(
        &mut self,
        route: Option<&Route>,
        name: &str,
        place: &str,
        call: &Call,
        asked: &Asked,
        played: Option<&Kind>,
    ) -> Done {
        let (window, ban_at) = (self.scaled(INVALID_WITHIN), self.settings.options.ban_at);
        if self.limits.is_banned(window) {
            return Done { banned: true, ..Done::plain(Err(Refusal::new(429, 0, "error code: 1015"))) };
        }
        let done = match played {
            Some(Kind::RateLimit(wait)) => {
                let scope = wait.scope.clone().unwrap_or_else(|| "user".to_owned());
                let global = scope == "global";
                Done::waiting(Exceeded { retry_after: wait.seconds, global, scope }, None)
            }
            Some(Kind::Status(status)) => {
                let words = format!("{status}: Internal Server Error");
                Done::plain(Err(Refusal::new(*status, 0, &words)))
            }
            Some(Kind::Error(error)) => Done::plain(Err(read_error(error))),
            Some(kind) if !kind.acts() => Done::plain(Err(Refusal::new(0, 0, "never answered"))),
            Some(_) | None => self.limited(route, name, place, call, asked),
        };
        let shared = done.exceeded.as_ref().is_some_and(|exceeded| exceeded.scope == "shared");
        if matches!(done.status(), 401 | 403 | 429) && !shared {
            self.limits.invalid(window, ban_at);
        }
        done
    }

    fn limited(
        &mut self,
        route: Option<&Route>,
        name: &str,
        place: &str,
        call: &Call,
        asked: &Asked,
    ) -> Done {
        let Some(route) = route else { return Done::plain(Err(Refusal::no_route())) };
        if route.bot && !call.token("Bot").is_some_and(|token| self.token_is_good(&token)) {
            return Done::plain(Err(Refusal::unauthorized()));
        }
        let options = &self.settings.options;
        let bucket = match self.limits.take(name, place, options.time_scale, options.rate_limits) {
            Ok(bucket) => bucket,
            Err((bucket, exceeded)) => return Done::waiting(exceeded, bucket),
        };
        let answer = if call.body.len() > REQUEST {
            Err(Refusal::new(413, 40005, "Request entity too large"))
        } else if asked.broken {
            let words = "The request body contains invalid JSON.";
            Err(Refusal::new(400, 50109, words))
        } else {
            (route.run)(self, asked)
        };
        Done { bucket: Some(bucket), ..Done::plain(answer) }
    }

    fn write_down(&mut self, name: &str, path: &str, asked: &Asked, done: &Done, played: Option<&Kind>) {
        let answered = done.answer.as_ref().ok().and_then(|(_, body)| body.as_ref());
        let call = json!({
            "method": name,
            "path": format!("/{path}"),
            "args": asked.json,
            "files": asked.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(),
            "at_ms": self.now_ms(),
            "at_us": self.now_us(),
            "ok": done.answer.is_ok(),
            "status": done.status(),
            "code": done.answer.as_ref().err().map(|refusal| refusal.code),
            "error": done.answer.as_ref().err().map(|refusal| refusal.message.clone()),
            "fault": played.map(|kind| format!("{kind:?}")),
            "id": answered.and_then(|body| body.get("id")),
        });
        self.record_call(call);
    }

    /// The channel that a call is about, if the app sees it.
    pub(crate) fn visible(&self, id: Id) -> Result<&Channel, Refusal> {
        let channel = self.channels.get(&id).filter(|channel| !channel.deleted);
        let channel = channel.ok_or_else(Refusal::unknown_channel)?;
        if self.sees(self.app, channel) { Ok(channel) } else { Err(Refusal::no_access()) }
    }

    /// The same, if the app may do all of this there.
    pub(crate) fn permitted(&self, id: Id, wanted: u64) -> Result<&Channel, Refusal> {
        let channel = self.visible(id)?;
        if self.may(self.app, channel, wanted | VIEW_CHANNEL) {
            Ok(channel)
        } else {
            Err(Refusal::no_permission())
        }
    }

    /// Refuses in a thread that sleeps.
    pub(crate) fn awake(channel: &Channel) -> Result<(), Refusal> {
        if channel.thread.as_ref().is_some_and(|thread| thread.archived) {
            return Err(Refusal::new(400, 50083, "Thread is archived"));
        }
        Ok(())
    }
}

fn read_error(error: &Value) -> Refusal {
    let number = |name: &str| error.get(name).and_then(Value::as_u64);
    let status = number("status").and_then(|status| u16::try_from(status).ok()).unwrap_or(400);
    let message = error.get("message").and_then(Value::as_str).unwrap_or("Played");
    Refusal::new(status, number("code").unwrap_or_default(), message)
}

/// What stands where the pattern has names, if the path fits.
fn captures(pattern: &str, parts: &[String]) -> Option<Vec<String>> {
    let wanted: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    if wanted.len() != parts.len() {
        return None;
    }
    let mut captured = Vec::new();
    for (wanted, part) in wanted.iter().zip(parts) {
        if wanted.starts_with('{') {
            captured.push(part.clone());
        } else if wanted != part {
            return None;
        }
    }
    Some(captured)
}

/// A part of a path without its percent signs.
fn decoded(part: &str) -> String {
    // In a path a plus is a plus.
    let shielded = format!("a={}", part.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(shielded.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
