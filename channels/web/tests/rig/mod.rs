//! The page and one person's browser, for the laws of every channel.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc, time::Duration};

use async_trait::async_trait;
use channel::{Channel, ChannelName, Place};
use channel_web::Web;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use testkit::channel_laws::{Gesture, Rig, Shown, alive_in_html, words_of_html};
use tokio::sync::OnceCell;

use crate::double::{ANA, open};

/// Ana's browser, and the page it shows.
struct Page {
    web: Arc<Web>,
    base: String,
    client: Client,
    cookie: OnceCell<String>,
}

/// A page that does not listen yet.
pub(crate) async fn rig() -> Box<dyn Rig> {
    // The port must be the same when the page listens again.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings =
        json!({ "listen": format!("127.0.0.1:{port}"), "people": { "ana": { "token_env": "ANA" } } });
    Box::new(Page {
        web: Arc::new(open(settings)),
        base: format!("http://127.0.0.1:{port}"),
        client: Client::builder().no_proxy().build().unwrap(),
        cookie: OnceCell::new(),
    })
}

impl Page {
    async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookie = self.cookie.get_or_init(|| self.log_in()).await;
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.header("origin", &self.base).header("cookie", cookie).timeout(Duration::from_secs(10))
    }

    async fn log_in(&self) -> String {
        let request = self.client.post(format!("{}/login", self.base)).header("origin", &self.base);
        let response = request.json(&json!({ "token": ANA })).send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Posts something as the page does, and says whether it was taken.
    async fn post(&self, path: &str, body: &Value) -> bool {
        let response = self.request(Method::POST, path).await.json(body).send().await.unwrap();
        let status = response.status();
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE), "{status}");
        status == StatusCode::ACCEPTED
    }

    async fn say(&self, conversation: &str, text: &str) -> Gesture {
        let id = format!("client-{}", channel::Timestamp::now().as_nanosecond());
        let gesture =
            Gesture { id, conversation: conversation.to_owned(), text: text.to_owned(), acknowledged: None };
        Gesture { acknowledged: self.repeats(&gesture).await, ..gesture }
    }

    /// What the stream of a conversation brings until it has caught up.
    async fn entries(&self, conversation: &str) -> Vec<Value> {
        let path = format!("/c/{conversation}/events");
        let mut response = self.request(Method::GET, &path).await.send().await.unwrap();
        let mut read = String::new();
        while !read.contains("event: synced") {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let entries = read.split("\n\n").filter(|event| event.contains("event: entry"));
        let data = entries.filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    async fn shown(&self, conversation: &str, mut entry: Value) -> Shown {
        let mut files = Vec::new();
        for file in entry["files"].as_array().unwrap() {
            let path = format!("/c/{conversation}/files/{}", file["hash"].as_str().unwrap());
            let response = self.request(Method::GET, &path).await.send().await.unwrap();
            let bytes = response.bytes().await.unwrap().to_vec();
            files.push((file["name"].as_str().unwrap().to_owned(), bytes));
        }
        let html = entry["html"].as_str().unwrap_or_default().to_owned();
        let open = entry["state"] == "open";
        let choices = entry["choices"].as_array().filter(|_| open).into_iter().flatten();
        let buttons = choices.map(|choice| choice["id"].as_str().unwrap().to_owned()).collect();
        // The page shows every string of a card as text.
        let mut words = vec![words_of_html(&html)];
        let object = entry.as_object_mut().unwrap();
        object.remove("html");
        strings(&Value::Object(object.clone()), &mut words);
        let text = words.join("\n");
        object.insert("html".to_owned(), html.clone().into());
        // When the page was told is no part of the message.
        object.remove("id");
        object.remove("at");
        let name = entry["key"].as_str().unwrap().to_owned();
        Shown { name, text, whole: entry.to_string(), alive: alive_in_html(&html), buttons, files }
    }
}

fn strings(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| strings(value, words)),
        Value::Object(values) => values.values().for_each(|value| strings(value, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn conversation(place: &Place) -> &str {
    place.as_str().split_once('/').expect("a place of the page").1
}

#[async_trait]
impl Rig for Page {
    fn channel(&self) -> Arc<dyn Channel> {
        self.web.clone()
    }

    fn name(&self) -> ChannelName {
        ChannelName::new("web")
    }

    fn contact(&self) -> String {
        "ana".to_owned()
    }

    fn secrets(&self) -> Vec<String> {
        vec![ANA.to_owned()]
    }

    async fn says(&self, text: &str) -> Gesture {
        let request = self.request(Method::POST, "/conversations").await;
        let begun: Value = request.json(&json!({})).send().await.unwrap().json().await.unwrap();
        self.say(begun["id"].as_str().unwrap(), text).await
    }

    async fn replies(&self, first: &Gesture, text: &str) -> Gesture {
        self.say(&first.conversation, text).await
    }

    async fn repeats(&self, gesture: &Gesture) -> Option<bool> {
        let body = json!({ "id": gesture.id, "text": gesture.text });
        Some(self.post(&format!("/c/{}/say", gesture.conversation), &body).await)
    }

    async fn sees(&self, place: &Place) -> Vec<Shown> {
        let conversation = conversation(place);
        let mut shown = Vec::new();
        for entry in self.entries(conversation).await {
            if entry["kind"] != "heard" {
                let entry = self.shown(conversation, entry).await;
                // The page keeps one message under each key.
                if !shown.contains(&entry) {
                    shown.push(entry);
                }
            }
        }
        shown
    }

    async fn answers(&self, place: &Place, card: &Shown, choice: &str) {
        let entry: Value = serde_json::from_str(&card.whole).unwrap();
        let body = json!({ "id": format!("press-{}", card.name.replace('.', "-")), "ticket": entry["ticket"], "choice": choice });
        assert!(self.post(&format!("/c/{}/press", conversation(place)), &body).await);
    }

    async fn fills(&self, place: &Place, card: &Shown, choice: &str, lines: &[(&str, &str)]) {
        let entry: Value = serde_json::from_str(&card.whole).unwrap();
        let button =
            entry["choices"].as_array().unwrap().iter().find(|button| button["id"] == choice).unwrap();
        let form = button["form"].as_array().unwrap().iter();
        let mut values: BTreeMap<&str, &str> =
            form.map(|line| (line["id"].as_str().unwrap(), line["value"].as_str().unwrap())).collect();
        values.extend(lines.iter().copied());
        let body = json!({
            "id": format!("fill-{}", card.name.replace('.', "-")), "ticket": entry["ticket"], "choice": choice, "values": values,
        });
        assert!(self.post(&format!("/c/{}/press", conversation(place)), &body).await);
    }

    /// The page is its own platform.
    async fn away(&self, _away: bool) -> bool {
        false
    }
}
