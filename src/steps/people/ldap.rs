//! LDAP: the staff directory as a server lists it.

use std::ops::ControlFlow;

use crate::config::Ldap;
use crate::directory::ldap::PeopleReading;
use crate::directory::people::PeopleItem;
use crate::domain::Moment;
use crate::steps::ldap::options;
use crate::steps::reading::{Ended, Reading};

/// Begins to read everybody.
pub(super) fn open(ldap: &Ldap, now: Moment) -> anyhow::Result<Reading<PeopleItem>> {
    let options = options(ldap)?;
    Ok(Reading::task(move |mut sink| async move {
        let mut reading = PeopleReading::begin(&options, now).await?;
        while let Some(items) = reading.next().await? {
            for item in items {
                if sink.put(item).await == ControlFlow::Break(()) {
                    anyhow::bail!("what was read could not be saved");
                }
            }
        }
        Ok((sink, Ended::sweep(reading.end().await)))
    }))
}
