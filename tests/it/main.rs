//! One test binary, so that it links once.

mod support;

mod access;
mod alarm;
mod badinput;
mod cli;
mod crash;
mod discord;
mod flow;
mod inbox;
mod layers;
mod ldap;
mod lockfile;
mod mail;
mod migrations;
mod operations;
mod outage;
mod rates;
mod report;
mod serve;
mod sources;
mod store;
mod ways;
