//! The command `fanfare publish`.

use std::{io, path::PathBuf};

use clap::Args as ClapArgs;
use creator::{Input, Publish, Repeat, Source};
use media::{Packaging, testcard};
use moqt::Namespace;
use url::Url;

use crate::{Failure, signal::interrupted, trust::TrustArgs};

mod progress;

use progress::Progress;

const EXAMPLES: &str = "\
Examples:
  The test card, to an origin on this machine:
    fanfare publish --room demo --demo --insecure moqt://localhost:4443

  Two renditions, over and over:
    fanfare publish --room show --loop https://origin.example/ 720p.mp4 360p.mp4

  Whatever ffmpeg can read:
    ffmpeg -re -i INPUT -c:v libx264 -g 30 -bf 0 -c:a aac -f mp4 \\
      -movflags +frag_every_frame+empty_moov+default_base_moof - |
      fanfare publish --room show moqt://origin.example:4443 -";

/// Publish a room: files, a pipe, or the test card.
///
/// The containers are fragmented or plain MP4, MPEG-TS, Matroska and WebM, the codecs H.264, H.265, AV1, VP9, Opus and
/// AAC. Frames are sent without being encoded anew; only the test card is encoded here. Several inputs are published
/// together: give the renditions of one show, with their key frames at the same times.
///
/// Files are sent in real time. A pipe is sent as it comes: the program that feeds it sets the pace.
///
/// A lost connection is replaced, and the groups go on with their numbers. Ctrl-C ends the show for the fans too.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "flags are what a command line has")]
pub(crate) struct Args {
    /// Name of the room: one or more names with slashes between them
    #[arg(long, value_name = "NAME", value_parser = room)]
    room: Namespace,

    /// Token with the right to publish in the room, a JWT. Best given in the environment, where other users of this
    /// machine do not see it
    #[arg(long, value_name = "JWT", env = "FANFARE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Publish a moving test card with a clock, in three renditions, and a beep each second
    #[arg(long, conflicts_with_all = ["inputs", "repeat", "cmaf"])]
    demo: bool,

    /// Pass on the fragments of fragmented MP4 as they are (CMAF) instead of single frames (LOC)
    #[arg(long)]
    cmaf: bool,

    /// Start files over when they end
    #[arg(long = "loop")]
    repeat: bool,

    /// Take the room from the creator who has it now
    #[arg(long)]
    takeover: bool,

    #[command(flatten)]
    trust: TrustArgs,

    /// Address of the server: moqt://HOST:PORT for raw QUIC, https://HOST:PORT/PATH for WebTransport
    #[arg(value_name = "URL", value_parser = server)]
    url: Url,

    /// Files to publish; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "demo")]
    inputs: Vec<PathBuf>,
}

pub(crate) fn room(name: &str) -> Result<Namespace, String> {
    if name.is_empty() {
        return Err("a room needs a name".to_owned());
    }
    Namespace::from_path(name).map_err(|error| error.to_string())
}

pub(crate) fn server(url: &str) -> Result<Url, String> {
    const HINT: &str = "give moqt://HOST:PORT or https://HOST:PORT/PATH";
    let url = Url::parse(url).map_err(|error| format!("{error}; {HINT}"))?;
    match (url.scheme(), url.host_str()) {
        ("moqt" | "https", Some(host)) if !host.is_empty() => Ok(url),
        ("moqt" | "https", _) => Err(format!("the address has no host; {HINT}")),
        (scheme, _) => Err(format!("{scheme}:// is not supported; {HINT}")),
    }
}

impl Args {
    fn inputs(&self) -> Result<Vec<Input>, Failure> {
        let pipes = self.inputs.iter().filter(|input| is_stdin(input)).count();
        if pipes > 1 {
            return Err(Failure::usage("- is standard input and can be given only once"));
        }
        if pipes > 0 && self.repeat {
            return Err(Failure::usage(
                "- is a pipe, which cannot start over: leave out --loop, or give a file",
            ));
        }
        let input = |path: &PathBuf| if is_stdin(path) { Input::stdin() } else { Input::File(path.clone()) };
        Ok(self.inputs.iter().map(input).collect())
    }
}

fn is_stdin(input: &std::path::Path) -> bool {
    input.as_os_str() == "-"
}

/// Publishes until the end of the inputs, or Ctrl-C.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let inputs = args.inputs()?;
    let tls = args.trust.trust().client_config().map_err(Failure::run)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(async {
        let opening = open(&args, inputs);
        let source = tokio::select! {
            source = opening => source?,
            () = interrupted() => return Ok(()),
        };
        let options = Publish {
            url: args.url.clone(),
            tls,
            room: args.room.clone(),
            token: args.token.clone(),
            takeover: args.takeover,
        };
        let mut line = Progress::new(io::stderr(), &args.url);
        creator::publish(options, source, |report| line.show(report), interrupted()).await.map_err(|error| {
            line.end();
            Failure::run(error)
        })
    });
    // A read of a silent pipe cannot be cancelled.
    runtime.shutdown_background();
    outcome
}

async fn open(args: &Args, inputs: Vec<Input>) -> Result<Source, Failure> {
    if args.demo {
        let title = args.room.fields().last().map(|name| String::from_utf8_lossy(name).to_uppercase());
        let config = testcard::Config::default();
        let title = title.unwrap_or_else(|| config.title.clone());
        return Source::demo(testcard::Config { title, ..config }).map_err(Failure::run);
    }
    let packaging = if args.cmaf { Packaging::Cmaf } else { Packaging::Frames };
    let repeat = if args.repeat { Repeat::Forever } else { Repeat::Once };
    Source::open(inputs, packaging, repeat).await.map_err(Failure::run)
}
