//! What is said when something is wrong (SH-70…SH-73), and what a line editor is told.

use proptest::prelude::*;

use super::run;
use super::world::machine;
use crate::completion::complete;
use crate::highlight::{Style, styles};
use crate::parser::parse;

#[test]
fn failures_are_told_in_the_documented_words() {
    // SH-70, SH-71, CM-80, CM-24
    for (input, message) in [
        ("Get-Nothing", "The term 'Get-Nothing' is not recognized as the name of a cmdlet"),
        ("Get-SendConnector -Nope x", "A parameter cannot be found that matches parameter name 'Nope'."),
        ("Get-SendConnector a b", "A positional parameter cannot be found that accepts argument 'b'."),
        ("Set-SendConnector -Enabled", "Missing an argument for parameter 'Enabled'."),
        (
            "Set-SendConnector -Enabled $true",
            "Cannot process command because of one or more missing mandatory parameters: Identity.",
        ),
        (
            "Set-SendConnector x -Comment a -Comment b",
            "Cannot bind parameter because parameter 'Comment' is specified more than once.",
        ),
        ("Set-SendConnector x -S 1", "is ambiguous. Possible matches include: -SourcePort -SmartHosts."),
        ("Set-SendConnector x -SourcePort 11", "Cannot process argument transformation on parameter 'SourcePort'."),
        ("Get-SendConnector x -Server y", "Parameter set cannot be resolved using the specified named parameters."),
        ("1 )", "Unexpected token ')' in expression or statement."),
        ("(1", "Missing closing ')' in expression."),
        ("Get-SendConnector |", "An empty pipe element is not allowed."),
        ("1 | 2", "Expressions are only allowed as the first element of a pipeline."),
        ("@{a}", "Missing '=' operator after key in hash literal."),
        ("if (1) x", "Missing statement block after if ( condition )."),
        ("@' x\n'@", "No characters are allowed after a here-string header"),
        ("\"$x:\"", "Variable reference is not valid."),
        ("(5).Foo()", "Method invocation failed because [Int32] does not contain a method named 'Foo'."),
        ("$null[0]", "Cannot index into a null array."),
        ("$null.Foo()", "You cannot call a method on a null-valued expression."),
        ("[Nope]'x'", "Unable to find type [Nope]."),
        ("'a' -match '(?<=b)'", "look-around"),
        ("Write-Output `  \nx", "back-tick"),
        ("Get-SendConnector | select -ExpandProperty Nope", "Property \"Nope\" cannot be found."),
    ] {
        let (_, errors) = run(input);
        assert!(errors.contains(message), "{input}: {errors}");
    }
}

#[test]
fn the_place_is_underlined() {
    // SH-72
    let (_, errors) = run("1\nGet-SendConnector -Nope x");
    let expected = "Get-SendConnector : A parameter cannot be found that matches parameter name 'Nope'.\n\
                    At line:2 char:19\n\
                    + Get-SendConnector -Nope x\n\
                    +                   ~~~~~\n    \
                    + CategoryInfo          : InvalidArgument: (:) [Get-SendConnector]\n    \
                    + FullyQualifiedErrorId : NamedParameterNotFound,Get-SendConnector\n";
    assert_eq!(errors, expected);
}

#[test]
fn a_failure_stops_one_object_or_everything_as_wanted() {
    // SH-73, CM-82
    let (out, errors) = run("'Nope','To internet' | Get-SendConnector | % Name; $?; $Error.Count");
    assert!(errors.contains("'Nope' couldn't be found"), "{errors}");
    assert_eq!(out, "To internet\nTrue\n1");
    let (out, errors) = run(
        "Get-SendConnector Nope -ErrorAction SilentlyContinue -ErrorVariable e; $e.Count; Get-SendConnector Nope -ea Ignore; $Error.Count",
    );
    assert_eq!((out.as_str(), errors.as_str()), ("1\n1", ""));
    let (out, _) = run("'first'; Get-SendConnector Nope -ErrorAction Stop; 'never'");
    assert_eq!(out, "first");
}

#[test]
fn limits_hold() {
    // SB-05
    let handle = std::thread::Builder::new().stack_size(64 * 1024 * 1024).spawn(|| run("function f { f }; f").1);
    let errors = handle.unwrap().join().unwrap();
    assert!(errors.contains("call depth overflow"), "{errors}");
    assert!(run("1..99999999").1.contains("at most a million"));
    assert!(run("'x' * 99999999").1.contains("too long"));
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(parse(&deep).unwrap_err().message.contains("nests deeper"));
}

