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
mod formats;
mod hand_over;
mod inbox;
mod layers;
mod ldap;
mod lockfile;
mod mail;
mod managers;
mod migrations;
mod model;
mod operations;
mod outage;
mod rates;
mod reach;
mod report;
mod secrets;
mod self_audit;
mod serve;
mod sources;
mod store;
mod ways;
