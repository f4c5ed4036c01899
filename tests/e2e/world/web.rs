//! A person at the page, over its HTTP interface.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::SOON;

/// A person at the page.
#[derive(Clone)]
pub(crate) struct Page {
    http: reqwest::Client,
    base: String,
    session: String,
}

/// One entry of a conversation, as the page shows it.
pub(crate) type Entry = Value;

impl Page {
    pub(crate) fn new(port: u16) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base: format!("http://127.0.0.1:{port}"), session: String::new() }
    }

    /// The same for somebody whom the page knows by their token.
    pub(crate) async fn logged_in(self, token: &str) -> Self {
        let request = self.http.post(format!("{}/login", self.base)).header("Origin", &self.base);
        let response = request.json(&json!({ "token": token })).send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        let session = cookie.split(';').next().unwrap().to_owned();
        Self { session, ..self }
    }

    /// A new conversation.
    pub(crate) async fn open(&self) -> String {
        self.try_open().await.unwrap()
    }

    /// A new conversation, unless the gateway is away.
    pub(crate) async fn try_open(&self) -> Result<String, String> {
        let answer = self.post("/conversations", &json!({})).await?;
        Ok(answer["id"].as_str().unwrap().to_owned())
    }

    /// Says something; `id` names the message when it is sent again.
    pub(crate) async fn say(&self, conversation: &str, id: &str, text: &str) -> Result<Value, String> {
        self.post(&format!("/c/{conversation}/say"), &json!({ "text": text, "id": id })).await
    }

    /// Says something, and sends a file along: its name, kind and content.
    pub(crate) async fn send(
        &self,
        conversation: &str,
        id: &str,
        text: &str,
        (name, kind, content): (&str, &str, &[u8]),
    ) -> Result<Value, String> {
        let file = json!({ "name": name, "kind": kind, "data": data_encoding::BASE64.encode(content) });
        self.post(&format!("/c/{conversation}/say"), &json!({ "text": text, "id": id, "files": [file] }))
            .await
    }

    /// Presses a button of a card.
    pub(crate) async fn press(
        &self,
        conversation: &str,
        id: &str,
        card: &Entry,
        choice: &str,
    ) -> Result<Value, String> {
        self.press_with(conversation, id, card, choice, None).await
    }

    pub(crate) async fn press_with(
        &self,
        conversation: &str,
        id: &str,
        card: &Entry,
        choice: &str,
        comment: Option<&str>,
    ) -> Result<Value, String> {
        let mut body = json!({ "ticket": card["ticket"], "choice": choice, "id": id });
        if let Some(comment) = comment {
            body["comment"] = comment.into();
        }
        self.post(&format!("/c/{conversation}/press"), &body).await
    }

    /// Sends off the form of a choice, filled in.
    pub(crate) async fn fill(
        &self,
        conversation: &str,
        id: &str,
        (card, choice): (&Entry, &str),
        values: &Value,
    ) -> Result<Value, String> {
        let body = json!({ "ticket": card["ticket"], "choice": choice, "id": id, "values": values });
        self.post(&format!("/c/{conversation}/press"), &body).await
    }

    /// Answers the question of a card in words.
    pub(crate) async fn answer(
        &self,
        conversation: &str,
        id: &str,
        card: &Entry,
        text: &str,
    ) -> Result<Value, String> {
        let body = json!({ "ticket": card["ticket"], "text": text, "id": id });
        self.post(&format!("/c/{conversation}/say"), &body).await
    }

    /// Looks at an address in another way than the page does; the status.
    pub(crate) async fn looks(&self, method: &str, path: &str) -> u16 {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request =
            self.http.request(method, format!("{}{path}", self.base)).header("Cookie", &self.session);
        request.send().await.unwrap().status().as_u16()
    }

    /// What the page allows a browser to fetch and to run.
    pub(crate) async fn policy(&self) -> String {
        let response = self.http.get(&self.base).send().await.unwrap();
        response.headers()["content-security-policy"].to_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.http.post(format!("{}{path}", self.base)).header("Origin", &self.base).json(body);
        let request = request.header("Cookie", &self.session);
        let response =
            request.timeout(Duration::from_secs(10)).send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if status.is_success() {
            Ok(serde_json::from_str(&text).unwrap())
        } else {
            Err(format!("{status}: {text}"))
        }
    }

    /// What the page shows of a conversation now: later entries replace those that they amend.
    pub(crate) async fn entries(&self, conversation: &str) -> Result<Vec<Entry>, String> {
        let request =
            self.http.get(format!("{}/c/{conversation}/events", self.base)).timeout(Duration::from_secs(10));
        let mut response =
            request.header("Cookie", &self.session).send().await.map_err(|error| error.to_string())?;
        let mut stream = String::new();
        while !stream.contains("event: synced") {
            let chunk =
                response.chunk().await.map_err(|error| error.to_string())?.ok_or("the stream ended")?;
            stream.push_str(&String::from_utf8_lossy(&chunk));
        }
        let mut shown: Vec<Entry> = Vec::new();
        for event in stream.split("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let Some(data) = field("data: ").filter(|_| field("event: ") == Some("entry")) else { continue };
            let entry: Entry = serde_json::from_str(data).unwrap();
            let amends = entry["amends"].as_str().map(str::to_owned);
            match shown.iter_mut().find(|old| amends.is_some() && old["key"].as_str() == amends.as_deref()) {
                Some(old) => {
                    *old = entry;
                    old["key"] = amends.into();
                }
                None => shown.push(entry),
            }
        }
        Ok(shown)
    }

    /// Waits for an entry, and gives it.
    pub(crate) async fn wait(
        &self,
        conversation: &str,
        what: &str,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Entry {
        let began = Instant::now();
        loop {
            let entries = self.entries(conversation).await.unwrap_or_default();
            if let Some(entry) = entries.iter().find(|entry| wanted(entry)) {
                return entry.clone();
            }
            assert!(began.elapsed() < SOON, "{what} was never shown; the page shows:\n{entries:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the agent to say this.
    pub(crate) async fn wait_said(&self, conversation: &str, words: &str) -> Entry {
        self.wait(conversation, words, |entry| entry["kind"] == "said" && entry.to_string().contains(words))
            .await
    }

    /// Waits for a card that waits for an answer.
    pub(crate) async fn wait_card(&self, conversation: &str, title: &str) -> Entry {
        self.wait(conversation, title, |entry| is_open_card(entry) && entry["title"] == title).await
    }
}

pub(crate) fn is_open_card(entry: &Entry) -> bool {
    entry["kind"] == "card" && entry["state"] == "open"
}
