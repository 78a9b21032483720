//! `bell alarms`: what is wrong with the service itself, as operators were told.

use super::Said;
use crate::app::App;

pub(super) async fn run(app: &App) -> anyhow::Result<Said> {
    let alarms = app.store.read().await?.alarms().await?;
    let lines: Vec<String> = alarms
        .iter()
        .map(|alarm| {
            let told = match alarm.told_at {
                Some(at) => format!("told {at}"),
                None => "not told yet".to_owned(),
            };
            format!(
                "{:<18} since {}, {told}: {}",
                alarm.name, alarm.raised_at, alarm.text
            )
        })
        .collect();
    let text = match lines.is_empty() {
        true => "nothing is wrong".to_owned(),
        false => lines.join("\n"),
    };
    Ok(Said::words(text, serde_json::to_value(&alarms)?).look_if(!alarms.is_empty()))
}
