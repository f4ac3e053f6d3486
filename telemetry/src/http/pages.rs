//! The pages of a role's HTTP server:
//!
//! ```text
//! GET /healthz   200 while the process works, 503 while it shuts down
//! GET /readyz    200 when all of its roles are ready for requests, otherwise 503 and the reason
//! GET /metrics   the metrics of the process and of its roles in Prometheus' text format
//! ```
//! A HEAD request is answered like GET without the body, other methods with 405, other paths with 404.

use super::{BODY_BYTES_MAX, Pages};
use crate::metrics;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_body::Body as _;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The router that serves the pages at their paths.
pub fn router(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .fallback(no_page)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(limit_body))
        .with_state(pages)
}

/// No page reads a body: a small one is ignored, a large one is refused before it is sent.
async fn limit_body(request: Request<Body>, next: Next) -> Response {
    match request.body().size_hint().upper() {
        Some(size) if size <= BODY_BYTES_MAX => next.run(request).await,
        _ => (StatusCode::PAYLOAD_TOO_LARGE, "requests here have no body\n").into_response(),
    }
}

async fn no_page() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "not found: this port has /healthz, /readyz and /metrics\n")
}

async fn no_method() -> impl IntoResponse {
    (StatusCode::METHOD_NOT_ALLOWED, "method not allowed: use GET or HEAD\n")
}

async fn health(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.0.stop.is_cancelled() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        false => (StatusCode::OK, "ok\n"),
    }
}

async fn readiness(State(pages): State<Pages>) -> impl IntoResponse {
    let roles = pages.0.roles.iter();
    let reasons: Vec<String> = roles
        .filter_map(|(name, role)| Some((name, role.readiness.ask().err()?)))
        .map(|(name, why)| format!("{name}: {why}\n"))
        .collect();
    match reasons.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons.concat()),
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let Ok(_permit) = pages.0.scrapes.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at a time\n").into_response();
    };
    match timeout(pages.0.limits.scrape, read_metrics(&pages)).await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "reading the metrics timed out\n").into_response(),
    }
}

/// Reading the metrics opens files and queries the database, so it runs on a blocking thread.
async fn read_metrics(pages: &Pages) -> Result<String, tokio::task::JoinError> {
    let parts = Arc::clone(&pages.0);
    let alone = Arc::clone(&parts.reading).lock_owned().await;
    spawn_blocking(move || {
        let _alone = alone;
        metrics::text(&parts.registries)
    })
    .await
}
