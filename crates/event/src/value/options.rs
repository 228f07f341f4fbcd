//! Options with values among arguments, read from where the arguments lie.

use std::collections::BTreeMap;

use crate::Text;

/// The options among the arguments of a process. What is given more than once has its last value, as in most programs.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a>(pub(crate) &'a [Text]);

impl<'a> Options<'a> {
    /// The value of the option of that name.
    pub(super) fn get(self, name: &[u8]) -> Option<&'a [u8]> {
        self.pairs()
            .filter(|(known, _)| *known == name)
            .last()
            .map(|(_, value)| value)
    }

    /// Every option once, by name.
    pub(super) fn sorted(self) -> BTreeMap<&'a [u8], &'a [u8]> {
        self.pairs().collect()
    }

    /// Names and values in order.
    ///
    /// Whether `-abc v` is one option or three flags, of which the last takes a value, only the program knows: it is
    /// found under `abc` and under `c`.
    fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let args = self.0;
        let end = args
            .iter()
            .position(|arg| arg.as_bytes() == b"--")
            .unwrap_or(args.len());
        (0..end)
            .filter_map(move |at| {
                let arg = args[at].as_bytes();
                let long = arg.strip_prefix(b"--");
                let body = long.or_else(|| arg.strip_prefix(b"-"))?;
                let (name, value) = match body.iter().position(|byte| *byte == b'=') {
                    Some(sign) => (&body[..sign], &body[sign + 1..]),
                    None => (body, following(args[..end].get(at + 1)?)?),
                };
                let cluster = long.is_none() && name.len() > 1 && name.iter().all(u8::is_ascii_alphanumeric);
                let last = cluster.then(|| (&name[name.len() - 1..], value));
                (!name.is_empty()).then_some([Some((name, value)), last])
            })
            .flatten()
            .flatten()
    }
}

/// An argument that may be the value of the option before it: one that is no option itself. A dash alone stands for a
/// stream.
fn following(arg: &Text) -> Option<&[u8]> {
    let arg = arg.as_bytes();
    (arg == b"-" || !arg.starts_with(b"-")).then_some(arg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::MapRef;

    #[test]
    fn options_have_the_values_that_follow_them() {
        let args = [
            "--color=auto",
            "--name",
            "db",
            "-n",
            "5",
            "-lvp",
            "4444",
            "-o=a=b",
            "--all",
            "-x",
            "file",
            "-f",
            "-",
            "--empty=",
            "-n",
            "6",
            "-",
            "--=v",
            "--last",
            "--",
            "--not",
            "one",
            "-z",
            "9",
        ]
        .map(Text::from);
        let options = Options(&args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let shown: Vec<String> = options
            .sorted()
            .iter()
            .map(|(name, value)| format!("{}={}", text(name), text(value)))
            .collect();
        assert_eq!(
            shown,
            [
                "color=auto",
                "empty=",
                "f=-",
                "lvp=4444",
                "n=6",
                "name=db",
                "o=a=b",
                "p=4444",
                "x=file"
            ]
        );
        assert_eq!(options.get(b"n"), Some(&b"6"[..]));
        assert_eq!(options.get(b"all"), None);
        assert_eq!(options.get(b"last"), None);
        assert!(Options(&[]).sorted().is_empty());
    }

    #[test]
    fn maps_of_options_are_equal_by_their_values() {
        let equal = |left: &[&str], right: &[&str]| {
            let texts = |args: &[&str]| args.iter().map(|arg| Text::from(*arg)).collect::<Vec<_>>();
            let (left, right) = (texts(left), texts(right));
            MapRef::Options(Options(&left)).equals(MapRef::Options(Options(&right)))
        };
        assert_eq!(
            equal(&["-a", "1", "--b=2"], &["--b", "3", "-b=2", "-a=1"]),
            Some(true)
        );
        assert_eq!(equal(&["-a", "1"], &["-a", "2"]), Some(false));
        assert_eq!(equal(&["-a", "1"], &[]), Some(false));
        let (args, pairs) = (["-a=1"].map(Text::from), [(Text::from("a"), Text::from("1"))]);
        let options = MapRef::Options(Options(&args));
        assert_eq!(MapRef::Texts(&pairs).equals(options), Some(true));
        assert_eq!(options.len(), 1);
    }
}