#[test]
fn what_may_come_next_is_known() {
    // SH-75, SB-07
    let (mut machine, _) = machine();
    let mut texts =
        |line: &str| complete(&mut machine, line, line.len()).1.into_iter().map(|one| one.text).collect::<Vec<_>>();
    assert_eq!(texts("Get-SendC"), ["Get-SendConnector"]);
    assert_eq!(texts("1 | *-sendc"), ["Get-SendConnector", "Remove-SendConnector", "Set-SendConnector"]);
    assert_eq!(texts("Set-SendConnector x -Ena"), ["-Enabled"]);
    assert_eq!(texts("Set-SendConnector x -Enabled "), ["$true", "$false"]);
    assert_eq!(texts("Get-SendConnector to"), ["'To internet'"]);
    assert_eq!(texts("Get-SendConnector -Identity 'Out"), ["'Outbound to cloud'"]);
    assert_eq!(texts("Get-SendConnector | select N"), ["Name"]);
    assert_eq!(texts("$x = 1; $tr"), ["$true"]);
    let styled = styles(&machine, "Get-SendConnector 'x' -Nope | Bad $y # z");
    let sorts: Vec<Style> = styled.into_iter().map(|(_, style)| style).collect();
    assert_eq!(sorts, [Style::Command, Style::Text, Style::Unknown, Style::Unknown, Style::Variable, Style::Comment]);
}

/// Lines of which every beginning is complete or incomplete, but inside of a word (SB-09).
const VALID: [&str; 8] = [
    "Get-SendConnector | ? { $_.Enabled -eq $true } | ft Name,Enabled -AutoSize",
    "$x = @{ a = 1; b = 'two' }; foreach ($k in $x.Keys) { \"$k is $($x[$k])\" }",
    "if ($a -gt 1 -and !($b)) { 'yes' } else { 'no' }",
    "New-SendConnector -Name 'x' -AddressSpaces \"SMTP:*;1\" -SmartHosts a.example,b.example",
    "function f { param($a, [int]$b = 2) $a + $b }; f 1 2",
    "try { Get-X -ErrorAction Stop } catch [System.Exception] { $_ } finally { 1 }",
    "switch -Wildcard ($x) { 'a*' { 1 } default { 2 } }",
    "1..3 | % { $_ * 2 } | select -First 1",
];

#[test]
fn a_beginning_at_a_blank_is_never_wrong() {
    for line in VALID {
        assert!(parse(line).is_ok(), "{line}");
        for (at, _) in line.match_indices(' ') {
            if let Err(error) = parse(&line[..at]) {
                assert!(error.incomplete, "{}: {error:?}", &line[..at]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\PC|[ \\n$(){}@'\"`|;,=.\\[\\]<>#-]){0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_words_of_the_language_do(words in prop::collection::vec(prop::sample::select(vec![
        "if", "foreach", "switch", "try", "catch", "param", "function", "$x", "=", "+=", "(", ")", "{", "}", "@{", "@(", "$(", "\"", "'",
        "|", ";", ",", "-eq", "-Name", "1MB", "[int]", "::", ".x", "[0]", "\n", "`", "@'\n", "\n'@", ">", "2>&1", "..", "-f", "#", "<#",
    ]), 0..30)) {
        let _ = parse(&words.join(" "));
        let _ = parse(&words.concat());
    }
}

#[test]
fn reading_is_linear() {
    // Counted in looks at the text, which no busy machine changes.
    let looks = |text: &str| {
        crate::cursor::work::of(|| {
            let _ = parse(text);
        })
    };
    let line = "Get-SendConnector | ? { $_.Name -like 'a*' } | Set-SendConnector -Comment \"x $($_.Name) y\" -Enabled $true # note\n";
    let (small, large) = (looks(&line.repeat(300)), looks(&line.repeat(3000)));
    assert!(small > 300 && large <= small * 11, "{small} for 300 lines, {large} for 3000");
    for hard in [
        "(".repeat(9_000),
        "\"$(".repeat(3000),
        "1e+".repeat(20_000),
        "a:b;1".repeat(20_000),
        "@{a=".repeat(4000),
        "`".repeat(9_000),
    ] {
        let looks = looks(&hard);
        assert!(looks <= 100 * hard.len() as u64, "{}: {looks} for {} octets", &hard[..6], hard.len());
    }
}
