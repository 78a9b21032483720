//! One test binary, so that it links once.

mod support;

mod access;
mod alarm;
mod badinput;
mod cli;
mod containment;
mod crash;
mod discord;
mod flow;
mod forced;
mod hand_over;
mod inbox;
mod layers;
mod lockfile;
mod mail;
mod managers;
mod migrations;
mod operations;
mod outage;
mod rates;
mod report;
mod serve;
mod store;
mod ways;
