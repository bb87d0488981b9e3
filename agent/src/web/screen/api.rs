//! `POST /screen` with JSON: one query, or up to a hundred.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use gait_common::identity::Query;
use serde_json::{Map, Value, json};

use super::{off_the_loop, unrecorded};
use crate::screen::{Screened, Screener, check};
use crate::web::problem::Problem;

/// Most queries of one request.
pub(super) const MAX_QUERIES: usize = 100;
/// The channel of the risk matrix unless a query names one.
const CHANNEL: &str = "api";

/// A query and the caller it is about.
type Asked = (Query, Option<String>);

/// Answers a body.
pub(super) async fn answer(screener: Arc<Screener>, body: Bytes) -> Response {
    let answer = off_the_loop(move || answer_now(&screener, &body)).await;
    match answer.and_then(|answer| answer) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn answer_now(screener: &Screener, body: &[u8]) -> Result<Value, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let body: Value =
        serde_json::from_slice(body).map_err(|error| bad(format!("the body is no JSON: {error}")))?;
    let Value::Object(mut fields) = body else {
        return Err(bad("the body is no object: send {\"name\": ...} or {\"queries\": [...]}".to_owned()));
    };
    screener.refresh();
    let Some(queries) = fields.remove("queries") else {
        let asked = asked(fields).map_err(unfit)?;
        return one(screener, &asked).and_then(|screened| rendered(&screened));
    };
    if let Some(other) = fields.keys().next() {
        return Err(bad(format!("unknown field `{other}` beside `queries`")));
    }
    let Value::Array(queries) = queries else { return Err(bad("`queries` is no list".to_owned())) };
    if queries.len() > MAX_QUERIES {
        let detail = format!("there are {} queries; send at most {MAX_QUERIES} at a time", queries.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let answers: Vec<Result<Screened, Problem>> = queries
        .into_iter()
        .map(|query| match query {
            Value::Object(fields) => asked(fields).map_err(unfit),
            _ => Err(unfit("the query is no object".to_owned())),
        })
        .map(|asked| asked.map(|(query, caller)| screener.ask(&query, caller.as_deref())))
        .collect();
    let recorded: Vec<Screened> = answers.iter().flatten().cloned().collect();
    screener.record(&recorded).map_err(|error| unrecorded(&error))?;
    let answers = answers.iter().map(|answer| match answer {
        Ok(screened) => rendered(screened),
        // A wrong query is answered in its place, and spoils none of the others.
        Err(problem) => Ok(json!({"error": problem.json()})),
    });
    Ok(json!({"answers": answers.collect::<Result<Vec<_>, _>>()?}))
}

fn one(screener: &Screener, (query, caller): &Asked) -> Result<Screened, Problem> {
    screener.screen(query, caller.as_deref()).map_err(|error| unrecorded(&error))
}

fn rendered(screened: &Screened) -> Result<Value, Problem> {
    serde_json::to_value(screened)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be rendered"))
}

/// Takes a query's object apart.
fn asked(mut fields: Map<String, Value>) -> Result<Asked, String> {
    let caller = match fields.remove("caller") {
        None | Some(Value::Null) => None,
        Some(Value::String(caller)) => Some(caller),
        Some(_) => return Err("`caller` is no text".to_owned()),
    };
    if !fields.contains_key("name") {
        return Err("the query has no `name`".to_owned());
    }
    let mut query: Query =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    if query.channel.is_empty() {
        CHANNEL.clone_into(&mut query.channel);
    }
    check(&query).map_err(|error| error.to_string())?;
    Ok((query, caller))
}

fn unfit(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}
