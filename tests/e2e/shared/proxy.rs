//! A way to Redis that can be cut.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// Passes on what comes, until it is told not to: then nothing is taken and nothing passes, and no connection ends.
pub(crate) struct Proxy {
    port: u16,
    open: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to this port of 127.0.0.1.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let open = Arc::new(watch::Sender::new(true));
        let task = tokio::spawn(accept(listener, port, open.clone()));
        Self { port: own, open, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A hole from now on.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// What waited passes.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, open: Arc<watch::Sender<bool>>) {
    loop {
        passable(&mut open.subscribe()).await;
        let Ok((near, _)) = listener.accept().await else { return };
        let open = open.clone();
        tokio::spawn(async move {
            passable(&mut open.subscribe()).await;
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::join!(pass(near_in, far_out, open.subscribe()), pass(far_in, near_out, open.subscribe()));
        });
    }
}

/// Passes on one direction until it ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        passable(&mut open).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    passable(&mut open).await;
    let _ = to.shutdown().await;
}

async fn passable(open: &mut watch::Receiver<bool>) {
    let _ = open.wait_for(|open| *open).await;
}
