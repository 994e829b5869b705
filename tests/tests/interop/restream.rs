//! `fanfare restream` between an origin of ours and relays of others: `moq-relay-ietf` of moq-rs, `moq-relay` of moq-dev.
//!
//! A publisher at one relay makes objects whose payloads follow from their ids, and a subscriber at the other checks
//! each of them. Both are Cloudflare's `moq-transport`.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use fanfare_tests::Peer;
use moq_transport::{
    coding::{TrackName, TrackNamespace},
    data::ExtensionHeaders,
    serve::{ServeError, Subgroup, SubgroupReader, SubgroupsReader, SubgroupsWriter, Track, TrackReaderMode},
    session::{
        Publisher, Session, Subscriber, Transport,
        transport::{self, quinn as web_transport},
    },
};
use moqt::msf;
use origin::Origin;
use quic::{Certificate, CertificateSource, Trust};
use restream::{Options, Report, Room, restream};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, timeout},
};
use url::Url;

/// The longest that one step may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The room at the source, and at the destination.
const ROOMS: [&str; 2] = ["show/one", "guest"];
/// The tracks, and the bytes of an object of each.
const TRACKS: [(&str, usize); 2] = [("video", 5000), ("audio", 160)];
/// The number of objects in a group.
const OBJECTS: u64 = 5;
/// The time between two objects.
const EVERY: Duration = Duration::from_millis(20);
/// Whole groups of each track that are checked.
const GROUPS: usize = 5;
/// A property of an object: a LOC timestamp.
const TIMESTAMP: u64 = 0x10;

/// A relay to restream from or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An origin of ours, without rooms.
    Origin,
    /// The relay of Cloudflare's moq-rs.
    MoqRelayIetf,
    /// The relay of moq-dev, which makes the properties of objects anew.
    MoqRelay,
}

#[tokio::test]
#[ignore = "takes moq-relay-ietf, which `cargo xtask interop` builds"]
async fn every_object_goes_from_our_origin_to_moq_relay_ietf() -> Result<()> {
    every_object_goes(Kind::Origin, Kind::MoqRelayIetf).await
}

#[tokio::test]
#[ignore = "takes moq-relay-ietf, which `cargo xtask interop` builds"]
async fn every_object_goes_from_moq_relay_ietf_to_our_origin() -> Result<()> {
    every_object_goes(Kind::MoqRelayIetf, Kind::Origin).await
}

#[tokio::test]
#[ignore = "takes moq-relay, which `cargo xtask interop` builds"]
async fn every_object_goes_from_our_origin_to_moq_relay() -> Result<()> {
    every_object_goes(Kind::Origin, Kind::MoqRelay).await
}

#[tokio::test]
#[ignore = "takes moq-relay, which `cargo xtask interop` builds"]
async fn every_object_goes_from_moq_relay_to_our_origin() -> Result<()> {
    every_object_goes(Kind::MoqRelay, Kind::Origin).await
}

async fn every_object_goes(from: Kind, to: Kind) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (from, to) = (Relay::start(from, dir.path()).await?, Relay::start(to, dir.path()).await?);
    for scheme in ["https", "moqt"] {
        let (mut creator, mut fan) =
            (Client::connect(&from, scheme).await?, Client::connect(&to, scheme).await?);
        creator.publish()?;
        let (reporting, mut reports) = watch::channel(None::<Report>);
        let options = Options {
            from: format!("{scheme}://localhost:{}/{}", from.port, ROOMS[0]).parse()?,
            to: format!("{scheme}://localhost:{}/{}", to.port, ROOMS[1]).parse()?,
            tls: Trust::Anyone.client_config()?,
            tracks: Vec::new(),
        };
        let mut restreaming = JoinSet::new();
        restreaming.spawn(restream(
            options,
            move |report| drop(reporting.send_replace(Some(report.clone()))),
            std::future::pending(),
        ));
        let checked = async {
            let announced =
                |report: &Option<Report>| report.as_ref().is_some_and(|it| it.room == Room::Announced);
            timeout(PATIENCE, reports.wait_for(announced)).await.context("the room is not announced")??;
            let intact = from.kind != Kind::MoqRelay && to.kind != Kind::MoqRelay;
            fan.check(intact).await
        };
        let checked = tokio::select! {
            checked = checked => checked,
            ended = restreaming.join_next() => bail!("the restream ends: {ended:?}"),
        };
        let report = reports.borrow().clone();
        checked.with_context(|| format!("over {scheme}, {report:?}; {}{}", from.last(), to.last()))?;
        println!("{:?} to {:?} over {scheme}: {:?}", from.kind, to.kind, report.map(|report| report.counts));
    }
    Ok(())
}

