//! Counts and times the requests of a gRPC server by method and code, from the first byte of the request to the last
//! byte of the response.
//!
//! A method that the server does not know counts as `other`, so that requests for unknown methods cannot create series.

use super::{Counters, Histograms, Registry, SECONDS};
use crate::codes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use prometheus::IntGaugeVec;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::Code;
use tower::{Layer, Service};

/// Observes the requests of one server.
#[derive(Clone)]
pub struct Requests(Arc<Families>);

struct Families {
    known: Vec<(&'static str, &'static str)>,
    total: Counters,
    seconds: Histograms,
    in_flight: IntGaugeVec,
}

const LABELS: [&str; 2] = ["service", "method"];
const OTHER: (&str, &str) = ("other", "other");

impl Requests {
    /// Registers the metrics of a role whose servers have these methods, given as pairs of service and method.
    pub fn new(registry: &Registry, known: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let known = known.into_iter().collect();
        let [service, method] = LABELS;
        let total = registry.counters(
            "entail_rpc_server_requests_total",
            "Requests that have ended, by their gRPC code.",
            &[service, method, "code"],
        );
        let seconds = registry.histograms(
            "entail_rpc_server_duration_seconds",
            "Time from the request's arrival to the end of its answer.",
            &LABELS,
            &SECONDS,
        );
        let opts = prometheus::Opts::new("entail_rpc_server_in_flight", "Requests that have not ended.");
        let in_flight = registry.register(IntGaugeVec::new(opts, &LABELS));
        Self(Arc::new(Families { known, total, seconds, in_flight }))
    }

    /// A call of a method, `package.Service/Method`, begins.
    pub(crate) fn begin(&self, method: &str) -> Observation {
        let asked = method.split_once('/');
        let known = self.0.known.iter().copied().find(|known| asked == Some(*known));
        let (service, method) = known.unwrap_or(OTHER);
        self.0.in_flight.with_label_values(&[service, method]).inc();
        Observation { families: Arc::clone(&self.0), method: [service, method], started: Instant::now(), code: None }
    }
}

/// A request in progress; it ends when this value is dropped.
pub(crate) struct Observation {
    families: Arc<Families>,
    method: [&'static str; 2],
    started: Instant,
    /// `None` until the status is known: a request that ends without one was cancelled by its caller.
    code: Option<Code>,
}

impl Observation {
    /// Records the outcome of the request.
    pub(crate) fn tell(&mut self, code: Code) {
        self.code = Some(code);
    }

    fn look(&mut self, headers: &HeaderMap) {
        self.code = codes::read(headers).or(self.code);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let [service, method] = self.method;
        let code = codes::name(self.code.unwrap_or(Code::Cancelled));
        self.families.in_flight.with_label_values(&self.method).dec();
        self.families.total.with_label_values(&[service, method, code]).inc();
        self.families.seconds.with_label_values(&self.method).observe(self.started.elapsed().as_secs_f64());
    }
}

impl<S> Layer<S> for Requests {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, requests: self.clone() }
    }
}

/// A service whose requests are observed.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    requests: Requests,
}

impl<S, B, T> Service<Request<T>> for Observed<S>
where
    S: Service<Request<T>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<ObservedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<T>) -> Self::Future {
        let mut observation = self.requests.begin(request.uri().path().trim_start_matches('/'));
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            observation.look(response.headers());
            Ok(response.map(|inner| ObservedBody { inner, observation }))
        })
    }
}

/// A response body whose end is the end of the request.
pub struct ObservedBody<B> {
    inner: B,
    observation: Observation,
}

impl<B: Body + Unpin> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.observation.look(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;

    const KNOWN: [(&str, &str); 1] = [("entail.v1.QueryService", "Query")];

    async fn ask(requests: &Requests, path: &str, status: Option<&'static str>, reads: bool) {
        let service = tower::service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(Full::<&[u8]>::new(b"rows"));
            if let Some(status) = status {
                response.headers_mut().insert("grpc-status", http::HeaderValue::from_static(status));
            }
            Ok::<_, Infallible>(response)
        });
        let request = Request::builder().uri(format!("http://a{path}")).body(()).unwrap();
        let response = requests.layer(service).call(request).await.unwrap();
        if reads {
            response.into_body().collect().await.unwrap();
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_what_became_of_them() {
        let registry = Registry::default();
        let requests = Requests::new(&registry, KNOWN);
        ask(&requests, "/entail.v1.QueryService/Query", Some("0"), true).await;
        ask(&requests, "/entail.v1.QueryService/Query", Some("14"), true).await;
        // Dropped before any trailer: the caller cancelled the request.
        ask(&requests, "/entail.v1.QueryService/Query", None, false).await;
        ask(&requests, "/entail.v1.QueryService/Nonsense", Some("12"), true).await;
        let page = text(&[registry]);
        for line in [
            r#"requests_total{code="OK",method="Query",service="entail.v1.QueryService"} 1"#,
            r#"requests_total{code="UNAVAILABLE",method="Query",service="entail.v1.QueryService"} 1"#,
            r#"requests_total{code="CANCELLED",method="Query",service="entail.v1.QueryService"} 1"#,
            r#"requests_total{code="UNIMPLEMENTED",method="other",service="other"} 1"#,
            r#"in_flight{method="Query",service="entail.v1.QueryService"} 0"#,
            r#"duration_seconds_count{method="Query",service="entail.v1.QueryService"} 3"#,
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
