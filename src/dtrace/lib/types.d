/* Names that D programs use whatever the kernel calls them. */
#pragma D attributes Stable/Stable/Common

inline int NULL = 0;

typedef long time_t;
typedef unsigned int dev_t;
typedef unsigned long caddr_t;
typedef int zoneid_t;
typedef int taskid_t;
typedef int projid_t;
typedef int poolid_t;
typedef int psetid_t;
typedef int chipid_t;
typedef int lgrp_id_t;
typedef unsigned int netstackid_t;
typedef unsigned int ipaddr_t;
typedef struct in6_addr in6_addr_t;

typedef struct timestruc {
	time_t tv_sec;
	long tv_nsec;
} timestruc_t;

inline int B_WRITE = 0x000100;
inline int B_READ = 0x000040;
inline int B_BUSY = 0x000001;
inline int B_DONE = 0x000002;
inline int B_ERROR = 0x000004;
inline int B_PAGEIO = 0x000010;
inline int B_PHYS = 0x000020;
inline int B_ASYNC = 0x000400;
