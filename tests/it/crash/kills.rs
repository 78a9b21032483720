//! The kill harness: a sender is killed at random moments, hundreds of times, and its database with it. Nobody is lost,
//! nobody is told twice unseen, and no kill doubles more letters than was promised.
//!
//! `BELL_KILLS=2000` makes it longer, `BELL_SEED=7` repeats a run. The virtual time moves on between kills by faketime, so
//! that leases run out and doubts come back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::clock::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::Connection;

use super::{bell_with, found};
use crate::support::child::{Running, Start};
use crate::support::flow::{Bell, build, rows};
use crate::support::postgres::{self, Postgres};
use crate::support::seen;
use crate::support::sink::{Sink, Taken};

/// A lease has run out after it, and a doubt is due again.
const STEP: Duration = Duration::from_secs(31 * 60);

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A generator whose seed is shown, so that a failure can be repeated.
pub fn chance() -> StdRng {
    let seed = setting("BELL_SEED").unwrap_or_else(rand::random);
    eprintln!("BELL_SEED={seed} repeats this run");
    StdRng::seed_from_u64(seed)
}

/// One run of a sender, from its start to its violent end.
pub struct Round {
    /// Which letters the relay took in it: places in its log.
    taken: std::ops::Range<usize>,
    /// Whose attempts it left open, if it was killed.
    open: BTreeSet<String>,
}

/// A campaign that is sent by programs which are killed.
pub struct Drill {
    pub bell: Bell,
    pub sink: Sink,
    people: usize,
    window: usize,
    rounds: Vec<Round>,
    /// Attempts without an end, as they were after the last round, and whose they are.
    open: BTreeMap<String, String>,
    /// How far the program is ahead of us.
    ahead: Duration,
}

impl Drill {
    /// A campaign for so many people, queued and due.
    pub async fn begin(store: Option<String>, people: usize, window: u16) -> Self {
        let sink = Sink::start();
        let bell = bell_with(store, sink.relay(window)).await;
        found(&bell, people).await;
        bell.campaign().await;
        // From here on the database belongs to those who are killed: what they leave is theirs to mend.
        bell.app.store.close().await;
        Self {
            bell,
            sink,
            people,
            window: usize::from(window),
            rounds: Vec::new(),
            open: BTreeMap::new(),
            ahead: Duration::ZERO,
        }
    }

    pub fn left(&self) -> usize {
        self.people.saturating_sub(self.sink.count())
    }

    fn is_on_sqlite(&self) -> bool {
        self.bell.path("bell.db").exists()
    }

    /// Starts a sender, half an hour later than the one before.
    pub fn start(&mut self) -> Running {
        self.begin_as(&["deliver"])
    }

    fn begin_as(&mut self, arguments: &[&str]) -> Running {
        self.ahead += STEP;
        Start::new(&self.bell, arguments).ahead(self.ahead).run()
    }

