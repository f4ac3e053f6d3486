//! The HTTP server of a role, over real connections.

use super::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable";

/// Sends a request on a new connection and returns the status line and the body of the response.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let (head, body) = answer(address, request).await;
    (head.lines().next().unwrap().to_owned(), body)
}

async fn answer(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

fn get(path: &str) -> String {
    request("GET", path)
}

async fn serve(roles: &[&str], stop: &CancellationToken, limits: Limits) -> (Vec<Instruments>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let roles: Vec<(String, Instruments)> =
        roles.iter().map(|name| ((*name).to_owned(), Instruments::new(&[("node", name)]))).collect();
    Pages::with_limits(roles.clone(), "1.2.3", stop, limits).serve(listener);
    (roles.into_iter().map(|(_, instruments)| instruments).collect(), address)
}

/// A server for one role, with short limits.
async fn hasty() -> (Instruments, SocketAddr) {
    let limits = Limits {
        idle: Duration::from_millis(500),
        request: Duration::from_millis(200),
        write: Duration::from_millis(200),
        scrape: Duration::from_millis(200),
        ..LIMITS
    };
    let (mut roles, address) = serve(&["n"], &CancellationToken::new(), limits).await;
    (roles.remove(0), address)
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
    assert_eq!(Vec::from_iter(whys), ["reading the metrics timed out\n", "too many scrapes at a time\n"]);
    assert_eq!(ask(address, &page).await.0, UNAVAILABLE);
    assert_eq!(times.load(Ordering::Relaxed), 1, "only one thread hangs");
    drop(release);
    assert_eq!(ask(address, &page).await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn clients_that_do_not_read_are_cut_off() {
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

/// Slow clients that take every connection delay other clients only until their time is over.
#[tokio::test]
async fn clients_that_do_not_write_are_cut_off() {
    let (_role, address) = hasty().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
        silent.push(stream);
    }
    let page = get("/healthz");
    let health = timeout(Duration::from_secs(5), ask(address, &page));
    assert_eq!(health.await.expect("a connection is free again").0, "HTTP/1.1 200 OK");
    for mut stream in silent {
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
    }
}

/// Reads one response with a `Content-Length` from a connection that stays open.
async fn next_answer(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_connection_takes_several_requests() {
    let (_roles, address) = serve(&["n"], &CancellationToken::new(), LIMITS).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (path, status, body) in
        [("/healthz", "200 OK", "ok\n"), ("/readyz", "503 Service Unavailable", "n: starting\n")]
    {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let (head, told) = next_answer(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert_eq!(told, body);
    }
}

#[tokio::test]
async fn methods_and_paths_are_answered_by_the_standard() {
    let (_roles, address) = serve(&["n"], &CancellationToken::new(), LIMITS).await;
    assert_eq!(ask(address, &get("/")).await.0, "HTTP/1.1 404 Not Found");
    assert_eq!(ask(address, &request("POST", "/nowhere")).await.0, "HTTP/1.1 404 Not Found");
    let (head, body) = answer(address, &request("POST", "/healthz")).await;
    assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && head.contains("allow: GET,HEAD"), "{head}");
    assert_eq!(body, "method not allowed: use GET or HEAD\n");
    let (head, body) = answer(address, &request("HEAD", "/healthz")).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 3"), "{head}");
    assert_eq!(body, "");
    let large = "POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(ask(address, large).await.0, "HTTP/1.1 413 Payload Too Large");
    let endless = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(ask(address, endless).await.0, "HTTP/1.1 413 Payload Too Large");
    assert!(ask(address, "nonsense\r\n\r\n").await.0.contains("400"));
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let stop = CancellationToken::new();
    let (roles, address) = serve(&["coordinator", "node-0"], &stop, LIMITS).await;
    assert_eq!(ask(address, &get("/healthz")).await, ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));

    let (status, why) = ask(address, &get("/readyz")).await;
    assert_eq!((&*status, &*why), (UNAVAILABLE, "coordinator: starting\nnode-0: starting\n"));
    let is_ready = Arc::new(AtomicBool::new(true));
    roles[0].readiness.tell(|| Ok(()));
    let told = Arc::clone(&is_ready);
    roles[1].readiness.tell(move || told.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "away".to_owned()));
    assert_eq!(ask(address, &get("/readyz")).await, ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    is_ready.store(false, Ordering::Relaxed);
    assert_eq!(ask(address, &get("/readyz")).await, (UNAVAILABLE.to_owned(), "node-0: away\n".to_owned()));

    roles[1].metrics.counter("entail_calls_total", "Calls.").inc();
    let (head, page) = answer(address, &get("/metrics")).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains(metrics::CONTENT_TYPE), "{head}");
    assert!(page.contains("entail_calls_total{node=\"node-0\"} 1\n"), "{page}");
    assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"), "{page}");
    stop.cancel();
    assert_eq!(ask(address, &get("/healthz")).await, (UNAVAILABLE.to_owned(), "shutting down\n".to_owned()));
}
