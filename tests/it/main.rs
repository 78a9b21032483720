//! One test binary, so that it links once.

mod support;

mod discord;
mod lockfile;
mod flow;
mod mail;
