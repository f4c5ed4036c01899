//! A provider: one address, one model. Joins the pure protocols to the client.

use std::time::Duration;

use agent::{Output, Prompt, Usage};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{self, Instant};

use crate::{
    answer::Answer,
    anthropic,
    client::{Client, Pace, Reply},
    complaint::{Complaint, compact},
    openai,
    seam::{Completion, Error, Kind, Model, Progress},
    settings::{AnswerKey, ProviderKind},
    sse,
};

/// What is asked of a provider beside the prompt.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) can: Vec<Output>,
    pub(crate) force_call: bool,
    pub(crate) effort: Option<String>,
    pub(crate) thinking_tokens: u32,
    pub(crate) answer_key: AnswerKey,
    pub(crate) stream: bool,
}

impl Ask {
    /// How this prompt's output is asked for: the agent's way, or the next that the provider can.
    pub(crate) fn output(&self, prompt: &Prompt) -> Output {
        let order: &[Output] = match prompt.output {
            Output::Functions => &[Output::Functions, Output::Schema],
            Output::Schema => &[Output::Schema, Output::Functions],
            Output::Text => &[],
        };
        let possible = |output: &&Output| {
            let nothing_to_call = **output == Output::Functions && prompt.functions.is_empty();
            self.can.contains(output) && !nothing_to_call
        };
        order.iter().find(possible).copied().unwrap_or(Output::Text)
    }
}

/// A provider.
pub(crate) struct Provider {
    /// Its name in `config.toml`.
    pub(crate) table: String,
    /// Name and model, for logs.
    pub(crate) name: String,
    pub(crate) kind: ProviderKind,
    pub(crate) ask: Ask,
    pub(crate) client: Client,
    pub(crate) key: Option<SecretString>,
    pub(crate) total: Duration,
}

#[async_trait]
impl Model for Provider {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, prompt: &Prompt, progress: Progress<'_>) -> Result<Completion, Error> {
        let started = Instant::now();
        let answer = match time::timeout(self.total, self.answer(prompt, progress)).await {
            Ok(answer) => answer.map_err(|error| self.named(error))?,
            Err(_) => {
                let what = format!("no whole answer within {:?}", self.total);
                return Err(self.named(Error::new(Kind::Retry { after: None }, what)));
            }
        };
        let model = answer.model.as_deref().unwrap_or(&self.ask.model);
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Completion {
            text: answer.output(),
            truncated: answer.truncated,
            usage: Usage { input: answer.input, output: answer.output, ms, calls: 1 },
            model: format!("{}/{}", self.table, compact(model, 100)),
            note: None,
        })
    }
}

impl Provider {
    async fn answer(&self, prompt: &Prompt, progress: Progress<'_>) -> Result<Answer, Error> {
        let body = match self.kind {
            ProviderKind::Anthropic => anthropic::encode(&self.ask, prompt)?,
            ProviderKind::Openai => openai::encode(&self.ask, prompt),
        };
        let pace = if self.ask.stream { Pace::Streamed } else { Pace::AtOnce };
        let mut reply = self.client.post(body.to_string().into_bytes(), pace).await?;
        if reply.status != 200 {
            return Err(self.complaint(&mut reply).await);
        }
        // What comes decides, not what was asked for: some servers do not stream.
        if reply.is_stream {
            let assembly = match self.kind {
                ProviderKind::Anthropic => Assembly::Anthropic(Box::default()),
                ProviderKind::Openai => Assembly::Openai(Box::default()),
            };
            let words_count = self.ask.output(prompt) != Output::Functions;
            follow(&mut reply, assembly, words_count, progress).await
        } else {
            let body = reply.whole().await?;
            match self.kind {
                ProviderKind::Anthropic => anthropic::decode(&body),
                ProviderKind::Openai => openai::decode(&body),
            }
        }
    }

