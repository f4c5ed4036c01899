//! Everything that touches the network: the listener, its connections, and what each request does.

mod answer;
mod feed;
mod page;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use channel::{Accepted, Error, ErrorKind, Inbound, Inbox, Ingress, Timestamp};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::answer::Oops;
use crate::{
    config::{Config, Visitor, Who},
    decode::{self, Here, Refusal},
    encode,
    guard::{self, Foreign, Hosts},
    hub::{Hub, Pace},
    place,
    session::Keyring,
};

/// Connections at once; the next one waits until one ends.
const CONNECTIONS_MAX: usize = 512;
/// Open pages of one person.
const STREAMS_MAX: usize = 24;
/// Large requests read at once, so that memory stays bounded.
const UPLOADS_MAX: usize = 8;
/// Time for the head of a request, and between two requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Time for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Time for the gateway to make a message durable.
const ACCEPT_TIME: Duration = Duration::from_secs(30);
/// Time for requests under way when the channel is told to stop.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Wrong tokens a minute from one address.
const LOGINS_A_MINUTE: u32 = 10;
/// Requests that change nothing, a minute and person.
const READS_A_MINUTE: u32 = 600;

/// What every request needs.
struct Site {
    config: Arc<Config>,
    hosts: Hosts,
    hub: Arc<Hub>,
    inbox: Arc<dyn Inbox>,
    stop: CancellationToken,
    writes: Pace<String>,
    reads: Pace<String>,
    logins: Pace<IpAddr>,
    streams: HashMap<String, Arc<Semaphore>>,
    uploads: Semaphore,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// Serves the page until `ingress.stop` is cancelled.
pub(crate) async fn listen(
    config: &Arc<Config>,
    hub: &Arc<Hub>,
    bound: &OnceLock<SocketAddr>,
    ingress: Ingress,
) -> Result<(), Error> {
    let (listener, address) = bind(config).await?;
    let site = Arc::new(Site {
        config: config.clone(),
        hosts: config.hosts.bound(address),
        hub: hub.clone(),
        inbox: ingress.inbox,
        stop: ingress.stop.clone(),
        writes: Pace::new(config.limits.requests_per_minute, 1024),
        reads: Pace::new(READS_A_MINUTE, 1024),
        logins: Pace::new(LOGINS_A_MINUTE, 4096),
        streams: config
            .who
            .ids()
            .iter()
            .map(|id| ((*id).to_owned(), Arc::new(Semaphore::new(STREAMS_MAX))))
            .collect(),
        uploads: Semaphore::new(UPLOADS_MAX),
    });
    let _ = bound.set(address);
    ingress.health.up();
    info!(channel = %config.channel, "the page is at http://{address}/");
    accept_connections(listener, &routes(site), &ingress.stop).await;
    ingress.health.down("the channel was stopped");
    Ok(())
}

async fn bind(config: &Config) -> Result<(TcpListener, SocketAddr), Error> {
    let wanted = config.listen;
    let key = format!("channels.{}.listen", config.channel);
    let bound = async {
        let listener = TcpListener::bind(wanted).await?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    bound.await.map_err(|error| {
        let remedy = if error.kind() == io::ErrorKind::AddrInUse {
            format!("another program holds {wanted}, perhaps another Switchboard: stop it, or set another port in {key}")
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            format!("ports below 1024 need a privilege: set another port in {key}")
        } else {
            format!("set an address of this machine in {key}")
        };
        Error::misconfigured(format!("{key}: cannot listen on {wanted}: {error}"), remedy).with_source(error)
    })
}

/// Takes connections until told to stop; then lets requests under way end, for a moment.
async fn accept_connections(listener: TcpListener, routes: &Router, stop: &CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer.ip(), routes.clone(), stop.clone(), slot));
            }
            Err(error) => {
                // A peer that left early, or no file descriptors left: neither ends the channel.
                debug!("a connection was not taken: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIME, ended).await.is_err() {
        debug!("connections were cut, for the channel was told to stop");
    }
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    routes: Router,
    stop: CancellationToken,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(routes);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        routes.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 * 1024);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended: {error}");
    }
}

fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/c/{conversation}", get(page::index))
        .route("/app.js", get(page::script))
        .route("/style.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route("/me", get(me))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/conversations", post(begin))
        .route("/c/{conversation}/events", get(events))
        .route("/c/{conversation}/say", post(say))
        .route("/c/{conversation}/press", post(press))
        .route("/c/{conversation}/files/{hash}", get(file))
        .fallback(async || Oops::new(StatusCode::NOT_FOUND, "There is nothing at this address."))
        .method_not_allowed_fallback(async || {
            Oops::new(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.")
        })
        // Bodies are read by `Site::body`, after it is known who sends them.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(site.clone(), admit))
        .layer(middleware::map_response(page::secure))
        .with_state(site)
}

