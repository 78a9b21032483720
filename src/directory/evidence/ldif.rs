//! Ldif: what `ldapsearch` and exports write → entries. Values that nobody asks for are passed over, hashes first of all.

use std::io::Read;
use std::ops::ControlFlow;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::EvidenceOptions;
use super::entry::{Entry, told};
use super::record::Spoken;
use crate::directory::DirectoryError;
use crate::directory::bytes::Bytes;
use crate::domain::finding::RejectReason;

/// The longest value that is kept; metadata of one attribute take a kilobyte.
const LONGEST: usize = 16 * 1024;

/// Hands on what each entry says, with the line it begins on. True if the tool says that the listing is whole, or says
/// nothing about it, as an export does.
pub(super) fn read<R: Read>(
    mut bytes: Bytes<R>,
    options: &EvidenceOptions,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
) -> Result<bool, DirectoryError> {
    let mut reading = Reading::default();
    let is_search = bytes
        .peek()
        .is_some_and(|line| line.starts_with(b"# extended LDIF"));
    loop {
        let line = bytes.line();
        let Some(ends_block) = reading.line(&mut bytes)? else {
            break;
        };
        if ends_block {
            if reading.end(options, each).is_break() {
                return Ok(true);
            }
            continue;
        }
        reading.starts_at.get_or_insert(line);
    }
    if reading.end(options, each).is_break() {
        return Ok(true);
    }
    Ok(!is_search || reading.ended_well)
}

/// An attribute whose value is still being read.
struct Open {
    name: &'static str,
    is_base64: bool,
    value: Zeroizing<Vec<u8>>,
}

#[derive(Default)]
struct Reading {
    entry: Entry,
    has_name: bool,
    starts_at: Option<u64>,
    open: Option<Open>,
    flaw: Option<RejectReason>,
    ended_well: bool,
}

impl Reading {
    /// Reads one line; true if it ends a block, none at the end of the file.
    fn line<R: Read>(&mut self, bytes: &mut Bytes<R>) -> Result<Option<bool>, DirectoryError> {
        let Some((_, taken)) = bytes.next_line(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.first() {
                None => true,
                Some(b' ') => {
                    self.goes_on(line.get(1..).unwrap_or_default());
                    false
                }
                Some(b'#') => false,
                Some(_) => {
                    self.attribute(line);
                    false
                }
            }
        })?
        else {
            return Ok(None);
        };
        Ok(Some(taken.unwrap_or_else(|reason| {
            self.flaw = Some(reason);
            false
        })))
    }

    fn goes_on(&mut self, more: &[u8]) {
        if let Some(open) = &mut self.open {
            if open.value.len() + more.len() > LONGEST {
                self.flaw = Some(RejectReason::TooLong);
            } else {
                open.value.extend_from_slice(more);
            }
        }
    }

    fn attribute(&mut self, line: &[u8]) {
        self.close();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            self.flaw = Some(RejectReason::Malformed);
            return;
        };
        let (name, rest) = line.split_at(colon);
        let rest = rest.get(1..).unwrap_or_default();
        let name = std::str::from_utf8(name).unwrap_or_default();
        if name.eq_ignore_ascii_case("dn") {
            self.has_name = true;
        }
        if name == "result" && !self.has_name {
            self.ended_well = rest.trim_ascii().starts_with(b"0 ");
        }
        let Some(name) = Entry::wanted(name) else {
            return;
        };
        let (is_base64, value) = match rest.strip_prefix(b":") {
            Some(value) => (true, value),
            None => (false, rest),
        };
        // Room for all of it at once: a buffer that grows would leave copies behind.
        let mut kept = Zeroizing::new(Vec::with_capacity(LONGEST));
        kept.extend(value.trim_ascii_start().iter().take(LONGEST));
        self.open = Some(Open {
            name,
            is_base64,
            value: kept,
        });
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if !open.is_base64 {
            return self.entry.add(open.name, &open.value);
        }
        match BASE64.decode(open.value.trim_ascii_end()) {
            Ok(value) => self.entry.add(open.name, &Zeroizing::new(value)),
            Err(_) => self.flaw = Some(RejectReason::Malformed),
        }
    }

    /// Ends a block: an entry has a name, everything else is the tool's own words.
    fn end(
        &mut self,
        options: &EvidenceOptions,
        each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.close();
        let entry = std::mem::take(&mut self.entry);
        let line = self.starts_at.take().unwrap_or(1);
        let flaw = self.flaw.take();
        if !std::mem::take(&mut self.has_name) {
            return ControlFlow::Continue(());
        }
        each(line, flaw.map_or_else(|| told(&entry, options), Err))
    }
}