    async fn complaint(&self, reply: &mut Reply) -> Error {
        let status = reply.status;
        if let (300..400, Some(location)) = (status, &reply.location) {
            let what = format!(
                "answers {status} with a redirect to {location}, which is not followed; correct `url`"
            );
            return Error::new(Kind::Refused, what);
        }
        let complaint = Complaint::read(&reply.complaint().await);
        let kind = complaint.at_status(status, reply.after);
        let what = match (kind, self.remedy(status, &complaint)) {
            // Providers quote a part of the key when it is wrong: their words are left out.
            (Kind::Unauthorized, remedy) => {
                format!("answers {status}: the key is missing, wrong, or not allowed to do this{remedy}")
            }
            (_, remedy) => format!("answers {status}: {}{remedy}", complaint.words()),
        };
        Error::new(kind, what)
    }

    fn remedy(&self, status: u16, complaint: &Complaint) -> &'static str {
        if matches!(status, 401 | 403) {
            " (check the variable that `key_env` names)"
        } else if status == 404 {
            " (check `model` and `url`)"
        } else if status == 400 && self.ask.force_call && complaint.says(&["tool_choice", "forces tool use"])
        {
            " (set `force_call = false` for this provider)"
        } else {
            ""
        }
    }

    /// Puts the provider's name before an error, and takes the key out of it.
    fn named(&self, error: Error) -> Error {
        let what = match &self.key {
            Some(key) => without_key(&error.what, key.expose_secret()),
            None => error.what,
        };
        Error { what: format!("{}: {what}", self.name), ..error }
    }
}

enum Assembly {
    Anthropic(Box<anthropic::Stream>),
    Openai(Box<openai::Stream>),
}

impl Assembly {
    fn event(&mut self, event: &sse::Event) -> Result<bool, Error> {
        match self {
            Self::Anthropic(stream) => stream.event(event),
            Self::Openai(stream) => stream.event(event),
        }
    }

    fn so_far(&self) -> Answer {
        match self {
            Self::Anthropic(stream) => stream.so_far(),
            Self::Openai(stream) => stream.so_far(),
        }
    }

    fn end(self) -> Result<Answer, Error> {
        match self {
            Self::Anthropic(stream) => stream.end(),
            Self::Openai(stream) => stream.end(),
        }
    }
}

/// Puts an answer together as it comes. It is told once for each piece of the connection: putting its beginning together
/// costs as much as it is long.
async fn follow(
    reply: &mut Reply,
    mut assembly: Assembly,
    words_count: bool,
    progress: Progress<'_>,
) -> Result<Answer, Error> {
    let mut parser = sse::Parser::default();
    let mut told = String::new();
    while let Some(chunk) = reply.chunk().await? {
        let events = parser
            .push(&chunk)
            .map_err(|_| Error::new(Kind::Retry { after: None }, "the answer is not UTF-8"))?;
        for event in &events {
            if assembly.event(event)? {
                return assembly.end();
            }
        }
        let so_far = assembly.so_far();
        let output = if words_count || !so_far.calls.is_empty() { so_far.output() } else { String::new() };
        if output != told {
            progress(&output);
            told = output;
        }
    }
    assembly.end()
}

/// The text without the key, and without words that begin as the key does: providers quote keys in part.
fn without_key(text: &str, key: &str) -> String {
    let text = text.replace(key, "[key]");
    let Some((beginning, _)) = key.split_at_checked(6).filter(|(_, rest)| !rest.is_empty()) else {
        return text;
    };
    let mut clean = String::with_capacity(text.len());
    for (number, part) in text.split(beginning).enumerate() {
        if number == 0 {
            clean.push_str(part);
            continue;
        }
        let end = part.find(|c: char| c.is_whitespace() || "\"'`,;)".contains(c)).unwrap_or(part.len());
        clean.push_str("[key]");
        clean.push_str(&part[end..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_texts_also_in_part() {
        let key = "sk-live-0123456789";
        assert_eq!(without_key("bad key sk-live-0123456789.", key), "bad key [key].");
        assert_eq!(without_key("bad key sk-liv***6789, see 'sk-live-x'", key), "bad key [key], see '[key]'");
        assert_eq!(without_key("nothing here", key), "nothing here");
        assert_eq!(without_key("k none k", "none"), "k [key] k");
    }
}
