//! Inputs: files, pipes and the test card, each read by a thread of its own.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use media::{Demuxer, Micros, Pacer, Packaging, Sample, Timeline, TrackInfo, testcard};
use tokio::sync::{mpsc, oneshot};

/// Samples that may wait between an input and the broadcast; then the input blocks.
const CHANNEL: usize = 256;
/// Lead that a pipe's samples may have over real time. A pipe delivers samples when it has them; one that delivers a
/// whole film at once is slowed down to real time.
const PIPE_LEAD: Micros = Micros(500_000);

/// An input that samples are read from.
pub enum Input {
    /// A file, sent in real time.
    File(PathBuf),
    /// A pipe, sent as it comes.
    Pipe {
        /// Name of the pipe in messages.
        name: String,
        /// The stream to read.
        reader: Box<dyn Read + Send>,
    },
}

impl Input {
    /// Returns standard input as a pipe.
    pub fn stdin() -> Self {
        Self::Pipe { name: "-".to_owned(), reader: Box::new(io::stdin()) }
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Pipe { name, .. } => name.clone(),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({})", self.name())
    }
}

/// Behaviour at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// End the broadcast.
    #[default]
    Once,
    /// Start the file over.
    Forever,
}

/// A reason why an input cannot be used, or has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("cannot open {input}: {source}")]
    Open {
        /// Name of the input.
        input: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The contents cannot be published.
    #[error("{input}: {source}")]
    Media {
        /// Name of the input.
        input: String,
        /// The demuxer's error.
        source: media::Error,
    },
    /// Only a file can start over.
    #[error("{input} is a pipe, which cannot start over: leave out --loop, or give a file")]
    Repeat {
        /// Name of the input.
        input: String,
    },
    /// The operating system gives us no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Opened inputs, ready to be started.
pub struct Source {
    tracks: Vec<TrackInfo>,
    packaging: Packaging,
    works: Vec<Work>,
}

/// The samples of inputs that have started; the channel closes when all have ended.
pub(crate) type Samples = mpsc::Receiver<Result<Sample, SourceError>>;
type Sink = mpsc::Sender<Result<Sample, SourceError>>;
/// The body of an input's thread.
type Work = Box<dyn FnOnce(Epoch, Sink) + Send>;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("tracks", &self.tracks).finish_non_exhaustive()
    }
}

impl Source {
    /// Creates a source of the test card, live.
    pub fn demo(config: testcard::Config) -> Result<Self, SourceError> {
        let wrong = |source| SourceError::Media { input: "test card".to_owned(), source };
        let mut card = testcard::TestCard::new(config).map_err(wrong)?;
        let tracks = card.tracks().to_vec();
        let work = move |epoch: Epoch, sink: Sink| {
            loop {
                let now = epoch.now();
                if let Err(error) = card.handle(now) {
                    let _ = sink.blocking_send(Err(wrong(error)));
                    return;
                }
                while let Some(sample) = card.poll() {
                    if sink.blocking_send(Ok(sample)).is_err() {
                        return;
                    }
                }
                epoch.sleep_until(card.next_due().unwrap_or(now));
            }
        };
        Ok(Self { tracks, packaging: Packaging::Frames, works: vec![Box::new(work)] })
    }

    /// Opens inputs whose tracks are published together; waits until each pipe has begun.
    pub async fn open(inputs: Vec<Input>, packaging: Packaging, repeat: Repeat) -> Result<Self, SourceError> {
        let mut source = Self { tracks: Vec::new(), packaging, works: Vec::new() };
        for input in inputs {
            if repeat == Repeat::Forever && matches!(input, Input::Pipe { .. }) {
                return Err(SourceError::Repeat { input: input.name() });
            }
            // A pipe may block for long, so it is opened on a thread of its own and not on the runtime's.
            let (done, opened) = oneshot::channel();
            spawn(move || {
                let _ = done.send(Opened::new(input, packaging));
            })?;
            let broken = |_| SourceError::Thread(io::Error::from(io::ErrorKind::BrokenPipe));
            let opened = opened.await.map_err(broken)??;
            let first_track = source.tracks.len();
            source.tracks.extend_from_slice(opened.demuxer.tracks());
            source.works.push(Box::new(move |epoch, sink| opened.run(epoch, first_track, repeat, &sink)));
        }
        Ok(source)
    }