/// Lets only requests for our names and from our page through.
async fn admit(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let proxied = matches!(site.config.who, Who::Local(_)) && guard::is_proxied(headers);
    let admitted = if proxied {
        Err(Foreign::Proxy)
    } else {
        site.hosts.admit(request.method(), request.uri(), headers)
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(foreign) => {
            debug!(channel = %site.config.channel, "a request was refused: {}", foreign.what());
            Oops::new(foreign.status(), foreign.what()).into_response()
        }
    }
}

/// Who the page is for, and what it needs to know at the start.
async fn me(State(site): State<Arc<Site>>, headers: HeaderMap) -> Result<Response, Oops> {
    let config = &site.config;
    let now = Timestamp::now();
    let visitor = match site.visitor(&headers, now) {
        Ok(visitor) => visitor,
        Err(oops) => return Err(oops.with("title", &config.title)),
    };
    site.read(visitor)?;
    let limits = &config.limits;
    let mut response = Json(json!({
        "id": visitor.id, "name": visitor.name, "title": config.title, "examples": config.examples,
        "login": matches!(config.who, Who::Tokens(_)),
        "text_bytes_max": limits.text_bytes_max, "files_max": limits.files_max, "file_bytes_max": limits.file_bytes_max,
    }))
    .into_response();
    if let Some(cookie) = site.renewed(&headers, now) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Exchanges a token for a session.
async fn login(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Oops> {
    let Who::Tokens(keyring) = &site.config.who else {
        return Err(Oops::new(StatusCode::NOT_FOUND, "Nobody needs to log in here."));
    };
    let peer = request.extensions().get().map_or(IpAddr::from([0, 0, 0, 0]), |Peer(ip)| *ip);
    let headers = request.headers().clone();
    site.logins.take(peer, Instant::now()).map_err(Oops::too_often)?;
    let body = site.body(request, 4096).await?;
    let token = decode::login(&body)?;
    let Some(visitor) = keyring.person(&token) else {
        warn!(channel = %site.config.channel, %peer, "somebody tried to log in with a wrong token");
        return Err(Oops::new(StatusCode::UNAUTHORIZED, "That token is not known here."));
    };
    let cookie =
        keyring.seal(visitor, Timestamp::now()).and_then(|session| site.cookie(&headers, &session, keyring));
    let Some(cookie) = cookie else {
        return Err(Oops::new(StatusCode::INTERNAL_SERVER_ERROR, "The session could not be made."));
    };
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Makes the browser forget its session.
async fn logout(State(site): State<Arc<Site>>) -> Result<Response, Oops> {
    let forget = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", site.cookie_name());
    let forget = HeaderValue::try_from(forget)
        .map_err(|_| Oops::new(StatusCode::INTERNAL_SERVER_ERROR, "Not now."))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]).into_response())
}

/// Mints the id of a conversation. Nothing is kept until something is said in it.
async fn begin(State(site): State<Arc<Site>>, headers: HeaderMap) -> Result<Response, Oops> {
    let visitor = site.visitor(&headers, Timestamp::now())?;
    site.write(visitor)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| {
        Oops::new(StatusCode::SERVICE_UNAVAILABLE, "The system has no random numbers just now.")
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "id": place::conversation(random) }))).into_response())
}

/// What a reader that was here before has seen, for those that cannot send the header.
#[derive(Deserialize)]
struct After {
    after: Option<String>,
}

