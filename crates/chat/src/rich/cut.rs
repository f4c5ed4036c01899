//! Cutting what is too long for one message: between pieces where that is possible, between lines or words where not. A code
//! block is whole on each side of a cut.

use std::collections::VecDeque;

use super::{Piece, Run, table_text};

/// What one message of a platform holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most that one message holds, in whatever `size` measures.
    pub size_max: usize,
    /// What a piece takes of that.
    pub size: fn(&Piece) -> usize,
    /// The most pieces.
    pub pieces: usize,
    /// The most rows, columns and characters of a table; one table a message. None where the platform has no tables: then
    /// they are text.
    pub table: Option<(usize, usize, usize)>,
}

/// No good head of a piece is shorter.
const HEAD_CHARS_MIN: usize = 200;

/// The pieces of one message each, in order.
pub fn messages(pieces: Vec<Piece>, bounds: &Bounds) -> Vec<Vec<Piece>> {
    let mut rest: VecDeque<Piece> = pieces.into_iter().map(|piece| fitted(piece, bounds)).collect();
    let mut messages: Vec<Vec<Piece>> = Vec::new();
    let mut message: Vec<Piece> = Vec::new();
    let mut room = bounds.size_max;
    while let Some(piece) = rest.pop_front() {
        let size = (bounds.size)(&piece);
        let full = message.len() >= bounds.pieces
            || (matches!(piece, Piece::Table(_))
                && message.iter().any(|other| matches!(other, Piece::Table(_))));
        if size <= room && !full {
            room -= size;
            message.push(piece);
            continue;
        }
        if size > bounds.size_max
            && !full
            && let Some((head, tail)) = cut(&piece, room, bounds)
        {
            message.push(head);
            rest.push_front(tail);
        } else if message.is_empty() {
            // Nothing is left that could be cut off.
            message.push(piece);
        } else {
            rest.push_front(piece);
        }
        messages.push(std::mem::take(&mut message));
        room = bounds.size_max;
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
}

/// A table that the platform would refuse becomes text.
fn fitted(piece: Piece, bounds: &Bounds) -> Piece {
    match piece {
        Piece::Table(rows) => {
            let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
            let text = table_text(&rows);
            let fits = bounds.table.is_some_and(|(rows_max, columns_max, chars_max)| {
                rows.len() <= rows_max
                    && (1..=columns_max).contains(&columns)
                    && text.chars().count() <= chars_max
            });
            if fits { Piece::Table(rows) } else { Piece::Code { language: None, text } }
        }
        Piece::Paragraph(_) | Piece::Item { .. } | Piece::Code { .. } | Piece::Quote(_) | Piece::Rule => {
            piece
        }
    }
}

/// Cuts off a head that takes at most so much; nothing where no good head does.
fn cut(piece: &Piece, room: usize, bounds: &Bounds) -> Option<(Piece, Piece)> {
    // What a piece takes may be more than its characters: marks and escapes count, too.
    let mut chars = room;
    while chars >= HEAD_CHARS_MIN {
        let (head, tail) = piece.clone().cut(chars)?;
        let size = (bounds.size)(&head);
        if size <= room {
            return Some((head, tail));
        }
        chars = (chars * room / size).min(chars - chars / 8);
    }
    None
}

impl Piece {
    /// Cuts after at most so many characters.
    fn cut(self, chars: usize) -> Option<(Self, Self)> {
        Some(match self {
            Self::Paragraph(runs) => {
                let (head, tail) = cut_runs(runs, chars);
                (Self::Paragraph(head), Self::Paragraph(tail))
            }
            Self::Quote(runs) => {
                let (head, tail) = cut_runs(runs, chars);
                (Self::Quote(head), Self::Quote(tail))
            }
            Self::Item { number, depth, runs } => {
                let (head, tail) = cut_runs(runs, chars);
                (Self::Item { number, depth, runs: head }, Self::Paragraph(tail))
            }
            Self::Code { language, text } => {
                let (head, tail) = cut_text(&text, chars);
                let of = |text: &str| Self::Code { language: language.clone(), text: text.to_owned() };
                (of(head.trim_end_matches('\n')), of(tail))
            }
            Self::Table(_) | Self::Rule => return None,
        })
    }
}

fn cut_runs(runs: Vec<Run>, room: usize) -> (Vec<Run>, Vec<Run>) {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut left = room;
    for run in runs {
        let chars = run.text.chars().count();
        if !tail.is_empty() {
            tail.push(run);
        } else if chars <= left {
            left -= chars;
            head.push(run);
        } else {
            let (first, second) = cut_text(&run.text, left.max(1));
            head.push(Run { text: first.to_owned(), ..run.clone() });
            tail.push(Run { text: second.to_owned(), ..run.clone() });
        }
    }
    (head, tail)
}

/// Cuts a text after at most `room` characters: at a line's end, else after a word, else anywhere.
fn cut_text(text: &str, room: usize) -> (&str, &str) {
    let end = text.char_indices().nth(room).map_or(text.len(), |(end, _)| end);
    let window = text.get(..end).unwrap_or(text);
    let good = |at: &usize| *at > window.len() / 2;
    let line = window.rfind('\n').map(|at| at + 1).filter(good);
    let word = window.rfind(char::is_whitespace).filter(good);
    let word =
        word.map(|at| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8));
    text.split_at(line.or(word).unwrap_or(end))
}
