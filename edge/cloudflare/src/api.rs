//! The HTTP API: the edge's address, the list of rooms, and the archive of rooms and people.

use archive::TABLES;
use token::EVERY_ROOM;
use wire::FanId;
use worker::{Env, Method, Request, Response, Result};

use crate::{
    DIRECTORY,
    address::{Address, named},
    keys::keys,
    platform::wall,
    shard::{ROOT, object_url, room_object},
};

/// The headers that an edge sends with every answer. The platform adds them to the pages only.
const HEADERS: &str = include_str!("../../_headers");

/// A refused request: its HTTP status, and the reason in one line.
type Refusal = (u16, String);

pub(crate) async fn answer(request: &Request, address: &Address, env: &Env) -> Result<Response> {
    let path = address.path().strip_prefix("/api/").unwrap_or_default();
    let answered = match path.split_once('/') {
        None if path == "edge" => edge(address),
        None if path == "rooms" => return directory(env, "rooms").await,
        Some(("rooms", room)) => return one_room(room, env).await,
        None if path == "archive" => return archive(request, address, env).await,
        Some(("fans", fan)) => return person(request, fan, env).await,
        _ => return Response::error(format!("there is no {}\n", address.path()), 404),
    };
    json(answered)
}

/// Returns the WebSocket address of this edge, as JSON.
fn edge(address: &Address) -> String {
    let scheme = if address.is_secure() { "wss" } else { "ws" };
    // A host has no characters that JSON would escape.
    let host = address.host();
    format!(r#"{{"webtransport":null,"websocket":"{scheme}://{host}/moq","fingerprints":[]}}"#)
}

pub(crate) fn json(text: String) -> Result<Response> {
    let response = Response::ok(text)?;
    let headers = response.headers();
    headers.set("content-type", "application/json")?;
    // The rule for all paths comes first, and none of the others is for the API.
    let lines = HEADERS.lines().skip_while(|line| *line != "/*").skip(1);
    for line in lines.take_while(|line| line.starts_with(' ')) {
        if let Some((name, value)) = line.trim().split_once(": ") {
            headers.set(name, value)?;
        }
    }
    Ok(response)
}

async fn directory(env: &Env, what: &str) -> Result<Response> {
    let directory = env.durable_object(DIRECTORY)?.get_by_name("")?;
    directory.fetch_with_str(&format!("https://directory/{what}")).await
}

async fn one_room(room: &str, env: &Env) -> Result<Response> {
    match named(&decoded(&room.replace('+', "%2B"))) {
        Ok(room) => directory(env, &object_url("room", &room)["https://stage/".len()..]).await,
        Err(why) => Response::error(why, 400),
    }
}

/// Returns all archived rows of a room to an operator, one JSON object per line.
async fn archive(request: &Request, address: &Address, env: &Env) -> Result<Response> {
    let room = match address.room() {
        Ok(room) => room,
        Err(why) => return Response::error(why, 400),
    };
    if let Err((status, why)) = for_operator(request, &room, env).await {
        return Response::error(why, status);
    }
    room_object(env, ROOT, &room)?.fetch_with_str(&object_url("archive", &room)).await
}

/// Exports or erases all that is archived of a person. Requires an operator's token for all rooms.
async fn person(request: &Request, fan: &str, env: &Env) -> Result<Response> {
    if let Err((status, why)) = for_operator(request, EVERY_ROOM, env).await {
        return Response::error(why, status);
    }
    let fan: FanId = match fan.parse() {
        Ok(fan) => fan,
        Err(error) => return Response::error(format!("{error}\n"), 400),
    };
    let what = match request.method() {
        Method::Get => "export",
        Method::Delete => "forget",
        _ => return Response::error("GET what is kept of a fan, or DELETE it\n", 405),
    };
    let names = directory(env, "names").await?.text().await?;
    let mut tables: Vec<(&str, Vec<String>)> = TABLES
        .iter()
        .filter(|table| table.page_of_person().is_some())
        .map(|table| (table.name, Vec::new()))
        .collect();
    for line in names.lines() {
        let room = decoded(line);
        let url = object_url(&format!("{what}/{fan}"), &room);
        let mut response = room_object(env, ROOT, &room)?.fetch_with_str(&url).await?;
        if response.status_code() != 200 {
            let why = format!("room {room:?}: {}", response.text().await?);
            return Response::error(why, response.status_code());
        }
        for row in response.text().await?.lines() {
            let Some((name, row)) = row.split_once(' ') else { continue };
            if let Some((_, rows)) = tables.iter_mut().find(|(of, _)| *of == name) {
                rows.push(row.to_owned());
            }
        }
    }
    if what == "forget" {
        return Ok(Response::empty()?.with_status(204));
    }
    let tables: Vec<_> =
        tables.iter().map(|(name, rows)| format!(r#""{name}":[{}]"#, rows.join(","))).collect();
    json(format!(r#"{{"fan":"{fan}",{}}}"#, tables.join(",")))
}

/// Checks that the request has an operator's token for what is archived of a room, or of people in every room.
async fn for_operator(request: &Request, room: &str, env: &Env) -> std::result::Result<(), Refusal> {
    let shown = request.headers().get("authorization").ok().flatten().unwrap_or_default();
    let denied = |why: String| (401, format!("{why}\n"));
    let jwt = shown.strip_prefix("Bearer ");
    let jwt = jwt.ok_or_else(|| denied("present a token: Authorization: Bearer JWT".into()))?;
    let keys = keys(env).await.map_err(|error| (500, format!("{error}\n")))?;
    let now = wall();
    let claims = keys.verify(jwt, now).map_err(|error| denied(error.to_string()))?;
    claims.check_operator(room, now).map_err(|error| (403, format!("{error}\n")))
}

/// Decodes a value of a query.
fn decoded(value: &str) -> String {
    form_urlencoded::parse(value.as_bytes()).map(|(value, _)| value.into_owned()).collect()
}
