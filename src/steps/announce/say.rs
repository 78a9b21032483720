//! Say: one message onto one channel, once: intent, call, outcome. And what an operator has to put right there.

use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Announced;
use super::content::Content;
use crate::app::{App, Place};
use crate::channels::{Looked, MessageId, Miss, StatusPost};
use crate::domain::Moment;
use crate::domain::post::{After, Next, Outcome, PostState, Trouble, What, after, next};
use crate::store::{Incident, Post};

/// One pass over one channel.
pub(in crate::steps) struct Round<'a> {
    pub place: &'a Place,
    /// Nothing more is said there in this pass.
    rests: bool,
    /// Whether anything got through.
    heard: bool,
    /// What somebody has to put right before anything gets through.
    trouble: Option<Trouble>,
    /// Whether somebody deleted the thread that a line was meant for.
    lost_thread: bool,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::steps) enum Spoken {
    /// It is there, and was not before.
    New,
    /// It is there, and says something else than before.
    Changed,
    /// It says what is true already.
    AsBefore,
    /// Not now.
    Not,
}

impl<'a> Round<'a> {
    /// A channel that asked for a rest, or refuses, has one.
    pub(in crate::steps) async fn begin(
        app: &App,
        place: &'a Place,
        announced: &mut Announced,
    ) -> anyhow::Result<Self> {
        let now = app.clock.now();
        let posts = app.store.read().await?.posts(Some(&place.name)).await?;
        let rests = posts.iter().any(|post| {
            let is_of_channel = post.trouble.is_none_or(Trouble::is_of_channel);
            // A moment far ahead is from before the clock was set back.
            let until = post.due_at.map(|until| until.since(now));
            let is_ahead =
                until.is_some_and(|left| left > TimeDelta::zero() && left <= TimeDelta::hours(1));
            is_of_channel && is_ahead
        });
        if rests {
            announced.waiting.push(format!(
                "{}: it is busy, or refuses us, and is asked again within ten minutes",
                place.name
            ));
        }
        Ok(Self {
            place,
            rests,
            heard: false,
            trouble: None,
            lost_thread: false,
        })
    }

    pub(in crate::steps) fn lost_thread(&self) -> bool {
        self.lost_thread
    }

    pub(in crate::steps) fn rests(&self) -> bool {
        self.rests
    }

    /// What a call that failed means for the rest of the pass.
    pub(in crate::steps) fn missed(&mut self, miss: &Miss) {
        match miss.outcome() {
            Outcome::Said | Outcome::Gone => {}
            Outcome::Later(_) | Outcome::Unsure => self.rests = true,
            Outcome::Never(trouble) if trouble.is_of_channel() => {
                self.rests = true;
                self.trouble = Some(trouble);
            }
            Outcome::Never(_) => {}
        }
    }

    /// Brings one message up to date, below `thread` if one is given.
    pub(in crate::steps) async fn say(
        &mut self,
        app: &App,
        incident: &Incident,
        said: &Content,
        thread: Option<&MessageId>,
        announced: &mut Announced,
    ) -> anyhow::Result<Spoken> {
        let (channel, name) = (&self.place.channel, &self.place.name);
        let now = app.clock.now();
        let hash = HEXLOWER.encode(&Sha256::digest(&said.fingerprint));
        let before = {
            let mut tx = app.store.read().await?;
            tx.post(incident.id, name, said.what).await?
        };
        if before
            .as_ref()
            .is_some_and(|post| post.state == PostState::Posted && post.content_hash == hash)
        {
            return Ok(Spoken::AsBefore);
        }
        if self.rests {
            return Ok(Spoken::Not);
        }
        let can = channel.can();
        let found = before.as_ref().map(Post::found);
        let what_next = next(found.as_ref(), can, now);
        match (what_next, &before) {
            (Next::Rest, Some(post)) if post.state == PostState::Asked => {
                announced.waiting.push(question(incident, post));
                return Ok(Spoken::Not);
            }
            (Next::Ask, Some(post)) => {
                ask(app, post, now).await?;
                announced.waiting.push(question(incident, post));
                return Ok(Spoken::Not);
            }
            (Next::Rest | Next::Ask, _) => return Ok(Spoken::Not),
            (Next::Post | Next::Edit | Next::Look, _) => {}
        }
        let content = said.drawn(app).await?;
        // The intent is written down before the call; the message's id after it.
        let post = {
            let mut tx = app.store.begin().await?;
            if let Some(before) = before.as_ref().filter(|_| what_next == Next::Post)
                && before.external_id.is_some()
            {
                tx.renew_post(before).await?;
            }
            let post = tx
                .intend_post(incident.id, name, said.what, &hash, now)
                .await?;
            tx.commit().await?;
            post
        };
        let call = self.call(what_next, &post, &content, thread).await;
        // What could only be changed is there; what is posted in place of another was not there before.
        let was = match &before {
            Some(before) if before.external_id.is_none() => before.state,
            Some(_) | None => PostState::Waiting,
        };
        self.settle(app, incident, &post, was, call, announced)
            .await
    }