/// A running relay, in this process or in one of its own.
struct Relay {
    kind: Kind,
    port: u16,
    peer: Option<Peer>,
    _origin: JoinSet<Result<(), origin::Error>>,
}

impl Relay {
    async fn start(kind: Kind, dir: &Path) -> Result<Self> {
        let dir = dir.join(format!("{kind:?}"));
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateSource::SelfSigned { dir: dir.clone(), names };
        let mut serving = JoinSet::new();
        if kind == Kind::Origin {
            let listen = (Ipv4Addr::LOCALHOST, 0).into();
            let config = origin::Config { listen, certificate, open_publish: true, ..Default::default() };
            let origin = Origin::bind(config)?;
            let port = origin.local_addr().port();
            serving.spawn(origin.run(std::future::pending()));
            return Ok(Self { kind, port, peer: None, _origin: serving });
        }
        Certificate::load(certificate, std::time::SystemTime::now())?;
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let rooms = dir.join("rooms.json").display().to_string();
        let bind = format!("127.0.0.1:{port}");
        let (name, arguments, ready) = match kind {
            Kind::MoqRelay => (
                "moq-relay",
                vec!["--server-bind", &bind, "--tls-cert", &cert, "--tls-key", &key, "--auth-public", ""],
                "listening",
            ),
            _ => (
                "moq-relay-ietf",
                vec!["--bind", &bind, "--tls-cert", &cert, "--tls-key", &key, "--coordinator-file", &rooms],
                "listening",
            ),
        };
        let peer = Peer::start(name, arguments)?;
        peer.says(&[ready]).await?;
        Ok(Self { kind, port, peer: Some(peer), _origin: serving })
    }

    /// The last lines that the program wrote to its log.
    fn last(&self) -> String {
        self.peer.as_ref().map(|peer| format!("{:?}: {}\n", self.kind, peer.last())).unwrap_or_default()
    }
}

/// A client of a relay.
struct Client {
    publisher: Publisher,
    subscriber: Subscriber,
    tasks: JoinSet<()>,
    _endpoint: quinn::Endpoint,
}

