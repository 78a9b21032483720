//! Bounces → letters that did not arrive, and people who were not reached. Safe to repeat: a mail counts once.

use chrono::TimeDelta;
use serde::Serialize;

use crate::app::App;
use crate::channels::inbox::{self, InboxError, Mail, Reading};
use crate::domain::delivery::{Returned, Verdict, why};
use crate::domain::{DeliveryId, Moment};
use crate::store::Bounce;

/// Mails that are read before what they say is saved and they are kept.
const BATCH: usize = 50;

/// How long a server that has refused our password is left alone: each try counts towards locking the account.
const BARRED: TimeDelta = TimeDelta::hours(1);

/// What came back: how many mails of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Received {
    /// Reports that a letter did not arrive.
    pub bounced: u64,
    /// Of our letters, something came back that cannot be read: they count as bounced, and somebody should look.
    pub unparsed: u64,
    /// Reports that a letter is late.
    pub delayed: u64,
    /// Reports that a letter was delivered, or passed on.
    pub progress: u64,
    /// Letters that were in doubt until a report settled it.
    pub settled: u64,
    /// Cases whose person is to be reached another way.
    pub not_reached: u64,
    /// Notes that somebody is away.
    pub out_of_office: u64,
    /// Other automatic replies.
    pub auto_replies: u64,
    /// Mail systems that want a proof that a human being wrote; none is given.
    pub challenges: u64,
    /// Answers of people to the bounce address: somebody should read them.
    pub replies: u64,
    /// What a filter has marked.
    pub spam: u64,
    /// Mails to an address that looks like ours and is not.
    pub forged: u64,
    /// Everything else.
    pub other: u64,
    /// Mails that were counted before.
    pub known: u64,
    /// Until when the server is left alone: it refused our password.
    pub barred_until: Option<Moment>,
}

impl std::fmt::Display for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(until) = self.barred_until {
            return write!(
                f,
                "not read: the server refused our password, and is left alone until {until}, or until its settings change, \
                 or bell check gets in"
            );
        }
        write!(f, "{} bounces", self.bounced)?;
        for (count, what) in [
            (self.not_reached, "cases not reached"),
            (self.unparsed, "unreadable reports"),
            (self.delayed, "late"),
            (self.progress, "delivered or passed on"),
            (self.settled, "doubts settled"),
            (self.out_of_office, "out of office"),
            (self.auto_replies, "automatic replies"),
            (self.challenges, "challenges"),
            (self.replies, "replies by people"),
            (self.spam, "spam"),
            (self.forged, "forged"),
            (self.other, "other mails"),
            (self.known, "known already"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

impl Received {
    fn count(&mut self, kind: Returned) {
        let place = match kind {
            Returned::Report(Verdict::Failed) => &mut self.bounced,
            Returned::Report(Verdict::Unparsed) => &mut self.unparsed,
            Returned::Report(Verdict::Delayed) => &mut self.delayed,
            Returned::Report(Verdict::Progress) => &mut self.progress,
            Returned::OutOfOffice => &mut self.out_of_office,
            Returned::AutoReply => &mut self.auto_replies,
            Returned::Challenge => &mut self.challenges,
            Returned::Reply => &mut self.replies,
            Returned::Spam => &mut self.spam,
            Returned::Forged => &mut self.forged,
            Returned::Other => &mut self.other,
        };
        *place += 1;
    }

    /// Whether a person should look.
    pub const fn wants_a_look(&self) -> bool {
        self.unparsed > 0 || self.replies > 0 || self.barred_until.is_some()
    }
}

/// Reads the bounce mailbox to its end. Without one there is nothing to do.
pub async fn receive(app: &App) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let Some(inbox) = &app.inbox else {
        return Ok(received);
    };
    let now = app.clock.now();
    let settings = inbox.settings();
    if let Some(settings) = &settings {
        let barred = app.store.read().await?.inbox_barred(settings).await?;
        received.barred_until = barred.filter(|until| *until > now);
        if received.barred_until.is_some() {
            return Ok(received);
        }
    }
    let mut reading = match inbox.open().await {
        Ok(reading) => reading,
        Err(error) => {
            if let (InboxError::Refused, Some(settings)) = (&error, &settings) {
                bar(app, settings, now).await?;
            }
            return Err(error.into());
        }
    };
    let read = read_all(app, &mut reading, &mut received).await;
    reading.close().await;
    read?;
    Ok(received)
}

async fn read_all(app: &App, reading: &mut Reading, received: &mut Received) -> anyhow::Result<()> {
    loop {
        let arrived = reading
            .next(BATCH, |address| app.letters.token(address))
            .await?;
        if arrived.is_empty() {
            return Ok(());
        }
        for one in &arrived {
            save(app, &one.mail, received).await?;
        }
        // Saved first, kept then: after a crash in between they are read again, and known.
        reading.keep(&arrived).await?;
    }
}

/// Signs in to the bounce mailbox and looks whether it can be read. Whoever asks wants it tried now.
pub async fn check(app: &App) -> anyhow::Result<()> {
    let Some(inbox) = &app.inbox else {
        return Ok(());
    };
    let settings = inbox.settings();
    let checked = inbox.check().await;
    if let Some(settings) = &settings {
        match &checked {
            Ok(()) => {
                let mut tx = app.store.begin().await?;
                tx.admit_inbox().await?;
                tx.commit().await?;
            }
            Err(InboxError::Refused) => bar(app, settings, app.clock.now()).await?,
            Err(_) => {}
        }
    }
    Ok(checked?)
}

async fn bar(app: &App, settings: &str, now: Moment) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    tx.bar_inbox(settings, now.plus(BARRED)).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes one mail that a mail system hands over, as it came to `recipient`.
pub async fn take(app: &App, bytes: &[u8], recipient: &str) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let mail = inbox::read(bytes, Some(recipient), |address| app.letters.token(address));
    save(app, &mail, &mut received).await?;
    Ok(received)
}

