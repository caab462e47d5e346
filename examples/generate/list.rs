//! The list used by all measurements: the same bytes for the same arguments, on any machine.

use std::io::{self, Write};

const HEADER: &str = "customer_id,email,first_name,last_name,country,plan,ltv,signup_date,tags,notes";

/// Parameters of a list.
#[derive(Clone, Copy)]
pub(crate) struct List {
    /// Maximum number of bytes, including the header.
    pub(crate) size: u64,
    /// Maximum number of records.
    pub(crate) records: u64,
    pub(crate) seed: u64,
    pub(crate) crlf: bool,
}

impl Default for List {
    fn default() -> List {
        List { size: u64::MAX, records: u64::MAX, seed: 1, crlf: false }
    }
}

impl List {
    /// Writes the list in blocks of 1 MiB.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        const BLOCK: usize = 1 << 20;
        let line_end = if self.crlf { "\r\n" } else { "\n" };
        let mut random = Random(self.seed);
        let mut block = Vec::with_capacity(BLOCK + 4096);
        block.extend_from_slice(HEADER.as_bytes());
        block.extend_from_slice(line_end.as_bytes());
        let mut written = 0u64;
        for index in 0..self.records {
            let before = block.len();
            push_record(&mut block, index, &mut random, line_end);
            if written + block.len() as u64 > self.size {
                block.truncate(before);
                break;
            }
            if block.len() >= BLOCK {
                out.write_all(&block)?;
                written += block.len() as u64;
                block.clear();
            }
        }
        out.write_all(&block)?;
        out.flush()
    }
}

/// Names, and their form in an e-mail address.
const FIRST_NAMES: [(&str, &str); 32] = [
    ("Anna", "anna"),
    ("Bj\u{f6}rn", "bjorn"),
    ("Carla", "carla"),
    ("David", "david"),
    ("Elena", "elena"),
    ("Fran\u{e7}ois", "francois"),
    ("Greta", "greta"),
    ("Hiro", "hiro"),
    ("Ivan", "ivan"),
    ("Julia", "julia"),
    ("Kevin", "kevin"),
    ("Laura", "laura"),
    ("Marco", "marco"),
    ("Nadia", "nadia"),
    ("Oscar", "oscar"),
    ("Priya", "priya"),
    ("Quentin", "quentin"),
    ("Ren\u{e9}e", "renee"),
    ("Sofia", "sofia"),
    ("Thomas", "thomas"),
    ("Ursula", "ursula"),
    ("Victor", "victor"),
    ("Wanda", "wanda"),
    ("Ximena", "ximena"),
    ("Yusuf", "yusuf"),
    ("Zo\u{eb}", "zoe"),
    ("\u{5065}\u{592a}", "kenta"),
    ("Margaret", "margaret"),
    ("Charlotte", "charlotte"),
    ("Benjamin", "benjamin"),
    ("Olga", "olga"),
    ("Pedro", "pedro"),
];

const LAST_NAMES: [(&str, &str); 32] = [
    ("Smith", "smith"),
    ("M\u{fc}ller", "mueller"),
    ("Garc\u{ed}a", "garcia"),
    ("Rossi", "rossi"),
    ("Dubois", "dubois"),
    ("Jansen", "jansen"),
    ("Kowalski", "kowalski"),
    ("Nov\u{e1}k", "novak"),
    ("Andersson", "andersson"),
    ("Silva", "silva"),
    ("Tanaka", "tanaka"),
    ("\u{738b}", "wang"),
    ("Patel", "patel"),
    ("O'Brien", "obrien"),
    ("Papadopoulos", "papadopoulos"),
    ("Yilmaz", "yilmaz"),
    ("Ivanova", "ivanova"),
    ("Schneider", "schneider"),
    ("Fern\u{e1}ndez", "fernandez"),
    ("Johnson", "johnson"),
    ("Williams", "williams"),
    ("Brown", "brown"),
    ("Jones", "jones"),
    ("Miller", "miller"),
    ("Davis", "davis"),
    ("Martin", "martin"),
    ("Lee", "lee"),
    ("Walker", "walker"),
    ("Hall", "hall"),
    ("Young", "young"),
    ("Wright", "wright"),
    ("Montgomery", "montgomery"),
];

const COUNTRIES: [&str; 16] =
    ["DE", "FR", "US", "GB", "IN", "ES", "IT", "NL", "PL", "SE", "BR", "JP", "CN", "TR", "GR", "CZ"];
