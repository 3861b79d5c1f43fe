//! Which characters can be shown. A character without a glyph would make the file invalid (PDF/A forbids it), an invisible one could hide or
//! turn words; both are spelled out, `[U+1F9B8]`, so that a reader sees that something stands there. The attached content has every
//! character as it was written.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;

/// Where a line may end inside a word.
const MAY_BREAK: char = '\u{200B}';

/// The fonts' characters, and how far the words of one text have come.
pub(crate) struct Glyphs<'f> {
    /// For each font: does it have the character?
    pub(crate) fonts: Vec<Box<dyn Fn(char) -> bool + Send + Sync + 'f>>,
}

impl Glyphs<'_> {
    /// The text with everything spelled out that cannot be shown.
    pub(crate) fn shown(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        for cluster in text.graphemes(true) {
            if self.has(cluster) {
                shown.push_str(cluster);
            } else {
                for char in cluster.chars() {
                    self.push(&mut shown, char);
                }
            }
        }
        shown
    }

    /// Can one font show the whole cluster? A mark from another font than its letter is not found by the typesetter.
    fn has(&self, cluster: &str) -> bool {
        !cluster.chars().any(spelled) && self.fonts.iter().any(|font| cluster.chars().all(|char| unseen(char) || font(char)))
    }

    fn push(&self, shown: &mut String, char: char) {
        match char {
            // A line's end inside a run of text is handled before; whatever else separates is a space.
            '\t' | '\r' | '\n' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push(' '),
            char if !spelled(char) && (unseen(char) || self.fonts.iter().any(|font| font(char))) => shown.push(char),
            char => {
                // A string takes every word.
                let _ = write!(shown, "[U+{:04X}]", char as u32);
            }
        }
    }
}

/// Never shown as themselves: controls, what turns the direction of a line, what no PDF may map a glyph to.
fn spelled(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}')
        || matches!(char, '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{10FFFF}')
        || (char as u32) & 0xFFFE == 0xFFFE
}

/// Shown by nothing, and harmless: soft hyphens, joiners, variation selectors.
fn unseen(char: char) -> bool {
    matches!(char, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}')
}

/// Lets a line end within words that are longer than `longest`, counting on from what stood before in the same line.
pub(crate) fn breakable(text: &str, longest: usize, since: &mut usize) -> String {
    let mut broken = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        if cluster.chars().any(|char| char.is_whitespace() && char != '\u{A0}' && char != '\u{202F}') || cluster == "\u{200B}" {
            *since = 0;
        } else {
            if *since >= longest {
                broken.push(MAY_BREAK);
                *since = 0;
            }
            *since += 1;
        }
        broken.push_str(cluster);
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latin() -> Glyphs<'static> {
        Glyphs {
            fonts: vec![Box::new(|char| char.is_ascii_graphic() || " æøåÆØÅé".contains(char)), Box::new(|char| char == '😀')]
        }
    }

    #[test]
    fn what_no_font_has_is_spelled_out() {
        for (written, shown) in [
            ("Rødgrød med fløde", "Rødgrød med fløde"),
            ("#strong[*fed*] $x$ \\ <a>", "#strong[*fed*] $x$ \\ <a>"),
            ("ja 😀", "ja 😀"),
            ("helt 🦸", "helt [U+1F9B8]"),
            ("x\u{301}", "x[U+0301]"),
            ("\u{202E}vendt", "[U+202E]vendt"),
            ("a\u{FFFE}b\u{FEFF}c\u{1}d\u{E000}e\u{1FFFF}", "a[U+FFFE]b[U+FEFF]c[U+0001]d[U+E000]e[U+1FFFF]"),
            ("a\tb\u{2028}c", "a b c"),
            ("af\u{AD}tale", "af\u{AD}tale"),
        ] {
            assert_eq!(latin().shown(written), shown, "{written:?}");
        }
    }

    #[test]
    fn a_long_word_may_be_broken_also_when_it_is_marked_in_pieces() {
        let mut since = 0;
        assert_eq!(breakable("abcdefgh ij", 3, &mut since), "abc\u{200B}def\u{200B}gh ij");
        assert_eq!(breakable("kl", 3, &mut since), "k\u{200B}l");
    }
}
