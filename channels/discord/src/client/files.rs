//! Files that people send along. They are fetched without a token: their address is the permission.
//!
//! Invariant: only Discord's own hosts are asked, whatever address a payload names.

use std::time::Duration;

use channel::Attachment;

use super::api::Api;
use crate::{config::Limits, decode::FileRef};

/// How long the files of one message may take, each.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Fetches the files of a message, each with its bytes or why they are not there.
pub(super) async fn fetch(api: &Api, files: &[FileRef], limits: &Limits) -> Vec<Attachment> {
    let mut attachments = Vec::new();
    for (n, file) in files.iter().enumerate() {
        let bytes = if n < limits.files {
            let fetched = tokio::time::timeout(FETCH_TIMEOUT, bytes(api, file, limits.file_bytes)).await;
            fetched.unwrap_or_else(|_| Err("Discord did not send it in time".to_owned()))
        } else {
            Err(format!("more than {} files", limits.files))
        };
        let size = bytes.as_ref().map_or(file.size, |bytes| bytes.len() as u64);
        attachments.push(Attachment { name: file.name.clone(), kind: file.kind.clone(), size, bytes });
    }
    attachments
}

async fn bytes(api: &Api, file: &FileRef, bytes_max: usize) -> Result<Vec<u8>, String> {
    if file.size > bytes_max as u64 {
        return Err(format!("larger than {bytes_max} bytes"));
    }
    let url = own_host(&file.url, api.base()).ok_or("its address is not one of Discord's")?;
    let lost = |error: reqwest::Error| format!("it could not be fetched: {}", error.without_url());
    let mut answer = api.download(url).send().await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(format!("Discord answered with HTTP status {}", answer.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(format!("larger than {bytes_max} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The address, if it is on a host of Discord's for files, or on the host of the API.
fn own_host(url: &str, base: &str) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(url).ok()?;
    let base = reqwest::Url::parse(base).ok()?;
    let host = url.host_str()?;
    let of_discord =
        url.scheme() == "https" && ["cdn.discordapp.com", "media.discordapp.net"].contains(&host);
    let of_tests = chat::settings::is_loopback(&base) && url.origin() == base.origin();
    (of_discord || of_tests).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_discord_is_asked() {
        let base = "https://discord.com/api/v10";
        assert!(own_host("https://cdn.discordapp.com/attachments/1/2/a.txt?ex=1", base).is_some());
        assert!(own_host("http://127.0.0.1:99/f", "http://127.0.0.1:99/api/v10").is_some());
        for url in [
            "https://evil.example/cdn.discordapp.com/x",
            "https://cdn.discordapp.com.evil.example/x",
            "https://xcdn.discordapp.com/x",
            "http://cdn.discordapp.com/x",
            "https://cdn.discordapp.com@evil.example/x",
            "https://discord.com/api/v10/x",
            "http://127.0.0.1:99/f",
            "file:///etc/passwd",
            "not an address",
        ] {
            assert!(own_host(url, base).is_none(), "{url}");
        }
    }
}
