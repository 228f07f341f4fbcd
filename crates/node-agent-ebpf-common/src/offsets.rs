//! Where the kernel keeps what the programs read: the manifest that the loader resolves.

/// In place of an offset that this kernel does not have.
pub const MISSING: u32 = u32::MAX;

/// Where a number of the manifest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Byte offset of a member. Dots lead into nested structures; alternatives are separated by
    /// a bar, the first that exists counts.
    Member {
        /// Name of the structure.
        owner: &'static str,
        /// Path of the member.
        path: &'static str,
    },
    /// Position of a bit field in bits, as `Member` otherwise.
    Bit {
        /// Name of the structure.
        owner: &'static str,
        /// Name of the member.
        path: &'static str,
    },
    /// Size in bytes of a structure.
    Size {
        /// Name of the structure.
        owner: &'static str,
    },
}

/// One number that the programs need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Name of the field of [`Offsets`].
    pub field: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// What is lost without it. `process` is what nothing works without.
    pub feature: &'static str,
}

macro_rules! manifest {
    ($size:literal; $( $feature:literal { $( $field:ident: $owner:literal $path:tt, )+ } )+) => {
        record! {
            /// What the manifest asks for, each a number or [`MISSING`].
            pub struct Offsets: $size {
                $($(
                    #[doc = concat!("`", $owner, "` ", stringify!($path))]
                    pub $field: u32,
                )+)+
            }
        }

        impl Offsets {
            /// Nothing is known.
            pub const UNKNOWN: Self = Self { $($( $field: MISSING, )+)+ };
        }

        /// Every number that the programs need, in the order of the fields of [`Offsets`].
        pub const MANIFEST: &[Need] = &[
            $($(
                Need {
                    field: stringify!($field),
                    source: manifest!(@source $owner $path),
                    feature: $feature,
                },
            )+)+
        ];

        const _: () = assert!(MANIFEST.len() * 4 == Offsets::SIZE);
    };
    (@source $owner:literal (bit $path:literal)) => {
        Source::Bit { owner: $owner, path: $path }
    };
    (@source $owner:literal "sizeof") => { Source::Size { owner: $owner } };
    (@source $owner:literal $path:literal) => { Source::Member { owner: $owner, path: $path } };
}

manifest! { 300;
    "process" {
        task_tgid: "task_struct" "tgid",
        task_pid: "task_struct" "pid",
        task_start: "task_struct" "start_boottime",
        task_leader: "task_struct" "group_leader",
        task_parent: "task_struct" "real_parent",
        task_mm: "task_struct" "mm",
        task_cred: "task_struct" "real_cred",
        task_comm: "task_struct" "comm",
        task_cgroups: "task_struct" "cgroups",
        task_signal: "task_struct" "signal",
        task_exit_code: "task_struct" "exit_code",
        task_thread_pid: "task_struct" "thread_pid",
        task_fs: "task_struct" "fs",
        signal_live: "signal_struct" "live",
        signal_flags: "signal_struct" "flags",
        signal_group_exit_code: "signal_struct" "group_exit_code",
        pid_level: "pid" "level",
        pid_numbers: "pid" "numbers",
        upid_nr: "upid" "nr",
        upid_ns: "upid" "ns",
        upid_size: "upid" "sizeof",
        pid_ns_inum: "pid_namespace" "ns.inum",
        mm_arg_start: "mm_struct" "arg_start",
        mm_arg_end: "mm_struct" "arg_end",
        mm_exe_file: "mm_struct" "exe_file",
        fs_pwd: "fs_struct" "pwd",
        path_mount: "path" "mnt",
        path_dentry: "path" "dentry",
        file_path: "file" "f_path",
        file_inode: "file" "f_inode",
        inode_number: "inode" "i_ino",
        inode_mode: "inode" "i_mode",
        inode_uid: "inode" "i_uid",
        inode_gid: "inode" "i_gid",
        inode_links: "inode" "i_nlink",
        inode_sb: "inode" "i_sb",
        sb_device: "super_block" "s_dev",
        sb_magic: "super_block" "s_magic",
        dentry_parent: "dentry" "d_parent",
        dentry_name: "dentry" "d_name",
        dentry_hash: "dentry" "d_hash.pprev",
        qstr_len: "qstr" "len",
        qstr_name: "qstr" "name",
        vfsmount_root: "vfsmount" "mnt_root",
        mount_vfsmount: "mount" "mnt",
        mount_parent: "mount" "mnt_parent",
        mount_mountpoint: "mount" "mnt_mountpoint",
        cred_uid: "cred" "uid",
        cred_gid: "cred" "gid",
        cred_euid: "cred" "euid",
        cred_egid: "cred" "egid",
        cred_cap_effective: "cred" "cap_effective",
        css_set_subsys: "css_set" "subsys",
        css_set_unified: "css_set" "dfl_cgrp",
        css_cgroup: "cgroup_subsys_state" "cgroup",
        cgroup_node: "cgroup" "kn",
        node_id: "kernfs_node" "id",
        node_name: "kernfs_node" "name",
        node_parent: "kernfs_node" "__parent|parent",
    }
    "overlay" {
        overlay_inode: "ovl_inode" "vfs_inode",
        overlay_upper: "ovl_inode" "__upperdentry",
    }
    "login" {
        task_login_uid: "task_struct" "loginuid",
    }
    "terminal" {
        signal_tty: "signal_struct" "tty",
        signal_pids: "signal_struct" "pids",
        tty_name: "tty_struct" "name",
    }
    "namespaces" {
        task_nsproxy: "task_struct" "nsproxy",
        nsproxy_mount: "nsproxy" "mnt_ns",
        nsproxy_network: "nsproxy" "net_ns",
        mount_ns_inum: "mnt_namespace" "ns.inum",
        network_ns_inum: "net" "ns.inum",
    }
    "stdio" {
        task_files: "task_struct" "files",
        files_table: "files_struct" "fdt",
        table_files: "fdtable" "fd",
        inode_device: "inode" "i_rdev",
    }
    "privilege" {
        binprm_secure: "linux_binprm" (bit "secureexec"),
    }
}
