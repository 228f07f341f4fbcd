//! The functions of the language: the compiler looks them up here, and the reference is printed from here.

use yagura_event::Type;

use crate::convert::Conversion;

/// A function that the engine evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `startsWith`
    StartsWith,
    /// `endsWith`
    EndsWith,
    /// `contains`
    Contains,
    /// `iequals`
    EqualsIgnoreCase,
    /// `istartsWith`
    StartsWithIgnoreCase,
    /// `iendsWith`
    EndsWithIgnoreCase,
    /// `icontains`
    ContainsIgnoreCase,
    /// `lowerAscii`
    LowerAscii,
    /// `upperAscii`
    UpperAscii,
    /// `base`
    Base,
    /// `dir`
    Dir,
    /// `trim`
    Trim,
    /// `split`
    Split,
    /// `size`
    Size,
    /// `intersects`
    Intersects,
    /// `int`
    ToInt,
    /// `double`
    ToDouble,
    /// `string`
    ToText,
    /// `base64.decode`
    DecodeBase64,
    /// `ip`
    ToAddress,
    /// `cidr`
    ToNetwork,
    /// `containsIP`
    ContainsAddress,
    /// `duration`
    ToDuration,
    /// `timestamp`
    ToTimestamp,
    /// `quantity`
    ToQuantity,
    /// `isPublic`
    IsPublic,
    /// `bits.and`
    BitsAnd,
    /// `bits.anyOf`
    BitsAnyOf,
    /// `bits.allOf`
    BitsAllOf,
}

impl Function {
    /// Whether its result is true or false whatever its arguments are.
    pub fn is_test(self) -> bool {
        matches!(
            self,
            Self::StartsWith
                | Self::EndsWith
                | Self::Contains
                | Self::EqualsIgnoreCase
                | Self::StartsWithIgnoreCase
                | Self::EndsWithIgnoreCase
                | Self::ContainsIgnoreCase
                | Self::Intersects
                | Self::ContainsAddress
                | Self::IsPublic
                | Self::BitsAnyOf
                | Self::BitsAllOf
        )
    }

    /// What it reads from a text, when that is all that it does.
    pub fn conversion(self) -> Option<Conversion> {
        Some(match self {
            Self::ToAddress => Conversion::Address,
            Self::ToNetwork => Conversion::Network,
            Self::ToDuration => Conversion::Duration,
            Self::ToTimestamp => Conversion::Timestamp,
            Self::ToQuantity => Conversion::Quantity,
            _ => return None,
        })
    }
}

/// How a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `x.name(…)`
    Method,
    /// `name(x, …)`
    Global,
    /// Either.
    Both,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Text,
    List,
    TextOrList,
    Scalar,
    Int,
    TextOrAddress,
    TextOrNumber,
    Network,
    Timestamp,
}

/// What the compiler makes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The engine calls it.
    Function(Function, &'static [Accepts], Type),
    /// A pattern, which has to be written out.
    Pattern(crate::pattern::Syntax, bool),
    /// `age(t)`, a difference once compiled.
    Age,
    /// `mode("0644")`, a number once compiled.
    Mode,
    /// `has(x)`, which the parser knows.
    Has,
    /// A macro such as `list.exists(x, …)`, which the parser knows too.
    Macro,
}

/// A function as the reference documents it.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDoc {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub form: Form,
    signature: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// How it is used.
    pub example: &'static str,
    pub(crate) meaning: Meaning,
}

impl FunctionDoc {
    /// How it is called, with its arguments and its result: `string.startsWith(string) -> bool`.
    pub fn usage(&self) -> String {
        match self.signature.split_once(".(") {
            Some((receiver, rest)) => format!("{receiver}.{}({rest}", self.name),
            None => format!("{}{}", self.name, self.signature),
        }
    }
}

/// Every function, for the reference and for `yagura functions`.
pub fn functions() -> &'static [FunctionDoc] {
    FUNCTIONS
}

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static FunctionDoc> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const TEXT: &[Accepts] = &[Accepts::Text];
const TEXT_TEXT: &[Accepts] = &[Accepts::Text, Accepts::Text];
const INT_INT: &[Accepts] = &[Accepts::Int, Accepts::Int];

