//! Deployment to Cloudflare: wrangler's checks, the pages, and a room's determinism there.

mod determinism;
mod dry_run;
mod pages;
