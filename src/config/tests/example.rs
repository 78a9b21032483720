//! The example is right, complete, and shows the defaults; what is left out follows from what is there.

use super::*;

#[test]
fn the_example_is_right_and_its_marked_defaults_are_the_defaults() {
    let plain = read(EXAMPLE).unwrap();
    let spelled_out = unmarked(false);
    assert!(spelled_out.contains("\nskew = ") && spelled_out.contains("\ndot = "));
    let explicit = read(&spelled_out).unwrap_or_else(|wrong| panic!("{wrong}"));
    // The hash leaves out secrets and lines, of which the example has none to compare.
    assert_eq!(
        serde_json::to_value(&plain).unwrap(),
        serde_json::to_value(&explicit).unwrap()
    );
    assert_eq!(plain.hash(), explicit.hash());
}

#[test]
fn everything_that_the_example_shows_can_be_switched_on() {
    let config = read(&unmarked(true)).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(config.sources.len(), 11);
    assert_eq!(config.evidence.len(), 6);
    assert_eq!(config.operators.len(), 2);
    assert_eq!(config.ladders.weak.reminder_days, Some(vec![4, 7, 9]));
    assert_eq!(config.ladders.attacked.final_hours_before, Some(4));
    assert!(matches!(config.discord, Some(Discord::Folder(_))));
    assert_eq!(directory_file(&config).columns["mail"], "E-mail address");
    assert_ne!(config.hash(), read(EXAMPLE).unwrap().hash());
}

#[test]
fn the_example_shows_every_key_of_every_section() {
    let all = unmarked(true);
    let headers: Vec<_> = all.match_indices("\n[").map(|(at, _)| at + 1).collect();
    let section = |at: usize| {
        let text = &all[at..];
        let text = &text[..text.find("\n[").unwrap_or(text.len())];
        text.split_once('\n').unwrap()
    };
    let mut seen = 0;
    for at in &headers {
        let (header, _) = section(*at);
        if header.ends_with("columns]") || header.ends_with("labels]") {
            continue; // its keys are free
        }
        // A stray key makes the reader name all keys that it knows.
        let mut with_stray = all.clone();
        with_stray.insert_str(at + header.len(), "\nzzzzzzzzzzzzzzzz = 1");
        let told = errors(&with_stray).join("\n");
        let (_, known) = told
            .split_once("known are ")
            .unwrap_or_else(|| panic!("{header}: {told}"));
        for key in known.lines().next().unwrap().split(", ") {
            let is_key = headers.iter().map(|at| section(*at)).any(|(other, body)| {
                let forms = [
                    format!("{key} = "),
                    format!("or {key}"),
                    format!("; {key} names"),
                ];
                // The four ladders have the same keys, and need not show each of them.
                let is_alike =
                    other == header || [header, other].iter().all(|h| h.starts_with("[ladder."));
                is_alike && forms.iter().any(|form| body.contains(form))
            });
            let is_section = all.contains(&format!("[{}.{key}]", header.trim_matches(['[', ']'])));
            assert!(is_key || is_section, "{header} {key}");
            seen += 1;
        }
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn the_default_schedule_is_one_that_cron_understands() {
    use std::str::FromStr;
    for (name, line) in read(EXAMPLE).unwrap().schedule.lines() {
        assert_eq!(line.line, None, "{name}");
        assert!(
            cron::Schedule::from_str(&line.text).is_ok(),
            "{name}: {}",
            line.text
        );
    }
}

#[test]
fn what_is_left_out_follows_from_what_is_there() {
    let config = read(&example(
        "kind = \"folder\"",
        "kind = \"smtp\"\nhost = \"mx.parl.example\"\ntls = \"implicit\"",
    ))
    .unwrap();
    let RelayWay::Smtp(smtp) = &config.mail.relay.way else {
        panic!("{:?}", config.mail.relay.way)
    };
    assert_eq!((smtp.port, smtp.tls), (465, Tls::Implicit));
    assert_eq!(config.mail.bounce_domain, "westbridge.example");
    assert_eq!(config.mail.from_name, "Digital Security Team");
    assert_eq!(config.directory.realm.0, "ad:PARL");
    assert_eq!(config.schedule.zone, config.organisation.time_zone);
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    let file = Path::new("/etc/bell/config.toml");
    let text = example("#holidays = ", "holidays = ").replace("#holidays", "holidays");
    let config = Config::from_text(&text, file, &no_env).unwrap();
    assert_eq!(
        directory_file(&config).file,
        Path::new("/etc/bell/directory.csv")
    );
    assert_eq!(config.schedule.drop_folder, Path::new("/etc/bell/audits"));
    assert_eq!(config.report.folder, Path::new("/etc/bell/reports"));
    let StoreUrl::Sqlite(store) = &config.store else {
        panic!("{:?}", config.store)
    };
    assert_eq!(store, Path::new("/etc/bell/bell.db"));
    let absolute = example("\"directory.csv\"", "\"/srv/people.csv\"");
    let config = Config::from_text(&absolute, file, &no_env).unwrap();
    assert_eq!(directory_file(&config).file, Path::new("/srv/people.csv"));
}

fn directory_file(config: &Config) -> &DirectoryFile {
    match &config.directory.kind {
        DirectoryKind::File(file) => file,
        other => panic!("{other:?}"),
    }
}
