//! Files that people send along: so many, so large, in so long, and why those that are not there are not.

use std::time::Duration;

use channel::Attachment;

/// How long one file may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// What a payload says of a file.
pub trait Named {
    /// Its name, its media type, and its size in bytes.
    fn named(&self) -> (&str, &str, u64);
}

/// Fetches the files of a message, the first `files_max` of them, each with its bytes or why they are not there.
pub async fn attachments<'a, File: Named, Fetching: Future<Output = Result<Vec<u8>, String>>>(
    files: &'a [File],
    (files_max, bytes_max): (usize, usize),
    fetch: impl Fn(&'a File) -> Fetching,
) -> Vec<Attachment> {
    let mut attachments = Vec::new();
    for (n, file) in files.iter().enumerate() {
        let (name, kind, size) = file.named();
        let bytes = if n >= files_max {
            Err(format!("more than {files_max} files"))
        } else if size > bytes_max as u64 {
            Err(too_large(bytes_max))
        } else {
            let fetched = tokio::time::timeout(FETCH_TIMEOUT, fetch(file)).await;
            fetched.unwrap_or_else(|_| Err("it was not sent in time".to_owned()))
        };
        let size = bytes.as_ref().map_or(size, |bytes| bytes.len() as u64);
        attachments.push(Attachment { name: name.to_owned(), kind: kind.to_owned(), size, bytes });
    }
    attachments
}

/// Downloads a file of at most so many bytes, whatever was said of its size; with the media type that came with it. Nothing
/// of the address is told, for it may be a permission.
///
/// # Errors
/// A sentence for whoever sent the file.
pub async fn download(
    request: reqwest::RequestBuilder,
    bytes_max: usize,
) -> Result<(String, Vec<u8>), String> {
    let lost = |error: reqwest::Error| format!("it could not be fetched: {}", error.without_url());
    let mut answer = request.send().await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(format!("it was refused with HTTP status {}", answer.status().as_u16()));
    }
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((kind, bytes))
}

fn too_large(bytes_max: usize) -> String {
    format!("larger than {bytes_max} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct File(u64);

    impl Named for File {
        fn named(&self) -> (&str, &str, u64) {
            ("a.txt", "text/plain", self.0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_fetched_says_why() {
        let fetch = |File(size): &File| {
            let wait = Duration::from_secs(if *size == 7 { 60 } else { 0 });
            async move {
                tokio::time::sleep(wait).await;
                Ok(vec![0; 5])
            }
        };
        let files = [File(5), File(11), File(7), File(5)];
        let attachments = attachments(&files, (3, 10), fetch).await;
        let why: Vec<&str> =
            attachments.iter().map(|file| file.bytes.as_ref().err().map_or("", String::as_str)).collect();
        assert_eq!(why, ["", "larger than 10 bytes", "it was not sent in time", "more than 3 files"]);
    }
}
