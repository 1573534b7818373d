//! Where does an object in a stream of JSON begin and end? Found while reading, so that nobody holds the whole of it.
//!
//! A List of a large cluster is a gigabyte, of which a few kilobytes matter. So a stream is cut into the items of its lists, which
//! are read on their own, and what is left of each document: `{"kind": "List", "items": [{}, {}, …]}`, its *frame*. Brackets and
//! quotes are counted here and nothing else: what is no JSON shows when an item or a frame is read.

use super::documents::kind_in;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

/// Bytes asked for at a time.
const BLOCK: usize = 1 << 20;
/// Text of items after which a batch is handed on.
const BATCH: usize = 4 << 20;
/// Brackets open around the items of a list.
const ITEM_DEPTH: usize = 2;
/// The name of the field that has them.
const ITEMS: &[u8] = b"\"items\"";
/// What some programs begin a text with.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Of what is no JSON at all, as much is shown.
const JUNK_MAX: usize = 60;

/// Part of a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// One of its items: which, and the kind of the list as far as it is known by then.
    Item(usize, Option<Arc<str>>),
    /// What is left of it without its items; `is_whole` when the stream did not end before it did.
    Frame { has_items: bool, is_whole: bool },
}

/// Parts of one stream, in its order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The text of all parts.
    bytes: Vec<u8>,
    parts: Vec<(Part, Range<usize>)>,
}

impl Batch {
    /// The parts, each with its text.
    pub fn parts(&self) -> impl Iterator<Item = (&Part, &[u8])> {
        self.parts.iter().map(|(part, range)| (part, &self.bytes[range.clone()]))
    }

    fn push(&mut self, part: Part, from: usize) {
        self.parts.push((part, from..self.bytes.len()));
    }
}

/// Cuts one stream into parts.
pub struct Cutter<R> {
    reader: R,
    block: Vec<u8>,
    /// What of the block is not looked at yet.
    rest: Range<usize>,
    /// The document at hand without its items.
    frame: Vec<u8>,
    /// Where the text that was closed last at depth 1 stands in the frame: the name of the field that follows.
    name: Range<usize>,
    /// Brackets that are open.
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// Inside the list of items.
    in_items: bool,
    has_items: bool,
    /// Where the item at hand begins in its batch.
    item: Option<usize>,
    items: usize,
    kind: Option<Arc<str>>,
    is_started: bool,
    is_over: bool,
}

