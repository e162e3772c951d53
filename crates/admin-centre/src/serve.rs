//! Sockets, TLS and HTTP around a [`Centre`]. A browser that has a certificate of the organization may show it; none must.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::serve::IncomingStream;
use net::source::source;
use net::stream::Stream;
use net::tls::{TlsServer, Trust};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::centre::Centre;
use crate::request::{Ask, Pairs, Reply};
use crate::{pages, stream, upload};

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// Connections at once of one source, so that nobody else is kept out. This machine itself has no share: proxies are there.
const SOURCE_CONNECTIONS_MAX: usize = 64;
/// A connection on which nothing moves is closed after.
const STILL_MAX: Duration = Duration::from_secs(60);
/// A connection on which nothing was answered is closed after, however many octets come: a request is read in `STILL_MAX` and
/// answered in `ANSWER_MAX`, after at most `STILL_MAX` of silence.
const UNANSWERED_MAX: Duration = Duration::from_secs(300);
/// A request is answered within.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// At its end the centre waits so long for what it was asked.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Octets of a request's body (WA-64).
const BODY_MAX: usize = 1024 * 1024;
/// The same where files are brought (WA-64).
const FILES_MAX: usize = 32 * 1024 * 1024;
/// Names and values of a form or a query.
const PAIRS_MAX: usize = 20_000;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) address: IpAddr,
    pub(crate) certificate: Option<Arc<[u8]>>,
}

struct Taken {
    stream: Watched,
    caller: Caller,
}

/// Connections whose handshake is done.
struct Handshaken {
    taken: mpsc::Receiver<Taken>,
    local: SocketAddr,
}

impl axum::serve::Listener for Handshaken {
    type Io = Watched;
    type Addr = Caller;

    async fn accept(&mut self) -> (Watched, Caller) {
        match self.taken.recv().await {
            Some(Taken { stream, caller }) => (stream, caller),
            // The socket is gone: the server is ended by its signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller { address: self.local.ip(), certificate: None })
    }
}

impl Connected<IncomingStream<'_, Handshaken>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Handshaken>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that is closed when nothing moves on it: who is slow on purpose holds nobody up.
struct Watched {
    stream: Stream,
    still: Pin<Box<Sleep>>,
    unanswered: Pin<Box<Sleep>>,
    _room: Room,
}

impl Watched {
    fn new(stream: Stream, room: Room) -> Self {
        let still = Box::pin(tokio::time::sleep(STILL_MAX));
        let unanswered = Box::pin(tokio::time::sleep(UNANSWERED_MAX));
        Self { stream, still, unanswered, _room: room }
    }

    fn moved<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.unanswered.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match poll {
            Poll::Ready(ready) => {
                self.still.as_mut().reset(Instant::now() + STILL_MAX);
                Poll::Ready(ready)
            }
            Poll::Pending => match self.still.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, into);
        self.moved(context, poll)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, from);
        if matches!(poll, Poll::Ready(Ok(_))) {
            self.unanswered.as_mut().reset(Instant::now() + UNANSWERED_MAX);
        }
        self.moved(context, poll)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.moved(context, poll)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(context);
        self.moved(context, poll)
    }
}

/// How many connections each source has.
#[derive(Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// The place of a connection among all, and among those of its source.
struct Room {
    sources: Arc<Sources>,
    source: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Nothing if the source has its share.
    fn of(sources: &Arc<Sources>, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Self> {
        let source = source(address);
        let mut all = sources.0.lock();
        let count = all.entry(source).or_default();
        if *count >= SOURCE_CONNECTIONS_MAX && !address.to_canonical().is_loopback() {
            return None;
        }
        *count += 1;
        Some(Self { sources: Arc::clone(sources), source, _permit: permit })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut all = self.sources.0.lock();
        let Some(count) = all.get_mut(&self.source) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            all.remove(&self.source);
        }
    }
}

/// Serves until drained. What was asked by then is done, or `DRAIN_MAX` is over.
///
/// # Errors
/// When the listening socket fails.
pub async fn serve(
    centre: Arc<Centre>,
    listener: net::Listener,
    tls: TlsServer,
    drain: CancellationToken,
) -> io::Result<()> {
    let local = listener.local();
    let (hand, taken) = mpsc::channel(16);
    let accepting = tokio::spawn(accept(listener, tls, hand, drain.clone()));
    let served = answers(centre, Handshaken { taken, local }, drain).await;
    accepting.abort();
    served
}

