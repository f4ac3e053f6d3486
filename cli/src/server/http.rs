//! What a process answers over HTTP, for those who watch it:
//!
//! ```text
//! GET /healthz   200 while the process works, 503 when it is ending
//! GET /readyz    200 when all of its roles are ready for requests, otherwise 503 and why not
//! GET /metrics   the metrics of the process and of its roles, as Prometheus reads them
//! ```
//! Whoever asks for metrics must not keep others from asking for health: a disk that hangs, or a client that does not read,
//! costs its own answer only.

use crate::failure::Failure;
use entail_model::{Fault, Reason};
use entail_telemetry::Instruments;
use entail_telemetry::metrics::{self, CONTENT_TYPE, Registry};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE as TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// Of these so many may ask for metrics; others are turned away.
const SCRAPES_MAX: usize = 4;

/// How long things may take.
#[derive(Clone, Copy)]
struct Limits {
    /// A client over its request.
    request: Duration,
    /// Metrics until they are read.
    scrape: Duration,
    /// A connection from its first byte to its last.
    connection: Duration,
}

const LIMITS: Limits =
    Limits { request: Duration::from_secs(5), scrape: Duration::from_secs(5), connection: Duration::from_secs(15) };

/// What there is to see of a process.
#[derive(Clone)]
pub struct View(Arc<Parts>);

struct Parts {
    /// Each role's name and instruments.
    roles: Vec<(String, Instruments)>,
    registries: Vec<Registry>,
    stop: CancellationToken,
    limits: Limits,
    scrapes: Arc<Semaphore>,
    /// Held while metrics are read: one that hangs holds up no more than one thread.
    reading: Arc<Mutex<()>>,
}

/// An answer.
struct Page {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Page {
    fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", text: text.into() }
    }
}

impl View {
    /// Of a process that runs these roles until `stop`.
    pub fn new(roles: Vec<(String, Instruments)>, stop: &CancellationToken) -> Self {
        Self::with_limits(roles, stop, LIMITS)
    }

    fn with_limits(roles: Vec<(String, Instruments)>, stop: &CancellationToken, limits: Limits) -> Self {
        let own = metrics::process(env!("CARGO_PKG_VERSION"));
        let registries = roles.iter().map(|(_, instruments)| instruments.metrics.clone()).chain([own]).collect();
        Self(Arc::new(Parts {
            roles,
            registries,
            stop: stop.clone(),
            limits,
            scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
            reading: Arc::default(),
        }))
    }

    /// Starts answering, if there is an address to answer on.
    pub async fn start(self, address: Option<SocketAddr>) -> Result<(), Failure> {
        let Some(address) = address else {
            return Ok(());
        };
        let refused = |error| Fault::new(Reason::InvalidRequest, format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        tokio::spawn(self.accept(listener));
        Ok(())
    }

    /// Goes on while the process ends, to say so.
    async fn accept(self, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let permit = connections.clone().acquire_owned().await.expect("the semaphore is never closed");
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely; some will be closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let view = self.clone();
            tokio::spawn(async move {
                // What a client does wrong, or does not do in time, is its own concern.
                let _ = timeout(view.0.limits.connection, view.serve(stream)).await;
                drop(permit);
            });
        }
    }

