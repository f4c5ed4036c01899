//! Files that people send along.
//!
//! Invariant: the token goes to Slack's own hosts and to no other, whatever address a payload names.

use channel::Attachment;
use chat::{files, payload::text};

use super::api::{Api, Workspace};
use crate::{config::Limits, decode::FileRef};

impl files::Named for FileRef {
    fn named(&self) -> (&str, &str, u64) {
        (&self.name, &self.kind, self.size)
    }
}

/// Fetches the files of a message, each with its bytes or why they are not there.
pub(super) async fn fetch(
    api: &Api,
    workspace: &Workspace,
    files: &[FileRef],
    limits: &Limits,
) -> Vec<Attachment> {
    let limit = limits.file_bytes;
    files::attachments(files, (limits.files, limit), |file| bytes(api, workspace, file, limit)).await
}

async fn bytes(
    api: &Api,
    workspace: &Workspace,
    file: &FileRef,
    bytes_max: usize,
) -> Result<Vec<u8>, String> {
    if file.external {
        return Err("it is kept outside of Slack".to_owned());
    }
    let url = match &file.url {
        Some(url) => url.clone(),
        // In a channel shared with others Slack names a file and keeps the rest back.
        None => asked(api, workspace, file).await?,
    };
    let url = own_host(&url, api.base()).ok_or("its address is not one of Slack's")?;
    let (kind, bytes) = files::download(api.download(workspace, url), bytes_max).await?;
    if kind.starts_with("text/html") && !file.kind.starts_with("text/html") {
        // Instead of an error a token without the scope gets a page to log in at.
        return Err("Slack did not give it: the bot token lacks the scope files:read".to_owned());
    }
    Ok(bytes)
}

async fn asked(api: &Api, workspace: &Workspace, file: &FileRef) -> Result<String, String> {
    let answer = api.file(workspace, &file.id).await.map_err(|fault| fault.error.to_string())?;
    let of = |key: &str| text(&answer, &["file", key]).map(str::to_owned);
    of("url_private_download")
        .or_else(|| of("url_private"))
        .ok_or_else(|| "Slack names no address for it".to_owned())
}

/// The address, if it is on a host of Slack's, or on the host of the API.
fn own_host(url: &str, base: &str) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(url).ok()?;
    let base = reqwest::Url::parse(base).ok()?;
    let host = url.host_str()?;
    let slack = ["slack.com", "slack-gov.com", "slack-files.com"];
    let of_slack = url.scheme() == "https"
        && slack
            .iter()
            .any(|domain| host == *domain || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')));
    (of_slack || url.origin() == base.origin()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_slack_alone() {
        let base = "https://slack.com/api";
        assert!(own_host("https://files.slack.com/files-pri/T1-F1/a.txt", base).is_some());
        assert!(own_host("http://127.0.0.1:99/f", "http://127.0.0.1:99/api").is_some());
        for url in [
            "https://evil.example/files.slack.com/x",
            "https://files.slack.com.evil.example/x",
            "https://evilslack.com/x",
            "http://files.slack.com/x",
            "https://files.slack.com@evil.example/x",
            "file:///etc/passwd",
            "http://127.0.0.1:99/f",
            "not an address",
        ] {
            assert!(own_host(url, base).is_none(), "{url}");
        }
    }
}