    /// Waits until a sender talks to the relay, and then for `span` or `letters`, whatever comes first. False if it ended
    /// before.
    pub fn watch(
        &self,
        running: &mut Running,
        calls: usize,
        span: Duration,
        letters: usize,
    ) -> bool {
        let begun = self.sink.count();
        let mut until = None;
        loop {
            if running.is_over() {
                return false;
            }
            if until.is_none() && self.sink.call_count() > calls {
                until = Some(Instant::now() + span);
            }
            if until.is_some_and(|until| Instant::now() >= until)
                || self.sink.count() >= begun + letters
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes the books of a round whose sender is dead: what the relay has read of it, and which attempts it left open.
    pub async fn note(&mut self, from: usize) {
        // What a dead sender has handed to the socket arrives all the same.
        seen("the end of what is on the wire", || {
            self.sink.is_idle().then_some(())
        })
        .await;
        let open = self.open_attempts().await;
        let new: BTreeSet<String> = open
            .iter()
            .filter(|(attempt, _)| !self.open.contains_key(*attempt))
            .map(|(_, to)| to.clone())
            .collect();
        assert!(
            new.len() <= self.window,
            "round {}: {} letters in flight, and {} were promised at most",
            self.rounds.len(),
            new.len(),
            self.window
        );
        self.open = open;
        self.rounds.push(Round {
            taken: from..self.sink.count(),
            open: new,
        });
    }

    /// Attempt and recipient of what has no end. On SQLite a copy is looked at: the next program finds the file as the dead
    /// one left it.
    async fn open_attempts(&self) -> BTreeMap<String, String> {
        const OPEN: &str = "SELECT a.id, x.recipient FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE a.ended_at IS NULL";
        let found: Vec<(i64, String)> = if self.is_on_sqlite() {
            let copy = copied(&self.bell.path("bell.db"));
            let mut db = open_sqlite(&copy.path().join("bell.db")).await;
            let found = sqlx::query_as(OPEN).fetch_all(&mut db).await.unwrap();
            let (whole,): (String,) = sqlx::query_as("PRAGMA quick_check")
                .fetch_one(&mut db)
                .await
                .unwrap();
            assert_eq!(whole, "ok");
            db.close().await.unwrap();
            found
        } else {
            let mut db = sqlx::PgConnection::connect(&self.url()).await.unwrap();
            // The server may not have noticed yet that its client is dead.
            let until = Instant::now() + Duration::from_secs(10);
            loop {
                let (others,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bell'")
                    .fetch_one(&mut db).await.unwrap();
                if others == 0 {
                    break;
                }
                assert!(Instant::now() < until, "a dead sender is still connected");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let found = sqlx::query_as(OPEN).fetch_all(&mut db).await.unwrap();
            db.close().await.unwrap();
            found
        };
        found
            .into_iter()
            .map(|(id, to)| (id.to_string(), to))
            .collect()
    }

    fn url(&self) -> String {
        let line = self
            .bell
            .text
            .lines()
            .find(|line| line.starts_with("url = \"postgres"))
            .unwrap();
        line.split('"').nth(1).unwrap().replace("pg@", "pg:pg@")
    }

    /// Sends what is left, undisturbed, until nothing is on its way any more.
    pub async fn finish(&mut self) {
        for _ in 0..12 {
            let from = self.sink.count();
            // One pass: what is due within the hour is due for the next one, which starts later by the clock.
            let mut running = self.begin_as(&["deliver", "--once"]);
            running.ended(Duration::from_secs(120)).await;
            self.note(from).await;
            let app = build(&self.bell.text, self.bell.dir.path(), Clock::System).await;
            let left = rows(
                &app.store,
                "SELECT COUNT(*) FROM deliveries WHERE state NOT IN ('accepted', 'stopped')",
            )
            .await;
            app.store.close().await;
            if left == [["0"]] {
                return;
            }
        }
        panic!("it does not come to an end: {}", self.start().said());
    }

    /// What must be true when all is over. Gives how many letters came twice, and how many are left to a human being.
    pub async fn judge(&mut self) -> (usize, usize) {
        self.bell.app = build(
            &self.bell.text,
            self.bell.dir.path(),
            Clock::at(
                Clock::System
                    .now()
                    .plus(TimeDelta::from_std(self.ahead).unwrap()),
            ),
        )
        .await;
        let (bell, taken) = (&self.bell, self.sink.taken());
        let deliveries = bell
            .rows("SELECT recipient, state, possible_duplicate FROM deliveries")
            .await;
        assert_eq!(deliveries.len(), self.people);
        let in_state = |wanted: &str| -> HashSet<&str> {
            deliveries
                .iter()
                .filter(|row| row[1] == wanted)
                .map(|row| row[0].as_str())
                .collect()
        };
        let (accepted, stopped) = (in_state("accepted"), in_state("stopped"));
        assert_eq!(
            accepted.len() + stopped.len(),
            self.people,
            "others are still on their way"
        );
        let doubtful: HashSet<&str> = deliveries
            .iter()
            .filter(|row| row[2] == "1")
            .map(|row| row[0].as_str())
            .collect();

        let mut got: HashMap<&str, Vec<&Taken>> = HashMap::new();
        for one in &taken {
            got.entry(&one.to).or_default().push(one);
        }
        let lost: Vec<_> = accepted
            .iter()
            .filter(|to| !got.contains_key(**to))
            .collect();
        assert_eq!(
            lost.len(),
            0,
            "accepted, and the relay never had them: {lost:?}"
        );
        for (to, letters) in &got {
            assert!(letters.len() <= 2, "{to} was told {} times", letters.len());
            if letters.len() == 2 {
                assert!(doubtful.contains(to), "{to} was told twice unseen");
                assert_eq!(
                    letters[0].hash, letters[1].hash,
                    "{to} got two different letters"
                );
            }
        }
        self.each_round_kept_its_promise(&taken);

        // In doubt twice is a human being's business, and nothing else is left to one.
        let decide = bell
            .column("SELECT x.recipient FROM tasks k JOIN cases c ON c.id = k.case_id JOIN deliveries x ON x.thread_id = c.thread_id WHERE k.kind = 'decide' AND k.done_at IS NULL")
            .await;
        assert_eq!(
            decide.iter().map(String::as_str).collect::<HashSet<_>>(),
            stopped
        );
        assert!(stopped.is_subset(&doubtful));
        self.attempts_are_consistent().await;
        bell.books().await;
        let twice = got.values().filter(|letters| letters.len() > 1).count();
        (twice, stopped.len())
    }

    /// What came again later had been in flight when its sender was killed, and there was no more of it than promised.
    fn each_round_kept_its_promise(&self, taken: &[Taken]) {
        for (nth, round) in self.rounds.iter().enumerate() {
            let later: HashSet<&str> = taken[round.taken.end..]
                .iter()
                .map(|one| one.to.as_str())
                .collect();
            let again: BTreeSet<&str> = taken[round.taken.clone()]
                .iter()
                .map(|one| one.to.as_str())
                .filter(|to| later.contains(to))
                .collect();
            assert!(
                again.len() <= self.window,
                "round {nth} doubled {} letters",
                again.len()
            );
            for to in again {
                assert!(
                    round.open.contains(to),
                    "round {nth}: {to} came again, and its attempt had an end"
                );
            }
        }
    }

    async fn attempts_are_consistent(&self) {
        let bell = &self.bell;
        for (what, sql) in [
            (
                "attempts have no end",
                "SELECT COUNT(*) FROM attempts WHERE ended_at IS NULL",
            ),
            (
                "attempts end before they begin",
                "SELECT COUNT(*) FROM attempts WHERE ended_at < started_at",
            ),
            (
                "letters are accepted, and not by one attempt",
                "SELECT COUNT(*) FROM deliveries x WHERE x.state = 'accepted' AND 1 <> (SELECT COUNT(*) FROM attempts a WHERE a.delivery_id = x.id AND a.outcome = 'accepted')",
            ),
            (
                "letters were accepted by an attempt, and are not",
                "SELECT COUNT(*) FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE a.outcome = 'accepted' AND x.state <> 'accepted'",
            ),
            (
                "letters are marked, and never were in doubt",
                "SELECT COUNT(*) FROM deliveries x WHERE x.possible_duplicate AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = x.id AND a.outcome = 'in_doubt')",
            ),
            (
                "letters were in doubt, and are not marked",
                "SELECT COUNT(*) FROM deliveries x WHERE NOT x.possible_duplicate AND EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = x.id AND a.outcome = 'in_doubt')",
            ),
            (
                "leases are left",
                "SELECT COUNT(*) FROM deliveries WHERE lease_until IS NOT NULL AND state <> 'leased'",
            ),
        ] {
            assert_eq!(bell.count(sql).await, 0, "{what}");
        }
    }
}

/// A copy of a SQLite file and of what stands beside it.
fn copied(file: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for ending in ["", "-wal"] {
        let beside = PathBuf::from(format!("{}{ending}", file.display()));
        if beside.exists() {
            std::fs::copy(&beside, copy.path().join(beside.file_name().unwrap())).unwrap();
        }
    }
    copy
}

async fn open_sqlite(file: &Path) -> sqlx::SqliteConnection {
    sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap()
}

/// How many letters a round may take, so that enough are left for the kills that are still to come.
fn share(drill: &Drill, kills_left: usize, chance: &mut StdRng) -> usize {
    let fair = drill.left() / (kills_left + 2);
    chance.random_range(1..=(2 * fair).max(1))
}

#[tokio::test]
async fn killed_two_hundred_times_nobody_is_lost_and_nobody_is_told_twice_unseen() {
    let kills = setting("BELL_KILLS").unwrap_or(200) as usize;
    let mut chance = chance();
    let mut drill = Drill::begin(None, kills.max(200) * 45, 24).await;
    let (mut hits, mut misses) = (0, 0);
    while hits < kills {
        let (from, calls) = (drill.sink.count(), drill.sink.call_count());
        let mut running = drill.start();
        let span = Duration::from_millis(chance.random_range(20..=400));
        let is_hit = if chance.random_ratio(1, 8) {
            // Before it has said a word: while it opens the database, mends what is in doubt, claims.
            std::thread::sleep(Duration::from_millis(chance.random_range(0..=150)));
            drill.sink.call_count() > calls && !running.is_over()
        } else {
            let letters = share(&drill, kills - hits, &mut chance);
            let is_hit = drill.watch(&mut running, calls, span, letters);
            std::thread::sleep(Duration::from_micros(chance.random_range(0..3000)));
            is_hit
        };
        assert!(
            is_hit || misses < 2 * kills,
            "it ends by itself: {}",
            running.said()
        );
        running.kill();
        drill.note(from).await;
        hits += usize::from(is_hit);
        misses += usize::from(!is_hit);
    }
    let left = drill.left();
    drill.finish().await;
    let (twice, stopped) = drill.judge().await;
    eprintln!(
        "{hits} kills hit a running sender, {misses} before it spoke; {left} letters were left then; {twice} came twice, {stopped} are left to a human being"
    );
    assert!(
        twice > 0,
        "of so many kills some must have come between a letter and its record"
    );
}

/// What dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Sender,
    SenderThenServer,
    ServerThenSender,
}

impl Victim {
    async fn die(self, running: Running, server: &Postgres) {
        match self {
            Self::Sender => running.kill(),
            Self::SenderThenServer => {
                running.kill();
                server.crash();
            }
            Self::ServerThenSender => {
                server.crash();
                running.kill();
            }
        }
        if self != Self::Sender {
            server.come_back();
        }
    }
}

#[tokio::test]
async fn killed_on_postgresql_that_crashes_as_well_nobody_is_lost_and_nobody_is_told_twice_unseen()
{
    let Some((server, url)) = postgres::own().await else {
        return;
    };
    let kills = setting("BELL_KILLS").map_or(32, |kills| kills as usize);
    let mut chance = chance();
    let mut drill = Drill::begin(Some(url), kills.max(32) * 40, 24).await;
    let (mut hits, mut misses) = (0, 0);
    while hits < kills {
        let (from, calls) = (drill.sink.count(), drill.sink.call_count());
        let mut running = drill.start();
        let span = Duration::from_millis(chance.random_range(20..=400));
        let letters = share(&drill, kills - hits, &mut chance);
        let is_hit = drill.watch(&mut running, calls, span, letters);
        assert!(
            is_hit || misses < kills,
            "it ends by itself: {}",
            running.said()
        );
        let victim = [
            Victim::Sender,
            Victim::SenderThenServer,
            Victim::ServerThenSender,
        ][chance.random_range(0..3)];
        victim.die(running, &server).await;
        drill.note(from).await;
        hits += usize::from(is_hit);
        misses += usize::from(!is_hit);
    }
    drill.finish().await;
    let (twice, stopped) = drill.judge().await;
    eprintln!("{hits} kills; {twice} letters came twice, {stopped} are left to a human being");
    drill.bell.app.store.close().await;
}
