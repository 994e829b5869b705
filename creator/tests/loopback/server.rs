//! A server that accepts a broadcast and keeps everything that it receives.

use std::{
    collections::BTreeMap,
    future::Future,
    net::Ipv4Addr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use creator::{Error, Publish, Report, Source};
use media::{
    Micros,
    testcard::{self, Rendition},
};
use moqt::{App, Cx, Ended};
use moqt::{
    Event, Filter, Location, Namespace, Params, Properties, TrackName, loc,
    message::{FetchKind, JoiningStart, Setup},
    msf::{self, Catalog},
    session::{RequestId, StreamId},
};
use quic::{Clock, Endpoint, Fingerprint, Trust, drive};
use rustls::pki_types::PrivateKeyDer;
use url::Url;

/// Bound on everything here: reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it never came")
}

pub(crate) fn room() -> Namespace {
    Namespace::from_path("tests/loopback").unwrap()
}

pub(crate) fn small_card() -> testcard::Config {
    testcard::Config {
        renditions: vec![
            Rendition { width: 640, height: 360, bitrate: 400_000 },
            Rendition { width: 320, height: 180, bitrate: 150_000 },
        ],
        gop: Micros::from_millis(500),
        ..testcard::Config::default()
    }
}

pub(crate) fn demo() -> Source {
    Source::demo(small_card()).unwrap()
}

/// A server on a free port, and its address.
pub(crate) struct Server {
    endpoint: Endpoint,
    trust: Trust,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let trust = Trust::Fingerprints(vec![Fingerprint::of(cert.der())]);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let endpoint = Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), tls).unwrap();
        let port = endpoint.local_addr().unwrap().port();
        Self { endpoint, trust, port }
    }

    pub(crate) fn url(&self, scheme: &str) -> Url {
        Url::parse(&format!("{scheme}://127.0.0.1:{}/stage", self.port)).unwrap()
    }

    pub(crate) fn options(&self, scheme: &str) -> Publish {
        Publish {
            url: self.url(scheme),
            tls: self.trust.clone().client_config().unwrap(),
            room: room(),
            token: None,
            takeover: false,
        }
    }

    /// Serves the next creator until `fan` has enough.
    pub(crate) async fn serve(&self, fan: &mut Fan) -> Ended {
        let incoming = self.endpoint.incoming().await.unwrap();
        let connection = incoming.accept().await.unwrap();
        fan.url.clone_from(&connection.url);
        Box::pin(drive(connection.transport, connection.config, Clock::default(), fan)).await.unwrap()
    }
}

pub(crate) async fn publish(options: Publish, source: Source) -> Result<(), Error> {
    Box::pin(creator::publish(options, source, |_: &Report| {}, std::future::pending())).await
}

/// Publishes to a fan until it has enough.
pub(crate) async fn show(scheme: &str, source: Source, fan: &mut Fan) {
    let server = Server::start();
    let options = server.options(scheme);
    tokio::select! {
        _ = within(server.serve(fan)) => {}
        ended = publish(options, source) => panic!("the creator gave up: {ended:?}"),
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: Location,
    pub(crate) header: loc::Header,
    pub(crate) payload: Vec<u8>,
    pub(crate) len: u64,
}

impl Frame {
    pub(crate) fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.len
    }
}

/// The way in which a fan requests tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By SUBSCRIBE, after the catalog.
    Subscribe,
    /// By SUBSCRIBE with a filter for new objects only, and a joining FETCH for the rest.
    Join,
    /// By SUBSCRIBE_TRACKS, from the tracks that are then offered.
    Offered,
}

/// A subscriber to a broadcast: to its catalog, then to all tracks in it.
pub(crate) struct Fan {
    way: Way,
    enough: Box<dyn FnMut(&Fan) -> bool>,
    /// Refuses the namespace with this error.
    pub(crate) refusal: Option<moqt::message::RequestError>,
    /// Pause before it requests anything.
    pub(crate) late: Duration,
    asking: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
    pub(crate) setup: Option<Setup>,
    pub(crate) url: Option<Url>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) catalogs: Vec<(Location, Catalog)>,
    /// The newest object of each track, as the creator named it.
    pub(crate) largest: BTreeMap<String, Option<Location>>,
    pub(crate) frames: BTreeMap<String, Vec<Frame>>,
    pub(crate) fetched: BTreeMap<String, Vec<Frame>>,
    /// Tracks that the creator ended.
    pub(crate) done: Vec<(String, moqt::DoneCode)>,
    tracks: BTreeMap<RequestId, String>,
    streams: BTreeMap<StreamId, (String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Group(u64),
    Fetch,
}

