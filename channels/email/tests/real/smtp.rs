//! An SMTP server that says what it was told to say, and then hangs up.

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

pub(crate) struct Script {
    answers: Vec<String>,
}

impl Script {
    /// The greeting, then one answer to each command; the one after `354` answers the whole message.
    pub(crate) fn answers(answers: &[&str]) -> Self {
        Self { answers: answers.iter().map(|answer| (*answer).to_owned()).collect() }
    }

    /// Serves every connection alike, and gives the port.
    pub(crate) async fn serve(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The client may hang up first.
                let _ = talk(BufReader::new(stream), &self.answers).await;
            }
        });
        port
    }
}

async fn talk(mut stream: BufReader<TcpStream>, answers: &[String]) -> std::io::Result<()> {
    let mut in_message = false;
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            read(&mut stream, in_message).await?;
        }
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        in_message = answer.starts_with("354");
    }
    // The last thing that is said gets no answer.
    read(&mut stream, in_message).await
}

async fn read(stream: &mut BufReader<TcpStream>, in_message: bool) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        let len = stream.read_line(&mut line).await?;
        if len == 0 || !in_message || line == ".\r\n" {
            return Ok(());
        }
    }
}
