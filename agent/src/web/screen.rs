//! `/screen`: names looked up for programs (JSON) and for people (a page).

mod answer;
mod api;
mod form;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use gait_common::identity::Query;
use tokio::sync::Semaphore;

use super::problem::Problem;
use super::serve::WORKERS;
use super::{Site, TheSite};
use crate::screen::{Act, Screened, Screener, Whose};
use form::{Clearing, Filled, Page};

pub(super) fn routes(site: Arc<Site>) -> Router {
    Router::new().route("/screen", get(empty).post(ask)).route("/screen/clear", post(clear)).with_state(site)
}

/// The page before anything was asked.
async fn empty(State(site): TheSite) -> Response {
    let Some(screener) = &site.screener else { return page(StatusCode::OK, &Page::without_list(&site.host)) };
    let refreshed = off_the_loop({
        let screener = Arc::clone(screener);
        move || screener.refresh()
    });
    if let Err(problem) = refreshed.await {
        return problem.into_response();
    }
    page(StatusCode::OK, &Page { filled: Filled::default(), ..Page::new(&site.host, screener) })
}

/// A query: JSON is answered with JSON, the page's form with a page.
async fn ask(State(site): TheSite, request: Request) -> Response {
    let kind = content_type(request.headers());
    let json = match kind.as_deref() {
        Some("application/json") => true,
        Some("application/x-www-form-urlencoded") => false,
        _ => {
            let detail = "send a query as application/json; the page's form sends itself";
            return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response();
        }
    };
    let Some(screener) = site.screener.clone() else { return no_list(&site, json) };
    if json {
        let body = Bytes::from_request(request, &()).await;
        return match body {
            Ok(body) => api::answer(screener, body).await,
            Err(rejection) => unread(&rejection).into_response(),
        };
    }
    let filled = match Form::<Filled>::from_request(request, &()).await {
        Ok(Form(filled)) => filled,
        Err(rejection) => return unfilled(&rejection).into_response(),
    };
    search(&site, screener, filled, None).await
}

/// Clears a hit, and shows what is left.
async fn clear(State(site): TheSite, form: Result<Form<Clearing>, FormRejection>) -> Response {
    let Some(screener) = site.screener.clone() else { return no_list(&site, false) };
    let Form(clearing) = match form {
        Ok(form) => form,
        Err(rejection) => return unfilled(&rejection).into_response(),
    };
    let filled = clearing.filled();
    let cleared = off_the_loop({
        let (screener, clearing) = (Arc::clone(&screener), clearing);
        move || {
            let Clearing { caller, source, id, by, note, .. } = &clearing;
            if caller.trim().is_empty() {
                return Err("say whose match is false: the caller is missing".to_owned());
            }
            let act = Act { source, id, by, note, revoke: false };
            let clearance = screener.clear(Whose::Caller(caller.trim()), &act);
            clearance
                .map(|c| format!("{} is cleared for {}", c.name, caller.trim()))
                .map_err(|e| format!("{e:#}"))
        }
    })
    .await;
    match cleared {
        Ok(cleared) => search(&site, screener, filled, Some(cleared)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Answers a filled form; `said` is what became of a clearance before.
async fn search(
    site: &Site,
    screener: Arc<Screener>,
    filled: Filled,
    said: Option<Result<String, String>>,
) -> Response {
    let blank = Page { said, ..Page::new(&site.host, &screener) };
    let query = match filled.query() {
        Ok(query) => query,
        Err(wrong) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return page(status, &Page { filled, wrong: Some(wrong), ..blank });
        }
    };
    let caller = filled.caller.trim().to_owned();
    let answered = off_the_loop({
        let screener = Arc::clone(&screener);
        move || screened(&screener, &query, Some(&*caller).filter(|caller| !caller.is_empty()))
    });
    match answered.await.and_then(|answered| answered) {
        Ok(screened) => page(StatusCode::OK, &Page { filled, screened: Some(screened), ..blank }),
        Err(problem) => {
            let status = problem.status;
            page(status, &Page { filled, failure: Some(problem.detail.into_owned()), ..blank })
        }
    }
}

/// Looks a query up, in the list as it is now.
fn screened(screener: &Screener, query: &Query, caller: Option<&str>) -> Result<Screened, Problem> {
    screener.refresh();
    screener.screen(query, caller).map_err(|error| unrecorded(&error))
}

fn unrecorded(error: &anyhow::Error) -> Problem {
    tracing::error!("{error:#}");
    let detail =
        "the audit log cannot be written, and no answer is given that is not in it; the agent's log has more";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// What the workers are doing. Whoever waits for one waits here, not in the workers' queue: a request that was given up is
/// then no work any more.
static WORK: Semaphore = Semaphore::const_new(WORKERS);

/// Does work that takes a while where it holds nobody up.
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the query could not be answered");
    let permit = WORK.acquire().await.map_err(|_| failed())?;
    tokio::task::spawn_blocking(move || {
        // Until the work is done, even if nobody waits for it any more.
        let _permit = permit;
        work()
    })
    .await
    .map_err(|_| failed())
}

fn no_list(site: &Site, json: bool) -> Response {
    if json {
        let detail = "there is no list to look names up in: set screening.list in the agent's configuration";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    }
    page(StatusCode::SERVICE_UNAVAILABLE, &Page::without_list(&site.host))
}

fn page(status: StatusCode, page: &Page<'_>) -> Response {
    (status, Html(page.render().into_string())).into_response()
}

fn unread(rejection: &BytesRejection) -> Problem {
    let status = rejection.status();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Problem::new(status, "the request's body could not be read"),
    }
}

fn unfilled(rejection: &FormRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => Problem::new(status, "the form could not be read"),
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is larger than 1 MiB")
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
