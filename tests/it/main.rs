//! One test binary, so that it links once.

mod support;

mod access;
mod alarm;
mod badinput;
mod cli;
mod crash;
mod discord;
mod flow;
mod hand_over;
mod inbox;
mod layers;
mod lockfile;
mod mail;
mod migrations;
mod operations;
mod outage;
mod rates;
mod report;
mod serve;
mod store;
mod ways;
