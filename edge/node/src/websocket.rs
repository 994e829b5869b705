//! The handshake of a WebSocket that carries a MoQ session.

use axum::{extract::WebSocketUpgrade, http::StatusCode};
use moqt::{Version, mux};

/// Chooses a version from the subprotocols that the client offers. Refuses with the names of those that it may offer.
pub(crate) fn negotiate(upgrade: WebSocketUpgrade) -> Result<(WebSocketUpgrade, Version), (StatusCode, String)> {
    let offered = Version::SUPPORTED.iter().map(|version| mux::subprotocol(*version));
    let upgrade = upgrade.protocols(offered).max_message_size(mux::MAX_FRAME).max_frame_size(mux::MAX_FRAME);
    let chosen = upgrade.selected_protocol().and_then(|name| name.to_str().ok()).and_then(mux::version);
    let Some(version) = chosen else {
        let names: Vec<_> = Version::SUPPORTED.iter().map(|version| mux::subprotocol(*version)).collect();
        return Err((StatusCode::NOT_ACCEPTABLE, format!("offer the subprotocol {}\n", names.join(" or "))));
    };
    Ok((upgrade, version))
}
