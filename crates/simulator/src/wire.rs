//! A wire between a client and a server on loopback that a test can cut.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io,
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
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                state.made += 1;
                if !state.down {
                    state.live.spawn(forward(near, target));
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

async fn forward(mut near: TcpStream, target: u16) {
    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await {
        // Either end may vanish at any moment; that is what the wire is for.
        let _ = io::copy_bidirectional(&mut near, &mut far).await;
    }
}