async fn answers(centre: Arc<Centre>, handshaken: Handshaken, drain: CancellationToken) -> io::Result<()> {
    let (work, given, streams) = (TaskTracker::new(), drain.clone(), Arc::clone(&centre));
    let tasks = work.clone();
    let router = Router::new().fallback(move |ConnectInfo(caller): ConnectInfo<Caller>, request: Request<Body>| {
        let (centre, tasks) = (Arc::clone(&centre), tasks.clone());
        async move { answer(&centre, &tasks, caller, request).await }
    });
    let service = router.into_make_service_with_connect_info::<Caller>();
    let serving = axum::serve(handshaken, service).with_graceful_shutdown(async move {
        given.cancelled().await;
        // Streams have no end of their own.
        streams.live.ended.cancel();
    });
    let serving = serving.into_future();
    let drained = async {
        let served = serving.await;
        work.close();
        work.wait().await;
        served
    };
    let bound = async {
        drain.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        served = drained => served,
        () = bound => {
            tracing::warn!("the admin centre ends while something is still being asked or done");
            Ok(())
        }
    }
}

async fn accept(listener: net::Listener, tls: TlsServer, hand: mpsc::Sender<Taken>, drain: CancellationToken) {
    let (room, sources) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Sources::default()));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = drain.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::error!(%error, "the admin centre cannot listen any more");
                    return;
                }
            },
        };
        let address = stream.peer().ip();
        let Some(room) = Room::of(&sources, address, permit) else { continue };
        let (tls, hand) = (tls.clone(), hand.clone());
        tokio::spawn(async move {
            // A browser that does not believe the certificate hangs up: nothing to be told.
            let Ok((stream, peer)) = tls.accept(stream).await else { return };
            let shown = peer.certificate.filter(|certificate| certificate.trust == Trust::Trusted);
            let certificate = shown.map(|certificate| certificate.der().into());
            let stream = Watched::new(stream, room);
            let _gone = hand.send(Taken { stream, caller: Caller { address, certificate } }).await;
        });
    }
}

pub(crate) async fn answer(
    centre: &Arc<Centre>,
    work: &TaskTracker,
    caller: Caller,
    request: Request<Body>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let post = match head.method.as_str() {
        "GET" | "HEAD" => false,
        "POST" => true,
        _ => return plain(StatusCode::METHOD_NOT_ALLOWED, "GET and POST are answered here.\n"),
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = text("host").unwrap_or_default();
    // Before its body is read: a page that had its name rebound to us has nothing to say.
    if let Some(reply) = centre.not_called(&host) {
        return response(reply);
    }
    let (path, query) = spelled(head.uri.path(), head.uri.query().unwrap_or_default());
    let kind = text("content-type").unwrap_or_default();
    let of_files = upload::boundary(&kind)
        .filter(|_| post && [pages::import::PATH, pages::rehearsal::PATH].contains(&path.as_str()));
    let body = match taken(centre, &caller, &head.headers, of_files.is_some(), body).await {
        Ok(body) => body,
        Err((status, text)) => return plain(status, text),
    };
    if post && of_files.is_none() && !kind.starts_with("application/x-www-form-urlencoded") {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Forms are answered here.\n");
    }
    let Some((form, files)) = sent(post, of_files, &body) else {
        return plain(StatusCode::BAD_REQUEST, "The form cannot be read.\n");
    };
    let ask = Ask {
        post,
        path,
        query,
        form,
        files,
        host,
        cookies: cookies(&head.headers),
        fetch_site: text("sec-fetch-site"),
        origin: text("origin"),
        agent: text("user-agent").unwrap_or_default(),
        seen: None,
        from: Some(caller.address),
        certificate: caller.certificate.map(|der| der.to_vec()),
    };
    if post {
        return done(centre, work, ask).await;
    }
    if ask.path == stream::PATH {
        return streamed(centre, ask, text("last-event-id"));
    }
    let Ok(reply) = tokio::time::timeout(ANSWER_MAX, centre.answer(&ask)).await else {
        return plain(StatusCode::GATEWAY_TIMEOUT, "The servers did not answer in time.\n");
    };
    response(reply)
}

/// The body of a request, in time and not too large. Before that of files is read: whoever is not signed in has nothing to bring,
/// and few bring something at once.
async fn taken(
    centre: &Centre,
    caller: &Caller,
    headers: &HeaderMap,
    has_files: bool,
    body: Body,
) -> Result<Bytes, (StatusCode, &'static str)> {
    let mut room = None;
    if has_files {
        let known = Ask { cookies: cookies(headers), from: Some(caller.address), ..Ask::default() };
        if !centre.is_signed_in(&known) {
            return Err((StatusCode::FORBIDDEN, "Sign in first.\n"));
        }
        let busy = "Others bring files just now. Try again in a moment.\n";
        room = Some(centre.uploads.try_acquire().map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, busy))?);
    }
    let (most, patience, large) = match &room {
        Some(_) => (FILES_MAX, ANSWER_MAX * 2, "The files are larger than 32 MB.\n"),
        None => (BODY_MAX, STILL_MAX, "The request is larger than 1 MB.\n"),
    };
    match tokio::time::timeout(patience, to_bytes(body, most)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, large)),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The request did not come in time.\n")),
    }
}

