/* Files by their directory entry: the fsinfo and vfs providers. */
#pragma D depends_on library procfs.d

translator fileinfo_t < struct dentry *D > {
	fi_name = stringof(D->d_name.name);
	fi_dirname = dirname(d_file_path(D));
	fi_pathname = d_file_path(D);
	fi_offset = 0;
	fi_fs = stringof(D->d_sb->s_type->name);
	fi_mount = d_file_mount(D);
	fi_oflags = 0;
};

/* What fsinfo's probes have: a struct file, or, at an odd address, the struct dentry before it. */
typedef struct d_fs {
	char d_kind;
} d_fs_t;

inline struct file *d_fs_file[d_fs_t *F] = (struct file *)F;
inline struct dentry *d_fs_dentry[d_fs_t *F] = (struct dentry *)((uint64_t)F - 1);

translator fileinfo_t < d_fs_t *F > {
	fi_name = (uint64_t)F & 1 ? xlate <fileinfo_t> (d_fs_dentry[F]).fi_name :
	    xlate <fileinfo_t> (d_fs_file[F]).fi_name;
	fi_dirname = (uint64_t)F & 1 ? xlate <fileinfo_t> (d_fs_dentry[F]).fi_dirname :
	    xlate <fileinfo_t> (d_fs_file[F]).fi_dirname;
	fi_pathname = (uint64_t)F & 1 ? xlate <fileinfo_t> (d_fs_dentry[F]).fi_pathname :
	    xlate <fileinfo_t> (d_fs_file[F]).fi_pathname;
	fi_offset = (uint64_t)F & 1 ? 0 : xlate <fileinfo_t> (d_fs_file[F]).fi_offset;
	fi_fs = (uint64_t)F & 1 ? xlate <fileinfo_t> (d_fs_dentry[F]).fi_fs :
	    xlate <fileinfo_t> (d_fs_file[F]).fi_fs;
	fi_mount = (uint64_t)F & 1 ? xlate <fileinfo_t> (d_fs_dentry[F]).fi_mount :
	    xlate <fileinfo_t> (d_fs_file[F]).fi_mount;
	fi_oflags = (uint64_t)F & 1 ? 0 : xlate <fileinfo_t> (d_fs_file[F]).fi_oflags;
};
