//! Startup and shutdown: configuration errors, and the drain.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    time::Duration,
};

use origin::{Config, Origin};
use quic::CertificateSource;

use crate::test_origin::{TRANSPORTS, TestOrigin, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_drains_and_ends_when_all_have_left() {
    let drain = Duration::from_millis(200);
    let mut origin = TestOrigin::start(Config { open_publish: true, drain, ..Config::default() });
    assert_eq!(origin.get("/readyz").await, (200, "ready\n".into()));
    assert_eq!(origin.get("/healthz").await.0, 200);
    let fingerprint = origin.handle.fingerprint().expect("self-signed");
    assert_eq!(origin.get("/fingerprint").await, (200, fingerprint));
    let mut clients = Vec::new();
    for scheme in TRANSPORTS {
        let mut client = origin.client(scheme).await;
        let track = client.publish(scheme, "video").await.expect("accepted");
        clients.push((client, track));
    }
    origin.stop.take().expect("running").send(()).expect("running");
    within("503", async { while origin.get("/readyz").await.0 != 503 {} }).await;
    let url = origin.url("moqt", "");
    assert!(origin.connect(&url, &[]).await.is_err());
    // This library does not know the GOAWAY with a timeout of draft 18, and leaves at once.
    for (client, _track) in clients {
        client.ended().await;
    }
    within("the end", origin.running).await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_bad_configuration_is_one_clear_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let certificate = CertificateSource::SelfSigned { dir: dir.path().into(), names: vec![] };
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let free = (Ipv4Addr::LOCALHOST, 0).into();
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writable");
    let base = Config { certificate, listen: free, ..Config::default() };
    for (config, what, hint) in [
        (
            Config { listen: udp.local_addr().expect("bound"), ..base.clone() },
            format!("cannot listen on udp {}", udp.local_addr().expect("bound")),
            "choose another",
        ),
        (
            Config { http: tcp.local_addr().ok(), ..base.clone() },
            format!("cannot listen on tcp {}", tcp.local_addr().expect("bound")),
            "choose another",
        ),
        (
            Config {
                certificate: CertificateSource::Files { cert: file.clone(), key: file.clone() },
                ..base.clone()
            },
            format!("certificate {} is not usable", file.display()),
            "holds no PEM block",
        ),
        (
            Config {
                certificate: CertificateSource::SelfSigned { dir: file.join("below"), names: vec![] },
                ..base.clone()
            },
            format!("cannot write data directory {}", file.join("below").display()),
            "choose a writable data directory",
        ),
    ] {
        let line = Origin::bind(config).err().expect("refused").to_string();
        assert!(line.contains(&what) && line.contains(hint), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}