/// Files of a form: name and content.
type Files = Vec<(String, Vec<u8>)>;

/// What a form sends; nothing where it is malformed.
fn sent(post: bool, of_files: Option<&str>, body: &Bytes) -> Option<(Pairs, Files)> {
    let Some(boundary) = of_files else { return Some((if post { pairs(body) } else { Pairs::new() }, Files::new())) };
    let (mut form, mut files) = (Pairs::new(), Files::new());
    for part in upload::parts(body, boundary)? {
        match part.file {
            Some(name) => files.push((name, part.body)),
            None => form.push((part.name, String::from_utf8(part.body).ok()?)),
        }
    }
    Some((form, files))
}

/// The stream of a page. After a break a browser says by the id of the last event what it has, before that by its address.
fn streamed(centre: &Arc<Centre>, mut ask: Ask, last: Option<String>) -> Response<Body> {
    ask.seen = Some(last.unwrap_or_else(|| ask.query("have").to_owned()));
    let of = ask.query("of").to_owned();
    let (path, query) = of.split_once('?').unwrap_or((&of, ""));
    let (path, query) = spelled(path, query);
    let of = Ask { path, query, from: ask.from, ..Ask::default() };
    match centre.stream(&ask, &of) {
        Ok(stream) => {
            let mut response =
                response(Reply::new(200, "text/event-stream", Vec::new()).with("cache-control", "no-store".to_owned()));
            *response.body_mut() = Body::from_stream(stream);
            response
        }
        Err(reply) => response(reply),
    }
}

/// A change goes on to its end whatever the client does: one that is made and not written down must not be.
async fn done(centre: &Arc<Centre>, work: &TaskTracker, ask: Ask) -> Response<Body> {
    let centre = Arc::clone(centre);
    let doing = work.spawn(async move { centre.answer(&ask).await });
    match tokio::time::timeout(ANSWER_MAX, doing).await {
        Ok(Ok(reply)) => response(reply),
        Ok(Err(error)) => {
            tracing::error!(%error, "a request was not answered");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "This failed. Look at the audit log for what was done.\n")
        }
        Err(_) => plain(StatusCode::GATEWAY_TIMEOUT, "It may still be done; look at the audit log.\n"),
    }
}

/// The end of a path says in which form a list is wanted (WA-31).
fn spelled(path: &str, query: &str) -> (String, Pairs) {
    let mut query = pairs(&Bytes::copy_from_slice(query.as_bytes()));
    for form in ["csv", "json"] {
        if let Some(stem) = path.strip_suffix(form).and_then(|stem| stem.strip_suffix('.'))
            && stem.rfind('/') == Some(0)
        {
            query.retain(|(name, _)| name != "as");
            query.push(("as".to_owned(), form.to_owned()));
            return (stem.to_owned(), query);
        }
    }
    (path.to_owned(), query)
}