impl<R: Read> Cutter<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Cutter<R> {
        Cutter {
            reader,
            block: Vec::new(),
            rest: 0..0,
            frame: Vec::new(),
            name: 0..0,
            depth: 0,
            in_text: false,
            is_escaped: false,
            in_items: false,
            has_items: false,
            item: None,
            items: 0,
            kind: None,
            is_started: false,
            is_over: false,
        }
    }

    /// The next parts; `None` when the stream has ended.
    ///
    /// # Errors
    /// What the stream says.
    pub fn next(&mut self) -> std::io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        while !self.is_over && (batch.bytes.len() < BATCH || self.item.is_some()) {
            // Whoever asks again after an error, with another batch, finds the end.
            if self.rest.is_empty() && !self.fill().inspect_err(|_| self.is_over = true)? {
                self.end(&mut batch);
            }
            while !self.rest.is_empty() && (batch.bytes.len() < BATCH || self.item.is_some()) {
                self.step(&mut batch);
            }
        }
        Ok((!self.is_over || !batch.parts.is_empty()).then_some(batch))
    }

    /// Reads the next block; false at the end.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.block.resize(BLOCK, 0);
        let mut length = 0;
        // The first block is long enough to tell a byte order mark.
        while length == 0 || (!self.is_started && length < BYTE_ORDER_MARK.len()) {
            match self.reader.read(&mut self.block[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.rest = 0..length;
        Ok(length > 0)
    }

    /// The stream has ended, in the middle of a document or not.
    fn end(&mut self, batch: &mut Batch) {
        self.is_over = true;
        if let Some(from) = self.item.take() {
            batch.bytes.truncate(from);
        }
        if !self.frame.is_empty() {
            self.close(batch, false);
        }
    }

    /// A document is complete, or all that comes of it is there.
    fn close(&mut self, batch: &mut Batch, is_whole: bool) {
        let from = batch.bytes.len();
        batch.bytes.append(&mut self.frame);
        batch.push(Part::Frame { has_items: self.has_items, is_whole }, from);
        (self.depth, self.in_text, self.in_items, self.has_items) = (0, false, false, false);
        (self.items, self.kind, self.name) = (0, None, 0..0);
    }

    /// Looks on to the next byte that matters, and takes everything up to it along.
    fn step(&mut self, batch: &mut Batch) {
        match (self.depth, self.item) {
            (0, _) => self.between(batch),
            (_, Some(from)) => self.inside(batch, from),
            _ => self.around(batch),
        }
    }

    /// Inside an item, of which only the end matters.
    fn inside(&mut self, batch: &mut Batch, from: usize) {
        let text = &self.block[self.rest.clone()];
        let mut at = 0;
        while at < text.len() && self.depth > ITEM_DEPTH {
            let (length, byte) = next_stop(&text[at..], self.in_text, &mut self.is_escaped);
            at += length;
            match byte {
                b'"' => self.in_text = !self.in_text,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        batch.bytes.extend_from_slice(&text[..at]);
        self.rest.start += at;
        if self.depth == ITEM_DEPTH {
            batch.push(Part::Item(self.items, self.kind.clone()), from);
            self.frame.extend_from_slice(b"{}");
            self.items += 1;
            self.item = None;
        }
    }

    /// In a document, but in none of its items.
    fn around(&mut self, batch: &mut Batch) {
        let text = &self.block[self.rest.clone()];
        let (length, byte) = next_stop(text, self.in_text, &mut self.is_escaped);
        self.rest.start += length;
        // A bracket that opens an item belongs to the item; everything before it to the frame.
        let is_item = matches!(byte, b'{' | b'[') && self.in_items && self.depth == ITEM_DEPTH;
        self.frame.extend_from_slice(&text[..length - usize::from(is_item)]);
        match byte {
            b'"' => {
                self.in_text = !self.in_text;
                if self.depth == 1 {
                    let end = self.frame.len();
                    self.name = if self.in_text { end - 1..end } else { self.name.start..end };
                }
            }
            b'{' | b'[' if is_item => {
                self.item = Some(batch.bytes.len());
                batch.bytes.push(byte);
                self.depth += 1;
            }
            b'{' | b'[' => {
                if byte == b'[' && self.depth == 1 && !self.has_items && self.frame[self.name.clone()] == *ITEMS {
                    (self.in_items, self.has_items) = (true, true);
                    self.kind = std::str::from_utf8(&self.frame).ok().and_then(kind_in).map(Arc::from);
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth -= 1;
                match self.depth {
                    0 => self.close(batch, true),
                    1 => self.in_items = false,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Between documents: white space, until one begins.
    fn between(&mut self, batch: &mut Batch) {
        let mut text = &self.block[self.rest.clone()];
        if !self.is_started {
            self.is_started = true;
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        let Some(at) = text.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            self.rest.start = self.rest.end;
            return;
        };
        let is_document = matches!(text[at], b'{' | b'[');
        let taken = if is_document { 1 } else { JUNK_MAX.min(text.len() - at) };
        self.frame.extend_from_slice(&text[at..at + taken]);
        self.rest.start = self.rest.end - text.len() + at + taken;
        if is_document {
            self.depth = 1;
        } else {
            // No document begins like this. What comes behind it means nothing.
            self.is_over = true;
            self.close(batch, true);
        }
    }
}

/// How far it is to the next byte that matters, that byte included, and which it is; 0 where there is none in this text.
#[inline(always)]
fn next_stop(text: &[u8], in_text: bool, is_escaped: &mut bool) -> (usize, u8) {
    if std::mem::take(is_escaped) {
        return (1, 0);
    }
    let quotes = |word: u64| zeros(word ^ (ONES * 0x22));
    let (length, byte) = match in_text {
        true => until(text, |word| quotes(word) | zeros(word ^ (ONES * 0x5c))),
        // The four brackets differ in three bits. The other bytes alike are `Y _ y DEL`, which stop in vain.
        false => until(text, |word| quotes(word) | zeros((word & (ONES * 0xd9)) ^ (ONES * 0x59))),
    };
    *is_escaped = byte == b'\\';
    (length, byte)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte that is 0; above the first of them, others may be set too.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Eight bytes at a time.
#[inline(always)]
fn until(text: &[u8], stops: impl Fn(u64) -> u64) -> (usize, u8) {
    let (words, tail) = text.as_chunks::<8>();
    for (w, word) in words.iter().enumerate() {
        let found = stops(u64::from_le_bytes(*word));
        if found != 0 {
            let at = (found.trailing_zeros() / 8) as usize;
            return (w * 8 + at + 1, word[at]);
        }
    }
    let mut word = [0; 8];
    word[..tail.len()].copy_from_slice(tail);
    match stops(u64::from_le_bytes(word)) {
        0 => (text.len(), 0),
        found => {
            let at = (found.trailing_zeros() / 8) as usize;
            (words.len() * 8 + at + 1, word[at])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, so that every place is the end of a block once.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(self.0.len()).min(into.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    /// Errs once, then goes on.
    struct Hiccup<'a>(&'a [u8], &'a [u8]);

    impl Read for Hiccup<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                self.0 = std::mem::take(&mut self.1);
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.read(into)
        }
    }

    #[test]
    fn after_an_error_a_stream_has_ended() {
        let mut cutter = Cutter::new(Hiccup(b"{\"items\":[{\"a\":1", b"},{}]}"));
        assert_eq!(cutter.next().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(cutter.next().unwrap().is_none_or(|batch| batch.parts.is_empty()));
    }

    fn cut(text: &str, step: usize) -> Vec<String> {
        let mut cutter = Cutter::new(Dribble(text.as_bytes(), step));
        let mut told = Vec::new();
        while let Some(batch) = cutter.next().unwrap() {
            for (part, text) in batch.parts() {
                let text = String::from_utf8_lossy(text);
                told.push(match part {
                    Part::Item(index, kind) => format!("{index} {} {text}", kind.as_deref().unwrap_or("-")),
                    Part::Frame { has_items, is_whole } => {
                        format!(
                            "{}{} {text}",
                            ["", "list "][usize::from(*has_items)],
                            ["cut", "whole"][usize::from(*is_whole)]
                        )
                    }
                });
            }
        }
        told
    }

    #[test]
    fn items_come_one_by_one_and_the_rest_stays_together() {
        let cases: [(&str, &[&str]); 11] = [
            (r#"{"kind":"Pod","a":[1]}"#, &[r#"whole {"kind":"Pod","a":[1]}"#]),
            (
                r#"{"items": [ {"a":"]}\"{"} , [{}] ],"kind":"List"}"#,
                &[r#"0 - {"a":"]}\"{"}"#, "1 - [{}]", r#"list whole {"items": [ {} , {} ],"kind":"List"}"#],
            ),
            (r#"{"kind":"PodList","items":[{}]}"#, &["0 PodList {}", r#"list whole {"kind":"PodList","items":[{}]}"#]),
            (r#"{"b":{"items":[{"c":1}]}}"#, &[r#"whole {"b":{"items":[{"c":1}]}}"#]),
            (r#"{"a":"items","b":[{"c":1}]}"#, &[r#"whole {"a":"items","b":[{"c":1}]}"#]),
            (r#"{"items":[7,"x"]}"#, &[r#"list whole {"items":[7,"x"]}"#]),
            ("\u{feff} {}\n{} ", &["whole {}", "whole {}"]),
            (r#"{"items":[{},{"a"#, &["0 - {}", r#"list cut {"items":[{},"#]),
            (r#"{"a\"#, &[r#"cut {"a\"#]),
            ("{}} {}", &["whole {}", "whole }"]),
            (" \n", &[]),
        ];
        for (text, expected) in cases {
            for step in [1, 2, 3, 7, 4096] {
                let told = cut(text, step);
                // What is no JSON is shown as far as it has come.
                assert_eq!(told.len(), expected.len(), "{text} by {step}: {told:?}");
                for (told, expected) in told.iter().zip(expected) {
                    assert!(told.starts_with(expected), "{text} by {step}: {told}");
                }
            }
        }
    }

    #[test]
    fn long_stretches_are_passed_over() {
        let text = format!("{}\"{}\\", " ".repeat(100), "x{".repeat(25));
        let bytes = text.as_bytes();
        assert_eq!(next_stop(bytes, false, &mut false), (101, b'"'));
        let mut is_escaped = false;
        assert_eq!(next_stop(&bytes[101..], true, &mut is_escaped), (51, b'\\'));
        assert!(is_escaped);
        assert_eq!(next_stop(b"\"{", true, &mut is_escaped), (1, 0));
        assert_eq!(next_stop(b"0123456789abcdefgh", false, &mut false), (18, 0));
        for byte in 0..=255u8 {
            let stops = next_stop(&[b' ', byte, b' '], false, &mut false) == (2, byte);
            assert_eq!(stops, b"\"[]{}Y_y\x7f".contains(&byte), "{byte}");
        }
    }
}
