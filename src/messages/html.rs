//! HTML: what people read of an HTML part, as the plain part writes it.

/// What people read of an HTML part, written as the plain part writes it: paragraphs apart, steps numbered, headings in
/// capitals. Knows the few elements that letters use.
pub fn html_to_text(html: &str) -> String {
    let mut out = Blocks::default();
    let mut rest = html;
    while let Some((text, tail)) = rest.split_once('<') {
        out.text(text);
        let Some((tag, tail)) = tail.split_once('>') else {
            return out.finish();
        };
        rest = tail;
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect::<String>()
            .to_ascii_lowercase();
        match (name.as_str(), tag.starts_with('/')) {
            ("head" | "style" | "script" | "title", false) => {
                let end = format!("</{name}>");
                rest = rest
                    .to_ascii_lowercase()
                    .find(&end)
                    .and_then(|at| rest.get(at + end.len()..))
                    .unwrap_or_default();
            }
            ("br", _) => out.line(),
            ("ol", false) => out.list(),
            ("li", false) => out.item(),
            ("h1" | "h2" | "h3", false) => out.heading(),
            (
                "p" | "div" | "ol" | "li" | "h1" | "h2" | "h3" | "main" | "footer" | "body"
                | "html",
                _,
            ) => out.block(),
            _ => {}
        }
    }
    out.text(rest);
    out.finish()
}

/// Paragraphs as they are read out of HTML.
#[derive(Default)]
struct Blocks {
    done: String,
    open: String,
    heading: bool,
    item: Option<usize>,
    items: usize,
}

impl Blocks {
    fn text(&mut self, text: &str) {
        for c in unescape(text).chars() {
            if c.is_ascii_whitespace() {
                if !self.open.is_empty() && !self.open.ends_with([' ', '\n']) {
                    self.open.push(' ');
                }
            } else {
                self.open.push(c);
            }
        }
    }

    fn line(&mut self) {
        self.open.truncate(self.open.trim_end().len());
        self.open.push('\n');
    }

    fn block(&mut self) {
        let text = std::mem::take(&mut self.open);
        let text = text.trim();
        if !text.is_empty() {
            if !self.done.is_empty() {
                self.done.push_str(match self.item {
                    Some(nth) if nth > 1 => "\n",
                    Some(_) | None => "\n\n",
                });
            }
            match self.item {
                Some(nth) => self.done.push_str(&format!("{nth}. {text}")),
                None if self.heading => self.done.push_str(&text.to_uppercase()),
                None => self.done.push_str(text),
            }
        }
        self.item = None;
        self.heading = false;
    }

    fn list(&mut self) {
        self.block();
        self.items = 0;
    }

    fn item(&mut self) {
        self.block();
        self.items += 1;
        self.item = Some(self.items);
    }

    fn heading(&mut self) {
        self.block();
        self.heading = true;
    }

    fn finish(mut self) -> String {
        self.block();
        self.done
    }
}

/// The few entities that an escaper writes.
fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        rest = after;
        let known = after.split_once(';').and_then(|(name, tail)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "nbsp" => ' ',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, tail))
        });
        match known {
            Some((c, tail)) => {
                out.push(c);
                rest = tail;
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_reads_as_the_plain_part_would_say_it() {
        let html = "<!doctype html><html><head><title>no</title><style>p > a { }</style></head><body>\n<p>Dear\n  A &amp; B,</p>\n\
            <h2>What to do</h2><ol>\n<li>One <strong>two</strong>.</li>\n<li>Three&#x2f;four &lt;5&gt; &#39;x&#39; &bogus; & co</li>\n</ol><ol><li>Again</li></ol>\n\
            <footer><p>Sam<br>Team</p></footer></body></html>";
        assert_eq!(
            html_to_text(html),
            "Dear A & B,\n\nWHAT TO DO\n\n1. One two.\n2. Three/four <5> 'x' &bogus; & co\n\n1. Again\n\nSam\nTeam"
        );
    }

    #[test]
    fn broken_html_is_read_to_its_end() {
        assert_eq!(html_to_text("<p>one</p><style>never closed"), "one");
        assert_eq!(html_to_text("one <b"), "one");
        assert_eq!(html_to_text("&"), "&");
        assert_eq!(html_to_text(""), "");
    }
}
