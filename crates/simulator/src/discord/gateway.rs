//! The gateway: what the app says on a socket, and what it hears at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{effect::Later, options::intents, sessions::Socket, world::World};
use crate::shared::link::{Order, Orders};
use crate::shared::tasks::Effect;

/// The most bytes of what the app sends.
const FRAME: usize = 4096;

/// The most frames that the app may send in a minute.
const FRAMES_A_MINUTE: usize = 120;

/// How far apart the app's sessions have to begin.
const IDENTIFY_EVERY: Duration = Duration::from_secs(5);

impl World {
    /// Whether a connection may be made.
    pub(crate) fn admit(&mut self) -> bool {
        if self.sessions.refuse_connect > 0 {
            self.sessions.refuse_connect -= 1;
            return false;
        }
        true
    }

    /// Takes a new connection up and greets it.
    pub(crate) fn join_socket(&mut self, orders: Orders) -> u64 {
        let opened_ms = self.now_ms();
        self.sessions.last_socket += 1;
        self.sessions.opened += 1;
        let id = self.sessions.last_socket;
        let socket = Socket {
            orders,
            session: None,
            opened_ms,
            sent: 0,
            beats: 0,
            last_beat: Instant::now(),
            ghost: false,
            no_acks: false,
            closing: false,
            heard: VecDeque::new(),
        };
        self.sessions.live.insert(id, socket);
        let every = self.settings.options.heartbeat;
        let hello = json!({"t": null, "s": null, "op": 10, "d": {
            "heartbeat_interval": u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
            "_trace": ["[\"gateway-sim\",{\"micros\":0.0}]"],
        }});
        self.sessions.send(id, &hello.to_string());
        self.effects.push(Effect::After(every.mul_f64(1.5), Later::Beat(id)));
        id
    }

    /// A connection is gone.
    pub(crate) fn leave_socket(&mut self, id: u64, code: Option<u16>) {
        let Some(socket) = self.sessions.live.remove(&id) else { return };
        let Some(name) = socket.session else { return };
        if matches!(code, Some(1000 | 1001)) {
            self.sessions.all.remove(&name);
        } else if let Some(session) = self.sessions.all.get_mut(&name)
            && session.socket == Some(id)
        {
            session.socket = None;
            session.left = Some(Instant::now());
        }
    }

    /// A socket should have sent a heartbeat by now.
    pub(crate) fn beat_due(&mut self, id: u64) {
        let wait = self.settings.options.heartbeat.mul_f64(1.5);
        let Some(socket) = self.sessions.live.get(&id).filter(|socket| !socket.ghost) else { return };
        let silent = socket.last_beat.elapsed();
        if silent >= wait {
            self.sessions.close(id, 4000, "No heartbeat came in time.");
        } else {
            self.effects.push(Effect::After(wait.saturating_sub(silent), Later::Beat(id)));
        }
    }

    /// A text frame came in.
    pub(crate) fn hear_socket(&mut self, id: u64, text: &str) {
        let Some(socket) = self.sessions.live.get_mut(&id).filter(|socket| !socket.closing) else { return };
        let now = Instant::now();
        socket.heard.push_back(now);
        while socket.heard.front().is_some_and(|first| now - *first > Duration::from_secs(60)) {
            socket.heard.pop_front();
        }
        let (known, many) = (socket.session.is_some(), socket.heard.len() > FRAMES_A_MINUTE);
        if many {
            return self.sessions.close(id, 4008, "You are being rate limited.");
        }
        let frame: Option<Value> = (text.len() <= FRAME).then(|| serde_json::from_str(text).ok()).flatten();
        let op = frame.as_ref().and_then(|frame| frame.get("op")?.as_u64());
        let (Some(frame), Some(op)) = (frame, op) else {
            return self.sessions.close(id, 4002, "Error while decoding payload.");
        };
        let data = frame.get("d").cloned().unwrap_or_default();
        match op {
            1 => self.hear_beat(id),
            2 if known => self.sessions.close(id, 4005, "Already authenticated."),
            2 => self.identify(id, &data),
            6 => self.resume(id, &data),
            3 | 4 | 8 | 31 if !known => self.sessions.close(id, 4003, "Not authenticated."),
            3 | 4 | 31 => {}
            8 => self.request_members(id, &data),
            _ => self.sessions.close(id, 4001, "Unknown opcode."),
        }
    }

    fn hear_beat(&mut self, id: u64) {
        let Some(socket) = self.sessions.live.get_mut(&id) else { return };
        socket.beats += 1;
        socket.last_beat = Instant::now();
        if !socket.no_acks {
            self.sessions.send(id, &json!({"t": null, "s": null, "op": 11, "d": null}).to_string());
        }
    }

    fn identify(&mut self, id: u64, data: &Value) {
        let token = data.get("token").and_then(Value::as_str).unwrap_or_default();
        if !self.token_is_good(token.trim_start_matches("Bot ")) {
            return self.sessions.close(id, 4004, "Authentication failed.");
        }
        let Some(asked) = data.get("intents").and_then(Value::as_u64).filter(|it| it & !intents::ALL == 0)
        else {
            return self.sessions.close(id, 4013, "Invalid intent(s).");
        };
        let options = &self.settings.options;
        if asked & intents::PRIVILEGED & !options.privileged_intents != 0 {
            return self.sessions.close(id, 4014, "Disallowed intent(s).");
        }
        let pair = data.get("shard").and_then(Value::as_array).map(|pair| {
            let number = |index: usize| pair.get(index).and_then(Value::as_u64);
            (number(0).unwrap_or(u64::MAX), number(1).unwrap_or_default())
        });
        let shard = pair.unwrap_or((0, 1));
        if shard.0 >= shard.1 {
            return self.sessions.close(id, 4010, "Invalid shard.");
        }
        if options.sharding_required && shard.1 < options.shards {
            return self.sessions.close(id, 4011, "Sharding required.");
        }
        let every = self.scaled(IDENTIFY_EVERY);
        if self.sessions.identified.last().is_some_and(|last| last.elapsed() < every) {
            return self.invalid_session(id, false);
        }
        self.sessions.identified.push(Instant::now());
        let session = self.begin_session(id, asked, shard);
        self.greet(&session, asked, shard, pair.is_some());
    }

