//! Answer: what lettre's and the TLS library's errors mean in our words.

use std::error::Error as _;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::response::Response;

use crate::domain::delivery::{Answer, Reply};

/// Runs lettre's part. A relay can send a line over which lettre 0.11.23 panics (a blank one in the answer to EHLO); that
/// is no reason to take the worker down.
pub(super) async fn unbroken<T>(
    work: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, Answer> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(of_error(&error)),
        Err(_) => Err(Answer::Garbled),
    }
}

/// The answer to one question, positive or not.
pub(super) async fn heard(work: impl Future<Output = Result<Response, SmtpError>>) -> Answer {
    match unbroken(work).await {
        Ok(response) => Answer::Reply(reply(&response)),
        Err(answer) => answer,
    }
}

fn reply(response: &Response) -> Reply {
    let lines: Vec<&str> = response.message().collect();
    Reply::new(response.code().into(), &lines.join(" "))
}

fn of_error(error: &SmtpError) -> Answer {
    let said = || error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        return Answer::Reply(Reply::new(code.into(), &said()));
    }
    if error.is_response() {
        // lettre's word for the end of the stream in the middle of a reply, or before it.
        return if said() == "incomplete response" {
            Answer::Lost
        } else {
            Answer::Garbled
        };
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<std::io::Error>() {
            // A reply that is not UTF-8, or one that was there before its question.
            let garbled = error.kind() == std::io::ErrorKind::InvalidData;
            return if garbled {
                Answer::Garbled
            } else {
                Answer::Lost
            };
        }
        source = inner.source();
    }
    if error.is_client() {
        Answer::Garbled
    } else {
        Answer::Lost
    }
}

/// A handshake that broke because the connection did is a loss; all else needs an operator.
pub(super) fn tls_answer(error: &native_tls::Error) -> Answer {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.downcast_ref::<std::io::Error>().is_some()
            || inner.to_string().contains("unexpected eof")
        {
            return Answer::Lost;
        }
        source = inner.source();
    }
    Answer::Tls
}
