//! Clients that do not come in: they are timed, and many of them have to prove their addresses.

use std::{collections::HashMap, net::Ipv4Addr};

use quic::Endpoint;
use tokio::{
    net::UdpSocket,
    task::{JoinSet, LocalSet},
};
use url::Url;

use crate::{Tls, theirs, within};

/// Clients that begin a handshake and say nothing more.
const CROWD: usize = 300;

/// The first packets of this many clients, which say nothing more.
async fn first_packets(tls: rustls::ClientConfig, count: usize) -> HashMap<Vec<u8>, Vec<u8>> {
    let ear = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let port = ear.local_addr().expect("bound").port();
    let url: Url = format!("moqt://localhost:{port}/").parse().expect("a URL");
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let mut calling = JoinSet::new();
    for _ in 0..count {
        let (url, tls) = (url.clone(), tls.clone());
        calling.spawn(async move { drop(theirs::connect(any, &url, tls).await) });
    }
    // The connection ID that a client chooses, 8 to 20 bytes of it, is behind the type, the version and a length.
    let mut packets = HashMap::new();
    let mut packet = vec![0; 2048];
    while packets.len() < count {
        let (length, _) = within("a first packet", ear.recv_from(&mut packet)).await.expect("received");
        packets.entry(packet[6..14].to_vec()).or_insert_with(|| packet[..length].to_vec());
    }
    packets
}

#[tokio::test]
async fn a_crowd_of_handshakes_has_to_prove_its_addresses_and_others_still_get_in() {
    LocalSet::new()
        .run_until(Box::pin(async {
            let tls = Tls::new();
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            let packets = first_packets(tls.client.clone(), CROWD).await;
            let endpoint = Endpoint::server(any, tls.server).expect("a socket");
            let addr = endpoint.local_addr().expect("bound");
            let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
            let door = endpoint.clone();
            tokio::task::spawn_local(async move {
                while let Some(incoming) = door.incoming().await {
                    let _ = seen.send(incoming.remote_address());
                    tokio::task::spawn_local(async move { incoming.accept().await.map(drop) });
                }
            });
            let mut crowd = Vec::new();
            for packet in packets.values() {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
                socket.send_to(packet, addr).await.expect("sent");
                crowd.push(socket);
            }
            let url = format!("moqt://localhost:{}/", addr.port()).parse().expect("a URL");
            let (_socket, session) = within("a client", theirs::connect(any, &url, tls.client)).await;
            drop(session);
            endpoint.close().await;
            let mut admitted = 0;
            while within("the end", arrivals.recv()).await.is_some() {
                admitted += 1;
            }
            assert!((100..=130).contains(&admitted), "{admitted} of {CROWD} that prove nothing were let in");
        }))
        .await;
}