    /// Returns the tracks of all inputs.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// Returns the container of the samples.
    pub fn packaging(&self) -> Packaging {
        self.packaging
    }

    /// Starts each input in a thread, which ends when the samples are not taken any more.
    pub(crate) fn start(self) -> Result<Samples, SourceError> {
        let (sink, samples) = mpsc::channel(CHANNEL);
        let epoch = Epoch::new();
        for work in self.works {
            let sink = sink.clone();
            spawn(move || work(epoch, sink))?;
        }
        Ok(samples)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), SourceError> {
    thread::Builder::new().name("source".to_owned()).spawn(work).map(drop).map_err(SourceError::Thread)
}

/// The time since the UNIX epoch, from a clock that does not jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    start: Micros,
    since: Instant,
}

impl Epoch {
    pub(crate) fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: micros(start), since: Instant::now() }
    }

    pub(crate) fn now(&self) -> Micros {
        self.start + micros(self.since.elapsed())
    }

    fn sleep_until(&self, at: Micros) {
        thread::sleep((at - self.now()).into());
    }
}

fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// An input whose tracks are known.
struct Opened {
    name: String,
    demuxer: Demuxer,
    packaging: Packaging,
    /// The file to open again to start over.
    file: Option<PathBuf>,
}

impl Opened {
    fn new(input: Input, packaging: Packaging) -> Result<Self, SourceError> {
        let name = input.name();
        let (demuxer, file) = match input {
            Input::File(path) => (open_file(&path, &name, packaging)?, Some(path)),
            Input::Pipe { reader, .. } => {
                let demuxer = Demuxer::open(reader, packaging);
                (demuxer.map_err(|source| SourceError::Media { input: name.clone(), source })?, None)
            }
        };
        Ok(Self { name, demuxer, packaging, file })
    }

    /// Sends samples in real time until the input ends or the receiver is dropped.
    fn run(mut self, epoch: Epoch, first_track: usize, repeat: Repeat, sink: &Sink) {
        let mut timeline = Timeline::starting_at(epoch.now());
        let mut pacer = Pacer::new();
        let lead = if self.file.is_some() { Micros::ZERO } else { PIPE_LEAD };
        loop {
            let next = self.demuxer.next_sample();
            let sample = match next {
                Ok(Some(sample)) => timeline.shift(sample),
                Ok(None) => match (&self.file, repeat) {
                    (Some(path), Repeat::Forever) => {
                        timeline.rewind();
                        match open_file(path, &self.name, self.packaging) {
                            Ok(demuxer) => self.demuxer = demuxer,
                            Err(error) => return drop(sink.blocking_send(Err(error))),
                        }
                        continue;
                    }
                    _ => return,
                },
                Err(source) => {
                    let error = SourceError::Media { input: self.name, source };
                    return drop(sink.blocking_send(Err(error)));
                }
            };
            epoch.sleep_until(pacer.due(epoch.now(), sample.dts) - lead);
            let sample = Sample { track: first_track + sample.track, ..sample };
            if sink.blocking_send(Ok(sample)).is_err() {
                return;
            }
        }
    }
}

fn open_file(path: &PathBuf, name: &str, packaging: Packaging) -> Result<Demuxer, SourceError> {
    let file = File::open(path)
        // A directory opens like a file, and fails on the first read.
        .and_then(|file| {
            let directory = file.metadata()?.is_dir();
            if directory { Err(io::Error::from(io::ErrorKind::IsADirectory)) } else { Ok(file) }
        })
        .map_err(|source| SourceError::Open { input: name.to_owned(), source })?;
    Demuxer::open_file(file, packaging)
        .map_err(|source| SourceError::Media { input: name.to_owned(), source })
}
