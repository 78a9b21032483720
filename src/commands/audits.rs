//! `bell audits …`

use serde_json::json;

use super::people::note_reading;
use super::{Said, operator};
use crate::app::App;
use crate::cli::{Audits as Command, Cli};
use crate::domain::address::fold;
use crate::domain::{AccountId, AuditId, FindingId};
use crate::steps::fetch;
use crate::steps::intake::bind;
use crate::store::{Audit, Tx};

/// Rows that are read at once.
const PAGE: i64 = 1_000;

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::List => {
            let audits = app.store.read().await?.audits(app.clock.now()).await?;
            let text = match audits.is_empty() {
                true => "no audit was taken in yet; bell intake FILE takes one in".to_owned(),
                false => audits.iter().map(line).collect::<Vec<_>>().join("\n"),
            };
            Ok(Said::words(text, serde_json::to_value(&audits)?))
        }
        Command::Show { id } => show(app, *id).await,
        Command::Fetch { source } => {
            let by = operator(cli, app)?;
            let gathered = fetch::now(app, source, &by).await?;
            Ok(Said::both(&gathered)?.look_if(!gathered.failed.is_empty()))
        }
        Command::Unmatched { names } => unmatched(cli, app, *names).await,
        Command::Bind { finding, to } => {
            let by = operator(cli, app)?;
            let account = {
                let mut tx = app.store.read().await?;
                account(&mut tx, *finding, to).await?
            };
            let bound = bind(app, *finding, account, &by).await?;
            Ok(Said::both(&bound)?)
        }
    }
}

fn line(audit: &Audit) -> String {
    let counts = &audit.counts;
    let assumed = match audit.as_of_assumed {
        true => " (assumed)",
        false => "",
    };
    format!(
        "audit {}: {} by {} as {}, as of {}{assumed}, taken in {} by {}: {} rows, {} new findings, {} known, {} unmatched, {} rejected",
        audit.id,
        audit.file_name,
        audit.source,
        audit.format,
        audit.as_of,
        audit.imported_at,
        audit.imported_by,
        counts.records,
        counts.findings,
        counts.sighted,
        counts.unmatched,
        counts.rejected
    )
}

async fn show(app: &App, id: AuditId) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let Some(audit) = tx.audit(id).await? else {
        anyhow::bail!("there is no audit {id}; bell audits list shows which there are");
    };
    let weaknesses = tx.finding_counts(id).await?;
    let rejects = tx.rejects(id).await?;
    drop(tx);
    let mut lines = vec![line(&audit), format!("  SHA-256 {}", audit.sha256)];
    lines.extend(
        weaknesses
            .iter()
            .map(|(weakness, count)| format!("  {weakness:<32} {count}")),
    );
    // What was found before counts for the audit that had it first.
    lines.extend(
        rejects
            .iter()
            .take(100)
            .map(|(line, reason)| format!("  line {line}: {reason}")),
    );
    if rejects.len() > 100 {
        lines.push(format!("  and {} more", rejects.len() - 100));
    }
    let rejects: Vec<_> = rejects
        .iter()
        .map(|(line, reason)| json!({ "line": line, "reason": reason }))
        .collect();
    let weaknesses: serde_json::Map<_, _> = weaknesses
        .into_iter()
        .map(|(weakness, count)| (weakness, json!(count)))
        .collect();
    let json = json!({ "audit": audit, "findings": weaknesses, "rejects": rejects });
    Ok(Said::words(lines.join("\n"), json))
}

/// Findings that name nobody. Their keys are people's names in most cases.
pub(super) async fn unmatched(cli: &Cli, app: &App, names: bool) -> anyhow::Result<Said> {
    note_reading(cli, app, names, "findings:unmatched").await?;
    let mut tx = app.store.read().await?;
    let (mut lines, mut all, mut after) = (Vec::new(), Vec::new(), FindingId(0));
    loop {
        let page = tx.unmatched_findings(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for finding in &page {
            let shown = match names {
                true => finding.key.given.clone(),
                false => masked(&finding.key.given),
            };
            let why = match finding.why.as_str() {
                "ambiguous" => "more than one account answers to this name",
                _ => "the directory knows nobody of this name",
            };
            lines.push(format!(
                "finding {}: {} {shown} ({}, audit {} line {}): {}: {why}",
                finding.id,
                finding.key.kind.word(),
                finding.source,
                finding.audit,
                finding.line,
                finding.weakness.text()
            ));
            all.push(json!({
                "finding": finding.id, "audit": finding.audit, "line": finding.line, "source": finding.source, "realm": finding.realm,
                "key_kind": finding.key.kind, "key": shown, "why": finding.why, "weakness": finding.weakness.text(),
            }));
        }
    }
    let text = match lines.is_empty() {
        true => "every finding names an account".to_owned(),
        false => lines.join("\n"),
    };
    Ok(Said::words(text, json!(all)))
}

/// The first letter, and what stands around a name.
fn masked(given: &str) -> String {
    let (before, name) = match given.split_once('\\') {
        Some((prefix, name)) => (format!("{prefix}\\"), name),
        None => (String::new(), given),
    };
    let (name, after) = match name.split_once('@') {
        Some((local, domain)) => (local, format!("@{domain}")),
        None => (name, String::new()),
    };
    let first: String = name.chars().take(1).collect();
    format!("{before}{first}***{after}")
}

/// An account by its number, or by a name of its own in the finding's realm.
async fn account(tx: &mut Tx, finding: FindingId, to: &str) -> anyhow::Result<AccountId> {
    if let Ok(id) = to.parse::<AccountId>() {
        return Ok(id);
    }
    let before = FindingId(finding.0.saturating_sub(1));
    let page = tx.unmatched_findings(before, 1).await?;
    let realm = page
        .into_iter()
        .find(|one| one.id == finding)
        .map(|one| one.realm);
    let Some(realm) = realm else {
        anyhow::bail!(
            "there is no finding {finding} without an account; bell audits unmatched lists them"
        );
    };
    let login = to.rsplit_once('\\').map_or(to, |(_, name)| name);
    match tx.accounts_of_login(&realm, &fold(login)).await?[..] {
        [one] => Ok(one),
        [] => anyhow::bail!("no account of {realm} has this name"),
        [..] => anyhow::bail!("more than one account of {realm} has this name; give its number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_masked_and_what_stands_around_it_is_not() {
        assert_eq!(masked("PARL\\adaa"), "PARL\\a***");
        assert_eq!(masked("ada@parl.example"), "a***@parl.example");
        assert_eq!(masked("ada"), "a***");
        assert_eq!(masked(""), "***");
    }
}
