//! Files that people send along. They are fetched without a token: their address is the permission.
//!
//! Invariant: only Discord's own hosts are asked, whatever address a payload names.

use channel::Attachment;
use chat::files;

use super::api::Api;
use crate::{config::Limits, decode::FileRef};

impl files::Named for FileRef {
    fn named(&self) -> (&str, &str, u64) {
        (&self.name, &self.kind, self.size)
    }
}

/// Fetches the files of a message, each with its bytes or why they are not there.
pub(super) async fn fetch(api: &Api, files: &[FileRef], limits: &Limits) -> Vec<Attachment> {
    let limit = limits.file_bytes;
    files::attachments(files, (limits.files, limit), |file| bytes(api, file, limit)).await
}

async fn bytes(api: &Api, file: &FileRef, bytes_max: usize) -> Result<Vec<u8>, String> {
    let url = own_host(&file.url, api.base()).ok_or("its address is not one of Discord's")?;
    files::download(api.download(url), bytes_max).await.map(|(_, bytes)| bytes)
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