    async fn serve(&self, stream: TcpStream) -> Result<(), hyper::Error> {
        // Until the answer has been sent.
        let scrape = OnceLock::new();
        let service = service_fn(async |request: Request<Incoming>| {
            let page = self.page(request.method(), request.uri().path(), &scrape).await;
            let mut response = Response::new(Full::new(Bytes::from(page.text)));
            *response.status_mut() = page.status;
            response.headers_mut().insert(TYPE, HeaderValue::from_static(page.kind));
            Ok::<_, Infallible>(response)
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.0.limits.request)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await
    }

    async fn page(&self, method: &Method, path: &str, scrape: &OnceLock<OwnedSemaphorePermit>) -> Page {
        if !["/healthz", "/readyz", "/metrics"].contains(&path) {
            return Page::plain(StatusCode::NOT_FOUND, "only /healthz, /readyz and /metrics are here\n");
        }
        if ![Method::GET, Method::HEAD].contains(method) {
            return Page::plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match path {
            "/healthz" if self.0.stop.is_cancelled() => Page::plain(StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
            "/healthz" => Page::plain(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness(),
            _ => match Arc::clone(&self.0.scrapes).try_acquire_owned() {
                Ok(permit) => {
                    scrape.get_or_init(|| permit);
                    self.metrics().await
                }
                Err(_) => Page::plain(StatusCode::SERVICE_UNAVAILABLE, "too many ask for metrics\n"),
            },
        }
    }

    fn readiness(&self) -> Page {
        let lacks: Vec<String> = self
            .0
            .roles
            .iter()
            .filter_map(|(name, role)| Some((name, role.readiness.ask().err()?)))
            .map(|(name, why)| format!("{name}: {why}\n"))
            .collect();
        match lacks.is_empty() {
            true => Page::plain(StatusCode::OK, "ready\n"),
            false => Page::plain(StatusCode::SERVICE_UNAVAILABLE, lacks.concat()),
        }
    }

    /// Reading looks at files and asks the database, so it has a thread of its own.
    async fn metrics(&self) -> Page {
        let parts = Arc::clone(&self.0);
        let text = async {
            let alone = Arc::clone(&parts.reading).lock_owned().await;
            spawn_blocking(move || {
                let _alone = alone;
                metrics::text(&parts.registries)
            })
            .await
        };
        match timeout(self.0.limits.scrape, text).await {
            Ok(Ok(text)) => Page { status: StatusCode::OK, kind: CONTENT_TYPE, text },
            Ok(Err(error)) => Page::plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            Err(_) => Page::plain(StatusCode::SERVICE_UNAVAILABLE, "the metrics cannot be read in time\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(address: SocketAddr, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable";

    /// A view of one role with short limits, and where it answers.
    async fn hasty() -> (Instruments, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let role = Instruments::new(&[("node", "n")]);
        let limits = Limits { scrape: Duration::from_millis(200), connection: Duration::from_secs(1), ..LIMITS };
        let view = View::with_limits(vec![("n".to_owned(), role.clone())], &CancellationToken::new(), limits);
        tokio::spawn(view.accept(listener));
        (role, address)
    }

    #[tokio::test]
    async fn metrics_that_hang_leave_health_alone() {
        let (role, address) = hasty().await;
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let (hangs, times) = (std::sync::Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&times);
        role.metrics.at_scrape(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            _ = hangs.lock().unwrap().recv();
        });
        let page = get("/metrics");
        let scrapes: Vec<_> = (0..CONNECTIONS_MAX * 2)
            .map(|_| {
                let page = page.clone();
                tokio::spawn(async move { ask(address, &page).await })
            })
            .collect();
        assert_eq!(ask(address, &get("/healthz")).await.0, "HTTP/1.1 200 OK");
        let mut whys = BTreeSet::new();
        for scrape in scrapes {
            let (status, why) = scrape.await.unwrap();
            assert_eq!(status, UNAVAILABLE);
            whys.insert(why);
        }
        assert_eq!(Vec::from_iter(whys), ["the metrics cannot be read in time\n", "too many ask for metrics\n"]);
        assert_eq!(ask(address, &page).await.0, UNAVAILABLE);
        assert_eq!(times.load(Ordering::Relaxed), 1, "only one thread hangs");
        drop(release);
        assert_eq!(ask(address, &page).await.0, "HTTP/1.1 200 OK");
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_waited_for() {
        let (role, address) = hasty().await;
        // More than the buffers of a connection hold.
        let size = 64 << 20;
        role.metrics.counter("entail_calls_total", &"a".repeat(size));
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(get("/metrics").as_bytes()).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        let mut text = Vec::new();
        _ = idle.read_to_end(&mut text).await;
        assert!(text.len() < size, "the rest was still sent");
    }

    #[tokio::test]
    async fn health_readiness_and_metrics_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let roles = ["coordinator", "node-0"].map(|name| (name.to_owned(), Instruments::new(&[("node", name)])));
        let view = View::new(roles.to_vec(), &stop);
        tokio::spawn(view.accept(listener));
        assert_eq!(ask(address, &get("/healthz")).await.0, "HTTP/1.1 200 OK");
        assert_eq!(ask(address, &get("/")).await.0, "HTTP/1.1 404 Not Found");
        let post = "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(ask(address, post).await.0, "HTTP/1.1 405 Method Not Allowed");
        assert!(ask(address, "nonsense\r\n\r\n").await.0.contains("400"));

        let (status, why) = ask(address, &get("/readyz")).await;
        assert_eq!((&*status, &*why), (UNAVAILABLE, "coordinator: starting\nnode-0: starting\n"));
        let is_ready = Arc::new(AtomicBool::new(true));
        roles[0].1.readiness.tell(|| Ok(()));
        let told = Arc::clone(&is_ready);
        roles[1].1.readiness.tell(move || told.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "away".to_owned()));
        assert_eq!(ask(address, &get("/readyz")).await, ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
        is_ready.store(false, Ordering::Relaxed);
        assert_eq!(ask(address, &get("/readyz")).await, (UNAVAILABLE.to_owned(), "node-0: away\n".to_owned()));

        roles[1].1.metrics.counter("entail_calls_total", "Calls.").inc();
        let (status, page) = ask(address, &get("/metrics")).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(page.contains("entail_calls_total{node=\"node-0\"} 1\n"), "{page}");
        assert!(page.contains("# TYPE entail_process_cpu_seconds_total counter\n"), "{page}");
        stop.cancel();
        assert_eq!(ask(address, &get("/healthz")).await.0, UNAVAILABLE);
    }
}
