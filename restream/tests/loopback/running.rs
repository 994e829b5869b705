//! A restream that runs between two relays, and what a subscriber at the destination sees.

use moq_transport::{
    coding::TrackNamespace,
    data::{ExtensionHeaders, ObjectStatus},
    serve::{ServeError, Subgroup, SubgroupReader, SubgroupsReader, SubgroupsWriter, Track, TrackReaderMode},
    session::{PublishedNamespace, Subscribe, Subscriber},
};
use restream::{Error, Options, Report, restream};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::relay::{Client, Relay, Stage, trusting, within};

/// The room at the source.
pub(crate) const FROM: &str = "show/one";
/// The room at the destination.
pub(crate) const TO: &str = "guest";
/// A catalog with two tracks.
pub(crate) const CATALOG: &str = r#"{"version":1,"commonTrackFields":{"packaging":"cmaf"},
    "tracks":[{"name":"video"},{"name":"audio"}]}"#;

/// A restream that runs between two relays.
pub(crate) struct Running {
    pub(crate) reports: watch::Receiver<Option<Report>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(from: &Relay, to: &Relay, scheme: &str, tracks: &[&str]) -> Self {
        let address = |relay: &Relay, room| relay.url(scheme, room).parse().expect("an address");
        Self::with(Options {
            from: address(from, FROM),
            to: address(to, TO),
            tls: trusting(&[from, to]),
            tracks: tracks.iter().map(|&track| track.to_owned()).collect(),
        })
    }

    pub(crate) fn with(options: Options) -> Self {
        let (reporting, reports) = watch::channel(None);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let report = |report: &Report| drop(reporting.send_replace(Some(report.clone())));
            restream(options, report, async { drop(stopped.await) }).await
        });
        Self { reports, stop: Some(stop), task }
    }

    /// Waits for a report of which that is so.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Report) -> bool) -> Report {
        let mut reports = self.reports.clone();
        let report = within(what, reports.wait_for(|report| report.as_ref().is_some_and(&is))).await;
        report.expect("the restream is there").clone().expect("checked")
    }

    /// Asks the restream to end, and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        drop(self.stop.take());
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), Error> {
        within("the end", &mut self.task).await.expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Both ends of a restream and what is between them.
pub(crate) struct Wired {
    pub(crate) stage: Stage,
    pub(crate) running: Running,
    pub(crate) source: Client,
    pub(crate) destination: Client,
    pub(crate) from: Relay,
    pub(crate) to: Relay,
    pub(crate) catalog: SubgroupsWriter,
}

impl Wired {
    /// A room with a catalog, which has been announced at the destination.
    pub(crate) async fn start(scheme: &str) -> (Self, PublishedNamespace) {
        Self::gated(scheme, watch::Sender::new(true).subscribe()).await
    }

    /// The same, with a destination that reads nothing while the gate is closed.
    pub(crate) async fn gated(scheme: &str, gate: watch::Receiver<bool>) -> (Self, PublishedNamespace) {
        let (from, to) = (Relay::start(), Relay::start());
        let stage = Stage::default();
        let mut catalog = stage.track(FROM, "catalog");
        write(&mut catalog, 0, 0, &[(0, CATALOG)]);
        let running = Running::start(&from, &to, scheme, &[]);
        let (source, mut destination) = tokio::join!(from.accept(), to.accept_gated(gate));
        stage.serve(source.publisher.clone());
        let room = destination.announced().await;
        running.until("live", |report| report.live_since().is_some()).await;
        (Self { stage, running, source, destination, from, to, catalog }, room)
    }
}

/// Writes a subgroup with these objects, and ends it.
pub(crate) fn write(track: &mut SubgroupsWriter, group_id: u64, subgroup_id: u64, objects: &[(u64, &str)]) {
    let mut subgroup = track.create(Subgroup { group_id, subgroup_id, priority: 9 }).expect("an open track");
    for (id, payload) in objects {
        let mut object = subgroup.create_with_id(*id, payload.len(), None).expect("an open track");
        object.write(payload.to_string().into()).expect("an open track");
    }
}

/// A subscription at the destination.
pub(crate) struct Watching {
    pub(crate) subscribe: Subscribe,
    pub(crate) subgroups: SubgroupsReader,
}

/// Subscribes to a track of the room at the destination, and waits for its first stream.
pub(crate) async fn watch(subscriber: &mut Subscriber, name: &str) -> Result<Watching, ServeError> {
    let (writer, reader) = Track::new(TrackNamespace::from_utf8_path(TO), name).produce();
    let subscribe = within("an answer", subscriber.subscribe_open(writer)).await?;
    match within("a stream", reader.mode()).await? {
        TrackReaderMode::Subgroups(subgroups) => Ok(Watching { subscribe, subgroups }),
        _ => panic!("a track of streams"),
    }
}

/// An object as a subscriber sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) status: ObjectStatus,
    pub(crate) properties: ExtensionHeaders,
    pub(crate) payload: String,
}

/// A stream as a subscriber sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) group: u64,
    pub(crate) subgroup: u64,
    pub(crate) priority: u8,
    pub(crate) objects: Vec<Seen>,
}

impl Watching {
    pub(crate) async fn next(&mut self) -> SubgroupReader {
        within("a stream", self.subgroups.next()).await.expect("an open track").expect("a stream")
    }

    /// The next stream, whole.
    pub(crate) async fn stream(&mut self) -> Stream {
        read(self.next().await).await.expect("a whole stream")
    }
}

/// Reads a stream to its end.
pub(crate) async fn read(mut from: SubgroupReader) -> Result<Stream, ServeError> {
    let (group, subgroup, priority) = (from.group_id, from.subgroup_id, from.priority);
    let mut objects = Vec::new();
    while let Some(mut object) = within("an object", from.next()).await? {
        let payload = within("a payload", object.read_all()).await?;
        objects.push(Seen {
            id: object.object_id,
            status: object.status,
            properties: object.extension_headers.clone(),
            payload: String::from_utf8(payload.to_vec()).expect("text"),
        });
    }
    Ok(Stream { group, subgroup, priority, objects })
}
