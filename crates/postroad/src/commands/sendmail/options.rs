//! The command line of sendmail(8), as cron, mailers and applications write it. Options of a mail server that this command is
//! not are refused with what to use instead; those that change nothing here are passed over.

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `-t`: recipients are those of the header, besides those of the command line.
    pub(super) from_header: bool,
    /// `-i`, `-oi`: a line with a dot alone does not end the message.
    pub(super) ignore_dots: bool,
    /// `-f`, `-r`: the envelope's sender; an empty one is `<>`.
    pub(super) sender: Option<String>,
    /// `-F`: the full name in a `From` that is added.
    pub(super) full_name: Option<String>,
    /// `-N`: when to notify, as RFC 3461 writes it.
    pub(super) notify: Option<String>,
    /// `-v`: tell what the server said.
    pub(super) verbose: bool,
    /// Another file than `/etc/postroad/sendmail.toml`, by `-C`.
    pub(super) configuration: Option<String>,
    /// Whom it is for.
    pub(super) recipients: Vec<String>,
}

/// Options with a value, joined or as the next word; of these only some mean anything here.
const VALUED: &str = "BCFLNOQRVXfhopr";
/// Options without one.
const FLAGS: &str = "GUimntv";

/// Reads the arguments.
///
/// # Errors
/// What is wrong, and what to do.
pub(super) fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("-") => {
                options.recipients.extend(words.by_ref().cloned());
            }
            Some(rest) if !rest.is_empty() => option(&mut options, rest, &mut words)?,
            _ => options.recipients.push(word.clone()),
        }
    }
    options.recipients =
        options.recipients.iter().flat_map(|word| word.split(',')).map(str::trim).map(Into::into).collect();
    options.recipients.retain(|recipient| !recipient.is_empty());
    if options.recipients.is_empty() && !options.from_header {
        return Err("nobody to send to: name recipients, or give -t for those of the header".to_owned());
    }
    Ok(options)
}

fn option<'a>(
    options: &mut Options,
    word: &'a str,
    words: &mut impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        let rest = letters.as_str();
        match letter {
            'b' => return mode(rest),
            // Nothing is ever queued here: there is nothing to run.
            'q' => return Err("there is no queue here: Transport has it (`postroad queue`)".to_owned()),
            _ if VALUED.contains(letter) => {
                let value = if rest.is_empty() { words.next().map(String::as_str) } else { Some(rest) };
                let value = value.ok_or_else(|| format!("-{letter} needs a value"))?;
                valued(options, letter, value);
                return Ok(());
            }
            't' => options.from_header = true,
            'i' => options.ignore_dots = true,
            'v' => options.verbose = true,
            _ if FLAGS.contains(letter) => {}
            _ => return Err(format!("there is no option -{letter}; `postroad sendmail --help` lists them")),
        }
    }
    Ok(())
}

fn valued(options: &mut Options, letter: char, value: &str) {
    match letter {
        'f' | 'r' => options.sender = Some(value.trim_matches(['<', '>']).to_owned()),
        'F' => options.full_name = Some(value.to_owned()),
        'N' => options.notify = Some(value.to_owned()),
        'C' => options.configuration = Some(value.to_owned()),
        'o' if value.starts_with('i') => options.ignore_dots = true,
        _ => {}
    }
}

/// `-bm` sends; the other modes are those of a server.
fn mode(mode: &str) -> Result<(), String> {
    let instead = match mode {
        "m" | "" => return Ok(()),
        "s" => "speak SMTP to the server at port 25 instead",
        "p" => "`postroad queue` shows what waits",
        "i" => "aliases are recipients of the organization (docs/organization-file.md)",
        "d" | "D" => "`postroad transport` is the server",
        "v" | "t" => "`postroad explain ADDRESS` says where mail for an address goes",
        _ => "`postroad sendmail --help` lists what there is",
    };
    Err(format!("-b{mode} is not done here: {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_programs_write_is_understood() {
        let to = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        // Vixie cron, git send-email, PHP, mutt, and somebody's script.
        let cron = read("-i -FCronDaemon -B8BITMIME -oem root").unwrap();
        assert_eq!((cron.full_name.as_deref(), cron.ignore_dots), (Some("CronDaemon"), true));
        assert_eq!(cron.recipients, to(&["root"]));
        let git = read("-i a@contoso.com b@contoso.com").unwrap();
        assert_eq!((git.recipients, git.ignore_dots), (to(&["a@contoso.com", "b@contoso.com"]), true));
        let php = read("-t -i").unwrap();
        assert!(php.from_header && php.recipients.is_empty());
        let mutt = read("-oem -oi -f anna@contoso.com -- a@contoso.com").unwrap();
        assert_eq!((mutt.sender.as_deref(), mutt.recipients), (Some("anna@contoso.com"), to(&["a@contoso.com"])));
        let joined = read("-ti -fanna@contoso.com -N never").unwrap();
        assert!(joined.from_header && joined.ignore_dots);
        assert_eq!((joined.sender.as_deref(), joined.notify.as_deref()), (Some("anna@contoso.com"), Some("never")));
        assert_eq!(read("-f <> a@contoso.com").unwrap().sender.as_deref(), Some(""));
        assert_eq!(read("a@contoso.com,b@contoso.com").unwrap().recipients, to(&["a@contoso.com", "b@contoso.com"]));
    }

    #[test]
    fn what_a_server_would_do_is_refused_with_what_to_use() {
        for (line, expected) in [
            ("-bs", "SMTP"),
            ("-bp", "postroad queue"),
            ("-q", "postroad queue"),
            ("-i", "-t"),
            ("-Z a@contoso.com", "--help"),
            ("a@contoso.com -f", "-f needs a value"),
        ] {
            let said = read(line).unwrap_err();
            assert!(said.contains(expected), "{line}: {said}");
        }
    }
}
