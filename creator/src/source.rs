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

/// Samples that may wait between an input and the broadcast; then the input waits.
const CHANNEL: usize = 256;
/// A pipe brings its samples when it has them, as long as they are not earlier than
/// this: one that brings a whole film at once is slowed down to real time.
const PIPE_LEAD: Micros = Micros(500_000);

/// Where samples come from.
pub enum Input {
    /// A file: sent in real time.
    File(PathBuf),
    /// A pipe: sent as it comes.
    Pipe {
        /// What to call it.
        name: String,
        /// It.
        reader: Box<dyn Read + Send>,
    },
}

impl Input {
    /// Standard input.
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

/// What to do at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// End.
    #[default]
    Once,
    /// Start over.
    Forever,
}

/// Why an input cannot be used, or not any longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("cannot open {input}: {source}")]
    Open {
        /// The input.
        input: String,
        /// Why not.
        source: io::Error,
    },
    /// What is in it cannot be published.
    #[error("{input}: {source}")]
    Media {
        /// The input.
        input: String,
        /// Why not.
        source: media::Error,
    },
    /// Only files can start over.
    #[error("{input} is a pipe, which cannot start over: leave out --loop, or give a file")]
    Repeat {
        /// The input.
        input: String,
    },
    /// The operating system gives us no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Inputs that have been opened, and start when they are told to.
pub struct Source {
    tracks: Vec<TrackInfo>,
    packaging: Packaging,
    works: Vec<Work>,
}

/// What comes from inputs that have started; it ends when all have.
pub(crate) type Samples = mpsc::Receiver<Result<Sample, SourceError>>;
type Sink = mpsc::Sender<Result<Sample, SourceError>>;
/// An input's thread.
type Work = Box<dyn FnOnce(Epoch, Sink) + Send>;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("tracks", &self.tracks).finish_non_exhaustive()
    }
}

impl Source {
    /// The test card, live.
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

    /// Opens inputs, whose tracks are published together; waits for pipes to begin.
    pub async fn open(inputs: Vec<Input>, packaging: Packaging, repeat: Repeat) -> Result<Self, SourceError> {
        let mut source = Self { tracks: Vec::new(), packaging, works: Vec::new() };
        for input in inputs {
            if repeat == Repeat::Forever && matches!(input, Input::Pipe { .. }) {
                return Err(SourceError::Repeat { input: input.name() });
            }
            // A pipe can take its time, which is not the runtime's.
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

    /// The tracks of all inputs.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// What its samples hold.
    pub fn packaging(&self) -> Packaging {
        self.packaging
    }

    /// Starts the inputs, each in a thread that ends when the samples are not taken
    /// any more.
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

/// The time since the UNIX epoch, which does not jump.
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
    /// What to open again to start over.
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

    /// Sends samples in real time until the input ends or nobody takes them.
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
