//! An origin that anyone may publish to, for trying other programs against:
//! `cargo run -p fanfare-origin --example serve -- [ADDRESS] [DATA DIRECTORY]`.

use origin::{Config, Origin};
use quic::CertificateSource;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().map_or(Ok(origin::DEFAULT_LISTEN), |address| address.parse())?;
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("fanfare-origin"), Into::into);
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let certificate = CertificateSource::SelfSigned { dir, names };
    let config = Config { listen, certificate, open_publish: true, ..Config::default() };
    let origin = Origin::bind(config)?;
    println!("media on udp {}, http on tcp {}", origin.local_addr(), origin.http_addr());
    println!("certificate sha-256 {}", origin.handle().fingerprint().unwrap_or_default());
    origin.run(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