    async fn call(
        &self,
        what_next: Next,
        post: &Post,
        said: &StatusPost,
        thread: Option<&MessageId>,
    ) -> Result<Called, Miss> {
        let channel = &self.place.channel;
        let known = post.external_id.clone().map(MessageId);
        match (what_next, known) {
            (Next::Edit, Some(id)) => {
                channel.edit(&id, said).await?;
                return Ok(Called::Edited(id));
            }
            (Next::Look, _) => {
                let looked = channel
                    .look(thread, &said.footer_reference, post.tried_at)
                    .await?;
                match looked {
                    Looked::Found(id) => {
                        // It may say what was true when it got there; a line says the same for ever.
                        if thread.is_none() {
                            channel.edit(&id, said).await?;
                        }
                        return Ok(Called::Found(id));
                    }
                    Looked::Perhaps => return Ok(Called::Unseen),
                    Looked::Absent => {}
                }
            }
            (Next::Edit | Next::Post | Next::Ask | Next::Rest, _) => {}
        }
        let posted = match thread {
            Some(thread) => channel.reply(thread, said, &post.nonce).await?,
            None => channel.post(said, &post.nonce).await?,
        };
        Ok(Called::Posted(posted))
    }

    async fn settle(
        &mut self,
        app: &App,
        incident: &Incident,
        post: &Post,
        was: PostState,
        call: Result<Called, Miss>,
        announced: &mut Announced,
    ) -> anyhow::Result<Spoken> {
        let now = app.clock.now();
        let has_id = post.external_id.is_some();
        let mut tx = app.store.begin().await?;
        let spoken = match call {
            Ok(Called::Unseen) => {
                tx.settle_post(post, asked(), None, now).await?;
                announced.waiting.push(question(incident, post));
                Spoken::Not
            }
            Ok(Called::Posted(id) | Called::Edited(id) | Called::Found(id)) => {
                let after = after(was, has_id, Outcome::Said, now);
                tx.settle_post(post, after, Some(&id.0), now).await?;
                self.heard = true;
                match has_id {
                    true => Spoken::Changed,
                    false => Spoken::New,
                }
            }
            Err(miss) => {
                self.missed(&miss);
                let outcome = miss.outcome();
                self.lost_thread |= outcome == Outcome::Gone && post.what != What::Status;
                let after = after(was, has_id, outcome, now);
                let id = post
                    .external_id
                    .as_deref()
                    .filter(|_| outcome != Outcome::Gone);
                tx.settle_post(post, after, id, now).await?;
                let why = match outcome {
                    Outcome::Gone => {
                        "the post was deleted by somebody; it is posted anew next time".to_owned()
                    }
                    Outcome::Said | Outcome::Later(_) | Outcome::Unsure | Outcome::Never(_) => {
                        miss.to_string()
                    }
                };
                tracing::warn!(incident.id = %incident.id, post.id = post.id, "{} waits: {why}", post.what);
                announced
                    .waiting
                    .push(format!("{}: {why}", incident.reference));
                Spoken::Not
            }
        };
        tx.commit().await?;
        Ok(spoken)
    }

    /// Raises what somebody has to do about this channel, or clears it.
    pub(in crate::steps) async fn end(self, app: &App) -> anyhow::Result<()> {
        let name = &self.place.name;
        let alarm = format!("posts.{name}");
        let posts = app.store.read().await?.posts(Some(name)).await?;
        let asking: Vec<String> = posts
            .iter()
            .filter(|post| post.state == PostState::Asked)
            .map(|post| post.id.to_string())
            .collect();
        // What was not tried again, nobody wants to say any more.
        let now = app.clock.now();
        let is_fresh = |post: &&Post| post.due_at.is_some_and(|until| until > now);
        let mut refused = posts
            .iter()
            .filter(is_fresh)
            .filter_map(|post| post.trouble);
        let is_rested = self.rests && !self.heard;
        let text = match (self.trouble.or(refused.next()), asking.is_empty()) {
            (Some(trouble), _) => Some(format!("the channel {name}: {}", trouble.advice())),
            (None, false) => Some(format!(
                "on the channel {name} a message may be there or not, and saying it again could say it twice: look, then \
                 `bell incident posted {} --yes` or `--no`",
                asking.join(" or ")
            )),
            (None, true) => None,
        };
        match text {
            Some(text) => app.alarms.raise(&alarm, &text).await,
            // Nobody was asked, so nobody said that it is over.
            None if is_rested => {}
            None => app.alarms.clear(&alarm).await,
        }
        Ok(())
    }
}

/// What a call did.
enum Called {
    /// It was not there, and is.
    Posted(MessageId),
    /// It was there, and says something else.
    Edited(MessageId),
    /// It was there after all.
    Found(MessageId),
    /// It cannot be told whether it is there.
    Unseen,
}

/// What an operator is asked.
fn question(incident: &Incident, post: &Post) -> String {
    format!(
        "{}: {} may be on {} or not; look, and say: bell incident posted {} --yes, or --no",
        incident.reference, post.what, post.channel, post.id
    )
}

const fn asked() -> After {
    After {
        state: PostState::Asked,
        trouble: None,
        due_at: None,
    }
}

/// Stops a post until a person has spoken.
async fn ask(app: &App, post: &Post, now: Moment) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    tx.settle_post(post, asked(), None, now).await?;
    tx.commit().await?;
    Ok(())
}