impl Client {
    async fn connect(relay: &Relay, scheme: &str) -> Result<Self> {
        const PROTOCOL: &str = "moqt-18";
        let url: Url = format!("{scheme}://localhost:{}/", relay.port).parse()?;
        let mut tls = Trust::Anyone.client_config()?;
        let raw = scheme == "moqt";
        tls.alpn_protocols = vec![if raw { PROTOCOL } else { web_transport::ALPN }.into()];
        let config = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let config = quinn::ClientConfig::new(Arc::new(config));
        let to = (Ipv4Addr::LOCALHOST, relay.port).into();
        let connecting = endpoint.connect_with(config, to, "localhost")?;
        let quic = timeout(PATIENCE, connecting).await.with_context(|| relay.last())??;
        let (session, kind) = if raw {
            let response = web_transport::proto::ConnectResponse::default();
            (web_transport::Session::raw(quic, url, response), Transport::RawQuic)
        } else {
            let request = web_transport::proto::ConnectRequest::new(url).with_protocol(PROTOCOL);
            (web_transport::Session::connect(quic, request).await?, Transport::WebTransport)
        };
        let setup = Session::connect(transport::Session::from(session), None, kind);
        let (session, publisher, subscriber) = timeout(PATIENCE, setup).await??;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(session.run().await) });
        Ok(Self { publisher, subscriber, tasks, _endpoint: endpoint })
    }

    /// Publishes the room of the source: a catalog, and tracks without an end.
    fn publish(&mut self) -> Result<()> {
        let room = TrackNamespace::from_utf8_path(ROOMS[0]);
        let mut readers = HashMap::new();
        let mut create = |name: &str| {
            let (writer, reader) = Track::new(room.clone(), name).produce();
            readers.insert(TrackName::from(name), reader);
            writer.subgroups()
        };
        let mut catalog = create(msf::TRACK)?;
        let mut group = catalog.create(Subgroup { group_id: 0, subgroup_id: 0, priority: 0 })?;
        group.write(encoded())?;
        for (name, len) in TRACKS {
            let track = create(name)?;
            self.tasks.spawn(async move { drop(play(track, name, len).await) });
        }
        let mut publisher = self.publisher.clone();
        self.tasks.spawn(async move {
            // The catalog and its group stay open as long as the room.
            let _open = (catalog, group);
            let mut serving = JoinSet::new();
            let Ok(namespace) = publisher.publish_namespace_start(room).await else { return };
            while let Ok(Some(subscribed)) = namespace.subscribed().await {
                let Some(reader) = readers.get(&subscribed.info.track_name).cloned() else {
                    drop(subscribed.close(ServeError::NotFound));
                    continue;
                };
                // LARGEST_OBJECT stays out of SUBSCRIBE_OK: moq-relay cannot read one that has it.
                let served = subscribed.serve_with_largest_location(reader, None);
                serving.spawn(async move { drop(served.await) });
            }
        });
        Ok(())
    }

    /// Subscribes to all tracks of the room at the destination, and checks every object.
    async fn check(&mut self, intact: bool) -> Result<()> {
        let mut catalog = self.subscribe(msf::TRACK).await?;
        let mut group = next(&mut catalog).await?;
        let object = timeout(PATIENCE, group.read_next()).await?;
        ensure!(object?.context("no catalog")? == encoded(), "another catalog");
        for (name, len) in TRACKS {
            let mut track = self.subscribe(name).await?;
            let mut before = None;
            for nth in 0..=GROUPS {
                let mut group = next(&mut track).await?;
                let id = group.group_id;
                ensure!(group.subgroup_id == 0, "subgroup {}", group.subgroup_id);
                let mut expected = None;
                while let Some(mut object) = timeout(PATIENCE, group.next()).await?? {
                    // A subscription may begin within a group, and misses nothing from there on.
                    let id_of = *expected.get_or_insert(if nth == 0 { object.object_id } else { 0 });
                    ensure!(
                        object.object_id == id_of,
                        "{name} {id}: {} instead of {id_of}",
                        object.object_id
                    );
                    let payload = timeout(PATIENCE, object.read_all()).await??;
                    ensure!(payload == made(name, len, id, id_of), "{name} {id}/{id_of}: another payload");
                    let properties = &object.extension_headers;
                    ensure!(
                        !intact || *properties == stamped(id, id_of),
                        "{name} {id}/{id_of}: {properties:?}"
                    );
                    expected = Some(id_of + 1);
                }
                ensure!(expected == Some(OBJECTS), "{name} {id}: ends before {expected:?}");
                ensure!(before.is_none_or(|before| id == before + 1), "{name}: {id} after {before:?}");
                before = Some(id);
            }
        }
        Ok(())
    }

    async fn subscribe(&mut self, name: &str) -> Result<SubgroupsReader> {
        let (writer, reader) = Track::new(TrackNamespace::from_utf8_path(ROOMS[1]), name).produce();
        let subscribing = self.subscriber.subscribe_open(writer);
        let subscription =
            timeout(PATIENCE, subscribing).await.with_context(|| format!("no answer for {name}"))?;
        let subscription = subscription.with_context(|| format!("{name} is refused"))?;
        self.tasks.spawn(async move { drop(subscription.closed().await) });
        match timeout(PATIENCE, reader.mode()).await.with_context(|| format!("nothing comes of {name}"))?? {
            TrackReaderMode::Subgroups(subgroups) => Ok(subgroups),
            _ => bail!("{name} has no streams"),
        }
    }
}

async fn next(track: &mut SubgroupsReader) -> Result<SubgroupReader> {
    let name = track.name.to_string();
    let next = timeout(PATIENCE, track.next()).await.with_context(|| format!("no more of {name}"))?;
    next?.with_context(|| format!("{name} ends"))
}

/// Makes a track, group by group, without an end.
async fn play(mut track: SubgroupsWriter, name: &str, len: usize) -> Result<()> {
    let mut ticks = interval(EVERY);
    for group_id in 0.. {
        let mut group = track.create(Subgroup { group_id, subgroup_id: 0, priority: 128 })?;
        for id in 0..OBJECTS {
            ticks.tick().await;
            let payload = made(name, len, group_id, id);
            group.create(payload.len(), Some(stamped(group_id, id)))?.write(payload)?;
        }
    }
    Ok(())
}

/// The payload of an object.
fn made(name: &str, len: usize, group: u64, object: u64) -> Bytes {
    format!("{name} {group}/{object} ").into_bytes().into_iter().cycle().take(len).collect()
}

/// The properties of an object.
fn stamped(group: u64, object: u64) -> ExtensionHeaders {
    let mut properties = ExtensionHeaders::default();
    properties.set_intvalue(TIMESTAMP, (group * OBJECTS + object) * 20_000);
    properties
}

fn encoded() -> Bytes {
    let track = |name: &str| msf::Track { name: name.to_owned(), is_live: true, ..msf::Track::default() };
    let tracks = TRACKS.iter().map(|(name, _)| track(name)).collect();
    msf::Catalog { tracks, ..msf::Catalog::default() }.encode()
}
