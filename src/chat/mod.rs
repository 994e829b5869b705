//! The command `fanfare chat`.

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

mod command;
mod show;

use command::Command;
use show::Screen;

const COMMANDS: &str = "\
A typed line is sent to the chat. Lines that begin with a slash are commands:
  /cheer [N]             cheer, N times
  /gift ID [N]           give a gift of the catalogue
  /vote N                vote for option N of the open poll
  /ask TEXT              ask the creator a question
  /upvote ID             vote for a question
  /name NAME             change your name
  /reply ID TEXT         answer a line
  /quit                  leave

Moderators and the creator:
  /delete ID  /pin ID  /unpin  /approve ID  /refuse ID
  /timeout ID SECONDS  /ban ID  /mute ID  /pardon ID     the author of that line
  /poll SECONDS [who=WHO] QUESTION | OPTION | OPTION …   /close ID
      WHO may vote: everyone, address (of fans without a token one of each address) or named (fans with a token)
  /title TEXT  /slow SECONDS  /answered ID";

/// Take part in a room from a terminal, or a script: chat, cheers, gifts, votes and questions.
///
/// Lines of the room go to the standard output; acts that were refused are reported on the standard error. The command
/// ends with its input, once every act is answered.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = COMMANDS)]
pub(crate) struct Args {
    /// Name of the room
    #[arg(value_name = "ROOM", value_parser = publish::room)]
    room: Namespace,

    /// Address of the edge: moqt://HOST:PORT for raw QUIC, https://HOST:PORT/ for WebTransport, ws://HOST:PORT for a
    /// WebSocket
    #[arg(value_name = "URL", value_parser = edge, default_value = "moqt://localhost:8080")]
    edge: Url,

    /// Your token, a JWT; without one you are anonymous
    #[arg(long, value_name = "JWT", env = "FANFARE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Your name in the room, if your token has none
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Accept any certificate of the edge
    #[arg(long)]
    insecure: bool,

    /// Accept the edge only with this certificate, also a self-signed one; may be given more than once
    #[arg(long, value_name = "SHA256HEX", conflicts_with = "insecure")]
    fingerprint: Vec<Fingerprint>,
}

/// Parses the address of an edge: one that `fanfare publish` takes, or a WebSocket.
fn edge(url: &str) -> Result<Url, String> {
    match Url::parse(url) {
        Ok(url)
            if matches!(url.scheme(), "ws" | "wss")
                && url.host_str().is_some_and(|host| !host.is_empty()) =>
        {
            Ok(url)
        }
        _ => publish::server(url),
    }
}

/// Orders that may wait for a connection.
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
        let (notify, mut updates) = mpsc::unbounded_channel();
        let part = tokio::task::spawn_local(take_part(options, taken, move |update| drop(notify.send(update))));
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
                    match line.ok().flatten().map(|line| Command::parse(&line, screen.poll())) {
                        Some(Ok(Command::Act(act))) => {
                            ticket = ticket.wrapping_add(1);
                            if let Some(orders) = &orders {
                                order(orders, ticket, &act).await;
                            }
                        }
                        Some(Ok(Command::Nothing)) => {}
                        Some(Ok(Command::Quit)) | None => orders = None,
                        Some(Err(why)) => eprintln!("{why}"),
                    }
                }
                update = updates.recv() => match update {
                    Some(Update::Settled { outcome: Outcome::Failed(failure), .. }) => eprintln!("not counted: {failure}"),
                    Some(Update::Settled { outcome: Outcome::Held, .. }) => eprintln!("held for a moderator"),
                    Some(update) => screen.update(update),
                    None => break,
                },
            }
        }
        part.await.map_err(Failure::run)?.map_err(Failure::run)
    });
    // A blocked read of the terminal cannot be cancelled.
    runtime.shutdown_background();
    outcome
}

async fn order(orders: &mpsc::Sender<Order>, ticket: Ticket, json: &serde_json::Value) {
    match ActJson::parse(&json.to_string()) {
        Ok(act) => drop(orders.send(Order { ticket, act }).await),
        Err(error) => eprintln!("{error}"),
    }
}
