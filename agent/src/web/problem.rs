//! What went wrong with a request: for programs as `application/problem+json` (RFC 9457), for people as a page.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use maud::html;
use serde_json::json;

use super::layout;

/// Why a request is not answered. It becomes JSON, or a page where the request asks for one.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: Cow<'static, str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], self.json().to_string())
                .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Shows problems to people as a page.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let page = wants_page(request.headers());
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| page) else {
        return response;
    };
    let title = problem.status.canonical_reason().unwrap_or("Error");
    let body = layout::page(
        title,
        html! {
            section .notice .bad role="alert" {
                h1 { (title) }
                p { (problem.detail) "." }
                p { a href="/" { "Back to the first page" } }
            }
        },
    );
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts.status, parts.headers, Html(body.into_string())).into_response()
}

/// Whether a browser asks for something to show.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
