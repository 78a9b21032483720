//! `bell report`

use super::Said;
use crate::app::App;
use crate::cli::Report as Options;

pub(super) async fn run(app: &App, options: &Options) -> anyhow::Result<Said> {
    let _ = (app, options);
    anyhow::bail!("the report is not there yet")
}
