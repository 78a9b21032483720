//! `bell inbox`: reads the bounce mailbox, or takes one mail that a mail system hands over.

use std::io::Read;

use anyhow::{Context, ensure};

use super::Said;
use crate::app::App;
use crate::channels::inbox::LONGEST_READ;
use crate::cli::Inbox;
use crate::steps;

pub(super) async fn run(app: &App, options: &Inbox) -> anyhow::Result<Said> {
    if let Some(recipient) = &options.recipient {
        let mail = handed_over(std::io::stdin().lock()).context("reading standard input")?;
        let received = steps::inbox::take(app, &mail, recipient).await?;
        // It is taken, whatever it is: any other exit code than 0 makes the mail system send a report of its own.
        return Said::both(&received);
    }
    ensure!(
        app.inbox.is_some(),
        "no bounce mailbox is configured; set maildir or imap_host in [mail.inbox], or see `bell inbox --help`"
    );
    let received = steps::inbox::receive(app).await?;
    Ok(Said::both(&received)?.look_if(received.wants_a_look()))
}

/// As much of a mail as is ever looked at. The rest is read as well: a mail system whose pipe breaks would keep the mail.
fn handed_over(mut input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    input.by_ref().take(LONGEST_READ).read_to_end(&mut mail)?;
    std::io::copy(&mut input, &mut std::io::sink())?;
    Ok(mail)
}
