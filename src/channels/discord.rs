//! Discord: an incident's messages on one channel, posted once and then edited, with a thread below.
//!
//! `bot` is the way to Discord itself, `render` the JSON.

mod bot;
pub(super) mod render;

pub use super::chat::{MessageId, Miss, Picture, StatusChannel, StatusLine, StatusPost};
pub use bot::{Discord, DiscordError};
pub use render::NONCE_LONGEST;
