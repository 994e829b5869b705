//! Our room, and its fans.

use std::{cell::RefCell, net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use fan::{Options, Order, take_part_from};
use fanfare_tests::{Deployed, Isolate, Talker};
use moqt::{App, Cx};
use moqt::{Event, Namespace, Params, TrackName, session::StreamId};
use node::{Edge, EdgeConfig};
use outbox::act_json::ActJson;
use quic::{Certificate, CertificateSource, Endpoint, Trust};
use serde_json::json;
use token::{Algorithm, Claims, Keys, Role};
use tokio::sync::mpsc;
use url::Url;
use wire::{Frame, Frames, Track, TrackItem};

use crate::{Crowd, ROOM, SPEAKERS, crowd::Ear};

const LIFE: Duration = Duration::from_hours(1);
/// The most orders of a fan that may wait.
const ORDERS: usize = 4096;
/// Objects in a group: two seconds of video.
const GROUP: u64 = 60;
/// The longest that a subscription may wait for the track, in milliseconds.
const PATIENCE_MS: u64 = 5000;
const TRACK: &str = "video";

/// The chat line of that number.
pub(crate) fn line(number: u64) -> String {
    format!("this is what somebody has to say, number {number}")
}

/// The number of a chat line.
pub(crate) fn number_of(line: &str) -> Result<u64> {
    Ok(line.rsplit(' ').next().context("no number")?.parse()?)
}

/// An object of `bytes` bytes that begins with its number.
pub(crate) fn object(number: u64, bytes: usize) -> Bytes {
    let mut object = vec![0x5a; bytes];
    object[..8].copy_from_slice(&number.to_be_bytes());
    object.into()
}

fn endpoint() -> Result<Endpoint> {
    Ok(Endpoint::client((Ipv4Addr::LOCALHOST, 0).into(), Trust::Anyone.client_config()?)?)
}

/// Starts a Worker, and opens the room as its creator.
async fn opened(deployed: Deployed) -> Result<Isolate> {
    let token = deployed.keys.mint(&Claims::new(ROOM, Role::Creator, "ada", LIFE))?;
    let isolate = Isolate::start(deployed).await?;
    Talker::enter_at(isolate.url()?, ROOM, Some(token))?.joined().await?;
    Ok(isolate)
}

/// Starts `fans` strangers who read chat, and the moderators who write it.
pub(crate) async fn chat(fans: usize) -> Result<Crowd> {
    let keys = Keys::generate(Algorithm::EdDSA)?;
    let isolate = opened(Deployed::with(keys.clone())).await?;
    let (url, endpoint, tls) = (isolate.url()?, endpoint()?, Trust::Anyone.client_config()?);
    let (orders, taken): (Vec<_>, Vec<_>) = (0..fans).map(|_| mpsc::channel(ORDERS)).unzip();
    let taken: RefCell<Vec<_>> = RefCell::new(taken.into_iter().map(Some).collect());
    let enter = move |fan: usize, ear: Ear| {
        let (endpoint, url, tls) = (endpoint.clone(), url.clone(), tls.clone());
        let taken = taken.borrow_mut()[fan].take();
        let token = (fan < SPEAKERS)
            .then(|| keys.mint(&Claims::new(ROOM, Role::Moderator, &format!("speaker {fan}"), LIFE)));
        async move {
            let room = Namespace::from_path(ROOM)?;
            let (others, token, seed) = (Vec::new(), token.transpose()?, fan as u64);
            let options = Options { url, others, tls, room, token, seed };
            let mut reader = Reader { ear, last: 0 };
            let reading = |said| reader.hear(said);
            take_part_from(&endpoint, options, taken.context("a fan comes twice")?, reading).await?;
            bail!("a fan has left")
        }
    };
    Crowd::gather(isolate, fans, enter, move |number| {
        let act = ActJson::parse(&json!({ "say": { "text": line(number) } }).to_string())?;
        let order = Order { ticket: u32::try_from(number)?, act };
        orders[number as usize % SPEAKERS].try_send(order).context("too many orders")
    })
    .await
}

struct Reader {
    ear: Ear,
    /// The highest chat line seen so far.
    last: u64,
}

impl Reader {
    fn hear(&mut self, said: fan::Update) {
        match said {
            fan::Update::Joined => self.ear.came(),
            fan::Update::Left { why } => eprintln!("a fan has left: {why}"),
            fan::Update::Shown { track: Track::Chat, packet } => {
                if let Err(error) = self.read(&packet) {
                    eprintln!("a fan cannot read: {error:#}");
                }
            }
            _ => {}
        }
    }

    fn read(&mut self, packet: &[u8]) -> Result<()> {
        for frame in Frames::<TrackItem<'_>>::new(packet)? {
            let Frame::Known(TrackItem::Said(line)) = frame? else { continue };
            // A group opens with the earlier lines, which must not count again.
            if line.id.0 > self.last {
                self.last = line.id.0;
                self.ear.heard(number_of(line.text)?);
            }
        }
        Ok(())
    }
}

