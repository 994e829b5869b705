//! What is deployed to Cloudflare: what wrangler makes of it, its pages, and what a room does there.

mod determinism;
mod dry_run;
mod pages;
