//! What is served where: the Web API, files, response URLs, the control, the page.

use std::sync::Arc;

use super::{Shared, api, files, hooks, sim};
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
    if let Some(method) = path.strip_prefix("/api/") {
        return api::serve(method, &call, &shared).await;
    }
    if let Some(id) = path.strip_prefix("/upload/v1/") {
        return files::take_upload(id, &call, &shared);
    }
    if path.starts_with("/files-pri/") {
        return files::serve(&path, &call, &shared);
    }
    if let Some(id) = path.strip_prefix("/hooks/") {
        return hooks::serve(id, &call, &shared);
    }
    Ok(reply(404, "text/plain; charset=utf-8", "no such page"))
}