const PLANS: [&str; 4] = ["free", "basic", "plus", "premium"];
const HOSTS: [&str; 4] = ["example.com", "example.org", "mail.example.net", "example.net"];
const TAGS: [&str; 16] = [
    "",
    "news",
    "vip",
    "news|vip",
    "trial",
    "sport|travel",
    "news|sport|music",
    "churn-risk",
    "beta",
    "music",
    "travel",
    "news|beta",
    "loyal|vip|news",
    "",
    "b2b",
    "b2b|trial",
];
const NOTES: [&str; 16] = [
    "",
    "called in spring and will decide by the summer",
    "prefers e-mail",
    "signed up at the fair in Hannover with a friend",
    "no calls after six please",
    "moved last year and has a new address",
    "asked about the annual plan and its price for teams",
    "came by way of the winter campaign and then upgraded on the phone",
    "met at the fair",
    "interested in the loyalty programme",
    "renewed twice and recommended us to a colleague",
    "returned the second parcel unopened",
    "likes the caf\u{e9} downtown and the reading evenings",
    "",
    "do not call",
    "wants the invoice by post",
];
const NOTES_WITH_COMMA: [&str; 4] = [
    "\"called, no answer\"",
    "\"prefers e-mail, not phone\"",
    "\"Berlin, Paris, Rome\"",
    "\"new address, new number, same name\"",
];
const NOTES_WITH_QUOTES: [&str; 4] = [
    "\"said \"\"maybe later\"\"\"",
    "\"goes by \"\"Max\"\" with friends\"",
    "\"\"\"urgent\"\"\"",
    "\"wants the \"\"gold\"\" card\"",
];
const NOTES_QUOTED: [&str; 4] = ["\"met at the fair\"", "\"do not call\"", "\"\"", "\"wants the invoice by post\""];
const NOTES_WITH_LINE_BREAK: [[&str; 2]; 2] =
    [["\"first line", "second line\""], ["\"see the letter of May", "answered in June\""]];

/// SplitMix64: small, fast, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Random bits, taken a few at a time.
struct Bits(u64);

impl Bits {
    fn pick<'a, T: ?Sized, const N: usize>(&mut self, from: &[&'a T; N]) -> &'a T {
        from[self.below(N as u64) as usize]
    }

    fn below(&mut self, n: u64) -> u64 {
        let drawn = self.0 % n;
        self.0 /= n;
        drawn
    }
}

fn push_digits(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let at = out.len();
    out.resize(at + width, b'0');
    for digit in out[at..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

fn push_capitalised(out: &mut Vec<u8>, name: &str) {
    out.push(name.as_bytes()[0].to_ascii_uppercase());
    out.extend_from_slice(&name.as_bytes()[1..]);
}

fn push_record(out: &mut Vec<u8>, index: u64, random: &mut Random, line_end: &str) {
    let mut who = Bits(random.next());
    let mut what = Bits(random.next());
    let first = &FIRST_NAMES[who.below(32) as usize];
    let last = &LAST_NAMES[who.below(32) as usize];

    out.extend_from_slice(b"cust-");
    push_digits(out, index, 10);
    out.push(b',');
    if who.below(20) == 0 {
        push_capitalised(out, first.1);
        out.push(b'.');
        push_capitalised(out, last.1);
    } else {
        out.extend_from_slice(first.1.as_bytes());
        out.push(b'.');
        out.extend_from_slice(last.1.as_bytes());
    }
    push_digits(out, index % 1_000_000, 6);
    out.push(b'@');
    out.extend_from_slice(who.pick(&HOSTS).as_bytes());
    out.push(b',');
    out.extend_from_slice(first.0.as_bytes());
    out.push(b',');
    out.extend_from_slice(last.0.as_bytes());
    out.push(b',');
    out.extend_from_slice(who.pick(&COUNTRIES).as_bytes());
    out.push(b',');
    out.extend_from_slice(who.pick(&PLANS).as_bytes());
    out.push(b',');
    // one in sixteen has bought nothing: an empty cell
    if who.below(16) != 0 {
        push_digits(out, who.below(1000), 1 + who.below(3) as usize);
        out.push(b'.');
        push_digits(out, who.below(100), 2);
    }
    out.push(b',');
    push_digits(out, 2010 + what.below(16), 4);
    out.push(b'-');
    push_digits(out, 1 + what.below(12), 2);
    out.push(b'-');
    push_digits(out, 1 + what.below(28), 2);
    out.push(b',');
    out.extend_from_slice(what.pick(&TAGS).as_bytes());
    out.push(b',');
    match what.below(1000) {
        0..59 => out.extend_from_slice(what.pick(&NOTES_WITH_COMMA).as_bytes()),
        59..78 => out.extend_from_slice(what.pick(&NOTES_WITH_QUOTES).as_bytes()),
        78..83 => {
            let [before, after] = &NOTES_WITH_LINE_BREAK[what.below(2) as usize];
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(line_end.as_bytes());
            out.extend_from_slice(after.as_bytes());
        }
        83..94 => out.extend_from_slice(what.pick(&NOTES_QUOTED).as_bytes()),
        _ => out.extend_from_slice(what.pick(&NOTES).as_bytes()),
    }
    out.extend_from_slice(line_end.as_bytes());
}
