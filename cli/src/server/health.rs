//! `GET /healthz` over HTTP, for those who cannot ask over gRPC: 200 while the process works, 503 when it is ending.

use crate::failure::Failure;
use entail_model::{Fault, Reason};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take over its request.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Starts answering, if there is an address to answer on.
pub async fn start(address: Option<SocketAddr>, stop: &CancellationToken) -> Result<(), Failure> {
    let Some(address) = address else {
        return Ok(());
    };
    let refused = |error| Fault::new(Reason::InvalidRequest, format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    tokio::spawn(accept(listener, stop.clone()));
    Ok(())
}

/// Goes on while the process ends, to say so.
async fn accept(listener: TcpListener, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = connections.clone().acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, most likely; some will be closed.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            // What a client does wrong is its own concern.
            let _ = serve(stream, &stop).await;
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, stop: &CancellationToken) -> Result<(), hyper::Error> {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, stop)));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(request: &Request<Incoming>, stop: &CancellationToken) -> Response<Full<Bytes>> {
    let is_known = request.uri().path() == "/healthz";
    let (status, text) = match *request.method() {
        Method::GET | Method::HEAD if is_known && stop.is_cancelled() => (StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
        Method::GET | Method::HEAD if is_known => (StatusCode::OK, "ok\n"),
        _ if is_known => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
        _ => (StatusCode::NOT_FOUND, "only /healthz is here\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn first_line(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn health_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, stop.clone()));
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(first_line(address, &get("/healthz")).await, "HTTP/1.1 200 OK");
        assert_eq!(first_line(address, &get("/")).await, "HTTP/1.1 404 Not Found");
        let post = "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(first_line(address, post).await, "HTTP/1.1 405 Method Not Allowed");
        assert!(first_line(address, "nonsense\r\n\r\n").await.contains("400"));
        stop.cancel();
        assert_eq!(first_line(address, &get("/healthz")).await, "HTTP/1.1 503 Service Unavailable");
    }
}
