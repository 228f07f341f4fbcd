//! The running kernel's own BTF, and what hostile or cut files do.

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*};

use super::{Btf, BtfError, ParseError, Position};

/// Builds BTF with one structure `outer { int a; struct { int flag:1; int b; }; }`.
fn small() -> Vec<u8> {
    let strings = b"\0int\0outer\0a\0flag\0b\0";
    let mut types: Vec<u8> = Vec::new();
    let mut put = |words: &[u32]| {
        for word in words {
            types.extend(word.to_ne_bytes());
        }
    };
    put(&[1, 1 << 24, 4, 0x0100_0020]); // 1: int
    put(&[0, (1 << 31) | (4 << 24) | 2, 8]); // 2: anonymous
    put(&[13, 1, 3 | (1 << 24)]); // flag, one bit wide, bit 3
    put(&[18, 1, 32]); // b
    put(&[5, (4 << 24) | 2, 12]); // 3: outer
    put(&[11, 1, 0]); // a
    put(&[0, 2, 32]); // the anonymous one
    let lengths = [types.len(), strings.len()].map(|length| u32::try_from(length).unwrap());
    let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24, 0, lengths[0], lengths[0], lengths[1]] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}

#[test]
fn members_are_found_also_in_anonymous_structures() {
    let btf = Btf::parse(small(), None).unwrap();
    let place = |path| btf.member("outer", path).unwrap();
    assert_eq!(place("a"), Position { bits: 0, width: 0 });
    assert_eq!(place("b"), Position { bits: 64, width: 0 });
    assert_eq!(place("flag"), Position { bits: 35, width: 1 });
    assert_eq!(place("new|a"), Position { bits: 0, width: 0 });
    assert_eq!(btf.member("outer", "c"), None);
    assert_eq!(btf.member("outer", "a.b"), None);
    assert_eq!(btf.member("inner", "a"), None);
    assert_eq!(btf.size("outer"), Some(12));
    assert_eq!(btf.len(), 3);
}

#[test]
fn a_cut_file_says_how_much_is_missing() {
    let bytes = small();
    let needed = bytes.len();
    let cut = bytes[..needed - 5].to_vec();
    assert_eq!(
        Btf::parse(cut, None).unwrap_err(),
        ParseError::Truncated {
            needed: needed as u64,
            there: needed - 5
        }
    );
    assert_eq!(
        Btf::parse(b"\x7fELF".to_vec(), None).unwrap_err(),
        ParseError::Magic
    );
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = Btf::read(Path::new("/nonexistent/vmlinux")).unwrap_err();
    assert!(matches!(error, BtfError::Read { .. }));
    assert!(error.to_string().contains("--btf"), "{error}");
}

#[test]
fn this_kernel_describes_its_tasks() {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    if !path.exists() {
        return;
    }
    let btf = Btf::read(path).unwrap();
    assert!(btf.len() > 10_000);
    assert_eq!(
        btf.member("list_head", "prev"),
        Some(Position { bits: 64, width: 0 })
    );
    assert!(btf.member("task_struct", "tgid").is_some());
    assert_eq!(btf.tracepoint_arguments("sched_process_exec"), Some(3));

    let bytes = fs::read(path).unwrap();
    let half = bytes[..bytes.len() / 2].to_vec();
    assert!(matches!(
        Btf::parse(half, None),
        Err(ParseError::Truncated { .. })
    ));
}

proptest! {
    #[test]
    fn damaged_files_never_panic(changes in vec((0_usize..200, any::<u8>()), 1..20)) {
        let mut bytes = small();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(btf) = Btf::parse(bytes, None) {
            let _position = btf.member("outer", "b");
            let _constant = btf.constant("outer", "b");
            let _arguments = btf.tracepoint_arguments("outer");
        }
    }
}
