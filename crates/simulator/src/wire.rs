//! A wire between a client and a server on loopback that a test can cut.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// Forwards connections to a port on loopback until it is dropped.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    state: Arc<Mutex<State>>,
    listener: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    made: usize,
    live: JoinSet<()>,
}

impl Wire {
    /// A wire to this port. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When no port on loopback is free.
    pub async fn to(target: u16) -> io::Result<Self> {
        Self::hiding(target, "").await
    }

    /// A wire on which a word never arrives from the server: a row of `X` comes in its place. It makes a server look as if
    /// it could do less.
    ///
    /// # Errors
    /// When no port on loopback is free.
    pub async fn hiding(target: u16, word: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                state.made += 1;
                if !state.down {
                    state.live.spawn(forward(near, target, word.as_bytes()));
                }
            }
        });
        Ok(Self { port, state, listener: task.abort_handle() })
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were made so far, refused ones included.
    pub fn made(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).made
    }

    /// Cuts every connection; new ones are served.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.live = JoinSet::new();
    }

    /// Cuts every connection, and each new one at once, until [`Wire::mend`].
    pub fn down(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.down = true;
        state.live = JoinSet::new();
    }

    /// Serves new connections again.
    pub fn mend(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).down = false;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listener.abort();
        self.down();
    }
}

async fn forward(near: TcpStream, target: u16, hidden: &'static [u8]) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let there = async {
        let copied = io::copy(&mut near_in, &mut far_out).await;
        let _ = far_out.shutdown().await;
        copied.map(drop)
    };
    let back = async {
        let copied = copy_hiding(&mut far_in, &mut near_out, hidden).await;
        let _ = near_out.shutdown().await;
        copied
    };
    // Either end may vanish at any moment; that is what the wire is for.
    let _ = tokio::join!(there, back);
}

/// A word cut in two by the network slips through; servers write their abilities in one piece.
async fn copy_hiding(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    hidden: &[u8],
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = from.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        let read = &mut buffer[..len];
        if !hidden.is_empty() {
            let mut at = 0;
            while let Some(found) = read[at..].windows(hidden.len()).position(|window| window == hidden) {
                at += found;
                read[at..at + hidden.len()].fill(b'X');
            }
        }
        to.write_all(read).await?;
    }
}
