//! One test binary, so that it links once.

mod support;

mod discord;
mod mail;
mod report;
