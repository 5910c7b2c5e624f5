//! What each address answers.

use crate::engine::{Engine, Refusal};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::page::{ASSETS, Asset};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, extract::MatchedPath};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hw_core::files::sha256_hex;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The document that describes the API.
const OPENAPI: &str = include_str!("openapi.json");
/// Nothing but the page's own files may run, load or be talked to.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What every answer can draw on.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) models: Arc<Models>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
}

/// What a single request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// How long a body may take to arrive.
    pub arrival: Duration,
    /// How long an answer may take from then on.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            arrival: Duration::from_secs(10),
            answer: Duration::from_secs(10),
        }
    }
}

pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .route("/api/recognise", post(recognise))
        .route("/api/models", get(models))
        .route("/api/openapi.json", get(openapi))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics));
    for (index, asset) in ASSETS.iter().enumerate() {
        let path = if index == 0 {
            "/".into()
        } else {
            format!("/{}", asset.name)
        };
        router = router.route(
            &path,
            get(move |headers: HeaderMap| async move { file(asset, &headers) }),
        );
    }
    router
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this address does not take that method",
            )
        })
        .layer(from_fn(secured))
        .layer(from_fn_with_state(app.clone(), counted))
        .with_state(app)
}

/// A refusal as JSON has it.
#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, Json(Problem { error })).into_response()
}

async fn recognise(State(app): State<App>, request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A form on another site cannot send this type without being asked first.
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let error = "the body must be application/json";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let body = match whole(request.into_body(), &app.limits).await {
        Ok(body) => body,
        Err(error) => return problem(error.status(), &error.to_string()),
    };
    let started = Instant::now();
    match tokio::time::timeout(app.limits.answer, app.engine.read(body)).await {
        Ok(Ok(answer)) => {
            app.metrics.read(started.elapsed(), answer.characters.len());
            Json(answer).into_response()
        }
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => refused(&Refusal::Busy),
    }
}

/// Why a request's body is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BodyError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body did not arrive whole")]
    Broken,
}

impl BodyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// All of a body, which is read no further than the limits allow.
async fn whole(body: Body, limits: &Limits) -> Result<Bytes, BodyError> {
    let limit = limits.body;
    let arrived = tokio::time::timeout(limits.arrival, Limited::new(body, limit).collect());
    match arrived.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownModel(_) => StatusCode::NOT_FOUND,
        Refusal::Unreadable(hw_ink::InkError::Model(_)) => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Unreadable(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut response = problem(status, &refusal.to_string());
    if *refusal == Refusal::Busy {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn models(State(app): State<App>) -> Response {
    Json(app.models.cards()).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let text = app.metrics.text(app.engine.waiting());
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn file(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", &sha256_hex(asset.bytes)[..16]);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(asset.bytes).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// What a browser should not allow on our behalf.
async fn secured(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    let routes = [
        "/api/recognise",
        "/api/models",
        "/api/openapi.json",
        "/healthz",
        "/metrics",
        "/",
    ];
    let route = routes
        .into_iter()
        .find(|&route| route == path)
        .unwrap_or("other");
    let response = next.run(request).await;
    app.metrics.answered(route, response.status().as_u16());
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::body::HttpBody;
    use http_body_util::Full;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body whose first byte never comes.
    struct Silent;

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_refused_for_what_is_wrong_with_it() {
        let limits = |body, arrival| Limits {
            body,
            arrival: Duration::from_secs(arrival),
            ..Limits::default()
        };
        let ten = || Body::from(vec![7; 10]);
        assert_eq!(whole(ten(), &limits(10, 60)).await.unwrap().len(), 10);
        let refused = whole(ten(), &limits(9, 60)).await.unwrap_err();
        assert_eq!(refused, BodyError::TooLarge { limit: 9 });
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        // Its error says "length limit" too, of another limit than ours.
        let broken = Body::new(Limited::new(Full::from(vec![7; 10]), 5));
        let refused = whole(broken, &limits(10, 60)).await.unwrap_err();
        assert_eq!(refused, BodyError::Broken);
        let silent = Body::new(Silent);
        let refused = whole(silent, &limits(10, 0)).await.unwrap_err();
        assert_eq!(refused, BodyError::TooSlow);
    }
}
