//! One test binary, so that it links once.

mod support;

mod access;
mod alarm;
mod attacks;
mod audits;
mod badinput;
mod bot;
mod chats;
mod cli;
mod containment;
mod crash;
mod desk;
mod discord;
mod flow;
mod forced;
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
mod posts;
mod rates;
mod reach;
mod report;
mod self_audit;
mod serve;
mod sources;
mod store;
mod ways;
