//! What is served where: the REST API, attachments, the control, the page.

use std::sync::Arc;

use super::{Shared, api, files, sim};
use crate::shared::{
    http::{Call, Cut, Reply, Serves, reply},
    page::page,
};

const PAGE: &str = include_str!("page.html");

/// The server of a simulator.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) Arc<Shared>);

impl Serves for Server {
    async fn answer(self, call: Call) -> Result<Reply, Cut> {
        route(call, self.0).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

async fn route(call: Call, shared: Arc<Shared>) -> Result<Reply, Cut> {
    let path = call.path.clone();
    if let Some(operation) = path.strip_prefix("/sim/") {
        return Ok(sim::serve(operation, &call, &shared).await);
    }
    if path == "/" {
        return Ok(reply(200, "text/html; charset=utf-8", page(PAGE)));
    }
    if shared.with(|world| world.settings.away) {
        return Err(Cut);
    }
    if let Some(path) = path.strip_prefix("/api/v10/").or_else(|| path.strip_prefix("/api/v9/")) {
        return api::serve(path, &call, &shared).await;
    }
    if path.starts_with("/cdn/attachments/") {
        return Ok(files::serve(&call, &shared));
    }
    Ok(reply(404, "application/json", r#"{"message": "404: Not Found", "code": 0}"#))
}
