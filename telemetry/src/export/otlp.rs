//! The exporters to a collector: OTLP over gRPC, or as protobuf over HTTP, each with or without TLS.
//!
//! The address, headers, compression and timeout are read from the environment by the exporters themselves.

use crate::Error;
use crate::settings::{Otlp, Protocol, Tls};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The timeout of a connection, of a request and of its response. The exporter's own limit (10 s, or the environment's)
/// is shorter unless the environment sets a longer one.
const SEND_MAX: Duration = Duration::from_secs(60);

/// The largest response of a collector that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The exporter for these settings. Must be called inside a tokio runtime.
///
/// # Errors
/// [`Error::Exporter`] for an address or files that cannot be used.
pub fn exporter(otlp: &Otlp) -> Result<SpanExporter, Error> {
    let built = match (otlp.protocol, &otlp.tls) {
        (Protocol::Grpc, None) => SpanExporter::builder().with_tonic().build(),
        (Protocol::Grpc, Some(tls)) => SpanExporter::builder().with_tonic().with_tls_config(grpc_tls(tls)?).build(),
        (Protocol::HttpProtobuf, tls) => {
            let client = Sender::new(tls.as_ref())?;
            let builder = SpanExporter::builder().with_http().with_http_client(client);
            builder.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build()
        }
    };
    built.map_err(|error| Error::Exporter(error.to_string()))
}

fn grpc_tls(tls: &Tls) -> Result<ClientTlsConfig, Error> {
    let mut config = ClientTlsConfig::new();
    config = match &tls.authority {
        Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
        None => config.with_native_roots(),
    };
    if let Some((certificate, key)) = &tls.client {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, why: &dyn Display) -> Error {
    Error::Exporter(format!("{}: {why}", path.display()))
}

/// Sends requests on the process's runtime: the exporter's own thread has no runtime.
#[derive(Debug)]
struct Sender {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Sender {
    fn new(tls: Option<&Tls>) -> Result<Self, Error> {
        let connector = HttpsConnectorBuilder::new().with_tls_config(http_tls(tls)?).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.build());
        Ok(Self { client, runtime: Handle::current() })
    }
}

/// The TLS configuration; without client certificates if the connection is not encrypted.
fn http_tls(tls: Option<&Tls>) -> Result<ClientConfig, Error> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Exporter(error.to_string()))?;
    let Some(tls) = tls else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let builder = match &tls.authority {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_root_certificates(system_roots()),
    };
    let Some((certificate, key)) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    builder.with_client_auth_cert(certificates(certificate)?, secret).map_err(|error| unusable(certificate, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, &"no certificate in PEM is in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// The certificate authorities that the system trusts.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Certificates that cannot be parsed are skipped; the others stay usable.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

#[tonic::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // The timer is made inside the runtime, too.
        self.runtime.spawn(async move { timeout(SEND_MAX, sent).await }).await??
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Polls on a thread without a runtime, as the exporter's own thread does.
    fn without_runtime<T>(work: impl Future<Output = T>) -> T {
        let (mut work, waker) = (pin!(work), Waker::from(Arc::new(Unpark(thread::current()))));
        loop {
            if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            thread::park();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_are_sent_over_http_from_a_thread_without_a_runtime() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut collector, mut received) = (listener.accept().await.unwrap().0, vec![]);
            while !received.ends_with(b"spans") {
                collector.read_buf(&mut received).await.unwrap();
            }
            collector.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntaken").await.unwrap();
        });
        let sender = Sender::new(None).unwrap();
        let request = Request::post(url).body(Bytes::from_static(b"spans")).unwrap();
        let sent = thread::spawn(move || without_runtime(sender.send_bytes(request)));
        let response = tokio::task::spawn_blocking(|| sent.join().unwrap()).await.unwrap().unwrap();
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"taken"[..]));
    }
}
