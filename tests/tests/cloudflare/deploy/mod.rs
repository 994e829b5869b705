//! Deployment to Cloudflare: wrangler's checks, the pages, and a room's determinism and memory there.

mod bounds;
mod determinism;
mod dry_run;
mod pages;