fn pairs(octets: &Bytes) -> Pairs {
    form_urlencoded::parse(octets)
        .take(PAIRS_MAX)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn cookies(headers: &HeaderMap) -> String {
    let all = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    all.collect::<Vec<_>>().join("; ")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    response(Reply {
        status: status.as_u16(),
        headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
        body: text.into(),
    })
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let known = !reply.headers.iter().any(|(name, _)| *name == crate::guard::HEADERS[0].0);
    let always = crate::guard::HEADERS.iter().filter(|_| known).map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in reply.headers.into_iter().chain(always) {
        // A name in an address may be any text: what is no header is left out.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::*;
    use crate::tests::world::World;

    /// A centre to which connections are handed.
    struct Served {
        _world: World,
        hand: mpsc::Sender<Taken>,
        listener: TcpListener,
        serving: tokio::task::JoinHandle<io::Result<()>>,
        drain: CancellationToken,
    }

    impl Served {
        async fn start() -> Self {
            let (world, drain) = (World::new(), CancellationToken::new());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (hand, taken) = mpsc::channel(1);
            let handshaken = Handshaken { taken, local: listener.local_addr().unwrap() };
            let serving = tokio::spawn(answers(Arc::clone(&world.centre), handshaken, drain.clone()));
            Self { _world: world, hand, listener, serving, drain }
        }

        async fn connect(&self) -> TcpStream {
            let far = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
            let (near, peer) = self.listener.accept().await.unwrap();
            let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
            let room = Room::of(&Arc::default(), peer.ip(), permit).unwrap();
            let stream = Watched::new(Stream::plain(near).unwrap(), room);
            let caller = Caller { address: peer.ip(), certificate: None };
            assert!(self.hand.send(Taken { stream, caller }).await.is_ok());
            far
        }
    }

    #[tokio::test]
    async fn who_sends_octets_one_by_one_does_not_hold_a_connection_for_ever() {
        let served = Served::start().await;
        let mut far = served.connect().await;
        far.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        tokio::time::pause();
        let begun = Instant::now();
        while timeout(STILL_MAX - Duration::from_secs(1), far.read_u8()).await.is_err() {
            far.write_all(b"a").await.unwrap();
            assert!(begun.elapsed() < UNANSWERED_MAX + STILL_MAX);
        }
        assert!(begun.elapsed() >= UNANSWERED_MAX - STILL_MAX, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_request_that_does_not_come_to_its_end_does_not_hold_up_that_of_the_centre() {
        let served = Served::start().await;
        let mut far = served.connect().await;
        far.write_all(b"GET / HTTP/1.1\r\nhost: centre.example:8443\r\n\r\n").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'H', "it is answered");
        let mut slow = served.connect().await;
        let head = b"POST /sign-in HTTP/1.1\r\nhost: centre.example:8443\r\ncontent-length: 9\r\n\r\na";
        slow.write_all(head).await.unwrap();
        tokio::time::pause();
        let begun = Instant::now();
        served.drain.cancel();
        served.serving.await.unwrap().unwrap();
        assert!(begun.elapsed() <= DRAIN_MAX + Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_source_has_its_share_of_connections_and_this_machine_all() {
        let (sources, all) = (Arc::new(Sources::default()), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let room = |address: &str| {
            let permit = Arc::clone(&all).try_acquire_owned().unwrap();
            Room::of(&sources, address.parse().unwrap(), permit)
        };
        let mut taken: Vec<Room> = (0..SOURCE_CONNECTIONS_MAX).filter_map(|_| room("2001:db8::1")).collect();
        assert_eq!(taken.len(), SOURCE_CONNECTIONS_MAX);
        assert!(room("2001:db8::2").is_none(), "the same network");
        assert!(room("2001:db8:0:1::1").is_some() && room("192.0.2.1").is_some());
        taken.pop();
        assert!(room("2001:db8::2").is_some(), "who goes makes room");
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let of_own: Vec<Room> = (0..=SOURCE_CONNECTIONS_MAX).filter_map(|_| room(own)).collect();
            assert_eq!(of_own.len(), SOURCE_CONNECTIONS_MAX + 1, "{own}");
        }
        drop(taken);
        assert!(sources.0.lock().is_empty() && all.available_permits() == CONNECTIONS_MAX);
    }
}
