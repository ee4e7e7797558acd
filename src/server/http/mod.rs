//! What is seen from outside: `/metrics`, `/livez` and `/readyz` over HTTP, for scrapers and for who restarts processes.
//!
//! It runs on a thread of its own, so that a long list of numbers keeps no client waiting, and it can say that the cores hang. It
//! reads: nothing can be changed over it, and bodies of requests are not looked at.
//! At its default it is for this machine only; a second broker on the same machine finds the port taken, goes on without, and
//! says so. An address that somebody has set must be free, or the server does not start.
//! Invariant: at most [`CONNECTIONS_MAX`] connections, heads of at most [`HEAD_BYTES_MAX`], and an end to every wait.

mod exposition;
mod health;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config::{Origin, Roles, Settings};
use crate::io::net;
use crate::io::threads::{self, Service};
use crate::metrics::{Exposition, Format};

use super::core::Core;
use super::listen::{self, Bound};
use super::shared::Shared;

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request's line and headers.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a connection may be silent, or take over a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// After this a connection is not used for another request, however busy it is.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long its last answer may take.
const LAST_ANSWER: Duration = Duration::from_secs(30);
/// How long accepting pauses when it fails: usually no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Where scrapers of JMX exporters look for Kafka.
const KEY: &str = "http.listener";

/// The sockets of `http.listener`: none when it is empty, or when it is at its default and the port is taken.
pub fn bind(settings: &Settings, backlog: i32) -> anyhow::Result<Vec<Bound>> {
    let Some(listener) = settings.http_listener() else { return Ok(Vec::new()) };
    let bound = listen::bind(&listener, Roles::default(), backlog);
    unless_by_default(bound, &settings.origin(KEY)).with_context(|| format!("{KEY}: {listener}"))
}

/// Nobody asked for the default, and several servers of one machine have the same: only one of them gets it.
fn unless_by_default(bound: anyhow::Result<Vec<Bound>>, origin: &Origin) -> anyhow::Result<Vec<Bound>> {
    bound.or_else(|error| {
        if *origin != Origin::Default {
            return Err(error);
        }
        let reason = format!("{error:#}");
        tracing::warn!(reason, "no metrics over HTTP here; set {KEY} to an address that is free, or to nothing");
        Ok(Vec::new())
    })
}

/// What requests are answered from.
pub struct Front {
    shared: Arc<Shared>,
    cores: Arc<[Arc<Core>]>,
    exposition: Exposition,
}

impl Front {
    pub fn new(shared: &Arc<Shared>, cores: &Arc<[Arc<Core>]>) -> Arc<Front> {
        let exposition = exposition::of(Arc::clone(shared), Arc::clone(cores));
        Arc::new(Front { shared: Arc::clone(shared), cores: Arc::clone(cores), exposition })
    }
}

/// Serves until `stop` changes, on a thread of its own.
pub fn start(front: Arc<Front>, listeners: Vec<Bound>, mut stop: watch::Receiver<bool>) -> std::io::Result<Service> {
    for bound in &listeners {
        tracing::info!(address = %bound.address, "metrics and health over HTTP");
    }
    threads::service("http", move || async move {
        let router = Router::new()
            .route("/", get(index))
            .route("/metrics", get(metrics))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .with_state(front);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for bound in listeners {
            tokio::spawn(accept(bound, router.clone(), Arc::clone(&places)));
        }
        // What is open then ends with this thread.
        let _ = stop.changed().await;
    })
}

async fn accept(bound: Bound, router: Router, places: Arc<Semaphore>) {
    let address = bound.address;
    let listener = match net::Listener::new(bound.listening) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%address, %error, "cannot accept connections"),
    };
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await.and_then(|(accepted, _)| accepted.open(KEEPALIVE)) {
            Ok(stream) => drop(tokio::spawn(serve(stream, router.clone(), place))),
            Err(error) => {
                tracing::warn!(%address, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: net::Stream, router: Router, _place: OwnedSemaphorePermit) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // How a connection of a scraper ends is of no interest.
    if tokio::time::timeout(LIFETIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
    }
}

async fn index() -> &'static str {
    "/metrics\n/livez\n/readyz\n"
}

async fn metrics(State(front): State<Arc<Front>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::of_accept(accepts);
    ([(CONTENT_TYPE, format.content_type())], front.exposition.text(format)).into_response()
}

async fn livez(State(front): State<Arc<Front>>) -> Response {
    told(health::live(&front.cores).await)
}

async fn readyz(State(front): State<Arc<Front>>) -> Response {
    told(health::ready(&front.shared))
}

fn told(health: Result<(), String>) -> Response {
    let (status, text) = match health {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    };
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], text).into_response()
}
