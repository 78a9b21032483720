//! Around it: the service as systemd starts it, `bell check`, keys and tokens on the command line, manual and completions.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use super::{Page, bell, client};
use crate::support::flow::Bell;
use crate::support::program::{self, command, run};
use crate::support::{PATIENCE, free_ports, listens};

/// A service that is stopped when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn bell_on(port: u16) -> Bell {
    bell(&format!("[web]\nlisten = \"127.0.0.1:{port}\"\n")).await
}

fn serve(bell: &Bell, systemd: Option<&std::path::Path>) -> Serving {
    let mut command = match systemd {
        // As systemd starts it, with WatchdogSec=1s: it is told that the watchdog is for its own process.
        Some(socket) => {
            let mut command = Command::new("sh");
            command
                .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
                .arg(env!("CARGO_BIN_EXE_bell"))
                .env("NOTIFY_SOCKET", socket)
                .env("WATCHDOG_USEC", "1000000");
            command
        }
        None => command(),
    };
    command
        .arg("--config")
        .arg(bell.path("bell.toml"))
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(bell.path("serve.log")).unwrap());
    Serving(command.spawn().unwrap())
}

#[tokio::test]
async fn systemd_hears_that_it_is_ready_alive_and_stopping() {
    let [port] = free_ports();
    let bell = bell_on(port).await;
    let path = bell.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut said = [0; 256];
        let length = socket.recv(&mut said).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(bell.path("serve.log")).unwrap_or_default();
            panic!("{error}: {log}")
        });
        String::from_utf8_lossy(&said[..length]).trim().to_owned()
    };
    let mut serving = serve(&bell, Some(&path));
    assert_eq!(hear(), "READY=1");
    // It is there by the time it says so.
    let health = client()
        .get(format!("http://127.0.0.1:{port}/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let pid = serving.0.id().to_string();
    crate::support::run(Command::new("kill").args(["-TERM", &pid]));
    let mut last = hear();
    while last == "WATCHDOG=1" {
        last = hear();
    }
    assert_eq!(last, "STOPPING=1");
    let asked = Instant::now();
    while serving.0.try_wait().unwrap().is_none() {
        assert!(
            asked.elapsed() < Duration::from_secs(10),
            "it does not stop"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(serving.0.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn check_says_whether_the_listener_could_do_its_work() {
    let [port] = free_ports();
    let bell = bell_on(port).await;
    let check = || program::bell(&bell.path("bell.toml"), &["check", "--offline"]);
    let line = |answer: &program::Answer| {
        let line = answer.out.lines().find(|line| line.contains(" web: "));
        line.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let free = line(&check());
    assert!(free.starts_with("ok") && free.contains("is free"), "{free}");

    let other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    // What is there says nothing: it hangs up.
    let hangs_up = std::thread::spawn(move || drop(other.accept()));
    let answer = check();
    hangs_up.join().unwrap();
    assert_eq!(answer.code, 1);
    let taken = line(&answer);
    assert!(
        taken.starts_with("WRONG") && taken.contains("something else listens"),
        "{taken}"
    );

    let _serving = serve(&bell, None);
    assert!(listens(port));
    let ours = line(&check());
    assert!(
        ours.starts_with("ok") && ours.contains("a bell that runs"),
        "{ours}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_key_that_is_none_are_told_at_the_start() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let bell = bell_on(port).await;
    let answer = program::bell(&bell.path("bell.toml"), &["serve"]);
    assert_ne!(answer.code, 0);
    assert!(answer.err.contains("web.listen"), "{answer:?}");

    bell.write("c.pem", "s3ntinel");
    bell.write("k.pem", "s3ntinel");
    let text = bell.text.replace(
        &format!("listen = \"127.0.0.1:{port}\""),
        "listen = \"127.0.0.1:0\"\ntls_cert_file = \"c.pem\"\ntls_key_file = \"k.pem\"",
    );
    bell.write("bell.toml", text);
    for arguments in [&["serve"][..], &["check", "--offline"]] {
        let answer = program::bell(&bell.path("bell.toml"), arguments);
        let said = format!("{}{}", answer.out, answer.err);
        assert_eq!(answer.code, 1, "{said}");
        assert!(said.contains("are no certificate in PEM"), "{said}");
        assert!(!said.contains("s3ntinel"), "{said}");
    }
}

#[tokio::test]
async fn keys_are_given_and_taken_on_the_command_line() {
    let bell = bell("").await;
    let config = bell.path("bell.toml");
    let json = |arguments: &[&str]| -> Value {
        let answer = program::bell(&config, arguments);
        assert_eq!(answer.code, 0, "{answer:?}");
        serde_json::from_str(&answer.out).unwrap()
    };
    let answer = program::bell(&config, &["operator", "totp", "Cat"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("has no password yet"), "{answer:?}");
    let made = json(&["operator", "password", "Cat", "--json"]);
    assert!(made["password"].as_str().unwrap().len() > 20, "{made}");
    let factor = json(&["operator", "totp", "cat", "--json"]);
    let uri = factor["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/Division%20Bell%20Parliament:Cat?secret="),
        "{uri}"
    );
    assert!(uri.contains(factor["secret"].as_str().unwrap()), "{uri}");

    for (arguments, told) in [
        (&["operator", "password", "nobody"][..], "is no operator"),
        (&["operator", "totp", "nobody"], "is no operator"),
        (&["token", "new", "a b"], "a token's name is"),
        (
            &["operator", "revoke", "Cat", "--as", "nobody"],
            "is no operator",
        ),
    ] {
        let answer = program::bell(&config, arguments);
        assert_ne!(answer.code, 0, "{arguments:?}");
        assert!(answer.err.contains(told), "{answer:?}");
    }
    // One that somebody chose comes by standard input; a short one is refused, and not repeated.
    let chosen = |text: &str| {
        let mut command = command();
        command
            .arg("--config")
            .arg(&config)
            .args(["operator", "password", "Cat", "--stdin"]);
        bell.write("typed", text);
        let typed = std::fs::File::open(bell.path("typed")).unwrap();
        let out = command.stdin(typed).output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        (out.status.code().unwrap(), said)
    };
    let (code, said) = chosen("s3ntinel\n");
    assert!(code == 1 && !said.contains("s3ntinel"), "{said}");
    let (code, said) = chosen("s3ntinel and three more words\n");
    assert!(code == 0 && !said.contains("s3ntinel"), "{said}");

    let token = json(&["token", "new", "prometheus", "--json"]);
    let token = token["token"].as_str().unwrap().to_owned();
    assert_eq!(
        program::bell(&config, &["token", "new", "prometheus"]).code,
        2
    );
    let listed = program::bell(&config, &["token", "list"]);
    assert!(listed.out.contains("prometheus") && listed.out.contains("never used"));
    assert!(!listed.out.contains(&token));
    assert_eq!(
        program::bell(&config, &["token", "revoke", "prometheus"]).code,
        0
    );
    assert_eq!(
        program::bell(&config, &["token", "revoke", "prometheus"]).code,
        1
    );
    assert_eq!(
        program::bell(&config, &["operator", "revoke", "Cat"]).code,
        0
    );
    let acts = bell
        .column("SELECT act || ' ' || actor || ' ' || thing FROM ledger WHERE act LIKE 'operator.%' OR act LIKE 'token.%' ORDER BY id")
        .await;
    assert_eq!(
        acts,
        [
            "operator.password ann operator:cat",
            "operator.totp ann operator:cat",
            "operator.password ann operator:cat",
            "token.made ann token:prometheus",
            "token.revoked ann token:prometheus",
            "operator.revoked ann operator:cat",
        ]
    );
    let kept = format!("{:?}", bell.content().await);
    for secret in [&token[..], made["password"].as_str().unwrap(), "s3ntinel"] {
        assert!(!kept.contains(secret));
    }
}

#[test]
fn the_manual_has_a_page_for_each_command_and_shells_complete_them() {
    let folder = tempfile::tempdir().unwrap();
    let answer = run(command().arg("man").arg(folder.path().join("man1")));
    assert_eq!(answer.code, 0, "{answer:?}");
    for (page, told) in [
        ("bell.1", "Exit codes"),
        ("bell-serve.1", "by the schedule"),
        ("bell-statement-draft.1", "statement"),
        ("bell-operator-totp.1", "second factor"),
    ] {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
        assert!(text.contains(told), "{page}: {text}");
    }
    for (shell, told) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef bell"),
        ("fish", "complete -c bell"),
    ] {
        let answer = run(command().args(["completions", shell]));
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.out.contains(told), "{shell}");
        assert!(answer.out.contains("audit-steps"), "{shell}");
    }
}

#[tokio::test]
async fn without_its_section_nothing_listens() {
    let bell = bell("").await;
    assert!(division_bell::web::open(&bell.app).await.unwrap().is_none());
    let page = Page::open("[web]\nlisten = \"127.0.0.1:0\"\n").await;
    assert!(page.at.starts_with("http://127.0.0.1:"), "{}", page.at);
}
