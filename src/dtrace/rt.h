/* The scratch memory of the run-time functions (rt.bpf.c); see there. */
#ifndef DTRACE_RT_H
#define DTRACE_RT_H

#include "unwind.h"

/* Offsets of members of the kernel's structures, found in BTF (rt.c). */
enum rt_offset {
	RT_TASK_TGID, RT_TASK_PARENT, RT_TASK_MM, RT_TASK_COMM, RT_TASK_CGROUPS, RT_PATH_DENTRY,
	RT_PATH_MNT, RT_MOUNT_MNT, RT_MOUNT_PARENT, RT_MOUNT_POINT, RT_VFSMOUNT_ROOT,
	RT_DENTRY_PARENT, RT_DENTRY_NAME, RT_KOBJECT_NAME, RT_KOBJECT_PARENT, RT_MM_ARG_START,
	RT_MM_ARG_END, RT_CSS_SET_CGRP, RT_CGROUP_LEVEL, RT_CGROUP_ANCESTORS, RT_CGROUP_KN,
	RT_KN_NAME, RT_TASK_SIGNAL, RT_SIGNAL_PIDS, RT_PID_LEVEL, RT_PID_NUMBERS, RT_TASK_CRED,
	RT_CRED_USER_NS, RT_USER_NS_INUM, RT_USER_NS_PARENT, RT_CRED_UID, RT_CRED_EUID,
	RT_CRED_SUID, RT_CRED_GID, RT_CRED_EGID, RT_CRED_SGID, RT_CRED_PERMITTED, RT_MM_FLAGS,
	RT_MM_TREE, RT_MM_NUMBER, RT_MM_CHANGES, RT_MM_VDSO, RT_MM_XOL, RT_XOL_ADDR, RT_TASK_UTASK, RT_UTASK_RETURNS, RT_RETURN_NEXT,
	RT_RETURN_STACK, RT_RETURN_ADDR, RT_VMA_START, RT_VMA_END, RT_VMA_OFFSET, RT_VMA_FLAGS,
	RT_VMA_FILE, RT_FILE_INODE, RT_FILE_PATH, RT_INODE_SB, RT_INODE_INO, RT_INODE_MTIME, RT_INODE_MTIME_NS,
	RT_INODE_GENERATION, RT_SB_DEV,
	RT_DENTRY_SB, RT_SB_MOUNTS, RT_SB_ROOT, RT_MOUNT_INSTANCE, RT_MOUNT_NEXT, RT_PAGE_HEAD, RT_FOLIO_MAPPING, RT_MAPPING_HOST,
	RT_INODE_MAPPING, RT_INODE_DENTRY,
	RT_DENTRY_ALIAS, RT_N_OFFSETS
};

#define RT_INET6_BARE 11 /* rt_ntop(): IPv6, but an embedded IPv4 address alone */
/* In the functions' code: the kernel's number of bpf_rdonly_cast() and of the type it casts to. */
#define RT_CAST 0x7d7d7d01
#define RT_CAST_TYPE 0x7d7d7d02

#define RT_NAMES 32 /* components of a path */

#define RT_NO_TOKEN (-1) /* no text was given to strtok() in this firing */

struct rt {
	u64 i, j, k, n;	 /* loops */
	u64 a, b;	 /* arguments, and loops */
	u64 token;	 /* strtok(): where the next word may begin, or RT_NO_TOKEN */
	u64 alloca_next; /* bytes given out in this firing */
	u64 self;	 /* this scratch area's address, as a number */
	u64 error[6];	 /* arguments of ERROR; [0] keeps the failed probe's id */
	u64 off[RT_N_OFFSETS];
	u64 names[RT_NAMES];
	struct unwind uw; /* if there are user stacks (rt_size()) */
};

#endif