    fn greet(&mut self, session: &str, asked: u64, shard: (u64, u64), sharded: bool) {
        let app = self.show_app();
        let mine: Vec<u64> = self
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&self.app) && (guild.id >> 22) % shard.1 == shard.0)
            .map(|guild| guild.id)
            .collect();
        let unavailable: Vec<Value> =
            mine.iter().map(|id| json!({"id": id.to_string(), "unavailable": true})).collect();
        let mut ready = json!({
            "v": 10,
            "user_settings": {},
            "user": self.show_me(),
            "session_type": "normal",
            "session_id": session,
            "resume_gateway_url": self.socket_base,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": unavailable,
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "application": {"id": app.get("id"), "flags": app.get("flags")},
            "_trace": [],
        });
        if let Some(ready) = ready.as_object_mut().filter(|_| sharded) {
            ready.insert("shard".to_owned(), json!([shard.0, shard.1]));
        }
        self.tell(session, "READY", ready);
        if asked & intents::GUILDS != 0 {
            for id in mine {
                let guild = self.guilds.get(&id).map(|guild| self.show_whole_guild(guild, asked));
                self.tell(session, "GUILD_CREATE", guild.unwrap_or_default());
            }
        }
    }

    fn resume(&mut self, id: u64, data: &Value) {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        if !self.token_is_good(text("token").trim_start_matches("Bot ")) {
            return self.sessions.close(id, 4004, "Authentication failed.");
        }
        self.forget_sessions();
        let (name, seq) = (text("session_id").to_owned(), data.get("seq").and_then(Value::as_u64));
        let Some(session) = self.sessions.all.get_mut(&name) else { return self.invalid_session(id, false) };
        let Some(seq) = seq.filter(|seq| *seq <= session.seq) else {
            return self.sessions.close(id, 4007, "Invalid seq.");
        };
        let first = session.log.front().map_or(session.seq + 1, |(first, _, _)| *first);
        if seq + 1 < first {
            self.sessions.all.remove(&name);
            return self.invalid_session(id, false);
        }
        let before = session.socket.replace(id);
        session.left = None;
        session.resumed += 1;
        let missed: Vec<_> = session.log.iter().filter(|(known, _, _)| *known > seq).cloned().collect();
        if let Some(before) = before.filter(|before| *before != id) {
            self.sessions.order(before, Order::Cut);
        }
        if let Some(socket) = self.sessions.live.get_mut(&id) {
            socket.session = Some(name.clone());
        }
        for (_, text, delivery) in missed {
            self.send_frame(&name, &text, delivery);
        }
        self.tell(&name, "RESUMED", json!({"_trace": []}));
    }

    /// Says that a session is none; whether it may be resumed all the same.
    pub(crate) fn invalid_session(&mut self, id: u64, resumable: bool) {
        self.sessions.send(id, &json!({"t": null, "s": null, "op": 9, "d": resumable}).to_string());
    }

    fn request_members(&mut self, id: u64, data: &Value) {
        let session = self.sessions.live.get(&id).and_then(|socket| socket.session.clone());
        let guild = data.get("guild_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let (Some(session), Some(guild)) = (session, guild.and_then(|id: u64| self.guilds.get(&id))) else {
            return;
        };
        let wanted: Option<Vec<&str>> = match data.get("user_ids") {
            Some(Value::Array(list)) => Some(list.iter().filter_map(Value::as_str).collect()),
            Some(one) => one.as_str().map(|one| vec![one]),
            None => None,
        };
        let query = data.get("query").and_then(Value::as_str).unwrap_or_default();
        let members: Vec<Value> = guild
            .members
            .keys()
            .filter(|user| match &wanted {
                Some(wanted) => wanted.contains(&user.to_string().as_str()),
                None => self.users.get(user).is_some_and(|user| user.name.starts_with(query)),
            })
            .map(|&user| self.show_member(guild.id, user))
            .collect();
        let mut chunk = json!({
            "guild_id": guild.id.to_string(),
            "members": members,
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        });
        if let (Some(chunk), Some(nonce)) = (chunk.as_object_mut(), data.get("nonce")) {
            chunk.insert("nonce".to_owned(), nonce.clone());
        }
        self.tell(&session, "GUILD_MEMBERS_CHUNK", chunk);
    }

    /// Whether a bot token may be used.
    pub(crate) fn token_is_good(&self, token: &str) -> bool {
        token == self.settings.token && !self.settings.revoked
    }

    /// The live sockets, for a test to look at.
    pub(crate) fn show_sockets(&self) -> Value {
        let shown: Vec<Value> = self
            .sessions
            .live
            .iter()
            .map(|(id, socket)| {
                json!({
                    "id": id,
                    "session": socket.session,
                    "opened_ms": socket.opened_ms,
                    "sent": socket.sent,
                    "beats": socket.beats,
                    "ghost": socket.ghost,
                    "closing": socket.closing,
                })
            })
            .collect();
        json!(shown)
    }
}