async fn save(app: &App, mail: &Mail, received: &mut Received) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let (mut kind, mut delivery) = (mail.kind, mail.delivery);
    if let Some(id) = delivery
        && !tx.has_delivery(id).await?
    {
        // A token of ours for a delivery that is not here: another database, or a restored one.
        tracing::warn!(delivery.id = %id, "a mail came back to a delivery that this database does not have");
        (kind, delivery) = (Returned::Other, None);
    }
    if !tx.keep_returned(&mail.digest, kind, delivery, now).await? {
        received.known += 1;
        return Ok(());
    }
    let mut bounced = None;
    if let (Returned::Report(verdict), Some(delivery)) = (kind, delivery) {
        bounced = Some(tx.bounce(&bounce(mail, verdict, delivery), now).await?);
    }
    tx.commit().await?;
    received.count(kind);
    if let Some(bounced) = bounced {
        received.settled += u64::from(bounced.settled);
        received.not_reached += bounced.not_reached;
    }
    Ok(())
}

fn bounce(mail: &Mail, verdict: Verdict, delivery: DeliveryId) -> Bounce {
    let report = mail.report.as_ref();
    let status = report.and_then(|report| report.status);
    let diagnostic = report.map_or("", |report| report.diagnostic.as_str());
    // Who said it helps whoever has to find out.
    let reply = match report.and_then(|report| report.remote_mta.as_deref()) {
        Some(server) if !diagnostic.is_empty() => format!("{server}: {diagnostic}"),
        Some(_) | None => diagnostic.to_owned(),
    };
    Bounce {
        delivery,
        verdict,
        status: status.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
        reply: Some(reply).filter(|text| !text.is_empty()),
        why: match (verdict, why(status, diagnostic)) {
            (Verdict::Unparsed, _) => "unparsed",
            (_, Some(cause)) => cause.word(),
            (_, None) => "bounced",
        },
    }
}