/// Starts an origin with a track to which all fans are subscribed.
pub(crate) async fn media(fans: usize, bytes: usize) -> Result<Crowd> {
    let dir = tempfile::tempdir()?;
    let names = ["localhost", "127.0.0.1"].map(String::from).into();
    let source = CertificateSource::SelfSigned { dir: dir.path().to_owned(), names };
    let certificate = Certificate::load(source, std::time::SystemTime::now())?;
    let origin = Edge::bind(EdgeConfig {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        tcp: front::Options::default(),
        tls: certificate.server_config(&[])?,
        fingerprints: certificate.fingerprints(),
        origin: None,
        pages: None,
        limits: node::Limits::UNLIMITED,
        rooms: None,
    })?;
    let name = TrackName::new(Namespace::from_path(ROOM)?, TRACK)?;
    let mut track = origin.relay().publish(name.clone(), 0);
    let mut deployed = Deployed::with(Keys::generate(Algorithm::EdDSA)?);
    deployed.origin = Some(Url::parse(&format!("http://127.0.0.1:{}", origin.local_addr()?.port()))?);
    let serving = tokio::task::spawn_local(origin.run(std::future::pending()));
    let isolate = opened(deployed).await?;
    let (mut url, endpoint) = (isolate.url()?, endpoint()?);
    url.query_pairs_mut().append_pair("room", ROOM);
    let enter = move |_, ear| {
        let (url, endpoint, name) = (url.clone(), endpoint.clone(), name.clone());
        async move {
            let connection = endpoint.dial(&url).await?;
            let mut watcher = Watcher { name, ear, reading: Vec::new() };
            bail!("a fan was sent away: {:?}", connection.run(&mut watcher).await?)
        }
    };
    Crowd::gather(isolate, fans, enter, move |number| {
        ensure!(!serving.is_finished(), "the origin is gone");
        track.push_object(number.is_multiple_of(GROUP), object(number, bytes));
        Ok(())
    })
    .await
}

struct Watcher {
    name: TrackName,
    ear: Ear,
    reading: Vec<(StreamId, Vec<u8>, u64)>,
}

impl App for Watcher {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(_) => {
                let params = Params { rendezvous_timeout: Some(PATIENCE_MS), ..Params::default() };
                cx.session.subscribe(self.name.clone(), params).expect("a track");
            }
            Event::SubscribeOk { .. } => self.ear.came(),
            Event::RequestError { error, .. } => panic!("{error:?}"),
            Event::Subgroup { stream, .. } => self.reading.push((stream, Vec::new(), 0)),
            Event::Object { stream, header } => {
                if let Some((_, start, left)) = self.reading.iter_mut().find(|(of, ..)| *of == stream) {
                    start.clear();
                    *left = header.payload_len;
                }
            }
            Event::Payload { stream, data } => {
                let Some((_, start, left)) = self.reading.iter_mut().find(|(of, ..)| *of == stream) else {
                    return;
                };
                let missing = 8 - start.len();
                start.extend(data.iter().take(missing));
                *left -= data.len() as u64;
                if *left == 0 {
                    let number = start.first_chunk().map(|number| u64::from_be_bytes(*number));
                    self.ear.heard(number.expect("a number"));
                }
            }
            Event::StreamEnded { stream } | Event::StreamReset { stream, .. } => {
                self.reading.retain(|(of, ..)| *of != stream);
            }
            _ => {}
        }
    }
}
