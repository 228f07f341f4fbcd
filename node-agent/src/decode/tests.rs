//! Arbitrary bytes never panic, and what the kernel would write comes back as it was.

use proptest::{collection::vec, prelude::*};
use yagura_node_agent_ebpf_common::{
    CgroupRecord, ExecLineageRecord, ExecRecord, ExitRecord, ForkRecord, Header, kind,
};

use super::{DecodeError, Decoded, ExecTail, Record};

fn header(kind: u32, body: &[u8], seed: u64) -> Header {
    Header {
        kind,
        size: u32::try_from(Header::SIZE + body.len()).unwrap(),
        ktime: seed,
        start: seed ^ 1,
        cgroup: seed ^ 2,
        tgid: 7,
        tid: 8,
        cpu: 1,
        flags: 3,
        generation: 1,
        reserved: 0,
    }
}

fn bytes(header: Header, body: &[u8]) -> Vec<u8> {
    [header.to_bytes().as_slice(), body].concat()
}

/// How a record is taken from the front of bytes.
type Take<T> = fn(&[u8]) -> Option<(T, &[u8])>;

/// A record of one kind with every field drawn at random.
fn record<const N: usize, T>(take: Take<T>) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    proptest::array::uniform::<_, N>(any::<u8>()).prop_map(move |bytes| take(&bytes).unwrap().0)
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _decoded = Decoded::try_from(bytes.as_slice());
    }

    #[test]
    fn arbitrary_bodies_of_known_kinds_never_panic(
        kind in 0..=kind::COUNT,
        body in vec(any::<u8>(), 0..600),
        lie in -4_i64..4,
    ) {
        let mut header = header(kind, &body, 9);
        header.size = header.size.saturating_add_signed(i32::try_from(lie).unwrap());
        let decoded = Decoded::try_from(bytes(header, &body).as_slice()).is_ok();
        prop_assert!(!decoded || lie == 0);
    }

    #[test]
    fn forks_come_back(fork in record::<{ ForkRecord::SIZE }, _>(ForkRecord::take), seed: u64) {
        let body = fork.to_bytes();
        let header = header(kind::FORK, &body, seed);
        let decoded = Decoded { header, record: Record::Fork(fork) };
        let bytes = bytes(header, &body);
        prop_assert_eq!(Decoded::try_from(bytes.as_slice()), Ok(decoded));
    }

    #[test]
    fn exits_come_back(exit in record::<{ ExitRecord::SIZE }, _>(ExitRecord::take), seed: u64) {
        let body = exit.to_bytes();
        let header = header(kind::EXIT, &body, seed);
        let decoded = Decoded { header, record: Record::Exit(exit) };
        let bytes = bytes(header, &body);
        prop_assert_eq!(Decoded::try_from(bytes.as_slice()), Ok(decoded));
    }

    #[test]
    fn lineage_comes_back(
        exec in record::<{ ExecLineageRecord::SIZE }, _>(ExecLineageRecord::take),
        seed: u64,
    ) {
        let body = exec.to_bytes();
        let header = header(kind::EXEC_LINEAGE, &body, seed);
        let decoded = Decoded { header, record: Record::ExecLineage(exec) };
        let bytes = bytes(header, &body);
        prop_assert_eq!(Decoded::try_from(bytes.as_slice()), Ok(decoded));
    }

    #[test]
    fn executions_come_back_with_their_tails(
        exec in record::<{ ExecRecord::SIZE }, _>(ExecRecord::take),
        path in vec(any::<u8>(), 0..80),
        cwd in vec(any::<u8>(), 0..80),
        args in vec(any::<u8>(), 0..200),
        seed: u64,
    ) {
        let length = |part: &Vec<u8>| u32::try_from(part.len()).unwrap();
        let exec = ExecRecord {
            path_len: length(&path),
            cwd_len: length(&cwd),
            args_len: length(&args),
            ..exec
        };
        let body = [
            exec.to_bytes().as_slice(), &path, &cwd, &args,
        ].concat();
        let header = header(kind::EXEC, &body, seed);
        let tail = ExecTail {
            path: &path,
            cwd: &cwd,
            args: &args,
        };
        let decoded = Decoded { header, record: Record::Exec(exec, tail) };
        let bytes = bytes(header, &body);
        prop_assert_eq!(Decoded::try_from(bytes.as_slice()), Ok(decoded));
    }

    #[test]
    fn cgroups_come_back(id: u64, path in vec(any::<u8>(), 0..200), seed: u64) {
        let cgroup = CgroupRecord {
            id,
            reserved: 0,
            path_len: u32::try_from(path.len()).unwrap(),
        };
        let body = [cgroup.to_bytes().as_slice(), &path].concat();
        let header = header(kind::CGROUP, &body, seed);
        let decoded = Decoded { header, record: Record::Cgroup(cgroup, &path) };
        let bytes = bytes(header, &body);
        prop_assert_eq!(Decoded::try_from(bytes.as_slice()), Ok(decoded));
    }
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(Decoded::try_from(&[0; 10][..]), Err(DecodeError::Header(10)));
    let unknown = header(99, &[], 0);
    assert_eq!(
        Decoded::try_from(bytes(unknown, &[]).as_slice()),
        Err(DecodeError::Kind(99))
    );
    let short = header(kind::EXEC, &[0; 3], 0);
    assert_eq!(
        Decoded::try_from(bytes(short, &[0; 3]).as_slice()),
        Err(DecodeError::Record {
            kind: kind::EXEC,
            there: 3
        })
    );
    let exit = [0; ExitRecord::SIZE + 1];
    assert_eq!(
        Decoded::try_from(bytes(header(kind::EXIT, &exit, 0), &exit).as_slice()),
        Err(DecodeError::Tail {
            kind: kind::EXIT,
            there: 1
        })
    );
}