impl Fan {
    pub(crate) fn new(way: Way, enough: impl FnMut(&Fan) -> bool + 'static) -> Self {
        Self {
            way,
            enough: Box::new(enough),
            refusal: None,
            late: Duration::ZERO,
            asking: None,
            setup: None,
            url: None,
            namespace: None,
            catalogs: Vec::new(),
            largest: BTreeMap::new(),
            frames: BTreeMap::new(),
            fetched: BTreeMap::new(),
            done: Vec::new(),
            tracks: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn frames(&self, track: &str) -> &[Frame] {
        self.frames.get(track).map_or(&[], |frames| frames)
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalogs.last().expect("a catalog").1
    }

    /// Returns the frames of a track, group by group.
    pub(crate) fn groups(&self, track: &str) -> BTreeMap<u64, Vec<&Frame>> {
        let mut groups: BTreeMap<u64, Vec<&Frame>> = BTreeMap::new();
        for frame in self.frames(track).iter().filter(|frame| frame.is_whole()) {
            groups.entry(frame.at.group).or_default().push(frame);
        }
        groups
    }

    fn subscribe(&mut self, cx: &mut Cx<'_>, name: &str) {
        let track = TrackName::new(room(), name.to_owned()).unwrap();
        let filter = (self.way == Way::Join).then_some(Filter::LargestObject);
        let request = cx.session.subscribe(track, Params { filter, ..Params::default() }).unwrap();
        self.tracks.insert(request, name.to_owned());
    }

    fn frame(&mut self, stream: StreamId, id: Location, properties: &Properties, len: u64) {
        let (track, kind) = &self.streams[&stream];
        let header = loc::Header::read(properties).unwrap();
        let frame = Frame { at: id, header, payload: Vec::new(), len };
        let frames = if *kind == Kind::Fetch { &mut self.fetched } else { &mut self.frames };
        frames.entry(track.clone()).or_default().push(frame);
    }

    fn payload(&mut self, cx: &mut Cx<'_>, stream: StreamId, data: &[u8]) {
        let (track, kind) = self.streams[&stream].clone();
        let frames = if kind == Kind::Fetch { &mut self.fetched } else { &mut self.frames };
        let of_stream = |frame: &&mut Frame| match kind {
            Kind::Group(group) => frame.at.group == group,
            Kind::Fetch => true,
        };
        let frame = frames.get_mut(&track).unwrap().iter_mut().rev().find(of_stream).unwrap();
        frame.payload.extend_from_slice(data);
        if frame.is_whole() && track == msf::TRACK {
            let catalog = Catalog::parse_any(&frame.payload).unwrap();
            let first = self.catalogs.is_empty();
            self.catalogs.push((frame.at, catalog.clone()));
            if first && self.way != Way::Offered {
                for track in &catalog.tracks {
                    self.subscribe(cx, &track.name);
                }
            }
        }
    }
}

impl App for Fan {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Ready(setup) => self.setup = Some(*setup),
            Event::PublishNamespace { request, namespace, .. } => {
                if let Some(refusal) = self.refusal.clone() {
                    return cx.session.reject(request, refusal).unwrap();
                }
                cx.session.accept(request, Params::default(), Properties::NONE).unwrap();
                self.namespace = Some(namespace);
                self.asking = Some(Box::pin(tokio::time::sleep(self.late)));
            }
            Event::Publish { request, track, .. } => {
                let name = String::from_utf8(track.name().to_vec()).unwrap();
                self.tracks.insert(request, name);
                cx.session.accept(request, Params::default(), Properties::NONE).unwrap();
            }
            Event::SubscribeOk { request, params, .. } => {
                let track = self.tracks[&request].clone();
                if self.way == Way::Join && params.largest.is_some() {
                    let kind = FetchKind::Joining { request_id: request.0, start: JoiningStart::Relative(0) };
                    let fetch = cx.session.fetch(kind, Params::default()).unwrap();
                    self.tracks.insert(fetch, track.clone());
                }
                self.largest.insert(track, params.largest);
            }
            Event::Subgroup { stream, request, header } => {
                self.streams.insert(stream, (self.tracks[&request].clone(), Kind::Group(header.group)));
            }
            Event::FetchStream { stream, request } => {
                self.streams.insert(stream, (self.tracks[&request].clone(), Kind::Fetch));
            }
            Event::Object { stream, header } => {
                let Kind::Group(group) = self.streams[&stream].1 else { unreachable!() };
                let at = Location::new(group, header.id);
                self.frame(stream, at, &header.properties, header.payload_len);
            }
            Event::FetchObject { stream, object } => {
                self.frame(stream, object.location, &object.properties, object.payload_len);
            }
            Event::Payload { stream, data } => self.payload(cx, stream, &data),
            Event::Done { request, code, .. } => self.done.push((self.tracks[&request].clone(), code)),
            Event::RequestError { error, .. } => panic!("the creator refused: {error:?}"),
            _ => {}
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.asking
            && sleep.as_mut().poll(task).is_ready()
        {
            self.asking = None;
            if self.way == Way::Offered {
                cx.session.subscribe_tracks(room(), Params::default()).unwrap();
            } else {
                self.subscribe(cx, msf::TRACK);
            }
        }
        let mut enough = std::mem::replace(&mut self.enough, Box::new(|_| false));
        let is_enough = enough(self);
        self.enough = enough;
        if is_enough { Poll::Ready(()) } else { Poll::Pending }
    }
}