/// Words that functions such as `bits.and` stand behind.
pub(crate) fn is_namespace(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| {
        function
            .name
            .split_once('.')
            .is_some_and(|(space, _)| space == name)
    })
}

const fn test(
    name: &'static str,
    function: Function,
    doc: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        form: Form::Method,
        signature: "string.(string) -> bool",
        doc,
        example,
        meaning: Meaning::Function(function, TEXT_TEXT, Type::BOOL),
    }
}

const fn change(
    name: &'static str,
    function: Function,
    doc: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        form: Form::Method,
        signature: "string.() -> string",
        doc,
        example,
        meaning: Meaning::Function(function, TEXT, Type::STRING),
    }
}

const fn pattern(
    name: &'static str,
    syntax: crate::pattern::Syntax,
    ignore_case: bool,
    doc: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        form: Form::Method,
        signature: "string.(literal) -> bool",
        doc,
        example,
        meaning: Meaning::Pattern(syntax, ignore_case),
    }
}

const fn over_list(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        form: Form::Method,
        signature,
        doc,
        example,
        meaning: Meaning::Macro,
    }
}

const FUNCTIONS: &[FunctionDoc] = &[
    over_list(
        "exists",
        "list.(x, test) -> bool",
        "Whether the test holds for at least one element, which x stands for.",
        "process.ancestors.exists(a, a.name == \"nginx\" && \"-g\" in a.args)",
    ),
    over_list(
        "all",
        "list.(x, test) -> bool",
        "Whether the test holds for every element; it does for an empty list.",
        "resource.spec.containers.all(c, c.securityContext.privileged != true)",
    ),
    over_list(
        "exists_one",
        "list.(x, test) -> bool",
        "Whether the test holds for exactly one element.",
        "process.args.exists_one(a, a.startsWith(\"--config=\"))",
    ),
    over_list(
        "filter",
        "list.(x, test) -> list",
        "The elements for which the test holds.",
        "size(process.args.filter(a, a.startsWith(\"-\"))) > 10",
    ),
    over_list(
        "map",
        "list.(x, value) -> list",
        "The value for each element.",
        "\"nginx\" in process.ancestors.map(a, a.name)",
    ),
    FunctionDoc {
        name: "has",
        form: Form::Global,
        signature: "(any) -> bool",
        doc: "Whether the value is there: neither absent nor null.",
        example: "has(process.tty)",
        meaning: Meaning::Has,
    },
    test(
        "startsWith",
        Function::StartsWith,
        "Whether the string begins with the other.",
        "process.executable.startsWith(\"/tmp/\")",
    ),
    test(
        "endsWith",
        Function::EndsWith,
        "Whether the string ends with the other.",
        "process.executable.endsWith(\".sh\")",
    ),
    test(
        "contains",
        Function::Contains,
        "Whether the other stands in the string.",
        "process.command_line.contains(\"base64\")",
    ),
    test(
        "iequals",
        Function::EqualsIgnoreCase,
        "Whether both are equal but for the case of ASCII letters.",
        "process.name.iequals(\"XMRig\")",
    ),
    test(
        "istartsWith",
        Function::StartsWithIgnoreCase,
        "Like startsWith, ignoring the case of ASCII letters.",
        "process.name.istartsWith(\"xm\")",
    ),
    test(
        "iendsWith",
        Function::EndsWithIgnoreCase,
        "Like endsWith, ignoring the case of ASCII letters.",
        "process.name.iendsWith(\"RIG\")",
    ),
    test(
        "icontains",
        Function::ContainsIgnoreCase,
        "Like contains, ignoring the case of ASCII letters.",
        "process.name.icontains(\"mri\")",
    ),
    pattern(
        "matches",
        crate::pattern::Syntax::Regex,
        false,
        "Whether the regular expression matches, anchored only where it says so; linear in the length of the string.",
        "process.name.matches(\"^python[0-9.]*$\")",
    ),
    pattern(
        "imatches",
        crate::pattern::Syntax::Regex,
        true,
        "Like matches, ignoring case.",
        "process.name.imatches(\"^PYTHON\")",
    ),
    pattern(
        "glob",
        crate::pattern::Syntax::Glob,
        false,
        "Whether the whole string matches: * within a path segment, ** across, ? one byte, […] one of these.",
        "process.executable.glob(\"/usr/**/bash\")",
    ),
    pattern(
        "like",
        crate::pattern::Syntax::Like,
        false,
        "Whether the whole string matches: * anything, ? one byte.",
        "process.command_line.like(\"*curl*|*sh*\")",
    ),
    pattern(
        "ilike",
        crate::pattern::Syntax::Like,
        true,
        "Like like, ignoring the case of ASCII letters.",
        "process.command_line.ilike(\"*CURL*\")",
    ),
    change(
        "lowerAscii",
        Function::LowerAscii,
        "The string with ASCII letters in lower case.",
        "process.name.lowerAscii() == \"xmrig\"",
    ),
    change(
        "upperAscii",
        Function::UpperAscii,
        "The string with ASCII letters in upper case.",
        "process.name.upperAscii() == \"XMRIG\"",
    ),
    change(
        "base",
        Function::Base,
        "What follows the last slash of a path.",
        "process.executable.base() == \"bash\"",
    ),
    change(
        "dir",
        Function::Dir,
        "What stands before the last slash of a path; / for what lies in the root, absent where there is no slash.",
        "process.executable.dir() == \"/tmp\"",
    ),
    change(
        "trim",
        Function::Trim,
        "The string without ASCII white space at its ends.",
        "process.arg0.trim() == \"sh\"",
    ),
    FunctionDoc {
        name: "split",
        form: Form::Method,
        signature: "string.(string) -> list of strings",
        doc: "The pieces of the string between occurrences of the other, which is not empty.",
        example: "process.executable.split(\"/\")[1] == \"opt\"",
        meaning: Meaning::Function(Function::Split, TEXT_TEXT, Type::STRINGS),
    },
    FunctionDoc {
        name: "size",
        form: Form::Both,
        signature: "(string, list or map) -> int",
        doc: "The number of bytes of a string, elements of a list or members of a map.",
        example: "size(process.args) > 100",
        meaning: Meaning::Function(Function::Size, &[Accepts::TextOrList], Type::INT),
    },
    FunctionDoc {
        name: "intersects",
        form: Form::Method,
        signature: "list.(list) -> bool",
        doc: "Whether both lists have an element in common.",
        example: "process.capabilities.effective.intersects([\"CAP_SYS_ADMIN\", \"CAP_BPF\"])",
        meaning: Meaning::Function(Function::Intersects, &[Accepts::List, Accepts::List], Type::BOOL),
    },
    FunctionDoc {
        name: "int",
        form: Form::Global,
        signature: "(string, number or bool) -> int",
        doc: "The whole number that the value is or reads as; absent when it is none.",
        example: "int(resource.config.maxPods) > 110",
        meaning: Meaning::Function(Function::ToInt, &[Accepts::Scalar], Type::INT),
    },
    FunctionDoc {
        name: "double",
        form: Form::Global,
        signature: "(string or number) -> double",
        doc: "The number that the value is or reads as; absent when it is none.",
        example: "double(resource.ratio) < 0.5",
        meaning: Meaning::Function(Function::ToDouble, &[Accepts::Scalar], Type::DOUBLE),
    },
    FunctionDoc {
        name: "string",
        form: Form::Global,
        signature: "(string, number or bool) -> string",
        doc: "The value as text.",
        example: "string(process.user.id) == \"0\"",
        meaning: Meaning::Function(Function::ToText, &[Accepts::Scalar], Type::STRING),
    },
    FunctionDoc {
        name: "base64.decode",
        form: Form::Global,
        signature: "(string) -> string",
        doc: "The bytes that the string is the base64 form of, in the standard or the URL alphabet, padded or not; absent when it is none.",
        example: "process.args.exists(a, base64.decode(a).contains(\"/dev/tcp/\"))",
        meaning: Meaning::Function(Function::DecodeBase64, TEXT, Type::STRING),
    },
    FunctionDoc {
        name: "ip",
        form: Form::Global,
        signature: "(string) -> ip",
        doc: "The IP address that the string is; absent when it is none. An IPv4 address within IPv6 is that IPv4 address, and two are equal however they are written.",
        example: "process.args.exists(a, ip(a) == ip(\"2001:db8::1\"))",
        meaning: Meaning::Function(Function::ToAddress, TEXT, Type::ADDRESS),
    },
    FunctionDoc {
        name: "cidr",
        form: Form::Global,
        signature: "(string) -> cidr",
        doc: "The IP network that the string is; absent when it is none. One address is a network as well.",
        example: "resource.egress.exists(e, cidr(e.cidr).containsIP(\"169.254.169.254\"))",
        meaning: Meaning::Function(Function::ToNetwork, TEXT, Type::NETWORK),
    },
    FunctionDoc {
        name: "containsIP",
        form: Form::Method,
        signature: "cidr.(string or ip) -> bool",
        doc: "Whether the address is in the network.",
        example: "process.args.exists(a, cidr(\"10.0.0.0/8\").containsIP(a))",
        meaning: Meaning::Function(
            Function::ContainsAddress,
            &[Accepts::Network, Accepts::TextOrAddress],
            Type::BOOL,
        ),
    },
    FunctionDoc {
        name: "isPublic",
        form: Form::Global,
        signature: "(string or ip) -> bool",
        doc: "Whether the string is a unicast IP address that IANA's special-purpose address registries leave globally reachable.",
        example: "process.args.exists(a, isPublic(a))",
        meaning: Meaning::Function(Function::IsPublic, &[Accepts::TextOrAddress], Type::BOOL),
    },
    FunctionDoc {
        name: "duration",
        form: Form::Global,
        signature: "(string) -> duration",
        doc: "The length of time that the string is, in hours, minutes, seconds and parts of one: h, m, s, ms, us, ns; absent when it is none. Durations add up, and the difference of two timestamps is one.",
        example: "duration(resource.streamingConnectionIdleTimeout) > duration(\"1h30m\")",
        meaning: Meaning::Function(Function::ToDuration, TEXT, Type::DURATION),
    },
    FunctionDoc {
        name: "timestamp",
        form: Form::Global,
        signature: "(string) -> timestamp",
        doc: "The point in time that the string is in the form of RFC 3339; absent when it is none. A duration can be added to one and taken from it.",
        example: "timestamp(resource.notAfter) - timestamp(resource.notBefore) > duration(\"8760h\")",
        meaning: Meaning::Function(Function::ToTimestamp, TEXT, Type::TIMESTAMP),
    },
    FunctionDoc {
        name: "age",
        form: Form::Global,
        signature: "(timestamp) -> duration",
        doc: "How long before the event the point in time was; negative when it came after. Only of events.",
        example: "age(process.start) < duration(\"30s\")",
        meaning: Meaning::Age,
    },
    FunctionDoc {
        name: "quantity",
        form: Form::Global,
        signature: "(string or number) -> quantity",
        doc: "The amount of a resource that the string is in the form of Kubernetes, with a suffix such as m, k, M, Ki, Mi or Gi or an exponent; absent when it is none. Compared exactly: 1024Mi is 1Gi.",
        example: "quantity(resource.resources.limits.memory) <= quantity(\"1Gi\")",
        meaning: Meaning::Function(Function::ToQuantity, &[Accepts::TextOrNumber], Type::QUANTITY),
    },
    FunctionDoc {
        name: "bits.and",
        form: Form::Global,
        signature: "(int, int) -> int",
        doc: "The bits that both numbers have, as 64 bits without a sign.",
        example: "bits.and(process.executable_mode, mode(\"0777\")) == mode(\"0777\")",
        meaning: Meaning::Function(Function::BitsAnd, INT_INT, Type::INT),
    },
    FunctionDoc {
        name: "bits.anyOf",
        form: Form::Global,
        signature: "(int, int) -> bool",
        doc: "Whether the first number has at least one of the second one's bits.",
        example: "bits.anyOf(process.executable_mode, mode(\"6000\"))",
        meaning: Meaning::Function(Function::BitsAnyOf, INT_INT, Type::BOOL),
    },
    FunctionDoc {
        name: "bits.allOf",
        form: Form::Global,
        signature: "(int, int) -> bool",
        doc: "Whether the first number has all of the second one's bits.",
        example: "bits.allOf(process.executable_mode, mode(\"4001\"))",
        meaning: Meaning::Function(Function::BitsAllOf, INT_INT, Type::BOOL),
    },
    FunctionDoc {
        name: "mode",
        form: Form::Global,
        signature: "(literal) -> int",
        doc: "The number of an octal file mode.",
        example: "process.executable_mode == mode(\"4755\")",
        meaning: Meaning::Mode,
    },
];
