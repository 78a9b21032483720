//! Division Bell: the map.
//!
//! ```text
//! audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report
//!                             incident → posts
//! ```
//!
//! Data moves one way, and imports point down:
//!
//! ```text
//! main · cli · commands · serve · bot · web · schedule · demo       who asks
//! steps · desk                                                      load → decide → save
//! app · config · logging                                            wiring
//! audit · directory · messages · channels · store · report          the edges; they do not know each other
//! domain · clock · token                                            import nothing of ours
//! ```
//!
//! # One audit, walked
//!
//! `bell intake weak.csv --as ann` is parsed by [`cli`] and carried out by [`commands`], which builds an [`app::App`] from the
//! [`config`] and calls [`steps::intake`]. That reads the file once to hash it and to see that all of it can be read, and a
//! second time, in one transaction, to take it in: [`audit`] turns bytes into rows and drops every secret at the cell;
//! [`domain::identity`] decides whose each row is; [`store`] keeps the findings; [`domain::case::on_claims`] decides what
//! they do to cases, by the rule of [`domain::evidence`].
//!
//! [`steps::plan`] asks [`domain::policy`] who is to be told and [`domain::rate`] how long that takes, and drafts a
//! campaign. A second operator approves exactly that ([`steps::campaign`]), and staff are told that notices are coming
//! ([`steps::heads_up`]). [`steps::notify`] writes every letter once before it queues the first ([`messages`]), fixes the
//! deadline, and climbs each thread's [`domain::ladder`] from then on. [`steps::deliver`] commits an attempt before its
//! first byte goes out through [`channels`], and [`domain::delivery`] says what the relay's answer means. [`steps::inbox`]
//! hears of letters that came back. Whom no mail reaches is told by the next way of [`domain::way`]: [`steps::text`] goes
//! through a gateway, [`steps::letters`] through the internal post, and last comes a human being. Managers hear that a task is
//! overdue by the rule of [`domain::escalation`]; on the last rung [`steps::hand_over`] asks the identity provider.
//!
//! [`steps::confirm`] reads what the [`directory`] says and closes the cases it proves; a later audit that still finds the
//! account opens a successor. [`steps::contain`] keeps who was shut out of what, and lists those who may be let in again.
//! [`steps::announce`] keeps what is said of an incident true on every channel of those who read there, once, by the rule of
//! [`domain::post`], with a timeline below it. [`desk::statement`] has texts drafted by one operator and approved by another,
//! exactly and with frozen figures ([`domain::statement`]), for one audience and no other ([`domain::audience`]); the
//! [`domain::guard`] says what they must not disclose; [`steps::statements`] posts what is out and marks what was put right;
//! [`desk::office`] minds promises, regulators' clocks and figures that have moved. [`desk::access`] writes what staff read
//! when a service is cut, for channels that still reach them, and [`desk::genuine`] tells anybody who asks whether a letter
//! is ours. [`steps::report`] folds the ledger into the figures as of any moment.
//!
//! What is only ever added to is sealed by a chain of hashes ([`steps::seal`], by the rule of [`domain::seal`]), so that nobody
//! rewrites it unseen. What was kept for long enough is erased, and people become pseudonyms ([`steps::privacy`]), without the
//! chain or a figure being any different. A database that was copied or restored ([`steps::backup`]) is mute until an operator
//! says otherwise ([`domain::epoch`]).
//! `bell serve` ([`serve`]) does all of it by the [`schedule`]; beside it the [`bot`] has the [`desk`] do what people ask for
//! on Discord, and [`web`] shows operators how things stand, machines whether we are well, and anybody whether a letter is
//! ours.

pub mod app;
pub mod audit;
pub mod bot;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod desk;
pub mod directory;
pub mod domain;
pub mod logging;
pub mod messages;
pub mod report;
pub mod schedule;
pub mod serve;
pub mod steps;
pub mod store;
pub mod token;
pub mod web;
