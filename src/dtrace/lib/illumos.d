/*
 * Variables of illumos' kernel that scripts ask for, where this one knows the same: `NAME is
 * d_illumos_NAME.  Those that do not change are made by lib.c.
 */
#pragma D depends_on library types.d

inline uint64_t d_illumos_hp_avenrun[int i] = `avenrun[i] << 5;	/* of 65536, not of 2048 */
inline uint64_t d_illumos_freemem = `vm_zone_stat[0];		/* pages */
inline uint64_t d_illumos_lbolt = timestamp / (1000000000 / d_illumos_hz);
inline struct new_utsname d_illumos_utsname = curthread->nsproxy->uts_ns->name;
