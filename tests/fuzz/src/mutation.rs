//! New inputs out of old ones, by a seed: the same seed makes the same inputs.

/// Octets of an input at most: the longest line that is taken, several times.
const INPUT_OCTETS_MAX: usize = 8192;

/// Changes made to one input at most.
const CHANGES_MAX: u64 = 6;

/// What parsers look for.
const TOKENS: [&[u8]; 40] = [
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xa8",
    "İ".as_bytes(),
    "Ⱥ".as_bytes(),
    b" ",
    b"\t",
    b"<",
    b">",
    b"@",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"[",
    b"]",
    b":",
    b";",
    b",",
    b"=",
    b"+",
    b"*",
    b"--",
    b"=?utf-8?q?",
    b"=?aa?q?x",
    b"?=",
    b"250-",
    b"xn--",
    b"SIZE=",
    b"ORCPT=",
    b"&a",
    b"<<: *a",
    b"18446744073709551615",
];

/// A source of inputs.
pub struct Mutator(u64);

impl Mutator {
    /// Inputs of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number, of any size (xorshift64*).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, 0 when that is 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    /// An input made of one of these, or of two.
    pub fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus);
        for _ in 0..=self.next() % CHANGES_MAX {
            self.change(&mut input, corpus);
        }
        input.truncate(INPUT_OCTETS_MAX);
        input
    }

    fn pick(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        corpus.get(self.below(corpus.len())).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(16)).min(input.len());
        match self.next() % 9 {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap(),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].repeat(1 + self.below(8));
                drop(input.splice(at..at, again));
            }
            4 => {
                let other = self.pick(corpus);
                input.truncate(at);
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            5 => input.truncate(at),
            6 => {
                let repeated = TOKENS[self.below(TOKENS.len())].repeat(1 + self.below(40));
                drop(input.splice(at..at, repeated));
            }
            _ => drop(input.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied())),
        }
    }
}
