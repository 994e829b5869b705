//! `fanfare chat`.

use clap::Args as ClapArgs;
use fan::{Options, Order, Update, take_part};
use moqt::Namespace;
use outbox::{Outcome, Ticket, act_json::ActJson};
use quic::{Fingerprint, Trust};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    sync::mpsc,
};
use url::Url;

use crate::{Failure, publish, signal::interrupted};

mod line;
mod show;

use line::Line;
use show::Screen;

const COMMANDS: &str = "\
What is typed is said. Lines that begin with a slash do something else:
  /cheer [N]             cheer, N times
  /gift ID [N]           give a gift of the catalogue
  /vote N                vote for option N of the open poll
  /ask TEXT              ask the creator a question
  /upvote ID             have a question, too
  /name NAME             be called that
  /reply ID TEXT         answer a line
  /quit                  leave

Moderators and the creator:
  /delete ID  /pin ID  /unpin  /approve ID  /refuse ID
  /timeout ID SECONDS  /ban ID  /mute ID  /pardon ID     the author of that line
  /poll SECONDS QUESTION | OPTION | OPTION …             /close ID
  /title TEXT  /slow SECONDS  /answered ID";

/// Take part in a room from a terminal, or a script: chat, cheers, gifts, votes and questions.
///
/// Lines of the room go to the standard output; what became of one's own that was not taken, to the standard
/// error. It ends with the input, once all that was said is answered.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = COMMANDS)]
pub(crate) struct Args {
    /// The room
    #[arg(value_name = "ROOM", value_parser = publish::room)]
    room: Namespace,

    /// The edge: moqt://HOST:PORT for raw QUIC, https://HOST:PORT/ for WebTransport, ws://HOST:PORT for a WebSocket
    #[arg(value_name = "URL", value_parser = edge, default_value = "moqt://localhost:8080")]
    edge: Url,

    /// Who one is, a JWT; a stranger, without
    #[arg(long, value_name = "JWT", env = "FANFARE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// What to be called, for who has no name in their token
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Trust whoever answers at the address, without looking at the certificate
    #[arg(long)]
    insecure: bool,

    /// Trust the edge with this certificate, whoever signed it; may be given more than once
    #[arg(long, value_name = "SHA256HEX", conflicts_with = "insecure")]
    fingerprint: Vec<Fingerprint>,
}

/// Where to take part: what one publishes to, or a WebSocket.
fn edge(url: &str) -> Result<Url, String> {
    match Url::parse(url) {
        Ok(url) if url.scheme() == "ws" && url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        _ => publish::server(url),
    }
}

/// Orders that wait for a connection.
const ORDERS: usize = 64;

/// Runs until the input ends, or Ctrl-C.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let trust = match (args.fingerprint, args.insecure) {
        (_, true) => Trust::Anyone,
        (prints, false) if prints.is_empty() => Trust::System,
        (prints, false) => Trust::Fingerprints(prints),
    };
    let options = Options {
        url: args.edge,
        others: Vec::new(),
        tls: trust.client_config().map_err(Failure::run)?,
        room: args.room,
        token: args.token,
        seed: u64::from_be_bytes(::token::random().map_err(Failure::run)?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
        let (orders, taken) = mpsc::channel(ORDERS);
        let (tell, mut heard) = mpsc::unbounded_channel();
        let part = tokio::task::spawn_local(take_part(options, taken, move |heard| drop(tell.send(heard))));
        let mut screen = Screen::default();
        if let Some(name) = args.name {
            order(&orders, 0, &serde_json::json!({ "rename": { "name": name } })).await;
        }
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        let mut orders = Some(orders);
        let mut ticket: Ticket = 0;
        let mut stop = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                line = input.next_line(), if orders.is_some() && screen.is_ready() => {
                    match line.ok().flatten().map(|line| Line::read(&line, screen.poll())) {
                        Some(Ok(Line::Wish(wish))) => {
                            ticket = ticket.wrapping_add(1);
                            if let Some(orders) = &orders {
                                order(orders, ticket, &wish).await;
                            }
                        }
                        Some(Ok(Line::Nothing)) => {}
                        Some(Ok(Line::Quit)) | None => orders = None,
                        Some(Err(why)) => eprintln!("{why}"),
                    }
                }
                heard = heard.recv() => match heard {
                    Some(Update::Settled { outcome: Outcome::Failed(failure), .. }) => eprintln!("not taken: {failure}"),
                    Some(Update::Settled { outcome: Outcome::Held, .. }) => eprintln!("waits for a moderator"),
                    Some(heard) => screen.heard(heard),
                    None => break,
                },
            }
        }
        part.await.map_err(Failure::run)?.map_err(Failure::run)
    });
    // A read of the terminal cannot be taken back.
    runtime.shutdown_background();
    outcome
}

async fn order(orders: &mpsc::Sender<Order>, ticket: Ticket, wish: &serde_json::Value) {
    match ActJson::parse(&wish.to_string()) {
        Ok(act) => drop(orders.send(Order { ticket, act }).await),
        Err(error) => eprintln!("{error}"),
    }
}