/// All that was said in a conversation, then what is said from now on.
async fn events(
    State(site): State<Arc<Site>>,
    Path(conversation): Path<String>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Oops> {
    let visitor = site.visitor(&headers, Timestamp::now())?;
    site.read(visitor)?;
    let here = place::of(visitor, &conversation).ok_or_else(Oops::no_conversation)?;
    let inbox = place::of(visitor, place::INBOX).filter(|inbox| *inbox != here);
    let slots = site.streams.get(&visitor.id).cloned().ok_or_else(Oops::no_conversation)?;
    let slot = slots.try_acquire_owned().map_err(|_| {
        Oops::new(
            StatusCode::TOO_MANY_REQUESTS,
            "This page is open too many times. Close some of its windows.",
        )
    })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(after.after.as_deref());
    Ok(feed::respond(feed::Feed::new(&site, visitor.clone(), here, inbox, last, slot)))
}

/// Something is said.
async fn say(
    State(site): State<Arc<Site>>,
    Path(conversation): Path<String>,
    request: Request,
) -> Result<Response, Oops> {
    site.come_in(&conversation, request, site.config.limits.say_bytes_max(), decode::say).await
}

/// A button of a card is pressed.
async fn press(
    State(site): State<Arc<Site>>,
    Path(conversation): Path<String>,
    request: Request,
) -> Result<Response, Oops> {
    site.come_in(&conversation, request, site.config.limits.press_bytes_max(), decode::press).await
}

/// A file that was sent in a conversation.
async fn file(
    State(site): State<Arc<Site>>,
    Path((conversation, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Oops> {
    let visitor = site.visitor(&headers, Timestamp::now())?;
    site.read(visitor)?;
    let here = place::of(visitor, &conversation).ok_or_else(Oops::no_conversation)?;
    let entries = site.inbox.history(&here).await.map_err(|error| Oops::from_inbox(&error))?;
    let gone = || Oops::new(StatusCode::NOT_FOUND, "There is no such file in this conversation.");
    let file = encode::file(&entries, &hash, &site.config.channel, visitor).ok_or_else(gone)?;
    let bytes = site.inbox.file(&hash).await.map_err(|error| Oops::from_inbox(&error))?.ok_or_else(gone)?;
    Ok(page::attachment(&file.name, bytes))
}

impl Site {
    /// Who sends this request.
    fn visitor(&self, headers: &HeaderMap, now: Timestamp) -> Result<&Visitor, Oops> {
        match &self.config.who {
            Who::Local(visitor) => Ok(visitor),
            Who::Tokens(keyring) => guard::cookie(headers, &self.cookie_name())
                .and_then(|session| keyring.open(session, now))
                .map(|session| session.visitor)
                .ok_or_else(|| Oops::new(StatusCode::UNAUTHORIZED, "Please log in.")),
        }
    }

    fn read(&self, visitor: &Visitor) -> Result<(), Oops> {
        self.reads.take(visitor.id.clone(), Instant::now()).map_err(Oops::too_often)
    }

    fn write(&self, visitor: &Visitor) -> Result<(), Oops> {
        self.writes.take(visitor.id.clone(), Instant::now()).map_err(Oops::too_often)
    }

    /// Cookies know no ports: two gateways on one machine must not overwrite each other's.
    fn cookie_name(&self) -> String {
        format!("switchboard-{}-{}", self.config.channel, self.hosts.port())
    }

    fn cookie(&self, headers: &HeaderMap, session: &str, keyring: &Keyring) -> Option<HeaderValue> {
        let local = guard::only(headers, &header::HOST).is_some_and(guard::is_loopback_name);
        let secure = if local { "" } else { "; Secure" };
        let (name, lasts) = (self.cookie_name(), keyring.lasts().as_secs());
        HeaderValue::try_from(format!(
            "{name}={session}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}"
        ))
        .ok()
    }

    /// A new session for one that is half over.
    fn renewed(&self, headers: &HeaderMap, now: Timestamp) -> Option<HeaderValue> {
        let Who::Tokens(keyring) = &self.config.who else { return None };
        let session = keyring
            .open(guard::cookie(headers, &self.cookie_name())?, now)
            .filter(|session| session.stale)?;
        self.cookie(headers, &keyring.seal(session.visitor, now)?, keyring)
    }

    /// Reads a body, within bounds of size and time.
    async fn body(&self, request: Request, bytes_max: usize) -> Result<Vec<u8>, Oops> {
        let too_large = || {
            let what = format!("That is too large. At most {} fit.", decode::size(bytes_max));
            Oops::new(StatusCode::PAYLOAD_TOO_LARGE, what)
        };
        let length = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > bytes_max) {
            return Err(too_large());
        }
        match timeout(BODY_TIME, axum::body::to_bytes(request.into_body(), bytes_max)).await {
            Ok(Ok(body)) => Ok(body.into()),
            Ok(Err(_)) => Err(too_large()),
            Err(_) => Err(Oops::new(StatusCode::REQUEST_TIMEOUT, "The request took too long to arrive.")),
        }
    }

    /// Reads a request of a person, and answers it once the gateway has it for good.
    async fn come_in(
        &self,
        conversation: &str,
        request: Request,
        bytes_max: usize,
        read: impl Fn(&[u8], &Here<'_>, &crate::config::Limits) -> Result<Inbound, Refusal>,
    ) -> Result<Response, Oops> {
        let now = Timestamp::now();
        let visitor = self.visitor(request.headers(), now)?;
        self.write(visitor)?;
        let _upload = self.uploads.acquire().await;
        let body = self.body(request, bytes_max).await?;
        let config = &self.config;
        let here =
            Here { channel: &config.channel, visitor, grounds: config.who.grounds(), conversation, now };
        let inbound = read(&body, &here, &config.limits)?;
        drop(body);
        self.accept(inbound).await
    }

    async fn accept(&self, inbound: Inbound) -> Result<Response, Oops> {
        let (inbox, hub, place) = (self.inbox.clone(), self.hub.clone(), inbound.at.place.clone());
        // A task of its own: a page that leaves must not stop the gateway in the middle.
        let accepting = tokio::spawn(async move {
            let accepted = inbox.accept(inbound).await;
            if accepted.is_ok() {
                hub.said(&place);
            }
            accepted
        });
        let accepted = match timeout(ACCEPT_TIME, accepting).await {
            Ok(Ok(Ok(accepted))) => accepted,
            Ok(Ok(Err(error))) => {
                if error.kind != ErrorKind::Refused {
                    warn!(channel = %self.config.channel, "a message was not taken: {error}");
                }
                return Err(Oops::from_inbox(&error));
            }
            Ok(Err(_)) | Err(_) => return Err(Oops::away()),
        };
        let word = match accepted {
            Accepted::New => "new",
            Accepted::Already => "already",
        };
        Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": word }))).into_response())
    }
}
