//! The form that takes a token once and gives a cookie for it.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::access::{Access, COOKIE, SESSION};
use super::layout;

#[derive(Deserialize)]
struct Entered {
    token: String,
}

pub(super) fn routes(access: Arc<Access>) -> Router {
    Router::new()
        .route("/login", get(|| async { Html(form(None).into_string()) }).post(enter))
        .route("/logout", post(leave))
        .with_state(access)
}

async fn enter(State(access): State<Arc<Access>>, entered: Result<Form<Entered>, FormRejection>) -> Response {
    let refused =
        |status: StatusCode, why: &str| (status, Html(form(Some(why)).into_string())).into_response();
    let Ok(Form(Entered { token })) = entered else {
        return refused(StatusCode::BAD_REQUEST, "The form came without a token.");
    };
    if !access.may_try() {
        return refused(StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens. Try again in a minute.");
    }
    match access.session(token.trim().as_bytes()) {
        Some(value) => {
            let seconds = SESSION.as_secs();
            let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        None => refused(StatusCode::FORBIDDEN, "This is not the token of this agent."),
    }
}

async fn leave() -> Response {
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn form(wrong: Option<&str>) -> Markup {
    layout::page(
        "Log in",
        html! {
            form .card .login method="post" action="/login" {
                h1 { "Log in" }
                p .quiet { "The token stands in the file that " code { "web.token_file" } " of the configuration names." }
                label for="token" { "Token" }
                input #token type="password" name="token" required autofocus autocomplete="current-password";
                @if let Some(wrong) = wrong {
                    p .error role="alert" { (wrong) }
                }
                button type="submit" { "Log in" }
            }
        },
    )
}
